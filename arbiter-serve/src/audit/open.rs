//! Opening the audit folder: one writer alone, the end of the chain found, and a torn end taken off once nothing else
//! refuses the start.
//!
//! Power loss may leave a last batch that is only partly there. No answer left for any of it, so it is taken off, kept
//! beside the file, and told. A last record that lacks nothing but its line end is whole, and is given it. It is told from damage by its form: a write that was cut short has no end or has zeros
//! for what never reached the disk, and no whole record follows it. All else was somebody's or something else's work,
//! and nothing is taken off.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    line::{self, Head, LineFault, Link},
    scan::{Fault, Line, Lines, files, first_of, follow, last_link},
    seen::Seen,
};

/// Records name people and what they said: for the owner alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another arbiter writes to {}", .0.display())]
    InUse(PathBuf),
    #[error("{} line {line} is damaged ({why}), and no loss of power leaves it so", file.display())]
    Damaged {
        file: PathBuf,
        line: u64,
        why: String,
    },
    #[error("{} has no record and is named after record {named}, but record {next} must come next", file.display())]
    Misnamed {
        file: PathBuf,
        named: u64,
        next: u64,
    },
    #[error("{} is no folder, or a link that leads to none", .0.display())]
    NoFolder(PathBuf),
    #[error("{} cannot be used: {source}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

/// A torn end that was taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn {
    /// The file it was taken off.
    pub(crate) file: PathBuf,
    /// How many bytes.
    pub(crate) bytes: u64,
    /// Where they lie now.
    pub(crate) kept: PathBuf,
}

/// What a start mends at the end of the last file, and has not mended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TornEnd {
    /// What stands from there on, in bytes, goes.
    From(u64),
    /// The last record is whole, and lacks its line end.
    LineEnd,
}

/// The folder, held by this process, as it was found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    /// Where the chain ends.
    pub(crate) head: Head,
    /// When its last record was made, where the last file has one that says so.
    pub(crate) last_at: Option<Timestamp>,
    /// The last file, where it can be gone on with.
    pub(crate) last: Option<LastFile>,
    pub(crate) torn: Option<TornEnd>,
    /// The files before the last one, which are whole.
    pub(crate) seen: Seen,
    /// Held as long as it is open.
    pub(crate) lock: File,
}

impl Opened {
    /// Takes a torn end off, and keeps it beside the file; a record that lacks its line end is given it. Only once nothing
    /// refuses the start: whoever looks for why it was refused must find what was found.
    pub(crate) fn mend(&mut self) -> Result<Option<Torn>, OpenError> {
        let (Some(torn), Some(last)) = (self.torn.take(), &mut self.last) else {
            return Ok(None);
        };
        let mended = match torn {
            TornEnd::From(at) => take_off(&last.path, &mut last.file, at).map(Some),
            TornEnd::LineEnd => end_line(last).map(|()| None),
        };
        mended.map_err(|source| OpenError::Unusable {
            path: last.path.clone(),
            source,
        })
    }
}

/// The file that the next line goes to.
#[derive(Debug)]
pub(crate) struct LastFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// How much of it was written whole.
    pub(crate) length: u64,
    /// What the last try to write behind that was to write, where it failed.
    pub(super) tried: Vec<u8>,
}

impl LastFile {
    pub(super) fn of(file: File, path: PathBuf, length: u64) -> Self {
        Self {
            path,
            file,
            length,
            tried: Vec::new(),
        }
    }
}

