//! Table `timers`: what fires when.

use chiffon_common::TenantId;
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::columns::{changed_one, execute, micros, opt_time, owned, parsed, row, rows, time};
use crate::{Error, TimerRow};

/// Sets a timer, or moves it.
pub(super) async fn set(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &TimerRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "timer")?;
    let sql = "INSERT INTO timers (tenant_id, slice, name, due_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (tenant_id, slice, name) DO UPDATE SET due_at = excluded.due_at";
    let due = micros(row.due_at);
    execute(tx, sql, &[&tenant.as_str(), &row.slice, &row.name, &due]).await?;
    Ok(())
}

/// Clears a timer, if it is there.
pub(super) async fn clear(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    slice: &str,
    name: &str,
) -> Result<(), Error> {
    let sql = "DELETE FROM timers WHERE tenant_id = $1 AND slice = $2 AND name = $3";
    execute(tx, sql, &[&tenant.as_str(), &slice, &name]).await?;
    Ok(())
}

/// Clears a timer that must still be due at that time: not fired, cleared or moved since.
pub(super) async fn take(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &TimerRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "timer")?;
    let sql =
        "DELETE FROM timers WHERE tenant_id = $1 AND slice = $2 AND name = $3 AND due_at = $4";
    let due = micros(row.due_at);
    let taken = execute(tx, sql, &[&tenant.as_str(), &row.slice, &row.name, &due]).await?;
    changed_one(taken, || format!("timer {} {}", row.slice, row.name))
}

/// The timers of a slice, the first due first.
pub(super) async fn of_slice<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    slice: &str,
) -> Result<Vec<TimerRow>, Error> {
    let sql = "SELECT tenant_id, slice, name, due_at FROM timers
               WHERE tenant_id = $1 AND slice = $2 ORDER BY due_at, name";
    rows(client, sql, &[&tenant.as_str(), &slice], timer).await
}

/// Those due at `now`, the oldest first.
pub(super) async fn due<C: GenericClient>(
    client: &C,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<TimerRow>, Error> {
    let sql = "SELECT tenant_id, slice, name, due_at FROM timers WHERE due_at <= $1
               ORDER BY due_at, tenant_id, slice, name LIMIT $2";
    rows(client, sql, &[&micros(now), &i64::from(limit)], timer).await
}

/// When the next one is due.
pub(super) async fn next<C: GenericClient>(client: &C) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT min(due_at) FROM timers";
    let found = row(client, sql, &[], |row| opt_time(row, 0)).await?;
    Ok(found.flatten())
}

fn timer(row: &Row) -> Result<TimerRow, Error> {
    Ok(TimerRow {
        tenant_id: parsed(row, 0)?,
        slice: row.try_get(1)?,
        name: row.try_get(2)?,
        due_at: time(row, 3)?,
    })
}
