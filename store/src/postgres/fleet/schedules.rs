//! Table `schedules`.

use chiffon_common::{RequestId, ScheduleId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    columns::{
        Select, bigint, changed_one, execute, json, micros, number, one_number, opt_micros,
        opt_parsed, opt_time, owned, page, parsed, row, rows, time,
    },
    lists::cursor,
};
use crate::{Error, ListSchedules, ScheduleRow, commit::Expected};

const SCHEDULES: &str =
    "SELECT tenant_id, schedule_id, project_id, state, version, next_at, considered_at,
            open_request, created_at, updated_at, doc::text FROM schedules";

/// Writes a schedule.
pub(super) async fn write(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &ScheduleRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "schedule")?;
    let (sql, last) = match expected {
        Expected::Absent => (
            "INSERT INTO schedules (tenant_id, schedule_id, project_id, state, next_at, considered_at,
                 open_request, updated_at, doc, version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, 1, $10) ON CONFLICT DO NOTHING",
            micros(row.created_at),
        ),
        Expected::Version(version) => (
            "UPDATE schedules SET project_id = $3, state = $4, next_at = $5, considered_at = $6,
                 open_request = $7, updated_at = $8, doc = $9::text::json, version = version + 1
             WHERE tenant_id = $1 AND schedule_id = $2 AND version = $10",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.schedule_id.to_string(),
            &row.project_id.as_str(),
            &row.state,
            &opt_micros(row.next_at),
            &micros(row.considered_at),
            &row.open_request.map(|request| request.to_string()),
            &micros(row.updated_at),
            &row.doc.to_string(),
            &last,
        ],
    )
    .await?;
    changed_one(changed, || format!("schedule {}", row.schedule_id))
}

/// Removes a schedule of this version.
pub(super) async fn remove(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    id: ScheduleId,
    version: u64,
) -> Result<(), Error> {
    let sql = "DELETE FROM schedules WHERE tenant_id = $1 AND schedule_id = $2 AND version = $3";
    let (key, version) = (id.to_string(), bigint(version));
    let gone = execute(tx, sql, &[&tenant.as_str(), &key, &version]).await?;
    changed_one(gone, || format!("schedule {id}"))
}

/// Holds a check against the table: the schedule still has this version.
pub(super) async fn check(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    id: ScheduleId,
    version: u64,
) -> Result<(), Error> {
    match one(tx, tenant, id).await? {
        Some(row) if row.version == version => Ok(()),
        _ => Err(Error::Conflict {
            what: format!("schedule {id}"),
        }),
    }
}

/// Holds a check against the table: there is room for one more.
pub(super) async fn fewer(tx: &Transaction<'_>, tenant: &TenantId, than: u64) -> Result<(), Error> {
    match count(tx, tenant).await? < than {
        true => Ok(()),
        false => Err(Error::Conflict {
            what: "the number of schedules".to_owned(),
        }),
    }
}

/// One schedule.
pub(super) async fn one<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    id: ScheduleId,
) -> Result<Option<ScheduleRow>, Error> {
    let sql = format!("{SCHEDULES} WHERE tenant_id = $1 AND schedule_id = $2");
    row(client, &sql, &[&tenant.as_str(), &id.to_string()], schedule).await
}

/// Schedules, newest first.
pub(super) async fn list<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    list: &ListSchedules,
) -> Result<Vec<ScheduleRow>, Error> {
    let tenant = tenant.as_str();
    let (after, limit) = (cursor(list.after.as_ref()), page(list.limit));
    let mut select = Select::new(&format!("{SCHEDULES} WHERE tenant_id = $1"), &[&tenant]);
    select.with_some(" AND state = $", list.state.as_ref());
    if let Some((time, id)) = &after {
        select.with(" AND (created_at, schedule_id) < ($, $)", &[time, id]);
    }
    select.with(
        " ORDER BY created_at DESC, schedule_id DESC LIMIT $",
        &[&limit],
    );
    select.rows(client, schedule).await
}

/// How many there are.
pub(super) async fn count<C: GenericClient>(client: &C, tenant: &TenantId) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM schedules WHERE tenant_id = $1";
    one_number(client, sql, &[&tenant.as_str()]).await
}

/// Those whose next time has come and whose last run has ended.
pub(super) async fn due<C: GenericClient>(
    client: &C,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let sql = format!(
        "{SCHEDULES} WHERE open_request IS NULL AND next_at IS NOT NULL AND next_at <= $1
         ORDER BY next_at LIMIT $2"
    );
    rows(client, &sql, &[&micros(now), &page(limit)], schedule).await
}

/// Those that have considered times after this moment.
pub(super) async fn ahead<C: GenericClient>(
    client: &C,
    of: Timestamp,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let sql = format!(
        "{SCHEDULES} WHERE state = 'active' AND considered_at > $1 ORDER BY considered_at LIMIT $2"
    );
    rows(client, &sql, &[&micros(of), &page(limit)], schedule).await
}

/// Those whose last run was open when it was looked at last.
pub(super) async fn watched<C: GenericClient>(
    client: &C,
    after: Option<RequestId>,
    limit: u32,
) -> Result<Vec<ScheduleRow>, Error> {
    let after = after.map_or_else(String::new, |request| request.to_string());
    let sql = format!(
        "{SCHEDULES} WHERE open_request IS NOT NULL AND open_request > $1 ORDER BY open_request LIMIT $2"
    );
    rows(client, &sql, &[&after, &page(limit)], schedule).await
}

/// When the next time comes of those whose last run has ended.
pub(super) async fn next<C: GenericClient>(client: &C) -> Result<Option<Timestamp>, Error> {
    let sql =
        "SELECT min(next_at) FROM schedules WHERE open_request IS NULL AND next_at IS NOT NULL";
    let found = row(client, sql, &[], |row| opt_time(row, 0)).await?;
    Ok(found.flatten())
}

fn schedule(row: &Row) -> Result<ScheduleRow, Error> {
    Ok(ScheduleRow {
        tenant_id: parsed(row, 0)?,
        schedule_id: parsed(row, 1)?,
        project_id: parsed(row, 2)?,
        state: row.try_get(3)?,
        version: number(row, 4)?,
        next_at: opt_time(row, 5)?,
        considered_at: time(row, 6)?,
        open_request: opt_parsed(row, 7)?,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        doc: json(row, 10)?,
    })
}
