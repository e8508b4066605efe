//! Reading audit files: the files of a folder in their order, their lines, and the first that does not follow the one
//! before it. What to do about a fault is left to `open` (a torn end) and `verify` (everything else).

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use chiffon_common::Digest;

use super::line::{self, Head, Link, MOST_BYTES};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// The name of the file whose first line has this number. The names sort in the order of the chain.
pub(crate) fn file_name(first: u64) -> String {
    format!("{PREFIX}{first:020}{SUFFIX}")
}

/// The number in the name of an audit file; nothing for every other file, also one with nearly such a name.
pub(crate) fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// The audit files of a folder, oldest first; the file itself where a file is named.
pub(crate) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if first_of(&path).is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The files of a folder that hold a record of this number or a later one, where their names say the truth.
pub(crate) fn files_from(folder: &Path, seq: u64) -> io::Result<Vec<PathBuf>> {
    let mut files = files(folder)?;
    let is_before = |file: &PathBuf| first_of(file).is_some_and(|first| first <= seq);
    let first = files.iter().rposition(is_before).unwrap_or(0);
    Ok(files.split_off(first))
}

/// The hash of a record; nothing where no file has it any more.
pub(crate) fn record_at(folder: &Path, seq: u64) -> io::Result<Option<Digest>> {
    let files = files_from(folder, seq)?;
    let Some(file) = files.first() else {
        return Ok(None);
    };
    let mut lines = Lines::open(file)?;
    while let Some(line) = lines.next()? {
        match line::read(line.bytes) {
            Ok(link) if link.seq == seq => return Ok(Some(link.hash)),
            Ok(link) if link.seq > seq => return Ok(None),
            _ => {}
        }
    }
    Ok(None)
}

/// The last line of a file, read from its end; nothing where that is no whole record.
pub(crate) fn last_link(path: &Path) -> io::Result<Option<Link>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    // Most records are short.
    for bound in [1 << 14, MOST_BYTES as u64 + 1] {
        let from = length.saturating_sub(bound);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.by_ref().take(bound).read_to_end(&mut tail)?;
        let Some(lines) = tail.strip_suffix(b"\n") else {
            return Ok(None);
        };
        match lines.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => return Ok(line::read(&lines[end + 1..]).ok()),
            None if from == 0 => return Ok(line::read(lines).ok()),
            None => {}
        }
    }
    Ok(None)
}

/// One line of a file, as it stands there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Without its newline.
    pub(crate) bytes: &'a [u8],
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// From 1.
    pub(crate) number: u64,
    /// Whether it ends with a newline.
    pub(crate) is_whole: bool,
    /// The record that must stand here, where the name of the file says so: it names its first one.
    pub(crate) named: Option<u64>,
}

/// The lines of a file, in memory one at a time.
pub(crate) struct Lines {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    offset: u64,
    number: u64,
    named: Option<u64>,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let named = first_of(path);
        // Whoever opens a pipe waits for somebody who writes to it.
        if named.is_some() && !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, File::open(path)?),
            buffer: Vec::new(),
            offset: 0,
            number: 0,
            named,
        })
    }

    /// The next line. One that is longer than any record comes in pieces, none of which is a record.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        let mut bounded = Read::take(&mut self.reader, MOST_BYTES as u64);
        if bounded.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let whole = self.buffer.strip_suffix(b"\n");
        Ok(Some(Line {
            bytes: whole.unwrap_or(&self.buffer),
            offset: self.offset,
            number: self.number,
            is_whole: whole.is_some(),
            named: self.named.filter(|_| self.number == 1),
        }))
    }
}

/// The first line that is not what must stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In which file.
    pub(crate) file: PathBuf,
    /// In which line of it, from 1.
    pub(crate) line: u64,
    /// Where that line begins, in bytes.
    pub(crate) offset: u64,
    /// In words.
    pub(crate) why: String,
}

/// Holds a line against the one before it; in words where it does not follow.
pub(crate) fn follow(head: Option<Head>, line: &Line<'_>) -> Result<Link, String> {
    if !line.is_whole {
        return Err("it is not whole: the file ends in the middle of it".to_owned());
    }
    let link = line::read(line.bytes).map_err(|fault| fault.to_string())?;
    if let Some(named) = line.named.filter(|named| link.seq != *named) {
        return Err(format!(
            "it is record {}, but the file is named after its first one, record {named}",
            link.seq
        ));
    }
    let Some(head) = head else {
        return Ok(link);
    };
    let expected = head.seq + 1;
    if link.seq > expected {
        let missing = link.seq - expected;
        return Err(format!(
            "it is record {}, but record {expected} must stand here: {missing} missing",
            link.seq
        ));
    }
    if link.seq < expected {
        return Err(format!(
            "it is record {}, but record {expected} must stand here: out of order or repeated",
            link.seq
        ));
    }
    if link.prev != head.hash {
        return Err(format!(
            "record {} does not follow the one before it: one of the two was replaced",
            link.seq
        ));
    }
    Ok(link)
}
