//! Reading the tables of a request: one run as a whole, lists of requests, tasks, decisions and plans, events. Writing them
//! is left to `runs.rs`.

use chiffon_common::{Digest, EventId, PlanId, RequestId, TaskId, TenantId};
use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    columns::{Select, json, micros, number, opt_parsed, page, parsed, row, rows, small, time},
    leases, timers, world,
};
use crate::{
    DecisionRow, Error, EventRow, ListDecisions, ListRequests, ListTasks, PlanRow, RequestRow,
    RunEventRow, RunRows, TaskRow,
};

const REQUESTS: &str =
    "SELECT request_id, tenant_id, project_id, room_id, state, ended, version, created_at,
            updated_at, doc::text FROM requests";
const TASKS: &str =
    "SELECT task_id, tenant_id, request_id, state, ended, agent_id, attempt, version,
            created_at, updated_at, doc::text FROM tasks";
const DECISIONS: &str =
    "SELECT decision_id, tenant_id, request_id, state, version, created_at, deadline, doc::text
     FROM decisions";
const PLANS: &str = "SELECT tenant_id, request_id, digest, created_at, doc::text FROM plans";
const EVENTS: &str =
    "SELECT tenant_id, event_id, body, request_id, created_at, event::text, plan::text FROM events";

/// Where a list that runs newest first goes on.
pub(super) fn cursor<T: ToString>(after: Option<&(Timestamp, T)>) -> Option<(i64, String)> {
    after.map(|(time, id)| (micros(*time), id.to_string()))
}

/// Requests, newest first.
pub(super) async fn requests<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    list: &ListRequests,
) -> Result<Vec<RequestRow>, Error> {
    let tenant = tenant.as_str();
    let project = list.project_id.as_ref().map(|project| project.as_str());
    let room = list.room_id.as_ref().map(|room| room.as_str());
    let (after, limit) = (cursor(list.after.as_ref()), page(list.limit));
    let mut select = Select::new(&format!("{REQUESTS} WHERE tenant_id = $1"), &[&tenant]);
    select.with_some(" AND project_id = $", project.as_ref());
    select.with_some(" AND room_id = $", room.as_ref());
    select.with_some(" AND state = $", list.state.as_ref());
    if list.open_only {
        select.with(" AND NOT ended", &[]);
    }
    if let Some((time, id)) = &after {
        select.with(" AND (created_at, request_id) < ($, $)", &[time, id]);
    }
    select.with(
        " ORDER BY created_at DESC, request_id DESC LIMIT $",
        &[&limit],
    );
    select.rows(client, request).await
}

/// Requests that take this one back, newest first; 100 at most.
pub(super) async fn undos_of<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    undone: RequestId,
) -> Result<Vec<RequestRow>, Error> {
    let sql = format!(
        "{REQUESTS} WHERE tenant_id = $1 AND undo_of = $2
         ORDER BY created_at DESC, request_id DESC LIMIT 100"
    );
    rows(
        client,
        &sql,
        &[&tenant.as_str(), &undone.to_string()],
        request,
    )
    .await
}

/// Requests in one of these states, oldest first.
pub(super) async fn requests_in<C: GenericClient>(
    client: &C,
    states: &[&str],
    limit: u32,
) -> Result<Vec<RequestRow>, Error> {
    let sql = format!("{REQUESTS} WHERE state = ANY($1) ORDER BY created_at, request_id LIMIT $2");
    rows(client, &sql, &[&states, &i64::from(limit)], request).await
}

/// Everything of one request. The caller holds one point in time.
pub(super) async fn run<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    id: RequestId,
) -> Result<Option<RunRows>, Error> {
    let key = id.to_string();
    let sql = format!("{REQUESTS} WHERE request_id = $1 AND tenant_id = $2");
    let found = row(client, &sql, &[&key, &tenant.as_str()], request).await?;
    let Some(request) = found else {
        return Ok(None);
    };
    let plans = format!("{PLANS} WHERE request_id = $1");
    let tasks = format!("{TASKS} WHERE request_id = $1 ORDER BY created_at, task_id");
    let decisions = format!("{DECISIONS} WHERE request_id = $1 ORDER BY created_at, decision_id");
    Ok(Some(RunRows {
        request,
        plan: row(client, &plans, &[&key], plan).await?,
        tasks: rows(client, &tasks, &[&key], task).await?,
        decisions: rows(client, &decisions, &[&key], decision).await?,
        timers: timers::of_slice(client, tenant, &format!("request:{id}")).await?,
        leases: leases::of_request(client, tenant, id).await?,
        freeze: world::freeze(client, tenant).await?,
    }))
}

