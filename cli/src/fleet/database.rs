//! Opening the database: the file in the data folder, or the Postgres of `store.url`. What it holds is left to the store.

use std::{fmt, os::unix::fs::OpenOptionsExt, path::PathBuf, sync::Arc};

use chiffon_common::{ErrorCode, Problem, TenantId};
use chiffon_store::{Error, Postgres, PostgresOptions, Sqlite, Store};

use crate::{failure::Failure, home::Home};

/// A database elsewhere: `store.url` and `store.ca_file`.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// Its address, a password in it included.
    pub url: String,
    /// The authorities that its certificate may be from.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Database {
    /// Without the address: a password may be part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Opens it. A data folder that has records wants a database that knows them.
pub(crate) async fn open(
    home: &Home,
    elsewhere: Option<&Database>,
) -> Result<Arc<dyn Store>, Failure> {
    let is_used = home.has_records();
    let (shown, store) = match elsewhere {
        None => in_file(home, is_used).await?,
        Some(database) => in_postgres(database).await?,
    };
    if is_used {
        match store.last_ledger_batch(&TenantId::default()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(lost(&shown, "holds nothing").into()),
            Err(error) if elsewhere.is_some() => return Err(server_problem(&error).into()),
            Err(error) => return Err(file_problem(&shown, &error).into()),
        }
    }
    Ok(store)
}

type Opened = (String, Arc<dyn Store>);

async fn in_postgres(database: &Database) -> Result<Opened, Failure> {
    let options = PostgresOptions {
        ca_file: database.ca_file.clone(),
        ..PostgresOptions::new(&database.url)
    };
    match Postgres::connect(&options).await {
        Ok(store) => Ok(("The database of store.url".to_owned(), Arc::new(store))),
        Err(error) => Err(server_problem(&error).into()),
    }
}

async fn in_file(home: &Home, is_used: bool) -> Result<Opened, Failure> {
    let path = home.database();
    let shown = path.display().to_string();
    // Before it is opened, because opening an empty file makes a database of it.
    if is_used && std::fs::metadata(&path).map_or(0, |found| found.len()) == 0 {
        return Err(lost(&shown, "is missing or empty").into());
    }
    let opened = tokio::task::spawn_blocking(move || {
        let private = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        // SQLite says in its own words why it cannot be opened; its other files take this one's mode.
        drop(private);
        Sqlite::open(&path, chiffon_store::Options::default())
    });
    match opened.await {
        Ok(Ok(store)) => Ok((shown, Arc::new(store))),
        Ok(Err(error)) => Err(file_problem(&shown, &error).into()),
        Err(error) => Err(Failure::internal(format!(
            "opening {shown} failed: {error}"
        ))),
    }
}

/// The ledger has commits, and each came from a row of the database: to go on with a new one would be to forget
/// everything, what runs and what was approved included.
fn lost(path: &str, how: &str) -> Problem {
    let detail = format!(
        "{path} {how}, though this data folder has records: the ledger beside it has commits."
    );
    let todo = "Put the database back from a backup, a file with the files chiffon.db-wal and -shm beside it if there are such. To begin anew and forget everything, move the folder `ledger` away.";
    Problem::new(ErrorCode::StoreCorrupt, detail, todo)
}

fn file_problem(path: &str, error: &Error) -> Problem {
    let (code, todo) = match error {
        Error::Full => (ErrorCode::StoreFull, "Make room on that disk."),
        Error::ReadOnly(_) => (
            ErrorCode::StoreReadOnly,
            "Make the data folder writable, or set CHIFFON_HOME to another one.",
        ),
        Error::Newer { .. } => (
            ErrorCode::StoreNewer,
            "Use the newer Chiffon that wrote it, or another CHIFFON_HOME.",
        ),
        Error::Corrupt(_) => (
            ErrorCode::StoreCorrupt,
            "Restore it from a backup; keep the damaged file for inspection.",
        ),
        _ => (ErrorCode::StoreUnavailable, "Try again."),
    };
    Problem::new(code, format!("{path} cannot be opened: {error}."), todo)
}

fn server_problem(error: &Error) -> Problem {
    let (code, todo) = match error {
        Error::Malformed(_) => (
            ErrorCode::InvalidValue,
            "Set store.url to an address such as postgres://chiffon@127.0.0.1/chiffon.",
        ),
        Error::Full => (ErrorCode::StoreFull, "Make room on the disk of its server."),
        Error::ReadOnly(_) => (
            ErrorCode::StoreReadOnly,
            "Let its user make tables there (docs/postgres.md), and name the primary, not a standby.",
        ),
        Error::Newer { .. } => (
            ErrorCode::StoreNewer,
            "Use the newer Chiffon that wrote it, or another database.",
        ),
        Error::Corrupt(_) => (
            ErrorCode::StoreCorrupt,
            "Name a database for Chiffon alone in store.url, or restore this one from a backup.",
        ),
        _ => (
            ErrorCode::StoreUnavailable,
            "See that the server runs and lets this user in, then try again.",
        ),
    };
    let detail = format!("The database of store.url cannot be used: {error}.");
    Problem::new(code, detail, todo)
}
