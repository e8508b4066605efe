//! Opening the audit folder: one writer alone, the end of the chain found, and a torn end taken off.
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
    scan::{Fault, Line, Lines, files, first_of, follow, last_link},
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

/// The folder, held by this process.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    /// Where the chain ends.
    pub(crate) head: Head,
    /// The last file, where it can be gone on with.
    pub(crate) last: Option<LastFile>,
    pub(crate) torn: Option<Torn>,
    /// Held as long as it is open.
    pub(crate) lock: File,
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
    joined(&files)?;
    let before = match files.last() {
        Some(before) => whole_end_of(before)?,
        None => None,
    };
    let Some(last) = last else {
        return Ok(Opened {
            folder: folder.to_owned(),
            head: Head::before_all(),
            last: None,
            torn: None,
            lock,
        });
    };
    let (head, fault) = end_of(&last, before)?;
    let mut file = appending(&last).map_err(unusable)?;
    let torn = match fault {
        Some(fault) => Some(take_off(&last, &mut file, fault.offset).map_err(unusable)?),
        None => None,
    };
    let length = file.seek(SeekFrom::End(0)).map_err(unusable)?;
    Ok(Opened {
        folder: folder.to_owned(),
        head: head.or(before).unwrap_or_else(Head::before_all),
        last: Some(LastFile {
            path: last,
            file,
            length,
        }),
        torn,
        lock,
    })
}

/// Each file begins where the one before it ends; a file that is gone is not found by the end of the chain. What lies in
/// between is left to `verify`.
fn joined(files: &[PathBuf]) -> Result<(), OpenError> {
    for pair in files.windows(2) {
        let [before, file] = pair else { continue };
        let unusable = |source| OpenError::Unusable {
            path: before.clone(),
            source,
        };
        let end = last_link(before).map_err(unusable)?.map(|link| link.seq);
        let first = first_of(file).unwrap_or_default();
        if end.map(|end| end + 1) != Some(first) {
            let end = end.map_or("no whole record".to_owned(), |end| format!("record {end}"));
            return Err(OpenError::Damaged {
                file: file.clone(),
                line: 1,
                why: format!(
                    "it begins at record {first}, and the file before it ends with {end}: a file or an end is missing"
                ),
            });
        }
    }
    Ok(())
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
fn whole_end_of(path: &Path) -> Result<Option<Head>, OpenError> {
    match end_of(path, None)? {
        (head, None) => Ok(head),
        (_, Some(fault)) => Err(OpenError::Damaged {
            file: path.to_owned(),
            line: fault.line,
            why: fault.why,
        }),
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
