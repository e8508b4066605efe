//! One line of the audit file: how it is chained, and how a reader holds it against its own hash. What a record says
//! is left to `record`; which line must follow which, to `scan`.
//!
//! A line is `{"seq":N,"prev":"sha256:...",<the record>,"hash":"sha256:..."}`. `hash` is the SHA-256 of the bytes of the
//! line before `,"hash":`, so anybody can recompute it without a JSON reader, and no other spelling of the same record
//! passes. `prev` is the hash of the line before; that of the first line is the hash of nothing.

use chiffon_common::Digest;
use serde::{Deserialize, Serialize};

/// Longest line in bytes: an event of 256 KiB, each byte of it an escape, with room for the states beside it.
pub(crate) const MOST_BYTES: usize = 4 << 20;

const BEFORE_HASH: &[u8] = b",\"hash\":\"";
/// `sha256:` and 64 digits.
const DIGEST: usize = 71;
/// What follows the hash in a line.
pub(super) const END: &str = "\"}";
const AFTER_HASH: &[u8] = END.as_bytes();

/// Where the chain stands: the number and hash of its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Number of the last line, from 1; 0 where there is none.
    pub(crate) seq: u64,
    /// Its hash.
    pub(crate) hash: Digest,
}

impl Head {
    /// Before the first line.
    pub(crate) fn before_all() -> Self {
        Self {
            seq: 0,
            hash: Digest::of_bytes(b""),
        }
    }
}

/// Chains a record, a JSON object with at least one field, behind `head`, and appends its line to `lines`.
pub(crate) fn chain(head: Head, record: &[u8], lines: &mut Vec<u8>) -> Head {
    let begin = lines.len();
    let seq = head.seq + 1;
    let opening = format!("{{\"seq\":{seq},\"prev\":\"{}\",", head.hash);
    lines.extend_from_slice(opening.as_bytes());
    let inner = record.strip_prefix(b"{").unwrap_or(record);
    lines.extend_from_slice(inner.strip_suffix(b"}").unwrap_or(inner));
    let hash = Digest::of_bytes(&lines[begin..]);
    lines.extend_from_slice(BEFORE_HASH);
    lines.extend_from_slice(hash.to_string().as_bytes());
    lines.extend_from_slice(AFTER_HASH);
    lines.push(b'\n');
    Head { seq, hash }
}

/// What a whole line says of its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: Digest,
    pub(crate) hash: Digest,
}

/// Why a line is not a whole and untouched one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineFault {
    /// It does not begin and end as a line does.
    #[error("it is no audit record")]
    Form,
    /// The bytes are not those that were hashed.
    #[error("its hash does not fit its bytes: it was edited")]
    Hash,
}

/// Reads a line without its newline, and holds it against its own hash.
pub(crate) fn read(line: &[u8]) -> Result<Link, LineFault> {
    let (hashed, hash) = split(line).ok_or(LineFault::Form)?;
    let (seq, prev) = opening(hashed).ok_or(LineFault::Form)?;
    if Digest::of_bytes(hashed) != hash {
        return Err(LineFault::Hash);
    }
    Ok(Link { seq, prev, hash })
}

fn split(line: &[u8]) -> Option<(&[u8], Digest)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let at = rest.len().checked_sub(DIGEST)?;
    let hash = digest(&rest[at..])?;
    Some((rest[..at].strip_suffix(BEFORE_HASH)?, hash))
}

fn opening(hashed: &[u8]) -> Option<(u64, Digest)> {
    let rest = hashed.strip_prefix(b"{\"seq\":")?;
    let comma = rest.iter().take(20).position(|byte| *byte == b',')?;
    let seq = std::str::from_utf8(&rest[..comma]).ok()?.parse().ok()?;
    let rest = rest[comma..].strip_prefix(b",\"prev\":\"")?;
    let prev = digest(rest.get(..DIGEST)?)?;
    rest[DIGEST..].strip_prefix(b"\",")?;
    Some((seq, prev))
}

fn digest(text: &[u8]) -> Option<Digest> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_chained_and_no_byte_of_it_may_change() {
        let mut lines = Vec::new();
        let first = chain(Head::before_all(), br#"{"kind":"rules","n":1}"#, &mut lines);
        let begin = lines.len();
        let second = chain(first, br#"{"kind":"event"}"#, &mut lines);
        let line = lines[begin..].strip_suffix(b"\n").unwrap();
        let link = read(line).unwrap();
        assert_eq!(
            (link.seq, link.prev, link.hash),
            (2, first.hash, second.hash)
        );
        let whole: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(whole["kind"], "event");
        for at in 0..line.len() {
            let mut touched = line.to_vec();
            touched[at] ^= 1;
            assert!(read(&touched).is_err(), "byte {at}");
            assert!(read(&line[..at]).is_err(), "cut at {at}");
        }
        // Nor may the hash be spelt otherwise.
        let end = line.len() - AFTER_HASH.len();
        let mut spelt = line.to_vec();
        spelt[end - 64..end].make_ascii_uppercase();
        assert_ne!(spelt, line);
        assert!(read(&spelt).is_err());
    }
}
