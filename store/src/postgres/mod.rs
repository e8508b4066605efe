//! The stores in Postgres. The control store is here: several replicas of a control plane on one database; its statements
//! are left to `rows.rs`. The store of the fleet is left to `fleet/`; how a database is reached to `pool.rs`, bringing the
//! tables up to date to `migrate.rs`.

mod error;
mod fleet;
mod migrate;
mod pool;
mod rows;
mod tls;

use std::fmt;

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use deadpool_postgres::{Object, Pool, RecyclingMethod};
use jiff::Timestamp;
use tokio::time::timeout;

use self::{
    error::at_commit,
    pool::{BOUND, bounded},
};
pub use self::{fleet::Postgres, pool::PostgresOptions};
use crate::{
    Error,
    control::{
        Backlog, ControlCommit, ControlCounts, ControlKey, ControlStore, Decided, Loaded, Marked,
        Noting, Outcome, Unaudited, check,
    },
};

/// The control store in a database that others may use at the same time.
pub struct PostgresControl {
    pool: Pool,
}

impl fmt::Debug for PostgresControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.pool.status();
        f.debug_struct("PostgresControl")
            .field("connections", &status.size)
            .finish_non_exhaustive()
    }
}

impl PostgresControl {
    /// Reaches the database and brings its tables up to date. Several replicas may do so at once.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an address that is none, [`Error::Unavailable`] where nobody answers there or lets us in,
    /// [`Error::Newer`] for tables of a later version, [`Error::ReadOnly`] without the right to make tables,
    /// [`Error::Corrupt`] for a database that is not in UTF-8.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, Error> {
        // A connection that broke is known to have; one that broke unseen is an error that passes.
        let pool = pool::pool(options, "chiffon-control", RecyclingMethod::Fast)?;
        let store = Self { pool };
        let client = store.client().await?;
        bounded(migrate::run(client, migrate::CONTROL)).await?;
        Ok(store)
    }

    async fn client(&self) -> Result<Object, Error> {
        pool::client(&self.pool).await
    }

    async fn commit_once(&self, commit: &ControlCommit) -> Result<Outcome, Error> {
        let mut client = self.client().await?;
        let judged = bounded(async {
            let tx = client.transaction().await?;
            let outcome = rows::apply(&tx, commit).await?;
            Ok((tx, outcome))
        });
        let (tx, outcome) = judged.await?;
        if !matches!(outcome, Outcome::Committed { .. }) {
            // Nothing to keep. Dropped, it is rolled back; said, it gives its locks back sooner.
            bounded(async { Ok(tx.rollback().await?) }).await?;
            return Ok(outcome);
        }
        match timeout(BOUND, tx.commit()).await {
            Ok(Ok(())) => Ok(outcome),
            Ok(Err(error)) => Err(at_commit(&error)),
            Err(_) => Err(Error::OutcomeUnknown(format!(
                "no answer to COMMIT within {} s",
                BOUND.as_secs()
            ))),
        }
    }
}

#[async_trait]
impl ControlStore for PostgresControl {
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error> {
        let client = self.client().await?;
        bounded(rows::load(&client, key, room)).await
    }

    async fn plan(&self, tenant: &TenantId, plan: PlanId) -> Result<Option<Decided>, Error> {
        let client = self.client().await?;
        bounded(rows::plan(&client, tenant, plan)).await
    }

    async fn commit(&self, commit: ControlCommit) -> Result<Outcome, Error> {
        check(&commit)?;
        self.commit_once(&commit).await
    }

    async fn unaudited(
        &self,
        replica: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Unaudited>, Error> {
        let client = self.client().await?;
        bounded(rows::unaudited(&client, replica, after, limit)).await
    }

    async fn audited(
        &self,
        replica: &str,
        seqs: &[u64],
        noting: Option<Noting>,
    ) -> Result<bool, Error> {
        let mut client = self.client().await?;
        bounded(async {
            let tx = client.transaction().await?;
            if !rows::audited(&tx, replica, seqs, noting.as_ref()).await? {
                return Ok(false);
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn marks(&self) -> Result<Vec<Marked>, Error> {
        let client = self.client().await?;
        bounded(rows::marks(&client)).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        let client = self.client().await?;
        bounded(rows::backlog(&client)).await
    }

    async fn forget(
        &self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let client = self.client().await?;
        bounded(rows::forget(&client, decided_before, now, limit)).await
    }

    async fn counts(&self) -> Result<ControlCounts, Error> {
        let client = self.client().await?;
        bounded(rows::counts(&client)).await
    }

    async fn ready(&self) -> Result<(), Error> {
        let client = self.client().await?;
        bounded(rows::ready(&client)).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, Error> {
        let client = self.client().await?;
        bounded(rows::clock(&client)).await.map(Some)
    }
}
