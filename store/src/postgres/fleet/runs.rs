//! Writing the tables of a request: `requests`, `plans`, `tasks`, `decisions`, `events`, `run_events`. Reading them is left
//! to `lists.rs`. The version stored is the store's: 1 at first, then one more than expected.

use chiffon_common::TenantId;
use deadpool_postgres::Transaction;

use super::columns::{bigint, changed_one, execute, micros, owned, row, said};
use crate::{
    DecisionRow, Error, EventRow, PlanRow, RequestRow, RunEventRow, TaskRow, commit::Expected,
};

/// Refuses what belongs to a request that its tenant does not have.
async fn has_request(tx: &Transaction<'_>, tenant: &TenantId, request: &str) -> Result<(), Error> {
    let sql = "SELECT 1 FROM requests WHERE request_id = $1 AND tenant_id = $2";
    let found = row(tx, sql, &[&request, &tenant.as_str()], |_| Ok(())).await?;
    found.ok_or_else(|| Error::Malformed(format!("tenant {tenant} has no request {request}")))
}

/// Writes a request.
pub(super) async fn write_request(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &RequestRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "request")?;
    let request = row.request_id.to_string();
    let (sql, last) = match expected {
        Expected::Absent => (
            "INSERT INTO requests (request_id, tenant_id, project_id, room_id, state, ended,
                 updated_at, undo_of, doc, created_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, 1) ON CONFLICT DO NOTHING",
            micros(row.created_at),
        ),
        Expected::Version(version) => (
            "UPDATE requests SET project_id = $3, room_id = $4, state = $5, ended = $6,
                 updated_at = $7, undo_of = $8, doc = $9::text::json, version = version + 1
             WHERE request_id = $1 AND tenant_id = $2 AND version = $10",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &request,
            &tenant.as_str(),
            &row.project_id.as_str(),
            &row.room_id.as_str(),
            &row.state,
            &row.ended,
            &micros(row.updated_at),
            &said(&row.doc, "/undo_of/request"),
            &row.doc.to_string(),
            &last,
        ],
    )
    .await?;
    changed_one(changed, || format!("request {request}"))
}

/// Writes a task.
pub(super) async fn write_task(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &TaskRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "task")?;
    let (task, request) = (row.task_id.to_string(), row.request_id.to_string());
    let (sql, last) = match expected {
        Expected::Absent => {
            has_request(tx, tenant, &request).await?;
            (
                "INSERT INTO tasks (task_id, tenant_id, request_id, state, ended, agent_id, attempt,
                     updated_at, doc, created_at, version)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, 1) ON CONFLICT DO NOTHING",
                micros(row.created_at),
            )
        }
        Expected::Version(version) => (
            "UPDATE tasks SET state = $4, ended = $5, agent_id = $6, attempt = $7, updated_at = $8,
                 doc = $9::text::json, version = version + 1
             WHERE task_id = $1 AND tenant_id = $2 AND request_id = $3 AND version = $10",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &task,
            &tenant.as_str(),
            &request,
            &row.state,
            &row.ended,
            &row.agent_id.as_ref().map(|agent| agent.as_str()),
            &i64::from(row.attempt),
            &micros(row.updated_at),
            &row.doc.to_string(),
            &last,
        ],
    )
    .await?;
    changed_one(changed, || format!("task {task}"))
}

/// Writes a decision.
pub(super) async fn write_decision(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    expected: Expected,
    row: &DecisionRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "decision")?;
    let request = row.request_id.to_string();
    let (sql, last) = match expected {
        Expected::Absent => {
            has_request(tx, tenant, &request).await?;
            (
                "INSERT INTO decisions (decision_id, tenant_id, request_id, state, deadline, doc,
                     created_at, version)
                 VALUES ($1, $2, $3, $4, $5, $6::text::json, $7, 1) ON CONFLICT DO NOTHING",
                micros(row.created_at),
            )
        }
        Expected::Version(version) => (
            "UPDATE decisions SET state = $4, deadline = $5, doc = $6::text::json, version = version + 1
             WHERE decision_id = $1 AND tenant_id = $2 AND request_id = $3 AND version = $7",
            bigint(version),
        ),
    };
    let changed = execute(
        tx,
        sql,
        &[
            &row.decision_id,
            &tenant.as_str(),
            &request,
            &row.state,
            &micros(row.deadline),
            &row.doc.to_string(),
            &last,
        ],
    )
    .await?;
    changed_one(changed, || format!("decision {}", row.decision_id))
}

/// Writes the plan of a request over an earlier one.
pub(super) async fn write_plan(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &PlanRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "plan")?;
    let request = row.request_id.to_string();
    has_request(tx, tenant, &request).await?;
    let sql = "INSERT INTO plans AS p (request_id, tenant_id, plan_id, digest, created_at, doc)
               VALUES ($1, $2, $3, $4, $5, $6::text::json)
               ON CONFLICT (request_id) DO UPDATE SET plan_id = excluded.plan_id, digest = excluded.digest,
                   -- The same plan, sealed with its preview, keeps its place in the list.
                   created_at = CASE WHEN p.plan_id = excluded.plan_id
                                     THEN p.created_at ELSE excluded.created_at END,
                   doc = excluded.doc
               WHERE p.tenant_id = excluded.tenant_id";
    let written = execute(
        tx,
        sql,
        &[
            &request,
            &tenant.as_str(),
            &said(&row.doc, "/plan_id"),
            &row.digest.to_string(),
            &micros(row.created_at),
            &row.doc.to_string(),
        ],
    )
    .await?;
    changed_one(written, || format!("plan of request {request}"))
}

/// Writes an event, which must be new.
pub(super) async fn write_event(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &EventRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "event")?;
    let sql = "INSERT INTO events (tenant_id, event_id, body, request_id, plan_id, created_at, event, plan)
               VALUES ($1, $2, $3, $4, $5, $6, $7::text::json, $8::text::json) ON CONFLICT DO NOTHING";
    let written = execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &row.event_id.as_str(),
            &row.body.to_string(),
            &row.request_id.map(|request| request.to_string()),
            &said(&row.plan, "/plan_id"),
            &micros(row.created_at),
            &row.event.to_string(),
            &row.plan.to_string(),
        ],
    )
    .await?;
    changed_one(written, || format!("event {}", row.event_id))
}

/// Adds an event that a request took, and the limits it was judged by where they are new.
pub(super) async fn write_run_event(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &RunEventRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "event of a request")?;
    let (request, policy) = (row.request_id.to_string(), row.policy.to_string());
    if let Some(doc) = &row.policy_doc {
        let sql = "INSERT INTO run_policies (digest, doc) VALUES ($1, $2::text::json)
                   ON CONFLICT DO NOTHING";
        execute(tx, sql, &[&policy, &doc.to_string()]).await?;
    }
    let sql = "INSERT INTO run_events (request_id, version, tenant_id, policy, doc)
               VALUES ($1, $2, $3, $4, $5::text::json) ON CONFLICT DO NOTHING";
    let written = execute(
        tx,
        sql,
        &[
            &request,
            &bigint(row.version),
            &tenant.as_str(),
            &policy,
            &row.doc.to_string(),
        ],
    )
    .await?;
    changed_one(written, || {
        format!("event {} of request {request}", row.version)
    })
}
