//! Lines of a conversation: typed at a prompt that can be edited, or read from a pipe or file to their end.
//! The blocking read has a thread of its own, which reads only when it is asked to: in between the terminal
//! belongs to others.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{ColorMode, Config, DefaultEditor, error::ReadlineError};
use tokio::sync::mpsc;

/// The API refuses sentences of more than a few thousand characters; this only bounds the reading.
const MOST_BYTES: u64 = 1 << 20;

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

/// Reads one line after the other.
pub struct Lines {
    wish: SyncSender<()>,
    typed: mpsc::Receiver<Typed>,
    has_prompt: bool,
    // Last, so that the terminal is as it was when everything else has ended.
    _modes: Option<Modes>,
}

impl Lines {
    /// At a prompt, with keys to edit and the lines before.
    pub fn with_prompt(prompt: String) -> Self {
        Self::start(Some(Modes::now()), move |wishes, typed| {
            at_prompt(&prompt, wishes, typed);
        })
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
            has_prompt: modes.is_some(),
            _modes: modes,
        }
    }

    /// Whether somebody sits there.
    pub fn has_prompt(&self) -> bool {
        self.has_prompt
    }

    /// The next line.
    pub async fn next(&mut self) -> Typed {
        if self.wish.send(()).is_err() {
            return Typed::NoMore;
        }
        self.typed.recv().await.unwrap_or(Typed::NoMore)
    }
}

fn at_prompt(prompt: &str, wishes: &Receiver<()>, typed: &mpsc::Sender<Typed>) {
    let config = Config::builder()
        .color_mode(ColorMode::Disabled)
        .auto_add_history(true)
        .build();
    let Ok(mut editor) = DefaultEditor::with_config(config) else {
        return of_input(wishes, typed);
    };
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

/// The modes of the terminal, put back when this is dropped: a program that is told to end at the prompt leaves
/// a thread behind that has changed them.
struct Modes(Option<Termios>);

impl Modes {
    fn now() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // A terminal that is gone has no modes.
            let _gone = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
    }
}
