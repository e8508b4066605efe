//! Asking a person one line. Whether a person may be asked at all is the caller's to know.

use std::io::{self, BufRead, Write};

use tokio::sync::oneshot;

use crate::interrupt::Interrupt;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The line, without spaces around it.
    Line(String),
    /// The input ended.
    NoMore,
    /// Ctrl-C.
    Interrupted,
}

/// Asks on standard error and waits for a line or Ctrl-C.
pub async fn ask(question: &str, interrupt: &mut Interrupt) -> Answered {
    {
        let mut err = io::stderr().lock();
        // Without the question there is still the answer to wait for.
        let _unheard = write!(err, "{question} ").and_then(|()| err.flush());
    }
    let (read, line) = oneshot::channel();
    // A plain thread: a read from a terminal cannot be called back, and the runtime would wait for it.
    std::thread::spawn(move || {
        let mut line = String::new();
        let length = io::stdin().lock().read_line(&mut line).unwrap_or(0);
        let answered = match length {
            0 => Answered::NoMore,
            _ => Answered::Line(line.trim().to_owned()),
        };
        // Nobody waits any more after Ctrl-C.
        let _late = read.send(answered);
    });
    tokio::select! {
        line = line => line.unwrap_or(Answered::NoMore),
        () = interrupt.wait() => Answered::Interrupted,
    }
}
