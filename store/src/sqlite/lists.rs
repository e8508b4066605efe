//! Reading the tables of a request: one run as a whole, lists of requests, events. Its tasks, decisions
//! and plans are left to their files, writing all of them to `runs.rs`.

use chiffon_common::{EventId, PlanId, RequestId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    columns::{cursor, json, opt_parsed, page, parsed, text_list, time},
    decisions, freezes, leases, plans, tasks, timers,
};
use crate::{Error, EventRow, ListRequests, RequestRow, RunRows};

macro_rules! select_requests {
    ($rest:literal) => {
        concat!(
            "SELECT request_id, tenant_id, project_id, room_id, state, ended, version, created_at,
                    updated_at, doc FROM requests ",
            $rest
        )
    };
}

/// A page of the list. The index is named, so that the filters that do not help are checked row by row
/// and never mislead SQLite. Parameters: tenant, project, state, whether only open ones, cursor, limit, room.
macro_rules! page_of_requests {
    ($index:literal, $where:literal) => {
        concat!(
            "SELECT request_id, tenant_id, project_id, room_id, state, ended, version, created_at,
                    updated_at, doc FROM requests INDEXED BY ",
            $index,
            " WHERE tenant_id = ?1 AND ",
            $where,
            " AND (?2 IS NULL OR project_id = ?2) AND (?3 IS NULL OR state = ?3)
              AND (?4 = 0 OR ended = 0) AND (?8 IS NULL OR room_id = ?8)
              AND (created_at, request_id) < (?5, ?6)
              ORDER BY created_at DESC, request_id DESC LIMIT ?7"
        )
    };
}

/// The statement for this choice of filters.
pub(super) fn page_of(list: &ListRequests) -> &'static str {
    match (&list.state, &list.room_id, &list.project_id) {
        (Some(_), Some(_), _) => {
            page_of_requests!("requests_of_room_in", "room_id = ?8 AND state = ?3")
        }
        (Some(_), None, Some(_)) => {
            page_of_requests!("requests_of_project_in", "project_id = ?2 AND state = ?3")
        }
        (Some(_), None, None) => page_of_requests!("requests_by_state", "state = ?3"),
        _ if list.open_only => page_of_requests!("requests_open", "ended = 0"),
        (None, Some(_), _) => page_of_requests!("requests_by_room", "room_id = ?8"),
        (None, None, Some(_)) => page_of_requests!("requests_by_project", "project_id = ?2"),
        (None, None, None) => page_of_requests!("requests_newest", "true"),
    }
}

/// Requests, newest first.
pub(super) fn requests(
    conn: &Connection,
    tenant: &TenantId,
    list: &ListRequests,
) -> Result<Vec<RequestRow>, Error> {
    let project = list.project_id.as_ref().map(|project| project.as_str());
    let room = list.room_id.as_ref().map(|room| room.as_str());
    let (time, id) = cursor(list.after.as_ref());
    let parameters = params![
        tenant.as_str(),
        project,
        list.state,
        list.open_only,
        time,
        id,
        page(list.limit),
        room
    ];
    let mut statement = conn.prepare_cached(page_of(list))?;
    let rows = statement.query_map(parameters, request)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Requests that take this one back, newest first; 100 at most.
pub(super) fn undos_of(
    conn: &Connection,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Vec<RequestRow>, Error> {
    let sql = select_requests!(
        "INDEXED BY requests_undoing WHERE tenant_id = ?1 AND doc ->> '$.undo_of.request' = ?2
         ORDER BY created_at DESC, request_id DESC LIMIT 100"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let parameters = params![tenant.as_str(), request.to_string()];
    let rows = statement.query_map(parameters, self::request)?;
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

/// The states as one parameter of [`tasks::in_states`] and [`requests_in`].
pub(super) fn states(states: &[&str]) -> Result<String, Error> {
    text_list(states)
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
    Ok(Some(RunRows {
        request,
        plan: plans::of_request(conn, &key)?,
        tasks: tasks::of_request(conn, &key)?,
        decisions: decisions::of_request(conn, &key)?,
        timers: timers::of_slice(conn, tenant, &format!("request:{id}"))?,
        leases: leases::of_request(conn, tenant, id)?,
        freeze: freezes::one(conn, tenant)?,
    }))
}

const EVENTS: &str =
    "SELECT tenant_id, event_id, body, request_id, created_at, event, plan FROM events";

/// One stored event.
pub(super) fn event(
    conn: &Connection,
    tenant: &TenantId,
    event: &EventId,
) -> Result<Option<EventRow>, Error> {
    let sql = format!("{EVENTS} WHERE tenant_id = ?1 AND event_id = ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_row([tenant.as_str(), event.as_str()], event_row);
    Ok(found.optional()?)
}

/// The event whose stored plan has this id.
pub(super) fn event_of_plan(
    conn: &Connection,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<EventRow>, Error> {
    let sql = format!("{EVENTS} WHERE tenant_id = ?1 AND plan ->> '$.plan_id' = ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_row([tenant.as_str(), &plan.to_string()], event_row);
    Ok(found.optional()?)
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
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
