//! The control store in one SQLite file: the contract, handed on to the writing thread and the readers that the fleet's
//! database has too. The statements are left to `rows.rs`. What the store in memory puts by
//! is kept by `spill.rs`.

mod rows;
mod spill;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;
use rusqlite::Connection;

use self::rows::{Answer, Command, Control};
use super::{
    Options,
    open::{self, Durability},
    readers::Readers,
    writer::{BOUND, Writer},
};
use crate::{
    Error,
    control::{
        Backlog, ControlCommit, ControlCounts, ControlKey, ControlStore, Decided, Loaded, Marked,
        Noting, Outcome, Unaudited, check,
    },
};

/// The control store in one file, for one process at a time or for several on the same machine.
#[derive(Debug)]
pub struct SqliteControl {
    // In this order: the last to close the file may write.
    readers: Arc<Readers>,
    writer: Writer<Control>,
}

impl SqliteControl {
    /// Opens the file, which is made if it is not there; its folder must be. Blocks: call it at start.
    ///
    /// # Errors
    /// [`Error::Newer`] for a file of a later version, [`Error::Corrupt`] for a damaged one or one of another program
    /// (a fleet's database too; it is not touched), [`Error::ReadOnly`] without the right to write.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let conn = open::writer(path, open::CONTROL, Durability::Full, options.max_pages)?;
        let readers = Readers::open(path, options.readers)?;
        Ok(Self {
            writer: Writer::start(conn)?,
            readers,
        })
    }

    async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.readers.read(BOUND, read).await
    }

    async fn count(&self, command: Command) -> Result<u64, Error> {
        match self.writer.submit(command).await? {
            Answer::Count(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::Unavailable(format!("unexpected answer {answer:?}"))
}

#[async_trait]
impl ControlStore for SqliteControl {
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error> {
        let (key, room) = (key.clone(), room.cloned());
        self.read(move |conn| rows::load(conn, &key, room.as_ref()))
            .await
    }

    async fn plan(&self, tenant: &TenantId, plan: PlanId) -> Result<Option<Decided>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| rows::plan(conn, &tenant, plan)).await
    }

    async fn commit(&self, commit: ControlCommit) -> Result<Outcome, Error> {
        check(&commit)?;
        match self
            .writer
            .submit(Command::Commit(Box::new(commit)))
            .await?
        {
            Answer::Outcome(outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    async fn unaudited(
        &self,
        replica: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Unaudited>, Error> {
        let replica = replica.to_owned();
        self.read(move |conn| rows::unaudited(conn, &replica, after, limit))
            .await
    }

    async fn audited(
        &self,
        replica: &str,
        seqs: &[u64],
        noting: Option<Noting>,
    ) -> Result<bool, Error> {
        let done = self.count(Command::Audited {
            replica: replica.to_owned(),
            seqs: seqs.to_vec(),
            noting,
        });
        done.await.map(|done| done > 0)
    }

    async fn marks(&self) -> Result<Vec<Marked>, Error> {
        self.read(rows::marks).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        self.read(rows::backlog).await
    }

    async fn forget(
        &self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        self.count(Command::Forget {
            decided_before,
            now,
            limit,
        })
        .await
    }

    async fn counts(&self) -> Result<ControlCounts, Error> {
        self.read(rows::counts).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.read(|conn| Ok(conn.query_row("SELECT 1", [], |_| Ok(()))?))
            .await
    }
}