/// Tasks, newest first.
pub(super) async fn tasks<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    list: &ListTasks,
) -> Result<Vec<TaskRow>, Error> {
    let tenant = tenant.as_str();
    let request = list.request_id.map(|request| request.to_string());
    let agent = list.agent_id.as_ref().map(|agent| agent.as_str());
    let (after, limit) = (cursor(list.after.as_ref()), page(list.limit));
    let mut select = Select::new(&format!("{TASKS} WHERE tenant_id = $1"), &[&tenant]);
    select.with_some(" AND request_id = $", request.as_ref());
    select.with_some(" AND agent_id = $", agent.as_ref());
    select.with_some(" AND state = $", list.state.as_ref());
    if list.open_only {
        select.with(" AND NOT ended", &[]);
    }
    if let Some((time, id)) = &after {
        select.with(" AND (created_at, task_id) < ($, $)", &[time, id]);
    }
    select.with(" ORDER BY created_at DESC, task_id DESC LIMIT $", &[&limit]);
    select.rows(client, task).await
}

/// Tasks in one of these states, oldest first.
pub(super) async fn tasks_in<C: GenericClient>(
    client: &C,
    states: &[&str],
    limit: u32,
) -> Result<Vec<TaskRow>, Error> {
    let sql = format!("{TASKS} WHERE state = ANY($1) ORDER BY created_at, task_id LIMIT $2");
    rows(client, &sql, &[&states, &i64::from(limit)], task).await
}

/// The request of a task.
pub(super) async fn request_of_task<C: GenericClient>(
    client: &C,
    task: TaskId,
) -> Result<Option<(TenantId, RequestId)>, Error> {
    let sql = "SELECT tenant_id, request_id FROM tasks WHERE task_id = $1";
    let read = |row: &Row| Ok((parsed(row, 0)?, parsed(row, 1)?));
    row(client, sql, &[&task.to_string()], read).await
}

/// Decisions, newest first.
pub(super) async fn decisions<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    list: &ListDecisions,
) -> Result<Vec<DecisionRow>, Error> {
    let tenant = tenant.as_str();
    let request = list.request_id.map(|request| request.to_string());
    let project = list.project_id.as_ref().map(|project| project.as_str());
    let (after, limit) = (cursor(list.after.as_ref()), page(list.limit));
    let mut select = Select::new(&format!("{DECISIONS} WHERE tenant_id = $1"), &[&tenant]);
    select.with_some(" AND request_id = $", request.as_ref());
    select.with_some(" AND state = $", list.state.as_ref());
    select.with_some(
        " AND EXISTS (SELECT 1 FROM requests r WHERE r.request_id = decisions.request_id AND r.project_id = $)",
        project.as_ref(),
    );
    if let Some((time, id)) = &after {
        select.with(" AND (created_at, decision_id) < ($, $)", &[time, id]);
    }
    select.with(
        " ORDER BY created_at DESC, decision_id DESC LIMIT $",
        &[&limit],
    );
    select.rows(client, decision).await
}

/// The request of a decision.
pub(super) async fn request_of_decision<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    decision: &str,
) -> Result<Option<RequestId>, Error> {
    let sql = "SELECT request_id FROM decisions WHERE decision_id = $1 AND tenant_id = $2";
    row(client, sql, &[&decision, &tenant.as_str()], |row| {
        parsed(row, 0)
    })
    .await
}

/// Plans, newest first.
pub(super) async fn plans<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    after: Option<&(Timestamp, RequestId)>,
    limit: u32,
) -> Result<Vec<PlanRow>, Error> {
    let tenant = tenant.as_str();
    let (after, limit) = (cursor(after), page(limit));
    let mut select = Select::new(&format!("{PLANS} WHERE tenant_id = $1"), &[&tenant]);
    if let Some((time, id)) = &after {
        select.with(" AND (created_at, request_id) < ($, $)", &[time, id]);
    }
    select.with(
        " ORDER BY created_at DESC, request_id DESC LIMIT $",
        &[&limit],
    );
    select.rows(client, plan).await
}

