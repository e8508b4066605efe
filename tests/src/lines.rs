//! Reading the output of a running process without ever blocking it.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Beyond this the rest is counted, not kept: a flood must not take the test's memory.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What a process has said on one of its streams so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Text>>);

#[derive(Default)]
struct Text {
    kept: String,
    dropped_bytes: usize,
}

impl Lines {
    /// Starts a thread that reads `stream` to its end. Bytes that are not UTF-8 are replaced.
    pub(crate) fn follow(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self::default();
        let writer = lines.clone();
        let reader = thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                writer.push(&line);
                line.clear();
            }
        });
        (lines, reader)
    }

    /// Everything said so far.
    pub(crate) fn text(&self) -> String {
        let text = self.lock();
        match text.dropped_bytes {
            0 => text.kept.clone(),
            more => format!("{}\n({more} more bytes not kept)\n", text.kept),
        }
    }

    /// The first complete line so far that contains `needle`.
    pub(crate) fn find(&self, needle: &str) -> Option<String> {
        let text = self.lock();
        let complete = text
            .kept
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        complete
            .map(str::trim_end)
            .find(|line| line.contains(needle))
            .map(str::to_owned)
    }

    fn push(&self, line: &[u8]) {
        let mut text = self.lock();
        if text.kept.len() + line.len() > KEPT_BYTES {
            text.dropped_bytes += line.len();
        } else {
            text.kept.push_str(&String::from_utf8_lossy(line));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Text> {
        // A reader that panicked has still kept whole lines only.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
