//! The agent's folder: taken for oneself, journal read, cache and run folders ready. What is done with
//! them is left to the shell.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use chiffon_common::{AgentKind, ErrorCode, Incarnation, Problem};
use uuid::Uuid;

use crate::{
    bundles::{BundleCache, MAX_CACHE_BYTES},
    config::AgentConfig,
    core::{Core, Doubt, Identity, Moment, Plan},
    folders::Folders,
    journal::{self, JournalError},
    worker::run_id,
};

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The home, or the places below it, cannot be used.
    #[error("agent folder {path} cannot be used")]
    Home {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent has it.
    #[error("agent folder {0} is in use by another agent")]
    InUse(PathBuf),
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl StartError {
    /// With what is behind it.
    pub fn words(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// Why the agent of this name cannot start, and what to do.
    pub fn problem(&self, name: &str) -> Problem {
        let cause = std::error::Error::source(self);
        let is_full = cause
            .and_then(|cause| cause.downcast_ref::<io::Error>())
            .is_some_and(|cause| {
                let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
                full.contains(&cause.kind())
            });
        let (code, todo) = match self {
            _ if is_full => (
                ErrorCode::StoreFull,
                "Make room on that disk and start it again; nothing that was taken is lost.",
            ),
            Self::Home { .. } => (
                ErrorCode::HomeUnusable,
                "Look at that folder; `chiffon doctor` tells more.",
            ),
            Self::InUse(_) => (
                ErrorCode::HomeInUse,
                "Another agent uses this data folder: stop it.",
            ),
            Self::Journal(_) => (
                ErrorCode::JournalFault,
                "Keep the folder of that agent for inspection, then move it away: what it had in hand becomes unknown.",
            ),
        };
        let detail = format!("The agent {name} cannot start: {}.", self.words());
        Problem::new(code, detail, todo)
    }
}

/// A home that is ours.
pub(crate) struct Home {
    pub(crate) lock: File,
    pub(crate) core: Core,
    pub(crate) first: Plan,
    pub(crate) journal: journal::Writer,
    pub(crate) incarnation: Incarnation,
    pub(crate) folders: Folders,
    pub(crate) cache: BundleCache,
}

/// Takes the home; blocks.
pub(crate) fn take(config: &AgentConfig, kind: AgentKind, at: Moment) -> Result<Home, StartError> {
    let path = config.home.clone();
    let fault = |source| StartError::Home {
        path: path.clone(),
        source,
    };
    let lock = lock(&config.home)
        .map_err(fault)?
        .ok_or_else(|| StartError::InUse(path.clone()))?;
    let fresh = Incarnation::from_uuid(Uuid::now_v7());
    let mut opened = journal::open(&config.home, &config.id, fresh)?;
    let folders =
        Folders::choose(&config.memory_folders, &config.id, &config.home).map_err(fault)?;
    let begun = folders.left_over();
    let remember = |opened: &mut journal::Opened| {
        let me = Identity {
            agent: config.id.clone(),
            kind,
            incarnation: opened.incarnation,
            keys: config.keys.clone(),
            max_clock_skew: config.max_clock_skew,
        };
        let doubt = Doubt {
            is_torn: opened.is_torn,
            begun: begun.clone(),
        };
        let history = std::mem::take(&mut opened.history);
        Core::recover(me, config.slots.get(), history, &doubt, at)
    };
    let (mut core, mut first) = remember(&mut opened);
    let unknown = begun.iter().find(|attempt| !core.knows(**attempt));
    if let Some(unknown) = unknown.filter(|_| opened.incarnation != fresh) {
        // It had begun by this home's journal, whose word of it is gone; so what else is gone cannot be told either.
        opened = opened.begin_anew(
            fresh,
            &format!("it does not know the run {}", run_id(*unknown)),
        )?;
        (core, first) = remember(&mut opened);
    }
    let incarnation = opened.incarnation;
    // The journal is written anew with all of it.
    first.records.clear();
    let journal = opened.start(&core.snapshot(at))?;
    let cache = BundleCache::open(config.home.join("bundles"), MAX_CACHE_BYTES).map_err(fault)?;
    Ok(Home {
        lock,
        core,
        first,
        journal,
        incarnation,
        folders,
        cache,
    })
}

/// Makes the home and takes its lock; none where another agent has it.
fn lock(home: &Path) -> io::Result<Option<File>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_asks_for_room_and_for_nothing_to_be_moved() {
        let path = PathBuf::from("/x");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let (source, journal) = (full(), path.clone());
        let home = StartError::Home { path, source };
        let journal = StartError::Journal(JournalError::Io {
            path: journal,
            source: full(),
        });
        for error in [home, journal] {
            let problem = error.problem("infrastructure");
            assert_eq!(problem.code, ErrorCode::StoreFull, "{problem:?}");
            assert!(problem.todo.contains("Make room"), "{problem:?}");
        }
    }
}
