//! Table `schedules`.

use chiffon_common::{ScheduleId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{
    changed_one, cursor, json, micros, opt_micros, opt_parsed, opt_time, owned, page, parsed, time,
};
use crate::{Error, ListSchedules, ScheduleRow, commit::Expected};

macro_rules! select_schedules {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, schedule_id, project_id, state, version, next_at, considered_at,
                    open_request, created_at, updated_at, doc FROM schedules ",
            $rest
        )
    };
}

/// Parameters: tenant, state, cursor, limit. There are a thousand at most, so the state is checked row by row.
pub(super) const PAGE_OF: &str = select_schedules!(
    "INDEXED BY schedules_newest WHERE tenant_id = ?1 AND (?2 IS NULL OR state = ?2)
     AND (created_at, schedule_id) < (?3, ?4)
     ORDER BY created_at DESC, schedule_id DESC LIMIT ?5"
);

/// Parameters: the clock, limit.
pub(super) const DUE: &str = select_schedules!(
    "INDEXED BY schedules_due WHERE open_request IS NULL AND next_at IS NOT NULL AND next_at <= ?1
     ORDER BY next_at LIMIT ?2"
);

/// Parameters: the moment, limit.
pub(super) const AHEAD: &str = select_schedules!(
    "INDEXED BY schedules_ahead WHERE state = 'active' AND considered_at > ?1
     ORDER BY considered_at LIMIT ?2"
);

/// Parameters: the request that was seen last, limit.
pub(super) const WATCHED: &str = select_schedules!(
    "INDEXED BY schedules_watched WHERE open_request IS NOT NULL AND open_request > ?1
     ORDER BY open_request LIMIT ?2"
);

/// Writes a schedule.
pub(super) fn write(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &ScheduleRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "schedule")?;
    let schedule = row.schedule_id.to_string();
    let request = row.open_request.map(|request| request.to_string());
    let (sql, version, created) = match expected {
        Expected::Absent => (
            "INSERT INTO schedules (tenant_id, schedule_id, project_id, state, next_at, considered_at,
                 open_request, updated_at, doc, version, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1 + ?10, ?11) ON CONFLICT DO NOTHING",
            0,
            Some(micros(row.created_at)),
        ),
        Expected::Version(version) => (
            "UPDATE schedules SET project_id = ?3, state = ?4, next_at = ?5, considered_at = ?6,
                 open_request = ?7, updated_at = ?8, doc = ?9, version = version + 1
             WHERE tenant_id = ?1 AND schedule_id = ?2 AND version = ?10 AND ?11 IS NULL",
            version,
            None,
        ),
    };
    let changed = conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        schedule,
        row.project_id.as_str(),
        row.state,
        opt_micros(row.next_at),
        micros(row.considered_at),
        request,
        micros(row.updated_at),
        row.doc.to_string(),
        version,
        created
    ])?;
    changed_one(changed, || format!("schedule {schedule}"))
}

/// Removes a schedule of this version.
pub(super) fn remove(
    conn: &Connection,
    tenant: &TenantId,
    id: ScheduleId,
    version: u64,
) -> Result<(), Error> {
    let sql = "DELETE FROM schedules WHERE tenant_id = ?1 AND schedule_id = ?2 AND version = ?3";
    let gone =
        conn.prepare_cached(sql)?
            .execute(params![tenant.as_str(), id.to_string(), version])?;
    changed_one(gone, || format!("schedule {id}"))
}

/// Holds a check against the table: the schedule still has this version.
pub(super) fn check(
    conn: &Connection,
    tenant: &TenantId,
    id: ScheduleId,
    version: u64,
) -> Result<(), Error> {
    match one(conn, tenant, id)? {
        Some(row) if row.version == version => Ok(()),
        _ => Err(Error::Conflict {
            what: format!("schedule {id}"),
        }),
    }
}

/// Holds a check against the table: there is room for one more.
pub(super) fn fewer(conn: &Connection, tenant: &TenantId, than: u64) -> Result<(), Error> {
    match count(conn, tenant)? < than {
        true => Ok(()),
        false => Err(Error::Conflict {
            what: "the number of schedules".to_owned(),
        }),
    }
}

/// One schedule.
pub(super) fn one(
    conn: &Connection,
    tenant: &TenantId,
    id: ScheduleId,
) -> Result<Option<ScheduleRow>, Error> {
    let sql = select_schedules!("WHERE tenant_id = ?1 AND schedule_id = ?2");
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.to_string(), id.to_string()], schedule);
    Ok(found.optional()?)
}

/// Schedules, newest first.
pub(super) fn list(
    conn: &Connection,
    tenant: &TenantId,
    list: &ListSchedules,
) -> Result<Vec<ScheduleRow>, Error> {
    let (time, id) = cursor(list.after.as_ref());
    let mut statement = conn.prepare_cached(PAGE_OF)?;
    let parameters = params![tenant.as_str(), list.state, time, id, page(list.limit)];
    let rows = statement.query_map(parameters, schedule)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many there are.
pub(super) fn count(conn: &Connection, tenant: &TenantId) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM schedules WHERE tenant_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([tenant.as_str()], |row| row.get(0))?)
}

/// Those whose next time has come and whose last run has ended.
pub(super) fn due(
    conn: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let mut statement = conn.prepare_cached(DUE)?;
    let rows = statement.query_map(params![micros(now), page(limit)], schedule)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those that have considered times after this moment.
pub(super) fn ahead(
    conn: &Connection,
    of: Timestamp,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let mut statement = conn.prepare_cached(AHEAD)?;
    let rows = statement.query_map(params![micros(of), page(limit)], schedule)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those whose last run was open when it was looked at last.
pub(super) fn watched(
    conn: &Connection,
    after: Option<chiffon_common::RequestId>,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let after = after.map_or_else(String::new, |request| request.to_string());
    let mut statement = conn.prepare_cached(WATCHED)?;
    let rows = statement.query_map(params![after, page(limit)], schedule)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next time comes of those whose last run has ended.
pub(super) fn next(conn: &Connection) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT min(next_at) FROM schedules INDEXED BY schedules_due
               WHERE open_request IS NULL AND next_at IS NOT NULL";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([], |row| opt_time(row, 0))?)
}

fn schedule(row: &Row<'_>) -> rusqlite::Result<ScheduleRow> {
    Ok(ScheduleRow {
        tenant_id: parsed(row, 0)?,
        schedule_id: parsed(row, 1)?,
        project_id: parsed(row, 2)?,
        state: row.get(3)?,
        version: row.get(4)?,
        next_at: opt_time(row, 5)?,
        considered_at: time(row, 6)?,
        open_request: opt_parsed(row, 7)?,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        doc: json(row, 10)?,
    })
}
