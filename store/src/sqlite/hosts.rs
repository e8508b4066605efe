//! Table `hosts`: at which places how a task ended is open.

use chiffon_common::{TaskId, TenantId};
use rusqlite::{Connection, params};

use super::columns::{micros, owned, parsed, text_list, time};
use crate::{Error, HostRow};

/// Something is open at a place.
pub(super) fn mark(conn: &Connection, tenant: &TenantId, row: &HostRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "host")?;
    let sql = "INSERT INTO hosts (tenant_id, place, task_id, request_id, since, because)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (tenant_id, place, task_id) DO UPDATE SET because = excluded.because";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        row.place,
        row.task_id.to_string(),
        row.request_id.to_string(),
        micros(row.since),
        row.because
    ])?;
    Ok(())
}

/// Nothing of the task is open at these places, or anywhere.
pub(super) fn unmark(
    conn: &Connection,
    tenant: &TenantId,
    task: TaskId,
    places: Option<&[String]>,
) -> Result<(), Error> {
    let places = places.map(text_list).transpose()?;
    let sql = "DELETE FROM hosts INDEXED BY hosts_of_task WHERE tenant_id = ?1 AND task_id = ?2
               AND (?3 IS NULL OR place IN (SELECT value FROM json_each(?3)))";
    conn.prepare_cached(sql)?
        .execute(params![tenant.as_str(), task.to_string(), places])?;
    Ok(())
}

/// What is open at these places, the oldest first.
pub(super) fn open_at(
    conn: &Connection,
    tenant: &TenantId,
    places: &[String],
) -> Result<Vec<HostRow>, Error> {
    let sql = "SELECT tenant_id, place, task_id, request_id, since, because FROM hosts
               WHERE tenant_id = ?1 AND place IN (SELECT value FROM json_each(?2))
               ORDER BY since, task_id, place LIMIT 1000";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![tenant.as_str(), text_list(places)?], |row| {
        Ok(HostRow {
            tenant_id: parsed(row, 0)?,
            place: row.get(1)?,
            task_id: parsed(row, 2)?,
            request_id: parsed(row, 3)?,
            since: time(row, 4)?,
            because: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
