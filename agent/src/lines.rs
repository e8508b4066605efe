//! Output lines on their way into statuses: cut, limited and put into batches. Pure; the timer and the
//! worker's channel are left to the run.

use std::time::Duration;

use crate::core::head;

/// Longest line in bytes.
const MAX_LINE: usize = 8 * 1024;
/// Most lines of one status.
const MAX_LINES: usize = 200;
/// Most bytes of one status' lines as JSON; an envelope holds 1 MiB.
const MAX_BATCH: usize = 512 * 1024;
/// Most lines passed on in a second.
const PER_SECOND: u32 = 2_000;
/// Most bytes of lines passed on of one run: they are kept for weeks, and one playbook that prints must not fill the disk of
/// whoever keeps them. The end of the output is in the result all the same.
const MAX_RUN: usize = 16 * 1024 * 1024;

/// What is ready to be told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) percent: Option<u8>,
    pub(crate) message: String,
    pub(crate) lines: Vec<String>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.percent.is_none() && self.lines.is_empty()
    }
}

/// Collects until a status is worth it.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    batch: Batch,
    bytes: usize,
    left_out: u64,
    second: u64,
    passed: u32,
    /// Of all lines so far, up to the bound of a run.
    of_run: usize,
}

impl Lines {
    /// Takes a line; a full batch comes back.
    pub(crate) fn push(&mut self, mut line: String, boot: Duration) -> Option<Batch> {
        if self.second != boot.as_secs() {
            (self.second, self.passed) = (boot.as_secs(), 0);
        }
        if self.of_run > MAX_RUN {
            return None;
        }
        if self.passed >= PER_SECOND {
            self.left_out += 1;
            return None;
        }
        self.tell_left_out();
        self.passed += 1;
        head(&mut line, MAX_LINE);
        self.of_run += line.len();
        if self.of_run > MAX_RUN {
            let mebibytes = MAX_RUN / (1024 * 1024);
            line = format!(
                "... this run has printed more than {mebibytes} MiB: the lines from here on are left out, and the result holds \
                 the end"
            );
        }
        self.bytes += serde_json::to_string(&line).map_or(MAX_LINE, |json| json.len());
        self.batch.lines.push(line);
        let is_full = self.batch.lines.len() >= MAX_LINES || self.bytes >= MAX_BATCH;
        if is_full { self.take() } else { None }
    }

    fn tell_left_out(&mut self) {
        if self.left_out > 0 {
            let told = match self.left_out {
                1 => "... 1 line left out".to_owned(),
                many => format!("... {many} lines left out"),
            };
            self.batch.lines.push(told);
            self.left_out = 0;
        }
    }

    /// Notes a step.
    pub(crate) fn step(&mut self, percent: u8, mut message: String) {
        head(&mut message, 1024);
        self.batch.percent = Some(percent);
        self.batch.message = message;
    }

    /// What has come since the last time, if anything; called every 200 ms and at the end.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.tell_left_out();
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(9);

    #[test]
    fn a_batch_is_full_at_two_hundred_lines_or_half_a_mebibyte() {
        let mut lines = Lines::default();
        let batches = (0..200)
            .filter_map(|n| lines.push(n.to_string(), T))
            .count();
        assert_eq!(batches, 1);
        assert_eq!(lines.take(), None);
        // Eight KiB of control characters are 48 KiB of JSON.
        let full = (0..20)
            .find_map(|_| lines.push("\u{1}".repeat(20_000), T))
            .unwrap();
        assert!(serde_json::to_vec(&full.lines).unwrap().len() < 600 * 1024);
        assert!(full.lines[0].len() <= MAX_LINE && full.lines[0].ends_with("[cut]"));
    }

    #[test]
    fn beyond_the_bound_of_a_run_nothing_is_passed_on_and_that_is_told_once() {
        let mut lines = Lines::default();
        let mut told = Vec::new();
        for n in 0..5_000_u64 {
            let batch = lines.push("x".repeat(MAX_LINE), T + Duration::from_secs(n / 1_000));
            told.extend(batch.into_iter().flat_map(|batch| batch.lines));
        }
        told.extend(lines.take().unwrap().lines);
        let (last, rest) = told.split_last().unwrap();
        assert!(last.contains("more than 16 MiB"), "{last}");
        assert_eq!(rest.len(), MAX_RUN / MAX_LINE);
        assert_eq!(lines.take(), None);
    }

    #[test]
    fn beyond_two_thousand_a_second_lines_are_counted() {
        let mut lines = Lines::default();
        let mut told: Vec<String> = (0..2_500)
            .filter_map(|n| lines.push(n.to_string(), T))
            .flat_map(|batch| batch.lines)
            .collect();
        told.extend(
            lines
                .push("next".to_owned(), T + Duration::from_secs(1))
                .into_iter()
                .flat_map(|batch| batch.lines),
        );
        told.extend(lines.take().unwrap().lines);
        assert_eq!(told.len(), 2_002);
        assert_eq!(told[2_000..], ["... 500 lines left out", "next"]);
    }
}
