//! Opening a database file: whose it is, how old it is, and how a connection must behave. Threads and
//! pools are left to `writer.rs` and `readers.rs`.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use crate::Error;

/// What a file is for, and so which tables it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// Marks a database as ours, so that no other program's file is ever migrated.
    application_id: i32,
    migrations: fn() -> refinery::Runner,
}

/// The database of a fleet (`chfn`).
pub(super) const FLEET: Schema = Schema {
    application_id: 0x6368_666e,
    migrations: embedded::migrations::runner,
};

/// The database of a control plane (`chfc`).
pub(super) const CONTROL: Schema = Schema {
    application_id: 0x6368_6663,
    migrations: control::migrations::runner,
};

/// How long a connection waits for a lock. Only other programs (a backup, a shell) ever hold one
/// against the writer; the bound of every call is 30 s.
const BUSY: Duration = Duration::from_secs(10);

/// More than there are statements in this room, so that none is ever prepared twice.
const STATEMENTS: usize = 160;

mod embedded {
    //! The numbered SQL files. A new version is a new file in that folder.
    refinery::embed_migrations!("migrations/sqlite");
}

mod control {
    //! The same for the control store.
    refinery::embed_migrations!("migrations/control-sqlite");
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The loss of power.
    Full,
    /// Nothing: for databases that end with the process.
    None,
}

/// Opens the file for writing, makes or migrates it, and sets what is set per connection.
pub(super) fn writer(
    path: &Path,
    schema: Schema,
    durability: Durability,
    max_pages: Option<u32>,
) -> Result<Connection, Error> {
    // Not the library's default flags: those would take a path for a URI.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn =
        Connection::open_with_flags(path, flags).map_err(|error| unopened(path, error))?;
    conn.busy_timeout(BUSY)?;
    if conn.is_readonly("main")? {
        return Err(Error::ReadOnly(format!(
            "no right to write {}",
            path.display()
        )));
    }
    claim(&mut conn, schema)?;
    // WAL: readers never wait for the writer. FULL: an acknowledged commit survives a power cut.
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let text = format!("no write-ahead log is possible here (journal mode {mode})");
        return Err(Error::Unavailable(text));
    }
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    common(&conn)?;
    // Without it, INSERT OR REPLACE would pass by the triggers that forbid deletion.
    conn.pragma_update(None, "recursive_triggers", true)?;
    // A burst may grow the log; afterwards the file shrinks to this again.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    conn.set_transaction_behavior(TransactionBehavior::Immediate);
    migrate(&mut conn, schema)?;
    if let Some(pages) = max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(conn)
}

/// A file that cannot be opened at all will not open by itself.
fn unopened(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) if path.is_dir() => {
            Error::Corrupt("it is a folder, and should be a file".to_owned())
        }
        Some(ErrorCode::CannotOpen) => Error::ReadOnly(error.to_string()),
        _ => error.into(),
    }
}

/// Opens the file for reading only; the writer must have been opened before.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    common(&conn)?;
    Ok(conn)
}

/// A database in memory with the newest schema, to hold others against.
pub(super) fn reference() -> Result<Connection, Error> {
    let mut conn = Connection::open_in_memory()?;
    migrate(&mut conn, FLEET)?;
    Ok(conn)
}

