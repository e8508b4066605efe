//! The two streams of the program: data on standard output, messages on standard error; colours, and
//! who may be asked. What is said is left to `render` and the commands.

mod lines;
mod paint;
mod prompt;

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use chiffon_program::Env;
pub use lines::{Lines, Typed};
pub use paint::Paint;
pub use prompt::{Answered, ask};

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// One JSON document a line.
    Ndjson,
}

/// What is known of the surroundings.
#[derive(Debug)]
pub struct Terminal {
    /// How data is written.
    pub format: Format,
    /// Colours of standard output.
    pub out: Paint,
    /// Colours of standard error.
    pub err: Paint,
    /// Whether something may move on standard error.
    pub animate: bool,
    /// Whether a person can be asked.
    pub may_ask: bool,
    /// Whether standard output is a terminal.
    pub shows: bool,
    /// Why standard output can no longer be written.
    broken: Mutex<Option<io::ErrorKind>>,
}

/// What the flags say about all this.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// `-o`, `--json`.
    pub format: Format,
    /// `--no-color`.
    pub no_color: bool,
    /// `--no-input`.
    pub no_input: bool,
}

impl Terminal {
    /// The terminal of this process.
    pub fn new(env: &Env, wishes: Wishes) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = env.text("TERM") == Some("dumb");
        Self {
            format: wishes.format,
            out: Paint::new(colours(out, env, wishes.no_color)),
            err: Paint::new(colours(err, env, wishes.no_color)),
            animate: out && err && !dumb,
            may_ask: io::stdin().is_terminal() && err && !wishes.no_input,
            shows: out,
            broken: Mutex::default(),
        }
    }

    /// Writes data and a line end. A reader that went away is no error (`chiffon log | head`); any
    /// other failure is kept for the end of the program.
    pub fn data(&self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
            self.note(error.kind());
        }
    }

    /// Writes data as it is, without a line end.
    pub fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            self.note(error.kind());
        }
    }

    /// Tells a person something.
    pub fn say(&self, text: &str) {
        // There is nowhere left to complain to.
        let _unheard = writeln!(io::stderr().lock(), "{text}");
    }

    /// Whether nobody reads the data any more.
    pub fn is_closed(&self) -> bool {
        self.kept().is_some()
    }

    /// Whether the reader of standard output has gone away, without a word to be written. A terminal that was
    /// closed counts too.
    pub fn reader_is_gone(&self) -> bool {
        let out = io::stdout();
        let mut asked = [PollFd::new(&out, PollFlags::empty())];
        let polled = poll(&mut asked, Some(&Timespec::default()));
        let gone = PollFlags::ERR | PollFlags::HUP;
        self.is_closed() || (polled.is_ok() && asked[0].revents().intersects(gone))
    }

    /// Why data was lost, unless the reader just went away.
    pub fn lost(&self) -> Option<io::ErrorKind> {
        self.kept()
            .filter(|kind| *kind != io::ErrorKind::BrokenPipe)
    }

    fn kept(&self) -> Option<io::ErrorKind> {
        *self.broken.lock().unwrap_or_else(|held| held.into_inner())
    }

    fn note(&self, kind: io::ErrorKind) {
        let mut broken = self.broken.lock().unwrap_or_else(|held| held.into_inner());
        broken.get_or_insert(kind);
    }
}

/// C4: only on a terminal that can, and only if nobody said no.
fn colours(is_terminal: bool, env: &Env, no_color: bool) -> bool {
    is_terminal
        && !no_color
        && env.get("NO_COLOR").is_none()
        && env.get("CHIFFON_NO_COLOR").is_none()
        && env.text("TERM") != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_nobody_against_them() {
        let plain = Env::from([("TERM", "xterm")]);
        assert!(colours(true, &plain, false));
        assert!(!colours(false, &plain, false));
        assert!(!colours(true, &plain, true));
        for against in [
            ("NO_COLOR", "1"),
            ("CHIFFON_NO_COLOR", "1"),
            ("TERM", "dumb"),
        ] {
            assert!(!colours(true, &Env::from([against]), false), "{against:?}");
        }
        let empty = Env::from([("NO_COLOR", "")]);
        assert!(
            colours(true, &empty, false),
            "an empty NO_COLOR says nothing"
        );
    }
}
