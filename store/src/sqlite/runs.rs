//! Writing the tables of a request: `requests`, `plans`, `tasks`, `decisions`, `events`. Reading them is
//! left to `lists.rs`. The version stored is the store's: 1 at first, then one more than expected.

use chiffon_common::TenantId;
use rusqlite::{Connection, params};

use super::columns::{changed_one, micros, owned};
use crate::{DecisionRow, Error, EventRow, PlanRow, RequestRow, TaskRow, commit::Expected};

/// Refuses what belongs to a request that its tenant does not have.
fn has_request(conn: &Connection, tenant: &TenantId, request: &str) -> Result<(), Error> {
    let sql = "SELECT 1 FROM requests WHERE request_id = ?1 AND tenant_id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    if statement.exists([request, tenant.as_str()])? {
        return Ok(());
    }
    Err(Error::Malformed(format!(
        "tenant {tenant} has no request {request}"
    )))
}

/// Writes a request.
pub(super) fn write_request(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &RequestRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "request")?;
    let request = row.request_id.to_string();
    let (project, room, doc) = (
        row.project_id.as_str(),
        row.room_id.as_str(),
        row.doc.to_string(),
    );
    let updated = micros(row.updated_at);
    let changed = match expected {
        Expected::Absent => {
            let sql =
                "INSERT INTO requests (request_id, tenant_id, project_id, room_id, state, ended,
                           updated_at, doc, created_at, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1) ON CONFLICT DO NOTHING";
            let created = micros(row.created_at);
            conn.prepare_cached(sql)?.execute(params![
                request,
                tenant.as_str(),
                project,
                room,
                row.state,
                row.ended,
                updated,
                doc,
                created
            ])?
        }
        Expected::Version(version) => {
            let sql = "UPDATE requests SET project_id = ?3, room_id = ?4, state = ?5, ended = ?6,
                           updated_at = ?7, doc = ?8, version = version + 1
                       WHERE request_id = ?1 AND tenant_id = ?2 AND version = ?9";
            conn.prepare_cached(sql)?.execute(params![
                request,
                tenant.as_str(),
                project,
                room,
                row.state,
                row.ended,
                updated,
                doc,
                version
            ])?
        }
    };
    changed_one(changed, || format!("request {request}"))
}

/// Writes a task.
pub(super) fn write_task(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &TaskRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "task")?;
    let (task, request) = (row.task_id.to_string(), row.request_id.to_string());
    let agent = row.agent_id.as_ref().map(|agent| agent.as_str());
    let (updated, doc) = (micros(row.updated_at), row.doc.to_string());
    let changed = match expected {
        Expected::Absent => {
            has_request(conn, tenant, &request)?;
            let sql = "INSERT INTO tasks (task_id, tenant_id, request_id, state, ended, agent_id,
                           attempt, updated_at, doc, created_at, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1) ON CONFLICT DO NOTHING";
            let created = micros(row.created_at);
            conn.prepare_cached(sql)?.execute(params![
                task,
                tenant.as_str(),
                request,
                row.state,
                row.ended,
                agent,
                row.attempt,
                updated,
                doc,
                created
            ])?
        }
        Expected::Version(version) => {
            let sql = "UPDATE tasks SET state = ?4, ended = ?5, agent_id = ?6, attempt = ?7,
                           updated_at = ?8, doc = ?9, version = version + 1
                       WHERE task_id = ?1 AND tenant_id = ?2 AND request_id = ?3 AND version = ?10";
            conn.prepare_cached(sql)?.execute(params![
                task,
                tenant.as_str(),
                request,
                row.state,
                row.ended,
                agent,
                row.attempt,
                updated,
                doc,
                version
            ])?
        }
    };
    changed_one(changed, || format!("task {task}"))
}

/// Writes a decision.
pub(super) fn write_decision(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &DecisionRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "decision")?;
    let request = row.request_id.to_string();
    let (deadline, doc) = (micros(row.deadline), row.doc.to_string());
    let changed = match expected {
        Expected::Absent => {
            has_request(conn, tenant, &request)?;
            let sql = "INSERT INTO decisions (decision_id, tenant_id, request_id, state, deadline,
                           doc, created_at, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1) ON CONFLICT DO NOTHING";
            let created = micros(row.created_at);
            conn.prepare_cached(sql)?.execute(params![
                row.decision_id,
                tenant.as_str(),
                request,
                row.state,
                deadline,
                doc,
                created
            ])?
        }
        Expected::Version(version) => {
            let sql = "UPDATE decisions SET state = ?4, deadline = ?5, doc = ?6, version = version + 1
                       WHERE decision_id = ?1 AND tenant_id = ?2 AND request_id = ?3 AND version = ?7";
            conn.prepare_cached(sql)?.execute(params![
                row.decision_id,
                tenant.as_str(),
                request,
                row.state,
                deadline,
                doc,
                version
            ])?
        }
    };
    changed_one(changed, || format!("decision {}", row.decision_id))
}

/// Writes the plan of a request over an earlier one.
pub(super) fn write_plan(conn: &Connection, tenant: &TenantId, row: &PlanRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "plan")?;
    let sql = "INSERT INTO plans (request_id, tenant_id, digest, created_at, doc)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (request_id) DO UPDATE SET digest = excluded.digest,
                   -- The same plan, sealed with its preview, keeps its place in the list.
                   created_at = CASE WHEN doc ->> '$.plan_id' = excluded.doc ->> '$.plan_id'
                                     THEN created_at ELSE excluded.created_at END,
                   doc = excluded.doc
               WHERE tenant_id = excluded.tenant_id";
    let request = row.request_id.to_string();
    has_request(conn, tenant, &request)?;
    let written = conn.prepare_cached(sql)?.execute(params![
        request,
        tenant.as_str(),
        row.digest.to_string(),
        micros(row.created_at),
        row.doc.to_string()
    ])?;
    changed_one(written, || format!("plan of request {request}"))
}

/// Writes an event, which must be new.
pub(super) fn write_event(
    conn: &Connection,
    tenant: &TenantId,
    row: &EventRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "event")?;
    let sql = "INSERT INTO events (tenant_id, event_id, body, request_id, created_at, event, plan)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let written = conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        row.event_id.as_str(),
        row.body.to_string(),
        row.request_id.map(|request| request.to_string()),
        micros(row.created_at),
        row.event.to_string(),
        row.plan.to_string()
    ])?;
    changed_one(written, || format!("event {}", row.event_id))
}
