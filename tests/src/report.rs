//! Saying loudly what a run could not test.

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that collects the lines; the test harness hides what a passing test prints.
const COLLECTED_IN: &str = "CHIFFON_NOT_RUN";

/// Records that `what` was not tested, and `why`.
///
/// # Panics
/// When the collecting file is named but cannot be written: a gap must not go unseen.
pub fn not_run(what: &str, why: &str) {
    let line = format!("not run: {what}: {why}");
    println!("{line}");
    if let Some(path) = std::env::var_os(COLLECTED_IN) {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        // One write of the whole line: several test processes append to the same file.
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write {path:?}: {error}"));
    }
}
