//! States of the control store in memory that find no place there: a temporary database, which SQLite keeps in a file that
//! has no name (`SQLITE_TMPDIR`, `TMPDIR` or the system's say where) and that is gone with the process. Which states come
//! here, and when they go back, is left to `control::memory`.

use chiffon_common::{RoomId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    Error,
    control::{
        MemoryControl, MemoryLimits,
        memory::{Spill, State, StateKey},
    },
};

/// Of a tenant itself, `room` is empty, which no room's id is.
const SCHEMA: &str = "
PRAGMA journal_mode = MEMORY;
PRAGMA cache_size = -16384;
CREATE TABLE states (
    tenant TEXT NOT NULL, room TEXT NOT NULL,
    version INTEGER NOT NULL, doc TEXT NOT NULL, keep_until INTEGER NOT NULL, written INTEGER NOT NULL,
    PRIMARY KEY (tenant, room)
) WITHOUT ROWID;
CREATE INDEX ends ON states (keep_until);
CREATE INDEX ages ON states (written);
";

impl MemoryControl {
    /// An empty store that puts the states by that were not used for the longest, instead of refusing new ones. Each
    /// such state costs a look at a file, some ten microseconds, under the store's lock and beside the tasks.
    ///
    /// # Errors
    /// Where SQLite cannot begin a database at all. That a file cannot be written shows when the first state goes there,
    /// and then refuses what would have needed the place.
    pub fn spilling(limits: MemoryLimits) -> Result<Self, Error> {
        let conn = Connection::open("")?;
        conn.execute_batch(SCHEMA)?;
        Ok(Self::with(limits, Some(Box::new(File { conn, count: 0 }))))
    }
}

/// The database, and how many states lie there.
#[derive(Debug)]
struct File {
    conn: Connection,
    count: u64,
}

fn place(key: &StateKey) -> (&str, &str) {
    let (tenant, room) = key;
    (
        TenantId::as_str(tenant),
        room.as_ref().map_or("", RoomId::as_str),
    )
}

impl Spill for File {
    fn count(&self) -> u64 {
        self.count
    }

    fn get(&mut self, key: &StateKey) -> Result<Option<State>, Error> {
        let text =
            "SELECT version, doc, keep_until, written FROM states WHERE tenant = ?1 AND room = ?2";
        let mut select = self.conn.prepare_cached(text)?;
        let read = |row: &rusqlite::Row<'_>| {
            let (version, times): (i64, (i64, i64)) = (row.get(0)?, (row.get(2)?, row.get(3)?));
            Ok((version, row.get(1)?, times))
        };
        let Some((version, doc, (until, at))) = select.query_row(place(key), read).optional()?
        else {
            return Ok(None);
        };
        let corrupt = |what: &str| Error::Corrupt(format!("a state with a strange {what}"));
        Ok(Some(State {
            version: u64::try_from(version).map_err(|_| corrupt("version"))?,
            doc,
            keep_until: Timestamp::from_microsecond(until).map_err(|_| corrupt("time"))?,
            at: Timestamp::from_microsecond(at).map_err(|_| corrupt("time"))?,
            used: 0,
        }))
    }

    fn put(&mut self, key: &StateKey, state: &State) -> Result<(), Error> {
        let text = "INSERT INTO states (tenant, room, version, doc, keep_until, written) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (tenant, room) = place(key);
        let version = i64::try_from(state.version)
            .map_err(|_| Error::Malformed("a version beyond all numbers".to_owned()))?;
        // Rounded up: it means something until then.
        let is_between = state.keep_until.subsec_nanosecond() % 1_000 > 0;
        let until = state.keep_until.as_microsecond() + i64::from(is_between);
        let until = until.min(Timestamp::MAX.as_microsecond());
        let mut insert = self.conn.prepare_cached(text)?;
        // Callers' times have no more digits.
        let at = state.at.as_microsecond();
        insert.execute(params![tenant, room, version, state.doc, until, at])?;
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, key: &StateKey) -> Result<(), Error> {
        let text = "DELETE FROM states WHERE tenant = ?1 AND room = ?2";
        let gone = self.conn.prepare_cached(text)?.execute(place(key))?;
        self.count = self.count.saturating_sub(gone as u64);
        Ok(())
    }

    fn oldest(&mut self) -> Result<Option<Timestamp>, Error> {
        let mut select = self
            .conn
            .prepare_cached("SELECT min(written) FROM states")?;
        let oldest: Option<i64> = select.query_row([], |row| row.get(0))?;
        let read = |at| Timestamp::from_microsecond(at);
        oldest
            .map(read)
            .transpose()
            .map_err(|_| Error::Corrupt("a state with a strange time".to_owned()))
    }

    fn forget(&mut self, now: Timestamp, limit: u32) -> Result<u64, Error> {
        let text = "DELETE FROM states WHERE (tenant, room) IN (SELECT tenant, room FROM states WHERE keep_until <= ?1 LIMIT ?2)";
        let gone = self
            .conn
            .prepare_cached(text)?
            .execute(params![now.as_microsecond(), limit])? as u64;
        self.count = self.count.saturating_sub(gone);
        Ok(gone)
    }
}
