//! How records lie in the file: `<length, 8 hex> <crc32, 8 hex> <JSON>\n`.
//!
//! JSON on one line holds no raw line feed, so a record that a crash tore off has none either: what has
//! one and does not check was changed afterwards. That tells torn from damaged.

use std::io;

use crate::core::Record;

const HEAD: usize = 18;

/// How a journal's bytes end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Clean,
    /// The last record is incomplete from this byte on.
    Torn {
        at: usize,
    },
    /// From this byte on it is not what was written.
    Damaged {
        at: usize,
    },
    /// It checks, and this program does not know the record.
    Newer,
}

/// What could be read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) records: Vec<Record>,
    pub(super) tail: Tail,
}

enum Step {
    Record(Box<Record>, usize),
    End(Tail),
}

/// Appends a record's bytes.
pub(super) fn write(record: &Record, to: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    let crc = crc32fast::hash(&json);
    to.extend_from_slice(format!("{:08x} {crc:08x} ", json.len()).as_bytes());
    to.extend_from_slice(&json);
    to.push(b'\n');
    Ok(())
}

/// Reads a whole journal.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut records = Vec::new();
    let mut at = 0;
    loop {
        match step(bytes, at) {
            Step::Record(record, next) => {
                records.push(*record);
                at = next;
            }
            Step::End(tail) => return Read { records, tail },
        }
    }
}

fn step(bytes: &[u8], at: usize) -> Step {
    let rest = &bytes[at..];
    if rest.is_empty() {
        return Step::End(Tail::Clean);
    }
    let broken = || {
        let tail = if rest.contains(&b'\n') {
            Tail::Damaged { at }
        } else {
            Tail::Torn { at }
        };
        Step::End(tail)
    };
    let Some((len, crc)) = rest.get(..HEAD).and_then(head) else {
        return broken();
    };
    let Some(json) = len.checked_add(HEAD).and_then(|end| rest.get(HEAD..end)) else {
        return broken();
    };
    match rest.get(HEAD + len) {
        None => return broken(),
        // Complete to the last byte, so this byte was there and was another.
        Some(end) if *end != b'\n' => return Step::End(Tail::Damaged { at }),
        Some(_) => {}
    }
    if crc32fast::hash(json) != crc {
        return Step::End(Tail::Damaged { at });
    }
    match serde_json::from_slice(json) {
        Ok(record) => Step::Record(record, at + HEAD + len + 1),
        Err(_) => Step::End(Tail::Newer),
    }
}

fn head(head: &[u8]) -> Option<(usize, u32)> {
    if head[8] != b' ' || head[17] != b' ' {
        return None;
    }
    let text = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(&head[range]).ok()?;
        let is_ours = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        digits.chars().all(is_ours).then_some(digits)
    };
    let len = usize::from_str_radix(text(0..8)?, 16).ok()?;
    let crc = u32::from_str_radix(text(9..17)?, 16).ok()?;
    Some((len, crc))
}