/// Opens a folder, and makes it where it is missing.
pub(crate) fn open(folder: &Path) -> Result<Opened, OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: folder.to_owned(),
        source,
    };
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            OpenError::NoFolder(folder.to_owned())
        }
        _ => unusable(error),
    })?;
    let lock = locked(folder)?;
    let held = last_of(folder)?;
    let mut files = files(folder).map_err(unusable)?;
    // Somebody wrote the next file in between.
    if files.last() != held.as_ref().map(|held| &held.path) {
        return Err(OpenError::InUse(folder.to_owned()));
    }
    // An empty last file was made right before the power went: the one before it has the end of the chain.
    files.pop();
    let (before, seen) = whole(folder, &files)?;
    let Some(mut last) = held else {
        return Ok(Opened {
            folder: folder.to_owned(),
            head: Head::before_all(),
            last_at: None,
            last: None,
            torn: None,
            seen,
            lock,
        });
    };
    let End {
        head,
        at,
        fault,
        is_open,
    } = end_of(&last.path, before)?;
    if head == before {
        is_next(&last.path, before)?;
    }
    let end = last.file.seek(SeekFrom::End(0)).map_err(unusable)?;
    last.length = fault.as_ref().map_or(end, |fault| fault.offset);
    let torn = fault.map(|fault| TornEnd::From(fault.offset));
    Ok(Opened {
        folder: folder.to_owned(),
        head: head.or(before).unwrap_or_else(Head::before_all),
        last_at: at,
        last: Some(last),
        torn: torn.or(is_open.then_some(TornEnd::LineEnd)),
        seen,
        lock,
    })
}

/// The last file, held by this process: whoever writes to it holds it, too, whatever became of the lock of the folder.
fn last_of(folder: &Path) -> Result<Option<LastFile>, OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: folder.to_owned(),
        source,
    };
    let Some(path) = files(folder).map_err(unusable)?.pop() else {
        return Ok(None);
    };
    let file = appending(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LastFile::of(file, path, 0))),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// A folder whose files nobody writes to, held as long as this lives; nothing where somebody does.
pub(crate) fn unused(folder: &Path) -> io::Result<Option<Vec<File>>> {
    let mut held = Vec::new();
    let last = files(folder)?.pop();
    for path in last.into_iter().chain([folder.join("lock")]) {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => held.push(file),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(Some(held))
}

/// A last file without a record is gone on with, so its name must be that of the next one.
fn is_next(file: &Path, before: Option<Head>) -> Result<(), OpenError> {
    let next = before.map_or(1, |before| before.seq + 1);
    match first_of(file).filter(|named| *named != next) {
        Some(named) => Err(OpenError::Misnamed {
            file: file.to_owned(),
            named,
            next,
        }),
        None => Ok(()),
    }
}

/// Holds the files that others follow against each other, and reads those through of which it is not noted that they were
/// found whole and have not changed since; where they end.
fn whole(folder: &Path, files: &[PathBuf]) -> Result<(Option<Head>, Seen), OpenError> {
    let (mut seen, mut head) = (Seen::read(folder), None);
    for file in files {
        let unusable = |source| OpenError::Unusable {
            path: file.clone(),
            source,
        };
        // Before it is read: what changes meanwhile is looked at the next time.
        let about = fs::metadata(file).map_err(unusable)?;
        let end = last_link(file).map_err(unusable)?;
        let end = end.map(|Link { seq, hash, .. }| Head { seq, hash });
        let end = end.filter(|end| seen.holds(file, &about, *end));
        head = Some(match end {
            Some(end) => {
                begins(file, head)?;
                end
            }
            None => {
                let end = whole_end_of(file, head)?;
                seen.note(file, &about, end);
                end
            }
        });
    }
    Ok((head, seen))
}

/// A file begins where the one before it ends.
fn begins(file: &Path, before: Option<Head>) -> Result<(), OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: file.to_owned(),
        source,
    };
    let mut lines = Lines::open(file).map_err(unusable)?;
    let followed = match lines.next().map_err(unusable)? {
        Some(line) => follow(before, &line).map(drop),
        None => Err("it has no record".to_owned()),
    };
    followed.map_err(|why| OpenError::Damaged {
        file: file.to_owned(),
        line: 1,
        why,
    })
}

