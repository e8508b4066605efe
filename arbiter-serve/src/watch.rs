//! Whether anything can be decided now, for whoever asks `GET /v0/healthz`: what became of the last write to the store, and
//! whether the disks have room. While the store cannot be written it is tried again (`outbox`), so that health goes back by
//! itself, also where nobody sends anything.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use chiffon_store::Error;

/// With less room than this a record or a decision may find none.
const LEAST: u64 = 256 * 1024;

/// What is known of the store and of the disks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Why it could not be written when that was tried last.
    fault: Mutex<Option<String>>,
    /// Where the audit files lie.
    audit: PathBuf,
    /// Where the database lies, where it is a file.
    database: Option<PathBuf>,
}

impl Watch {
    pub(crate) fn new(audit: PathBuf, database: Option<PathBuf>) -> Self {
        Self {
            fault: Mutex::default(),
            audit,
            database,
        }
    }

    /// Notes what became of a write.
    pub(crate) fn note<T>(&self, done: &Result<T, Error>) {
        let fault = match done {
            Ok(_) => None,
            Err(
                error @ (Error::Full
                | Error::ReadOnly(_)
                | Error::Corrupt(_)
                | Error::Newer { .. }
                | Error::Unavailable(_)
                | Error::OutcomeUnknown(_)),
            ) => Some(error.to_string()),
            // It answered; that it would not take this says nothing of it.
            Err(_) => return,
        };
        let mut known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.is_some(), &fault) {
            (false, Some(error)) => {
                tracing::error!(%error, "the store cannot be written; what needs it is refused");
            }
            (true, None) => tracing::warn!("the store is written again"),
            _ => {}
        }
        *known = fault;
    }

    /// Whether the last write came to nothing.
    pub(crate) fn is_failing(&self) -> bool {
        let known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_some()
    }

    /// Why the store cannot be written, where that is so.
    pub(crate) fn store(&self) -> Option<String> {
        let known = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.clone();
        known.or_else(|| no_room(self.database.as_deref()?))
    }

    /// Why no record would find room, where that is so.
    pub(crate) fn audit(&self) -> Option<String> {
        no_room(&self.audit)
    }
}

/// That a disk is full; nothing where that cannot be told.
fn no_room(folder: &Path) -> Option<String> {
    let about = rustix::fs::statvfs(folder).ok()?;
    // Some file systems count nothing.
    if about.f_blocks == 0 {
        return None;
    }
    // A part of a disk may be kept for root.
    let blocks = match rustix::process::geteuid().is_root() {
        true => about.f_bfree,
        false => about.f_bavail,
    };
    let room = blocks.saturating_mul(about.f_frsize);
    (room < LEAST).then(|| {
        format!(
            "the disk of {} is full: {} KiB are left",
            folder.display(),
            room / 1024
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_written_is_told_until_it_can() {
        let here = std::env::temp_dir();
        let watch = Watch::new(here.clone(), Some(here));
        assert_eq!((watch.store(), watch.audit()), (None, None));
        watch.note::<()>(&Err(Error::Full));
        assert!(watch.is_failing() && watch.store().is_some());
        // It answers, so it says nothing of what it can.
        watch.note::<()>(&Err(Error::KeyReused));
        assert!(watch.is_failing());
        watch.note(&Ok(()));
        assert!(!watch.is_failing());
        assert_eq!(watch.store(), None);
    }

    #[test]
    fn nothing_is_said_of_a_disk_that_counts_nothing_or_is_not_there() {
        assert_eq!(no_room(Path::new("/proc")), None);
        assert_eq!(no_room(Path::new("/nowhere/at/all")), None);
    }
}
