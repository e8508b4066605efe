//! Tables `agents`, `rooms`, `projects`, `freezes`, `hosts` and `resource_metrics`.

use chiffon_common::{Frozen, ProjectId, RoomId, TaskId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::columns::{
    bigint, changed_one, clean, execute, json, micros, number, opt_micros, opt_time, owned, page,
    parsed, row, rows, time,
};
use crate::{
    AgentRow, Error, FreezeRow, HostRow, MetricRow, ProjectRow, RoomRow, commit::Expected,
};

/// Writes an agent.
pub(super) async fn write_agent(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &AgentRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "agent")?;
    let (sql, version) = match expected {
        Expected::Absent => (
            "INSERT INTO agents (tenant_id, agent_id, kind, state, status, last_seen, doc, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7::text::json, 1 + $8::bigint) ON CONFLICT DO NOTHING",
            0,
        ),
        Expected::Version(version) => (
            "UPDATE agents SET kind = $3, state = $4, status = $5, last_seen = $6, doc = $7::text::json,
                 version = version + 1
             WHERE tenant_id = $1 AND agent_id = $2 AND version = $8",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.agent_id.as_str(),
            &row.kind,
            &row.state,
            &row.status,
            &micros(row.last_seen),
            &row.doc.to_string(),
            &version,
        ],
    )
    .await?;
    changed_one(changed, || format!("agent {}", row.agent_id))
}

/// All agents, by id.
pub(super) async fn agents<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
) -> Result<Vec<AgentRow>, Error> {
    let sql =
        "SELECT tenant_id, agent_id, kind, state, status, version, last_seen, doc::text FROM agents
               WHERE tenant_id = $1 ORDER BY agent_id";
    rows(client, sql, &[&tenant.as_str()], |row| {
        Ok(AgentRow {
            tenant_id: parsed(row, 0)?,
            agent_id: parsed(row, 1)?,
            kind: row.try_get(2)?,
            state: row.try_get(3)?,
            status: row.try_get(4)?,
            version: number(row, 5)?,
            last_seen: time(row, 6)?,
            doc: json(row, 7)?,
        })
    })
    .await
}

/// Writes a room.
pub(super) async fn write_room(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &RoomRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "room")?;
    let (sql, version) = match expected {
        Expected::Absent => (
            "INSERT INTO rooms (tenant_id, room_id, project_id, updated_at, doc, version)
             VALUES ($1, $2, $3, $4, $5::text::json, 1 + $6::bigint) ON CONFLICT DO NOTHING",
            0,
        ),
        Expected::Version(version) => (
            "UPDATE rooms SET project_id = $3, updated_at = $4, doc = $5::text::json, version = version + 1
             WHERE tenant_id = $1 AND room_id = $2 AND version = $6",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.room_id.as_str(),
            &row.project_id.as_str(),
            &micros(row.updated_at),
            &row.doc.to_string(),
            &version,
        ],
    )
    .await?;
    changed_one(changed, || format!("room {}", row.room_id))
}

/// One room.
pub(super) async fn room<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    room: &RoomId,
) -> Result<Option<RoomRow>, Error> {
    let sql = "SELECT tenant_id, room_id, project_id, version, updated_at, doc::text FROM rooms
               WHERE tenant_id = $1 AND room_id = $2";
    row(client, sql, &[&tenant.as_str(), &room.as_str()], |row| {
        Ok(RoomRow {
            tenant_id: parsed(row, 0)?,
            room_id: parsed(row, 1)?,
            project_id: parsed(row, 2)?,
            version: number(row, 3)?,
            updated_at: time(row, 4)?,
            doc: json(row, 5)?,
        })
    })
    .await
}

/// Writes a project.
pub(super) async fn write_project(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &ProjectRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "project")?;
    let (sql, last) = match expected {
        Expected::Absent => (
            "INSERT INTO projects (tenant_id, project_id, title, description, updated_at, created_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT DO NOTHING",
            micros(row.created_at),
        ),
        Expected::Version(version) => (
            "UPDATE projects SET title = $3, description = $4, updated_at = $5, version = version + 1
             WHERE tenant_id = $1 AND project_id = $2 AND version = $6",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.project_id.as_str(),
            &clean(&row.title),
            &clean(&row.description),
            &micros(row.updated_at),
            &last,
        ],
    )
    .await?;
    changed_one(changed, || format!("project {}", row.project_id))
}

const PROJECTS: &str =
    "SELECT tenant_id, project_id, title, description, version, created_at, updated_at
     FROM projects WHERE tenant_id = $1";

/// Projects by their ids.
pub(super) async fn projects<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    after: Option<&ProjectId>,
    limit: u32,
) -> Result<Vec<ProjectRow>, Error> {
    let after = after.map_or("", |project| project.as_str());
    let sql = format!("{PROJECTS} AND project_id > $2 ORDER BY project_id LIMIT $3");
    rows(
        client,
        &sql,
        &[&tenant.as_str(), &after, &page(limit)],
        read_project,
    )
    .await
}

