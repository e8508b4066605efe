//! Output within bounds: chunks made into redacted lines, and a tail of the lines kept.

use std::collections::VecDeque;

use chiffon_common::{RedactStream, Redactor, visible};

/// Longest line, in bytes; the rest of a longer one is left out.
const MAX_LINE: usize = 4 * 1024;

/// The seam's bound for the end of the output, less room for the note about what was left out.
const MAX_TAIL: usize = 255 * 1024;

/// Makes lines of a program's output: decoded lossily, redacted across chunk and line bounds, with
/// control characters made visible.
#[derive(Debug)]
pub(crate) struct Lines {
    undecoded: Vec<u8>,
    redact: RedactStream,
    line: String,
    cut: bool,
}

impl Lines {
    pub(crate) fn new(redactor: &Redactor) -> Self {
        Self {
            undecoded: Vec::new(),
            redact: redactor.stream(),
            line: String::new(),
            cut: false,
        }
    }

    /// Takes a chunk and returns the lines that are complete by now.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        self.undecoded.extend_from_slice(chunk);
        let keep = unfinished_character(&self.undecoded);
        let whole = self.undecoded.len() - keep;
        let text = String::from_utf8_lossy(&self.undecoded[..whole]).into_owned();
        self.undecoded.drain(..whole);
        let clean = self.redact.push(&text);
        self.split(&clean)
    }

    /// The rest at the end of the output.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.undecoded).into_owned();
        let clean = self.redact.push(&text) + &self.redact.finish();
        let mut lines = self.split(&clean);
        if !self.line.is_empty() {
            lines.push(self.take());
        }
        lines
    }

    fn split(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in text.split_inclusive('\n') {
            let (part, ended) = match piece.strip_suffix('\n') {
                Some(part) => (part, true),
                None => (piece, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.cut |= part.len() > room;
            self.line.push_str(&part[..part.floor_char_boundary(room)]);
            if ended {
                lines.push(self.take());
            }
        }
        lines
    }

    fn take(&mut self) -> String {
        let mut line = visible(self.line.trim_end_matches('\r'));
        if std::mem::take(&mut self.cut) {
            line.push_str(" ...");
        }
        self.line.clear();
        line
    }
}

/// How many bytes at the end are the beginning of a character that is still to come.
fn unfinished_character(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        // Something else is wrong further in front; look at the last few bytes alone.
        Err(_) => (1..=3.min(bytes.len()))
            .find(|length| {
                let end = &bytes[bytes.len() - length..];
                std::str::from_utf8(end)
                    .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
            })
            .unwrap_or(0),
    }
}

/// A redacted text of an event, cut into lines fit to be shown.
pub(crate) fn shown_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| {
        let end = line.floor_char_boundary(MAX_LINE);
        let dots = if end < line.len() { " ..." } else { "" };
        visible(&line[..end]) + dots
    })
}

/// The end of the output.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > MAX_TAIL {
            let Some(first) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= first.len() + 1;
            self.dropped += 1;
        }
    }

    /// The text, which says how many lines before it were left out.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes + 64);
        if self.dropped > 0 {
            text.push_str(&format!("({} earlier lines left out)\n", self.dropped));
        }
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(secrets: &[&str], chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(&Redactor::new(secrets));
        let mut all: Vec<String> = chunks.iter().flat_map(|chunk| lines.push(chunk)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn chunks_become_lines_wherever_they_are_cut() {
        let text = "eins ü\r\nzwei swordfish\n\x1b[31mrot\nletzte".as_bytes();
        for cut in 0..text.len() {
            assert_eq!(
                lines(&["swordfish"], &[&text[..cut], &text[cut..]]),
                ["eins ü", "zwei [redacted]", "\\u{1b}[31mrot", "letzte"],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(
            lines(&[], &[b"a\xff\xfeb\xc3", b"\n"]),
            ["a\u{fffd}\u{fffd}b\u{fffd}"]
        );
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut lines = Lines::new(&Redactor::new(["secret"]));
        for _ in 0..1000 {
            assert!(lines.push(&[b'x'; 10_000]).is_empty());
        }
        assert!(lines.line.capacity() <= 4 * MAX_LINE);
        let last = lines.finish();
        assert_eq!(last.len(), 1);
        assert!(last[0].len() <= MAX_LINE + 4 && last[0].ends_with("x ..."));
    }

    #[test]
    fn the_tail_keeps_the_end_and_counts_the_rest() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(&format!("line {number}"));
        }
        let text = tail.text();
        assert!(text.len() <= 256 * 1024);
        assert!(text.ends_with("line 99999\n"));
        assert!(text.starts_with('(') && text.contains("earlier lines left out"));
    }
}