fn common(conn: &Connection) -> Result<(), Error> {
    conn.pragma_update(None, "foreign_keys", true)?;
    // Negative: KiB. Small, because the whole of `chiffon up` is to stay under 60 MB.
    conn.pragma_update(None, "cache_size", -4096)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans depend on the statement alone. Otherwise SQLite prepares a statement again for each new value that decides
    // whether a partial index fits: that was a fifth of what the fleet did.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Sees to it that the file is ours: marks an empty one, refuses a stranger's without touching it.
fn claim(conn: &mut Connection, schema: Schema) -> Result<(), Error> {
    let ours = schema.application_id;
    if application_id(conn)? == ours {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Once more under the lock: two programs may start at the same moment.
    let id = application_id(&tx)?;
    if id != ours {
        let objects: u64 =
            tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if id != 0 || objects != 0 {
            return Err(Error::Corrupt(format!(
                "it belongs to another program (application id {id:#x}, {objects} objects)"
            )));
        }
        tx.pragma_update(None, "application_id", ours)?;
    }
    Ok(tx.commit()?)
}

fn application_id(conn: &Connection) -> Result<i32, Error> {
    Ok(conn.pragma_query_value(None, "application_id", |row| row.get(0))?)
}

/// Brings the schema up to date; refuses one that is newer than this program.
fn migrate(conn: &mut Connection, schema: Schema) -> Result<(), Error> {
    // Grouped: otherwise a crash could part a migration from the record that it was applied.
    let runner = (schema.migrations)().set_grouped(true);
    let newest = runner
        .get_migrations()
        .iter()
        .map(|one| one.version())
        .max();
    let known = version(newest);
    let found = applied(conn)?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    match runner.run(conn) {
        Ok(_) => Ok(()),
        // Another program may have done it at the same moment.
        Err(_) if applied(conn)? == known && found < known => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// The version of the schema in the file; 0 for none. Asked directly, because the library's own reader
/// panics on a damaged history.
fn applied(conn: &Connection) -> Result<u32, Error> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if conn.query_row(sql, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(0);
    }
    let sql = "SELECT version, name, applied_on, checksum FROM refinery_schema_history";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut newest = None;
    while let Some(row) = rows.next()? {
        let number: i32 = row.get(0)?;
        let _name: String = row.get(1)?;
        let (applied_on, checksum): (String, String) = (row.get(2)?, row.get(3)?);
        if !is_time(&applied_on) || checksum.parse::<u64>().is_err() {
            let text = format!("migration {number} of its list cannot be read");
            return Err(Error::Corrupt(text));
        }
        newest = newest.max(Some(number));
    }
    Ok(version(newest))
}

/// As RFC 3339 writes it, and nothing shorter.
fn is_time(text: &str) -> bool {
    let stands = |at: usize, one: u8| text.as_bytes().get(at) == Some(&one);
    let is_whole = stands(10, b'T') && stands(13, b':') && stands(16, b':');
    is_whole && !text.ends_with(']') && text.parse::<jiff::Timestamp>().is_ok()
}

fn version(number: Option<i32>) -> u32 {
    number.unwrap_or_default().try_into().unwrap_or_default()
}

/// The library wraps SQLite's error; a full disk must still be called so.
fn failed(error: &refinery::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        if let Some(rusqlite::Error::SqliteFailure(failure, text)) = one.downcast_ref()
            // What the statements of a migration are refused with says that the tables are not those that it expects.
            && failure.code != ErrorCode::Unknown
        {
            return rusqlite::Error::SqliteFailure(*failure, text.clone()).into();
        }
        cause = one.source();
    }
    Error::Corrupt(format!("its schema is not as recorded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pragma<T: rusqlite::types::FromSql>(conn: &Connection, name: &str) -> T {
        conn.pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_writer_syncs_every_commit_and_its_readers_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = writer(&path, FLEET, Durability::Full, None).unwrap();
        assert_eq!(pragma::<String>(&writer, "journal_mode"), "wal");
        assert_eq!(pragma::<i64>(&writer, "synchronous"), 2, "2 is FULL");
        assert!(pragma::<bool>(&writer, "foreign_keys"));
        let reader = reader(&path).unwrap();
        let error = reader.execute("DELETE FROM timers", []).unwrap_err();
        assert!(matches!(Error::from(error), Error::ReadOnly(_)));
    }

    #[test]
    fn no_statement_is_prepared_again_for_another_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = writer(&path, FLEET, Durability::Full, None).unwrap();
        let reader = reader(&path).unwrap();
        for conn in [&writer, &reader] {
            // Each has a partial index on what it asks for.
            for sql in [
                "SELECT owner FROM leases WHERE owner = ?1 AND tenant_id = 'default'",
                "SELECT ended FROM tasks WHERE ended = ?1 AND tenant_id = 'default'",
            ] {
                let mut statement = conn.prepare(sql).unwrap();
                for value in ["0", "1", "2"] {
                    let mut found = statement.query([value]).unwrap();
                    let _row = found.next().unwrap();
                }
                let again = statement.get_status(rusqlite::StatementStatus::RePrepare);
                assert_eq!(again, 0, "{sql}");
            }
        }
    }

    /// Whoever edits the list of migrations, or what they made, has a database that no program wrote.
    #[test]
    fn an_edited_list_of_migrations_is_damage_and_nothing_to_try_again() {
        let edits = [
            "DELETE FROM refinery_schema_history",
            "DELETE FROM refinery_schema_history WHERE version = 1",
            "DELETE FROM refinery_schema_history WHERE version = 2",
            "DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)",
            "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1",
            "UPDATE refinery_schema_history SET name = 'other' WHERE version = 1",
            "UPDATE refinery_schema_history SET applied_on = 'yesterday' WHERE version = 1",
            "UPDATE refinery_schema_history SET applied_on = '2026-01-01' WHERE version = 1",
            "UPDATE refinery_schema_history SET applied_on = NULL WHERE version = 1",
            "UPDATE refinery_schema_history SET checksum = 'x' WHERE version = 1",
            "UPDATE refinery_schema_history SET checksum = NULL WHERE version = 1",
            "DROP TABLE refinery_schema_history",
        ];
        for edit in edits {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let conn = writer(&path, FLEET, Durability::Full, None).unwrap();
            conn.execute_batch(edit).unwrap();
            drop(conn);
            let error = writer(&path, FLEET, Durability::Full, None).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_)), "{edit}: {error:?}");
        }
    }

    #[test]
    fn opening_again_finds_the_schema_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let runner = embedded::migrations::runner();
        let versions = runner.get_migrations().iter().map(|one| one.version());
        let newest = version(versions.max());
        for _ in 0..2 {
            let conn = writer(&path, FLEET, Durability::Full, None).unwrap();
            assert_eq!(applied(&conn).unwrap(), newest);
            assert_eq!(application_id(&conn).unwrap(), FLEET.application_id);
        }
    }
}
