//! Opening the audit folder: one writer alone, the end of the chain found, and a torn end taken off once nothing else
//! refuses the start.
//!
//! Power loss may leave a last batch that is only partly there. No answer left for any of it, so it is taken off, kept
//! beside the file, and told. It is told from damage by its form: a write that was cut short has no end or has zeros
//! for what never reached the disk, and no whole record follows it. All else was somebody's or something else's work,
//! and nothing is taken off.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    line::{self, Head, LineFault, Link},
    scan::{Fault, Line, Lines, files, follow, last_link},
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

/// A torn end that still lies where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TornEnd {
    file: PathBuf,
    /// Where it begins, in bytes.
    at: u64,
}

/// The folder, held by this process, as it was found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    /// Where the chain ends.
    pub(crate) head: Head,
    /// The last file, where it can be gone on with.
    pub(crate) last: Option<LastFile>,
    pub(crate) torn: Option<TornEnd>,
    /// The files before the last one, which are whole.
    pub(crate) seen: Seen,
    /// Held as long as it is open.
    pub(crate) lock: File,
}

impl Opened {
    /// Takes a torn end off, and keeps it beside the file. Only once nothing refuses the start: whoever looks for why it
    /// was refused must find what was found.
    pub(crate) fn mend(&mut self) -> Result<Option<Torn>, OpenError> {
        let (Some(torn), Some(last)) = (self.torn.take(), &mut self.last) else {
            return Ok(None);
        };
        let taken = take_off(&torn.file, &mut last.file, torn.at);
        taken.map(Some).map_err(|source| OpenError::Unusable {
            path: torn.file,
            source,
        })
    }
}

/// The file that the next line goes to.
#[derive(Debug)]
pub(crate) struct LastFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) length: u64,
}

/// Opens a folder, and makes it where it is missing.
pub(crate) fn open(folder: &Path) -> Result<Opened, OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: folder.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(unusable)?;
    let lock = locked(folder)?;
    let mut files = files(folder).map_err(unusable)?;
    // An empty last file was made right before the power went: the one before it has the end of the chain.
    let last = files.pop();
    let (before, seen) = whole(folder, &files)?;
    let Some(last) = last else {
        return Ok(Opened {
            folder: folder.to_owned(),
            head: Head::before_all(),
            last: None,
            torn: None,
            seen,
            lock,
        });
    };
    let (head, fault) = end_of(&last, before)?;
    let mut file = appending(&last).map_err(unusable)?;
    let end = file.seek(SeekFrom::End(0)).map_err(unusable)?;
    let torn = fault.map(|fault| TornEnd {
        file: last.clone(),
        at: fault.offset,
    });
    let length = torn.as_ref().map_or(end, |torn| torn.at);
    Ok(Opened {
        folder: folder.to_owned(),
        head: head.or(before).unwrap_or_else(Head::before_all),
        last: Some(LastFile {
            path: last,
            file,
            length,
        }),
        torn,
        seen,
        lock,
    })
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
        (_, Some(fault)) => Err(damaged(fault.line, fault.why)),
        (Some(head), None) if Some(head) != before => Ok(head),
        _ => Err(damaged(
            1,
            "it has no record, and another file follows it".to_owned(),
        )),
    }
}

/// The last good record of a file, and where a torn end begins, if it has one.
fn end_of(path: &Path, before: Option<Head>) -> Result<(Option<Head>, Option<Fault>), OpenError> {
    let unusable = |source| OpenError::Unusable {
        path: path.to_owned(),
        source,
    };
    let mut lines = Lines::open(path).map_err(unusable)?;
    let mut head = before;
    let mut torn: Option<Fault> = None;
    while let Some(line) = lines.next().map_err(unusable)? {
        if torn.is_none() {
            match follow(head, &line) {
                Ok(link) => {
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
    Ok((head, torn))
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
