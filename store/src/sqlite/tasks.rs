//! Reading the table `tasks`: lists, those in a state, those of one request. Writing it is left to
//! `runs.rs`.

use chiffon_common::{RequestId, TaskId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{cursor, json, opt_parsed, page, parsed, time};
use crate::{Error, ListTasks, TaskRow};

macro_rules! select_tasks {
    ($($rest:expr),+) => {
        concat!(
            "SELECT task_id, tenant_id, request_id, state, ended, agent_id, attempt, version,
                    created_at, updated_at, doc FROM tasks ",
            $($rest),+
        )
    };
}

/// A page of the list, with its index named as for requests. Parameters: tenant, request, agent, state,
/// whether only open ones, cursor, limit.
macro_rules! page_of_tasks {
    ($index:literal, $where:literal) => {
        select_tasks!(
            "INDEXED BY ",
            $index,
            " WHERE tenant_id = ?1 AND ",
            $where,
            " AND (?2 IS NULL OR request_id = ?2) AND (?3 IS NULL OR agent_id = ?3)
              AND (?4 IS NULL OR state = ?4) AND (?5 = 0 OR ended = 0)
              AND (created_at, task_id) < (?6, ?7)
              ORDER BY created_at DESC, task_id DESC LIMIT ?8"
        )
    };
}

/// The statement for this choice of filters: the one that leaves the fewest rows names the index. A
/// request has few tasks, and few are open.
pub(super) fn page_of(list: &ListTasks) -> &'static str {
    match (&list.request_id, &list.state, &list.agent_id) {
        (Some(_), _, _) => page_of_tasks!("tasks_of_request", "request_id = ?2"),
        _ if list.open_only => page_of_tasks!("tasks_open", "ended = 0"),
        (None, Some(_), Some(_)) => {
            page_of_tasks!("tasks_of_agent_in", "agent_id = ?3 AND state = ?4")
        }
        (None, Some(_), None) => page_of_tasks!("tasks_of_tenant", "state = ?4"),
        (None, None, Some(_)) => page_of_tasks!("tasks_of_agent", "agent_id = ?3"),
        (None, None, None) => page_of_tasks!("tasks_newest", "true"),
    }
}

/// Tasks, newest first.
pub(super) fn list(
    conn: &Connection,
    tenant: &TenantId,
    list: &ListTasks,
) -> Result<Vec<TaskRow>, Error> {
    let request = list.request_id.map(|request| request.to_string());
    let agent = list.agent_id.as_ref().map(|agent| agent.as_str());
    let (time, id) = cursor(list.after.as_ref());
    let parameters = params![
        tenant.as_str(),
        request,
        agent,
        list.state,
        list.open_only,
        time,
        id,
        page(list.limit)
    ];
    let mut statement = conn.prepare_cached(page_of(list))?;
    let rows = statement.query_map(parameters, task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tasks in one of these states, oldest first.
pub(super) fn in_states(
    conn: &Connection,
    states: &str,
    limit: u32,
) -> Result<Vec<TaskRow>, Error> {
    let sql = select_tasks!(
        "WHERE state IN (SELECT value FROM json_each(?1)) ORDER BY created_at, task_id LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![states, limit], task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tasks of one request, oldest first.
pub(super) fn of_request(conn: &Connection, request: &str) -> Result<Vec<TaskRow>, Error> {
    let sql = select_tasks!("WHERE request_id = ?1 ORDER BY created_at, task_id");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([request], task)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The request of a task.
pub(super) fn request_of(
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
