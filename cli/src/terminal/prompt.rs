//! Asking a person one line. Whether a person may be asked at all is the caller's to know.

use std::{
    io::{self, BufRead, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::sync::oneshot;

use crate::interrupt::Interrupt;

/// How long a question that nobody waits for any more may still listen.
const LISTEN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

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
    let over = Over::default();
    let is_over = Arc::clone(&over.0);
    // A plain thread: a read from a terminal cannot be called back, and the runtime would wait for it.
    std::thread::spawn(move || {
        if let Some(answered) = line_unless(&is_over) {
            // Nobody waits any more after Ctrl-C.
            let _late = read.send(answered);
        }
    });
    tokio::select! {
        line = line => line.unwrap_or(Answered::NoMore),
        () = interrupt.wait() => Answered::Interrupted,
    }
}

/// Set when the question is over, however it ended.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Reads only what is there: after the question the keys belong to whoever comes next, such as the next prompt.
fn line_unless(is_over: &AtomicBool) -> Option<Answered> {
    let input = io::stdin();
    loop {
        let mut asked = [PollFd::new(&input, PollFlags::IN)];
        let polled = poll(&mut asked, Some(&LISTEN));
        if is_over.load(Ordering::Acquire) {
            return None;
        }
        match polled {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    let mut line = String::new();
    let length = input.lock().read_line(&mut line).unwrap_or(0);
    Some(match length {
        0 => Answered::NoMore,
        _ => Answered::Line(line.trim().to_owned()),
    })
}
