//! The store of the fleet in Postgres: several orchestrators on one database. The contract is `crate::Store`; what each
//! table holds is left to its file, transactions of commits to `writer.rs`.

mod apply;
mod audit;
mod check;
mod columns;
mod history;
mod keys;
mod leases;
mod ledger;
mod lists;
mod outbox;
mod partitions;
mod runs;
mod schedules;
mod store;
mod stream;
mod timers;
mod wake;
mod world;
mod writer;

use std::{fmt, sync::Arc};

use deadpool_postgres::{Object, Pool, RecyclingMethod, Transaction};
use tokio_postgres::IsolationLevel;

use self::{
    wake::{Listener, Wakes},
    writer::Writer,
};
use super::{
    migrate,
    pool::{self, PostgresOptions, bounded},
};
use crate::Error;

/// A store in a database that other orchestrators may use at the same time.
pub struct Postgres {
    pool: Pool,
    writer: Writer,
    wakes: Arc<Wakes>,
    _listener: Listener,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.pool.status();
        f.debug_struct("Postgres")
            .field("connections", &status.size)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Reaches the database and brings its tables up to date. Several orchestrators may do so at once. Needs a runtime, and
    /// has two tasks of its own on it. Takes one connection more than the options say, and no fewer than three in all.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an address that is none, [`Error::Unavailable`] where nobody answers there or lets us in,
    /// [`Error::Newer`] for tables of a later version, [`Error::ReadOnly`] without the right to make tables,
    /// [`Error::Corrupt`] for a database of another program (it is not touched), one that is not in UTF-8, and a server
    /// before Postgres 15.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, Error> {
        let options = PostgresOptions {
            // One to write, and one to read meanwhile.
            connections: options.connections.max(2),
            ..options.clone()
        };
        // R7: a connection that broke unseen is found out before it is used.
        let pool = pool::pool(&options, "chiffon", RecyclingMethod::Verified)?;
        let client = pool::client(&pool).await?;
        bounded(migrate::run(client, migrate::FLEET)).await?;
        let wakes = Wakes::new();
        Ok(Self {
            writer: Writer::start(pool.clone(), wakes.clone()).await?,
            _listener: wakes.listen(&options)?,
            wakes,
            pool,
        })
    }

    async fn client(&self) -> Result<Object, Error> {
        pool::client(&self.pool).await
    }
}

/// Begins to read at one point in time.
async fn snapshot(client: &mut Object) -> Result<Transaction<'_>, Error> {
    let begun = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start();
    Ok(begun.await?)
}
