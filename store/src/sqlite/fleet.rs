//! Tables `agents`, `rooms` and `resource_metrics`.

use chiffon_common::{RoomId, TenantId};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{changed_one, json, micros, owned, parsed, time};
use crate::{AgentRow, Error, MetricRow, RoomRow, commit::Expected};

/// Writes an agent.
pub(super) fn write_agent(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &AgentRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "agent")?;
    let (agent, doc) = (row.agent_id.as_str(), row.doc.to_string());
    let seen = micros(row.last_seen);
    let changed = match expected {
        Expected::Absent => {
            let sql = "INSERT INTO agents (tenant_id, agent_id, kind, state, status, last_seen, doc, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) ON CONFLICT DO NOTHING";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                agent,
                row.kind,
                row.state,
                row.status,
                seen,
                doc
            ])?
        }
        Expected::Version(version) => {
            let sql =
                "UPDATE agents SET kind = ?3, state = ?4, status = ?5, last_seen = ?6, doc = ?7,
                           version = version + 1
                       WHERE tenant_id = ?1 AND agent_id = ?2 AND version = ?8";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                agent,
                row.kind,
                row.state,
                row.status,
                seen,
                doc,
                version
            ])?
        }
    };
    changed_one(changed, || format!("agent {agent}"))
}

/// All agents, by id.
pub(super) fn agents(conn: &Connection, tenant: &TenantId) -> Result<Vec<AgentRow>, Error> {
    let sql = "SELECT tenant_id, agent_id, kind, state, status, version, last_seen, doc FROM agents
               WHERE tenant_id = ?1 ORDER BY agent_id";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([tenant.as_str()], |row| {
        Ok(AgentRow {
            tenant_id: parsed(row, 0)?,
            agent_id: parsed(row, 1)?,
            kind: row.get(2)?,
            state: row.get(3)?,
            status: row.get(4)?,
            version: row.get(5)?,
            last_seen: time(row, 6)?,
            doc: json(row, 7)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes a room.
pub(super) fn write_room(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &RoomRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "room")?;
    let (room, doc) = (row.room_id.as_str(), row.doc.to_string());
    let (project, updated) = (row.project_id.as_str(), micros(row.updated_at));
    let changed = match expected {
        Expected::Absent => {
            let sql = "INSERT INTO rooms (tenant_id, room_id, project_id, updated_at, doc, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, 1) ON CONFLICT DO NOTHING";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                room,
                project,
                updated,
                doc
            ])?
        }
        Expected::Version(version) => {
            let sql =
                "UPDATE rooms SET project_id = ?3, updated_at = ?4, doc = ?5, version = version + 1
                       WHERE tenant_id = ?1 AND room_id = ?2 AND version = ?6";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                room,
                project,
                updated,
                doc,
                version
            ])?
        }
    };
    changed_one(changed, || format!("room {room}"))
}

/// One room.
pub(super) fn room(
    conn: &Connection,
    tenant: &TenantId,
    room: &RoomId,
) -> Result<Option<RoomRow>, Error> {
    let sql = "SELECT tenant_id, room_id, project_id, version, updated_at, doc FROM rooms
               WHERE tenant_id = ?1 AND room_id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.as_str(), room.as_str()], |row| {
        Ok(RoomRow {
            tenant_id: parsed(row, 0)?,
            room_id: parsed(row, 1)?,
            project_id: parsed(row, 2)?,
            version: row.get(3)?,
            updated_at: time(row, 4)?,
            doc: json(row, 5)?,
        })
    });
    Ok(found.optional()?)
}

/// Adds a resource report.
pub(super) fn write_metric(
    conn: &Connection,
    tenant: &TenantId,
    row: &MetricRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "metric")?;
    let sql = "INSERT INTO resource_metrics (tenant_id, agent_id, ts, doc) VALUES (?1, ?2, ?3, ?4)";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        row.agent_id.as_str(),
        micros(row.ts),
        row.doc.to_string()
    ])?;
    Ok(())
}
