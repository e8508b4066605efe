//! The SQLite backend: one file, one writing thread, a few readers. The contract is `crate::Store`;
//! what each table holds is left to its file.

mod apply;
mod audit;
mod check;
mod columns;
mod control;
mod damage;
mod decisions;
mod error;
mod fleet;
mod forget;
mod freezes;
mod history;
mod hosts;
mod keys;
mod leases;
mod ledger;
mod lists;
mod logs;
mod open;
mod outbox;
mod plans;
mod projects;
mod readers;
mod runs;
mod schedules;
mod store;
mod stream;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;
mod told;
mod writer;

use std::{path::Path, sync::Arc};

use tempfile::TempDir;

pub use self::control::SqliteControl;
use self::{apply::Fleet, damage::Damage, open::Durability, readers::Readers, writer::Writer};
use crate::Error;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections for reading at the same time; at least 1. Default 3: two cores, and one read that
    /// may be long.
    pub readers: usize,
    /// Most pages (of 4096 bytes) that the file may have; default unlimited. It is there so that tests
    /// can fill a disk.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 3,
            max_pages: None,
        }
    }
}

/// A store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    // Dropped in this order: the writer after the readers, so that the last to close the file may write, and leaves
    // everything in it and no log beside it; then the folder of a temporary file.
    readers: Arc<Readers>,
    writer: Writer<Fleet>,
    /// Why the file is damaged, once somebody has met it.
    damage: Damage,
    _temporary: Option<TempDir>,
}

impl Sqlite {
    /// Opens the file, which is made if it is not there; its folder must be. Blocks: call it at start.
    ///
    /// # Errors
    /// [`Error::Newer`] for a file of a later version, [`Error::Corrupt`] for a damaged one or one of
    /// another program (it is not touched), [`Error::ReadOnly`] without the right to write.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        Self::start(path, &options, Durability::Full, None)
    }

    /// A database that ends with its last handle. WAL, on which the rules about readers rest, needs a
    /// file, so this is one in a temporary folder, without any syncing.
    pub fn in_memory() -> Result<Self, Error> {
        let unavailable = |error: std::io::Error| Error::Unavailable(error.to_string());
        let folder = tempfile::Builder::new().prefix("chiffon-store-").tempdir();
        let folder = folder.map_err(unavailable)?;
        let path = folder.path().join("memory.db");
        Self::start(&path, &Options::default(), Durability::None, Some(folder))
    }

    fn start(
        path: &Path,
        options: &Options,
        durability: Durability,
        temporary: Option<TempDir>,
    ) -> Result<Self, Error> {
        let conn = open::writer(path, open::FLEET, durability, options.max_pages)?;
        let readers = Readers::open(path, options.readers)?;
        Ok(Self {
            writer: Writer::start(conn)?,
            readers,
            damage: Damage::default(),
            _temporary: temporary,
        })
    }
}