/// One project.
pub(super) async fn project<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<Option<ProjectRow>, Error> {
    let sql = format!("{PROJECTS} AND project_id = $2");
    row(
        client,
        &sql,
        &[&tenant.as_str(), &id.as_str()],
        read_project,
    )
    .await
}

fn read_project(row: &Row) -> Result<ProjectRow, Error> {
    Ok(ProjectRow {
        tenant_id: parsed(row, 0)?,
        project_id: parsed(row, 1)?,
        title: row.try_get(2)?,
        description: row.try_get(3)?,
        version: number(row, 4)?,
        created_at: time(row, 5)?,
        updated_at: time(row, 6)?,
    })
}

/// Writes the freeze of a tenant.
pub(super) async fn write_freeze(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &FreezeRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "freeze")?;
    let frozen = row.frozen.as_ref();
    let (sql, version) = match expected {
        Expected::Absent => (
            "INSERT INTO freezes (tenant_id, frozen_by, since, reason, version)
             VALUES ($1, $2, $3, $4, 1 + $5::bigint) ON CONFLICT DO NOTHING",
            0,
        ),
        Expected::Version(version) => (
            "UPDATE freezes SET frozen_by = $2, since = $3, reason = $4, version = version + 1
             WHERE tenant_id = $1 AND version = $5",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &frozen.map(|frozen| frozen.by.as_str()),
            &opt_micros(frozen.map(|frozen| frozen.since)),
            &frozen.map(|frozen| clean(&frozen.reason)),
            &version,
        ],
    )
    .await?;
    changed_one(changed, || format!("freeze of tenant {tenant}"))
}

/// The freeze of a tenant, if there ever was one.
pub(super) async fn freeze<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
) -> Result<Option<FreezeRow>, Error> {
    let sql =
        "SELECT tenant_id, version, frozen_by, since, reason FROM freezes WHERE tenant_id = $1";
    row(client, sql, &[&tenant.as_str()], |row| {
        let by: Option<String> = row.try_get(2)?;
        let since = opt_time(row, 3)?;
        let reason: Option<String> = row.try_get(4)?;
        Ok(FreezeRow {
            tenant_id: parsed(row, 0)?,
            version: number(row, 1)?,
            frozen: match (by, since, reason) {
                (Some(by), Some(since), Some(reason)) => Some(Frozen { by, since, reason }),
                _ => None,
            },
        })
    })
    .await
}

/// Holds a check against the table: the freeze still has this version.
pub(super) async fn check_freeze(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    version: u64,
) -> Result<(), Error> {
    let now = freeze(tx, tenant).await?.map_or(0, |row| row.version);
    if now == version {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("freeze of tenant {tenant}"),
    })
}

/// Something is open at a place.
pub(super) async fn mark(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &HostRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "host")?;
    let sql = "INSERT INTO hosts (tenant_id, place, task_id, request_id, since, because)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (tenant_id, place, task_id) DO UPDATE SET because = excluded.because";
    let (task, request) = (row.task_id.to_string(), row.request_id.to_string());
    let (since, because) = (micros(row.since), clean(&row.because));
    execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.place,
            &task,
            &request,
            &since,
            &because,
        ],
    )
    .await?;
    Ok(())
}

/// Nothing of the task is open at these places, or anywhere.
pub(super) async fn unmark(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    task: TaskId,
    places: Option<&[String]>,
) -> Result<(), Error> {
    let sql = "DELETE FROM hosts WHERE tenant_id = $1 AND task_id = $2
               AND ($3::text[] IS NULL OR place = ANY($3))";
    execute(tx, sql, &[&tenant.as_str(), &task.to_string(), &places]).await?;
    Ok(())
}

/// What is open at these places, the oldest first.
pub(super) async fn open_at<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    places: &[String],
) -> Result<Vec<HostRow>, Error> {
    let sql = "SELECT tenant_id, place, task_id, request_id, since, because FROM hosts
               WHERE tenant_id = $1 AND place = ANY($2) ORDER BY since, task_id, place LIMIT 1000";
    rows(client, sql, &[&tenant.as_str(), &places], |row| {
        Ok(HostRow {
            tenant_id: parsed(row, 0)?,
            place: row.try_get(1)?,
            task_id: parsed(row, 2)?,
            request_id: parsed(row, 3)?,
            since: time(row, 4)?,
            because: row.try_get(5)?,
        })
    })
    .await
}

/// Adds a resource report.
pub(super) async fn write_metric(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &MetricRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "metric")?;
    let sql = "INSERT INTO resource_metrics (tenant_id, agent_id, ts, doc)
               VALUES ($1, $2, $3, $4::text::json)";
    let (agent, at) = (row.agent_id.as_str(), micros(row.ts));
    execute(
        tx,
        sql,
        &[&tenant.as_str(), &agent, &at, &row.doc.to_string()],
    )
    .await?;
    Ok(())
}