/// The request that has this plan now.
pub(super) async fn request_of_plan<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<RequestId>, Error> {
    let sql = "SELECT request_id FROM plans WHERE tenant_id = $1 AND plan_id = $2 LIMIT 1";
    row(client, sql, &[&tenant.as_str(), &plan.to_string()], |row| {
        parsed(row, 0)
    })
    .await
}

/// One stored event.
pub(super) async fn event<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    event: &EventId,
) -> Result<Option<EventRow>, Error> {
    let sql = format!("{EVENTS} WHERE tenant_id = $1 AND event_id = $2");
    row(
        client,
        &sql,
        &[&tenant.as_str(), &event.as_str()],
        event_row,
    )
    .await
}

/// The event whose stored plan has this id.
pub(super) async fn event_of_plan<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<EventRow>, Error> {
    let sql = format!("{EVENTS} WHERE tenant_id = $1 AND plan_id = $2 LIMIT 1");
    row(
        client,
        &sql,
        &[&tenant.as_str(), &plan.to_string()],
        event_row,
    )
    .await
}

/// The events that a request took, in their order.
pub(super) async fn run_events<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Vec<RunEventRow>, Error> {
    let sql = "SELECT request_id, version, tenant_id, policy, doc::text FROM run_events
               WHERE request_id = $1 AND tenant_id = $2 ORDER BY version";
    rows(
        client,
        sql,
        &[&request.to_string(), &tenant.as_str()],
        |row| {
            Ok(RunEventRow {
                request_id: parsed(row, 0)?,
                version: number(row, 1)?,
                tenant_id: parsed(row, 2)?,
                policy: parsed(row, 3)?,
                policy_doc: None,
                doc: json(row, 4)?,
            })
        },
    )
    .await
}

/// The limits of this digest.
pub(super) async fn run_policy<C: GenericClient>(
    client: &C,
    digest: Digest,
) -> Result<Option<serde_json::Value>, Error> {
    let sql = "SELECT doc::text FROM run_policies WHERE digest = $1";
    row(client, sql, &[&digest.to_string()], |row| json(row, 0)).await
}

fn event_row(row: &Row) -> Result<EventRow, Error> {
    Ok(EventRow {
        tenant_id: parsed(row, 0)?,
        event_id: parsed(row, 1)?,
        body: parsed(row, 2)?,
        request_id: opt_parsed(row, 3)?,
        created_at: time(row, 4)?,
        event: json(row, 5)?,
        plan: json(row, 6)?,
    })
}

fn request(row: &Row) -> Result<RequestRow, Error> {
    Ok(RequestRow {
        request_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        project_id: parsed(row, 2)?,
        room_id: parsed(row, 3)?,
        state: row.try_get(4)?,
        ended: row.try_get(5)?,
        version: number(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        doc: json(row, 9)?,
    })
}

fn task(row: &Row) -> Result<TaskRow, Error> {
    Ok(TaskRow {
        task_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        request_id: parsed(row, 2)?,
        state: row.try_get(3)?,
        ended: row.try_get(4)?,
        agent_id: opt_parsed(row, 5)?,
        attempt: small(row, 6)?,
        version: number(row, 7)?,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        doc: json(row, 10)?,
    })
}

fn decision(row: &Row) -> Result<DecisionRow, Error> {
    Ok(DecisionRow {
        decision_id: row.try_get(0)?,
        tenant_id: parsed(row, 1)?,
        request_id: parsed(row, 2)?,
        state: row.try_get(3)?,
        version: number(row, 4)?,
        created_at: time(row, 5)?,
        deadline: time(row, 6)?,
        doc: json(row, 7)?,
    })
}

fn plan(row: &Row) -> Result<PlanRow, Error> {
    Ok(PlanRow {
        tenant_id: parsed(row, 0)?,
        request_id: parsed(row, 1)?,
        digest: parsed(row, 2)?,
        created_at: time(row, 3)?,
        doc: json(row, 4)?,
    })
}
