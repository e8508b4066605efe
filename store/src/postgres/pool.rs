//! How a Postgres is reached: its address, the bounds of every wait, and the pool of connections. Which statements are sent
//! over them is left to the stores.

use std::{fmt, future::Future, path::PathBuf, time::Duration};

use chiffon_tls::Trust;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls};

use super::{
    error::of_pool,
    tls::{self, Tls},
};
use crate::{Error, patience::within};

/// The longest that a caller waits.
pub(super) const BOUND: Duration = Duration::from_secs(30);

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
    pub(super) fn config(&self, program: &str) -> Result<(Config, Option<Trust>), Error> {
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
            .keepalives_idle(BOUND)
            .tcp_user_timeout(BOUND);
        if config.get_application_name().is_none() {
            config.application_name(program);
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

/// The connections of a store, none of them made yet. The program's name is what the server shows of them.
pub(super) fn pool(
    options: &PostgresOptions,
    program: &str,
    recycling_method: RecyclingMethod,
) -> Result<Pool, Error> {
    let manager = ManagerConfig { recycling_method };
    let (config, trust) = options.config(program)?;
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
    pool.map_err(|error| Error::Unavailable(error.to_string()))
}

/// One of the connections.
pub(super) async fn client(pool: &Pool) -> Result<Object, Error> {
    pool.get().await.map_err(of_pool)
}

/// Within the bound, or unavailable.
pub(super) async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Error::Unavailable(format!("no answer within {} s", BOUND.as_secs()));
    within(BOUND, work).await.map_err(late)?
}
