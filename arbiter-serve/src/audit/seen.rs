//! Which audit files were read through and found whole, so that no start reads gigabytes again: how long each was, where it
//! lay, and when the kernel has changed it last. That time (ctime) moves with every write and every move, and no program
//! sets it. A file of which that is another one is read through again, and so is every file where this note is lost.
//!
//! The note lies beside the files, so it tells nothing against whoever edits both: that is for `arbiter audit verify`.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{line::Head, open::sync_folder};

const NAME: &str = "seen.json";
/// The kernel's clock for files ticks far more often.
const SETTLED: Duration = Duration::from_secs(1);

/// The files that were found whole, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen(BTreeMap<String, Whole>);

/// A file as it was when it was found whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Whole {
    bytes: u64,
    inode: u64,
    /// Seconds and nanoseconds of its last change.
    changed: (i64, i64),
    /// Where it ends.
    end: Head,
}

impl Whole {
    fn of(about: &Metadata, end: Head) -> Self {
        Self {
            bytes: about.len(),
            inode: about.ino(),
            changed: (about.ctime(), about.ctime_nsec()),
            end,
        }
    }
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Seen {
    /// What is noted of a folder; nothing where that cannot be read.
    pub(super) fn read(folder: &Path) -> Self {
        let bytes = fs::read(folder.join(NAME)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whether a file that ends so is the one that was found whole.
    pub(super) fn holds(&self, file: &Path, about: &Metadata, end: Head) -> bool {
        self.0.get(&name(file)) == Some(&Whole::of(about, end))
    }

    /// It was found whole, or written so by this process. Whether that could be noted: what was changed a moment ago may be
    /// changed again at what the kernel takes for the same time.
    pub(super) fn note(&mut self, file: &Path, about: &Metadata, end: Head) -> bool {
        let settled = SystemTime::now().checked_sub(SETTLED);
        let settled = settled.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let settled = settled.and_then(|at| i64::try_from(at.as_secs()).ok());
        let is_settled = settled.is_some_and(|at| about.ctime() < at);
        if is_settled {
            self.0.insert(name(file), Whole::of(about, end));
        }
        is_settled
    }

    /// Writes it down. What is lost of it costs a reading at the next start.
    pub(super) fn write(&mut self, folder: &Path) {
        self.0.retain(|name, _| folder.join(name).exists());
        if let Err(error) = self.written(folder) {
            tracing::warn!(%error, "which audit files were read is not noted: the next start reads them again");
        }
    }

    fn written(&self, folder: &Path) -> io::Result<()> {
        let part = folder.join(format!("{NAME}.part"));
        fs::write(&part, serde_json::to_vec(self)?)?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, folder.join(NAME))?;
        sync_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, thread, time::Instant};

    use super::*;

    #[test]
    fn a_file_is_known_until_it_changes_and_not_while_it_may() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("audit-00000000000000000001.jsonl");
        fs::write(&file, "a line\n").unwrap();
        let end = Head::before_all();
        let about = || fs::metadata(&file).unwrap();
        let mut seen = Seen::default();
        assert!(!seen.note(&file, &about(), end), "it may change unseen");
        let begun = Instant::now();
        while !seen.note(&file, &about(), end) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it settles");
            thread::sleep(Duration::from_millis(50));
        }
        seen.write(folder.path());
        let read = Seen::read(folder.path());
        assert_eq!(read, seen);
        assert!(read.holds(&file, &about(), end));
        // The same length, and the time of change that programs can set.
        let then = about().modified().unwrap();
        let mut open = fs::OpenOptions::new().write(true).open(&file).unwrap();
        open.write_all(b"A").unwrap();
        open.set_modified(then).unwrap();
        assert!(!read.holds(&file, &about(), end));
        let other = Head { seq: 1, ..end };
        assert!(!seen.holds(&file, &about(), other));
        fs::write(folder.path().join(NAME), "{").unwrap();
        assert_eq!(Seen::read(folder.path()), Seen::default());
    }
}
