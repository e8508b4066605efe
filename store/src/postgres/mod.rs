//! The control store in Postgres: several replicas of a control plane on one database. Connections and their bounds are
//! here; the statements are left to `rows.rs`, bringing the tables up to date to `migrate.rs`.

mod error;
mod migrate;
mod rows;
mod tls;

use std::{fmt, future::Future, path::PathBuf, time::Duration};

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use chiffon_tls::Trust;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_postgres::{Config, NoTls};

use self::{
    error::{at_commit, of_pool},
    tls::Tls,
};
use crate::{
    Error,
    control::{
        Backlog, ControlCommit, ControlCounts, ControlKey, ControlStore, Decided, Loaded, Outcome,
        Unaudited, check,
    },
};

/// The longest that a caller waits.
const BOUND: Duration = Duration::from_secs(30);

/// How a database is reached.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:port/database`, or `host=/run/postgresql user=... dbname=...`.
    /// TLS is spoken where it says `sslmode=require` or `verify-full`, which are the same here: the certificate is always
    /// checked by authority and name.
    pub url: String,
    /// The authorities that the database's certificate may be from, in PEM; with it, TLS is spoken. Without it, those of
    /// the system.
    pub ca_file: Option<PathBuf>,
    /// Connections at the same time; at least 1. Default 8.
    pub connections: usize,
    /// Longest time for one connection to be made. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest time for one statement. Default 10 s.
    pub statement_timeout: Duration,
    /// Longest time that a statement waits for another replica's. Default 5 s.
    pub lock_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults, for this database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
        }
    }

    /// How it is reached, and who is trusted there, where TLS is spoken.
    fn config(&self) -> Result<(Config, Option<Trust>), Error> {
        let (mut config, is_tls) = tls::read(&self.url, self.ca_file.is_some())?;
        let trust = is_tls
            .then(|| Trust::of(self.ca_file.as_deref()))
            .transpose();
        let trust = trust.map_err(|error| Error::Malformed(error.to_string()))?;
        // What the rules of this room rest on is said for each connection, whatever the server's defaults are: a commit
        // is on disk when it returns, a statement sees what others committed before it, and nothing waits for ever.
        let options = format!(
            "{} -c synchronous_commit=on -c default_transaction_isolation=read\\ committed \
             -c default_transaction_read_only=off -c statement_timeout={} -c lock_timeout={} \
             -c idle_in_transaction_session_timeout={}",
            config.get_options().unwrap_or_default(),
            self.statement_timeout.as_millis(),
            self.lock_timeout.as_millis(),
            BOUND.as_millis(),
        );
        config
            .options(options.trim())
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(BOUND);
        if config.get_application_name().is_none() {
            config.application_name("chiffon-control");
        }
        Ok((config, trust))
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the address: a password may be part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

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
        let manager = ManagerConfig {
            // A connection that broke is known to have; one that broke unseen is an error that passes.
            recycling_method: RecyclingMethod::Fast,
        };
        let (config, trust) = options.config()?;
        let manager = match trust {
            Some(trust) => Manager::from_config(config, Tls(trust), manager),
            None => Manager::from_config(config, NoTls, manager),
        };
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(BOUND))
            .create_timeout(Some(options.connect_timeout))
            .recycle_timeout(Some(options.connect_timeout))
            .build();
        let pool = pool.map_err(|error| Error::Unavailable(error.to_string()))?;
        let store = Self { pool };
        let client = store.client().await?;
        bounded(migrate::run(client)).await?;
        Ok(store)
    }

    async fn client(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(of_pool)
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

/// Within the bound, or unavailable.
async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Unavailable(format!("no answer within {} s", BOUND.as_secs()));
    timeout(BOUND, work).await.map_err(late)?
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

    async fn audited(&self, replica: &str, seqs: &[u64]) -> Result<(), Error> {
        let client = self.client().await?;
        bounded(rows::audited(&client, replica, seqs)).await
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
}