fn locked(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let unusable = |source| OpenError::Unusable {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let lock = options.mode(FILE_MODE).open(&path).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Opens a file for the lines that follow.
pub(super) fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    options.mode(FILE_MODE).open(path)
}

/// The last record of a file that another one follows: it was whole before that one was made.
fn whole_end_of(path: &Path, before: Option<Head>) -> Result<Head, OpenError> {
    let damaged = |line, why: String| OpenError::Damaged {
        file: path.to_owned(),
        line,
        why,
    };
    match end_of(path, before)? {
        End {
            fault: Some(fault), ..
        } => Err(damaged(fault.line, fault.why)),
        End { is_open: true, .. } => Err(damaged(
            1,
            "its last record lacks its line end, and another file follows it".to_owned(),
        )),
        End {
            head: Some(head), ..
        } if Some(head) != before => Ok(head),
        End { .. } => Err(damaged(
            1,
            "it has no record, and another file follows it".to_owned(),
        )),
    }
}

#[derive(Deserialize)]
struct OnlyTime {
    ts: Timestamp,
}

/// How a file ends.
struct End {
    /// Its last good record, or what it was to follow.
    head: Option<Head>,
    /// When that was made, where it says so.
    at: Option<Timestamp>,
    /// Where a torn end begins, if it has one.
    fault: Option<Fault>,
    /// Whether that record lacks its line end.
    is_open: bool,
}

fn end_of(path: &Path, before: Option<Head>) -> Result<End, OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: path.to_owned(),
        source,
    };
    let mut lines = Lines::open(path).map_err(unusable)?;
    let mut head = before;
    let mut torn: Option<Fault> = None;
    let (mut is_open, mut last) = (false, Vec::new());
    while let Some(line) = lines.next().map_err(unusable)? {
        if torn.is_none() {
            // Nothing of what was hashed is missing where only the line end is.
            let lacks_end = !line.is_whole && line::read(line.bytes).is_ok();
            let is_whole = line.is_whole || lacks_end;
            match follow(head, &Line { is_whole, ..line }) {
                Ok(link) => {
                    is_open = lacks_end;
                    last.clear();
                    last.extend_from_slice(line.bytes);
                    let Link { seq, hash, .. } = link;
                    head = Some(Head { seq, hash });
                    continue;
                }
                Err(why) if !is_torn(&line) => {
                    return Err(OpenError::Damaged {
                        file: path.to_owned(),
                        line: line.number,
                        why,
                    });
                }
                Err(why) => {
                    torn = Some(Fault {
                        file: path.to_owned(),
                        line: line.number,
                        offset: line.offset,
                        why,
                    });
                }
            }
        }
        // Whole in itself, so it was not torn: it was put there, or what stands before it was changed.
        if let Some(Fault {
            file,
            line: at,
            why,
            ..
        }) = torn.take_if(|_| is_record(&line))
        {
            return Err(OpenError::Damaged {
                file,
                line: at,
                why,
            });
        }
    }
    let at = serde_json::from_slice(&last).ok();
    Ok(End {
        head,
        at: at.map(|OnlyTime { ts }| ts),
        fault: torn,
        is_open,
    })
}

/// Whether a write that was cut short may have left it: without its end, or with zeros, which no record holds. A line
/// that has its hash and does not fit it was there whole, and an answer may have left for it.
fn is_torn(line: &Line<'_>) -> bool {
    let lost_its_end = !line.is_whole && line::read(line.bytes) != Err(LineFault::Hash);
    lost_its_end || line.bytes.contains(&0)
}

fn is_record(line: &Line<'_>) -> bool {
    line.is_whole && line::read(line.bytes).is_ok()
}

fn take_off(path: &Path, file: &mut File, at: u64) -> io::Result<Torn> {
    file.seek(SeekFrom::Start(at))?;
    let kept = free_name(path, at);
    let mut options = OpenOptions::new();
    let mut side = options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&kept)?;
    let bytes = io::copy(file, &mut side)?;
    side.sync_all()?;
    // Only once the copy is safe.
    file.set_len(at)?;
    file.sync_all()?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(Torn {
        file: path.to_owned(),
        bytes,
        kept,
    })
}

/// Gives the last record its line end.
fn end_line(last: &mut LastFile) -> io::Result<()> {
    last.file.write_all(b"\n")?;
    last.file.sync_all()?;
    last.length += 1;
    tracing::warn!(
        file = %last.path.display(),
        "the last record lacked its line end and nothing else; it has it again"
    );
    Ok(())
}

fn free_name(path: &Path, at: u64) -> PathBuf {
    let name = |round: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".torn-at-{at}"));
        if round > 0 {
            name.push(format!("-{round}"));
        }
        PathBuf::from(name)
    };
    let mut free = (0..).map(name).filter(|name| !name.exists());
    free.next().unwrap_or_else(|| name(0))
}

/// Makes a new or removed name in a folder last through power loss.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
