//! Reading the tables of a request: one run as a whole, lists of requests, tasks by state, events.
//! Writing them is left to `runs.rs`.

use chiffon_common::{EventId, RequestId, TaskId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{json, micros, opt_parsed, parsed, text_list, time},
    leases, timers,
};
use crate::{DecisionRow, Error, EventRow, ListRequests, PlanRow, RequestRow, RunRows, TaskRow};

/// The largest page.
const PAGE: u32 = 500;

macro_rules! select_requests {
    ($rest:literal) => {
        concat!(
            "SELECT request_id, tenant_id, project_id, room_id, state, ended, version, created_at,
                    updated_at, doc FROM requests ",
            $rest
        )
    };
}

macro_rules! select_tasks {
    ($rest:literal) => {
        concat!(
            "SELECT task_id, tenant_id, request_id, state, ended, agent_id, attempt, version,
                    created_at, updated_at, doc FROM tasks ",
            $rest
        )
    };
}

/// A page of the list. The index is named, so that the filters that do not help are checked row by row
/// and never mislead SQLite. Parameters: tenant, project, state, whether only open ones, cursor, limit.
macro_rules! page_of_requests {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT request_id, tenant_id, project_id, room_id, state, ended, version, created_at,
                    updated_at, doc FROM requests INDEXED BY ",
            $index,
            " WHERE tenant_id = ?1 AND ",
            $where,
            " AND (?2 IS NULL OR project_id = ?2) AND (?3 IS NULL OR state = ?3)
              AND (?4 = 0 OR ended = 0) AND (created_at, request_id) < (?5, ?6)
              ORDER BY created_at DESC, request_id DESC LIMIT ?7"
        )
    };
}

/// Requests, newest first.
pub(super) fn requests(
    conn: &Connection,
    tenant: &TenantId,
    list: &ListRequests,
) -> Result<Vec<RequestRow>, Error> {
    let sql = match (&list.state, &list.project_id, list.open_only) {
        (Some(_), _, _) => page_of_requests!("requests_by_state", "state = ?3"),
        (None, _, true) => page_of_requests!("requests_open", "ended = 0"),
        (None, Some(_), false) => page_of_requests!("requests_by_project", "project_id = ?2"),
        (None, None, false) => page_of_requests!("requests_newest", "true"),
    };
    let project = list.project_id.as_ref().map(|project| project.as_str());
    let (time, id) = match &list.after {
        Some((time, id)) => (micros(*time), id.to_string()),
        None => (i64::MAX, String::new()),
    };
    let limit = list.limit.clamp(1, PAGE);
    let parameters = params![
        tenant.as_str(),
        project,
        list.state,
        list.open_only,
        time,
        id,
        limit
    ];
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, request)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Requests in one of these states, oldest first.
pub(super) fn requests_in(
    conn: &Connection,
    states: &str,
    limit: u32,
) -> Result<Vec<RequestRow>, Error> {
    let sql = select_requests!(
        "WHERE state IN (SELECT value FROM json_each(?1)) ORDER BY created_at, request_id LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![states, limit], request)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tasks in one of these states, oldest first.
pub(super) fn tasks_in(conn: &Connection, states: &str, limit: u32) -> Result<Vec<TaskRow>, Error> {
    let sql = select_tasks!(
        "WHERE state IN (SELECT value FROM json_each(?1)) ORDER BY created_at, task_id LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![states, limit], task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The states as one parameter of [`tasks_in`] and [`requests_in`].
pub(super) fn states(states: &[&str]) -> Result<String, Error> {
    text_list(states)
}

/// The request of a task.
pub(super) fn request_of_task(
    conn: &Connection,
    task: TaskId,
) -> Result<Option<(TenantId, RequestId)>, Error> {
    let sql = "SELECT tenant_id, request_id FROM tasks WHERE task_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([task.to_string()], |row| {
        Ok((parsed(row, 0)?, parsed(row, 1)?))
    });
    Ok(found.optional()?)
}

/// Everything of one request. The caller holds a read transaction.
pub(super) fn run(
    conn: &Connection,
    tenant: &TenantId,
    id: RequestId,
) -> Result<Option<RunRows>, Error> {
    let key = id.to_string();
    let sql = select_requests!("WHERE request_id = ?1 AND tenant_id = ?2");
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row(params![key, tenant.as_str()], request);
    let Some(request) = found.optional()? else {
        return Ok(None);
    };
    let sql =
        "SELECT tenant_id, request_id, digest, created_at, doc FROM plans WHERE request_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let plan = statement.query_row([&key], plan).optional()?;
    let sql = select_tasks!("WHERE request_id = ?1 ORDER BY created_at, task_id");
    let mut statement = conn.prepare_cached(sql)?;
    let tasks = statement.query_map([&key], task)?;
    let tasks = tasks.collect::<Result<_, _>>()?;
    let sql = "SELECT decision_id, tenant_id, request_id, state, version, created_at, deadline, doc
               FROM decisions WHERE request_id = ?1 ORDER BY created_at, decision_id";
    let mut statement = conn.prepare_cached(sql)?;
    let decisions = statement.query_map([&key], decision)?;
    let decisions = decisions.collect::<Result<_, _>>()?;
    Ok(Some(RunRows {
        request,
        plan,
        tasks,
        decisions,
        timers: timers::of_slice(conn, tenant, &format!("request:{id}"))?,
        leases: leases::of_request(conn, tenant, id)?,
    }))
}

/// One stored event.
pub(super) fn event(
    conn: &Connection,
    tenant: &TenantId,
    event: &EventId,
) -> Result<Option<EventRow>, Error> {
    let sql = "SELECT tenant_id, event_id, body, request_id, created_at, event, plan FROM events
               WHERE tenant_id = ?1 AND event_id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.as_str(), event.as_str()], |row| {
        Ok(EventRow {
            tenant_id: parsed(row, 0)?,
            event_id: parsed(row, 1)?,
            body: parsed(row, 2)?,
            request_id: opt_parsed(row, 3)?,
            created_at: time(row, 4)?,
            event: json(row, 5)?,
            plan: json(row, 6)?,
        })
    });
    Ok(found.optional()?)
}

fn request(row: &Row<'_>) -> rusqlite::Result<RequestRow> {
    Ok(RequestRow {
        request_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        project_id: parsed(row, 2)?,
        room_id: parsed(row, 3)?,
        state: row.get(4)?,
        ended: row.get(5)?,
        version: row.get(6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        doc: json(row, 9)?,
    })
}

fn plan(row: &Row<'_>) -> rusqlite::Result<PlanRow> {
    Ok(PlanRow {
        tenant_id: parsed(row, 0)?,
        request_id: parsed(row, 1)?,
        digest: parsed(row, 2)?,
        created_at: time(row, 3)?,
        doc: json(row, 4)?,
    })
}

fn task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        task_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        request_id: parsed(row, 2)?,
        state: row.get(3)?,
        ended: row.get(4)?,
        agent_id: opt_parsed(row, 5)?,
        attempt: row.get(6)?,
        version: row.get(7)?,
        created_at: time(row, 8)?,
        updated_at: time(row, 9)?,
        doc: json(row, 10)?,
    })
}

fn decision(row: &Row<'_>) -> rusqlite::Result<DecisionRow> {
    Ok(DecisionRow {
        decision_id: row.get(0)?,
        tenant_id: parsed(row, 1)?,
        request_id: parsed(row, 2)?,
        state: row.get(3)?,
        version: row.get(4)?,
        created_at: time(row, 5)?,
        deadline: time(row, 6)?,
        doc: json(row, 7)?,
    })
}
