//! Table `timers`: what fires when.

use chiffon_common::TenantId;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::columns::{changed_one, micros, opt_time, owned, parsed, time};
use crate::{Error, TimerRow};

/// Sets a timer, or moves it.
pub(super) fn set(conn: &Connection, tenant: &TenantId, row: &TimerRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "timer")?;
    let sql = "INSERT INTO timers (tenant_id, slice, name, due_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (tenant_id, slice, name) DO UPDATE SET due_at = excluded.due_at";
    let due = micros(row.due_at);
    conn.prepare_cached(sql)?
        .execute(params![tenant.as_str(), row.slice, row.name, due])?;
    Ok(())
}

/// Clears a timer, if it is there.
pub(super) fn clear(
    conn: &Connection,
    tenant: &TenantId,
    slice: &str,
    name: &str,
) -> Result<(), Error> {
    let sql = "DELETE FROM timers WHERE tenant_id = ?1 AND slice = ?2 AND name = ?3";
    conn.prepare_cached(sql)?
        .execute(params![tenant.as_str(), slice, name])?;
    Ok(())
}

/// Clears a timer that must still be due at that time: not fired, cleared or moved since.
pub(super) fn take(conn: &Connection, tenant: &TenantId, row: &TimerRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "timer")?;
    let sql =
        "DELETE FROM timers WHERE tenant_id = ?1 AND slice = ?2 AND name = ?3 AND due_at = ?4";
    let due = micros(row.due_at);
    let taken =
        conn.prepare_cached(sql)?
            .execute(params![tenant.as_str(), row.slice, row.name, due])?;
    changed_one(taken, || format!("timer {} {}", row.slice, row.name))
}

/// The timers of a slice, the first due first.
pub(super) fn of_slice(
    conn: &Connection,
    tenant: &TenantId,
    slice: &str,
) -> Result<Vec<TimerRow>, Error> {
    let sql = "SELECT tenant_id, slice, name, due_at FROM timers
               WHERE tenant_id = ?1 AND slice = ?2 ORDER BY due_at, name";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![tenant.as_str(), slice], timer)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those due at `now`, the oldest first.
pub(super) fn due(conn: &Connection, now: Timestamp, limit: u32) -> Result<Vec<TimerRow>, Error> {
    let sql = "SELECT tenant_id, slice, name, due_at FROM timers WHERE due_at <= ?1
               ORDER BY due_at, tenant_id, slice, name LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![micros(now), limit], timer)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next one is due.
pub(super) fn next(conn: &Connection) -> Result<Option<Timestamp>, Error> {
    let mut statement = conn.prepare_cached("SELECT min(due_at) FROM timers")?;
    Ok(statement.query_row([], |row| opt_time(row, 0))?)
}

fn timer(row: &Row<'_>) -> rusqlite::Result<TimerRow> {
    Ok(TimerRow {
        tenant_id: parsed(row, 0)?,
        slice: row.get(1)?,
        name: row.get(2)?,
        due_at: time(row, 3)?,
    })
}
