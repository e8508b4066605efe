//! Whether anything can be decided now, for whoever asks `GET /v0/healthz`: what became of the last write to the store, and
//! whether the disks have room. While the store cannot be written it is tried again (`outbox`), so that health goes back by
//! itself, also where nobody sends anything. Who asks waits for no disk: they are looked at beside it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chiffon_store::Error;

/// With less room than this a record or a decision may find none.
const LEAST: u64 = 256 * 1024;
/// Between two looks at the disks.
const LOOKING: Duration = Duration::from_secs(1);
/// A look that takes longer is one at a disk that does not answer.
const SLOWEST: Duration = Duration::from_secs(10);

/// What is known of the store and of the disks.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Why the store could not be written when that was tried last.
    fault: Mutex<Option<String>>,
    /// Where the audit files lie.
    audit: PathBuf,
    /// Where the database lies, where it is a file.
    database: Option<PathBuf>,
    seen: Mutex<Disks>,
}

/// What the last look at the disks has found.
#[derive(Debug, Clone)]
struct Disks {
    at: Instant,
    audit: Option<String>,
    database: Option<String>,
}

impl Watch {
    pub(crate) fn new(audit: PathBuf, database: Option<PathBuf>) -> Self {
        Self {
            fault: Mutex::default(),
            audit,
            database,
            seen: Mutex::new(Disks {
                at: Instant::now(),
                audit: None,
                database: None,
            }),
        }
    }

    /// Looks at the disks again and again. A disk that does not answer holds up this alone.
    pub(crate) async fn looking(self: Arc<Self>) {
        loop {
            let watch = Arc::clone(&self);
            // Whatever became of it shows by its age.
            let _seen = tokio::task::spawn_blocking(move || watch.look()).await;
            tokio::time::sleep(LOOKING).await;
        }
    }

    fn look(&self) {
        let (audit, database) = (
            no_room(&self.audit),
            self.database.as_deref().and_then(no_room),
        );
        let at = Instant::now();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Disks {
            at,
            audit,
            database,
        };
    }

    fn disks(&self) -> Disks {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = seen.clone();
        if seen.at.elapsed() > SLOWEST + LOOKING {
            let folder = self.audit.display();
            let why = format!("the disk of {folder}, or that of the database, does not answer");
            seen.audit.get_or_insert(why);
        }
        seen
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

    /// Why the store is not to be decided by, or that it is again.
    pub(crate) fn tell(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
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
        known.or_else(|| self.disks().database)
    }

    /// Why no record would find room, where that is so.
    pub(crate) fn audit(&self) -> Option<String> {
        self.disks().audit
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
        watch.look();
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
    fn a_disk_that_does_not_answer_is_told() {
        let watch = Watch::new(std::env::temp_dir(), None);
        let long = Instant::now().checked_sub(SLOWEST + LOOKING * 2).unwrap();
        watch.seen.lock().unwrap().at = long;
        assert!(watch.audit().is_some_and(|why| why.contains("answer")));
        watch.look();
        assert_eq!(watch.audit(), None);
    }

    #[test]
    fn nothing_is_said_of_a_disk_that_counts_nothing_or_is_not_there() {
        assert_eq!(no_room(Path::new("/proc")), None);
        assert_eq!(no_room(Path::new("/nowhere/at/all")), None);
    }
}
