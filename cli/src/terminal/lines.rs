//! Lines of a conversation: typed at a prompt that can be edited, or read from a pipe or file to their end.
//! The blocking read has a thread of its own, which reads only when it is asked to: in between the terminal
//! belongs to others.

use std::{
    io::{self, BufRead, Read, Write},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{ColorMode, Config, DefaultEditor, ExternalPrinter, error::ReadlineError};
use tokio::sync::mpsc;

/// The API refuses sentences of more than a few thousand characters; this only bounds the reading.
const MOST_BYTES: u64 = 1 << 20;

/// Takes back what the editor asks of a terminal: to mark what is pasted.
const PASTE_AS_IT_COMES: &str = "\u{1b}[?2004l";

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// A line without its end.
    Line(String),
    /// Something that is no UTF-8 text.
    NoText,
    /// The input has ended: Ctrl-D at a prompt.
    NoMore,
    /// Ctrl-C at the prompt, where it is a key and no signal.
    Interrupted,
}

/// Says something above the line that is being typed; nothing where there is no prompt.
#[derive(Clone, Default)]
pub struct Aside(Arc<Mutex<Option<Box<dyn ExternalPrinter + Send>>>>);

impl Aside {
    /// Says a line. Whether the terminal still listens shows at the next line that is read.
    pub fn say(&self, line: &str) {
        let mut printer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(printer) = printer.as_mut() {
            let _gone = printer.print(format!("{line}\n"));
        }
    }

    fn begin(&self, printer: impl ExternalPrinter + Send + 'static) {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(printer));
    }
}

/// Reads one line after the other.
pub struct Lines {
    wish: SyncSender<()>,
    typed: mpsc::Receiver<Typed>,
    /// The modes of the terminal before the first prompt, where there is a prompt.
    modes: Option<Modes>,
    /// A line was wished for and has not come.
    is_reading: bool,
    aside: Aside,
}

impl Lines {
    /// At a prompt, with keys to edit and the lines before.
    pub fn with_prompt(prompt: String) -> Self {
        let aside = Aside::default();
        let same = aside.clone();
        let mut lines = Self::start(Some(Modes::now()), move |wishes, typed| {
            at_prompt(&prompt, &aside, wishes, typed);
        });
        lines.aside = same;
        lines
    }

    /// How to say something while a line is typed.
    pub fn aside(&self) -> Aside {
        self.aside.clone()
    }

    /// From standard input without a word.
    pub fn of_input() -> Self {
        Self::start(None, of_input)
    }

    fn start(
        modes: Option<Modes>,
        read: impl FnOnce(&Receiver<()>, &mpsc::Sender<Typed>) + Send + 'static,
    ) -> Self {
        // One of each: a line is wished for, then it comes.
        let (wish, wishes) = sync_channel(1);
        let (send, typed) = mpsc::channel(1);
        // A plain thread: a read from a terminal cannot be called back, and the runtime would wait for it.
        thread::spawn(move || read(&wishes, &send));
        Self {
            wish,
            typed,
            modes,
            is_reading: false,
            aside: Aside::default(),
        }
    }

    /// Whether somebody sits there.
    pub fn has_prompt(&self) -> bool {
        self.modes.is_some()
    }

    /// The next line.
    pub async fn next(&mut self) -> Typed {
        if self.wish.send(()).is_err() {
            return Typed::NoMore;
        }
        self.is_reading = true;
        let typed = self.typed.recv().await.unwrap_or(Typed::NoMore);
        self.is_reading = false;
        typed
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Told to end at the prompt, the thread behind it will not put the terminal back.
        if let Some(modes) = self.modes.as_ref().filter(|_| self.is_reading) {
            modes.put_back();
        }
    }
}

fn at_prompt(prompt: &str, aside: &Aside, wishes: &Receiver<()>, typed: &mpsc::Sender<Typed>) {
    let config = Config::builder()
        .color_mode(ColorMode::Disabled)
        .auto_add_history(true)
        .build();
    let Ok(mut editor) = DefaultEditor::with_config(config) else {
        return of_input(wishes, typed);
    };
    // Without it there is still the news between two lines.
    if let Ok(printer) = editor.create_external_printer() {
        aside.begin(printer);
    }
    while wishes.recv().is_ok() {
        let line = match editor.readline(prompt) {
            Ok(line) => Typed::Line(line),
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            // A terminal that cannot be read any more has ended.
            Err(_) => Typed::NoMore,
        };
        if typed.blocking_send(line).is_err() {
            return;
        }
    }
}

fn of_input(wishes: &Receiver<()>, typed: &mpsc::Sender<Typed>) {
    while wishes.recv().is_ok() {
        let mut bytes = Vec::new();
        let read = io::stdin()
            .lock()
            .take(MOST_BYTES)
            .read_until(b'\n', &mut bytes);
        let line = match (read, String::from_utf8(bytes)) {
            (Ok(0) | Err(_), _) => Typed::NoMore,
            (Ok(_), Ok(line)) => Typed::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
            (Ok(_), Err(_)) => Typed::NoText,
        };
        if typed.blocking_send(line).is_err() {
            return;
        }
    }
}

/// The modes of a terminal. The editor changes them for as long as it reads.
struct Modes(Option<Termios>);

impl Modes {
    fn now() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    fn put_back(&self) {
        if let Some(modes) = &self.0 {
            // A terminal that is gone has no modes.
            let _gone = tcsetattr(io::stdin(), OptionalActions::Now, modes);
            let _unheard = writeln!(io::stdout().lock(), "{PASTE_AS_IT_COMES}");
        }
    }
}
