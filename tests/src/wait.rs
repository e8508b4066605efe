//! Waiting for a condition of another process, with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// Short enough not to be noticed, long enough not to load two cores.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `condition` until it answers, and returns the answer.
///
/// # Panics
/// When `timeout` has passed without an answer; the message names `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, timeout: Duration, condition: impl FnMut() -> Option<T>) -> T {
    poll(timeout, condition).unwrap_or_else(|| panic!("waited {timeout:?} in vain for {what}"))
}

/// The same, for callers with something better to say than a panic.
pub(crate) fn poll<T>(timeout: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        // Asked once more after the bound, so that a starved test thread is not taken for a failure.
        let late = start.elapsed() >= timeout;
        if let Some(answer) = condition() {
            return Some(answer);
        }
        if late {
            return None;
        }
        thread::sleep(PAUSE);
    }
}
