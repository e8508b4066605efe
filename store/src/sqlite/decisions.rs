//! Reading the table `decisions`: lists, and those of one request. Writing it is left to `runs.rs`.

use chiffon_common::{ProjectId, RequestId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{cursor, json, page, parsed, time};
use crate::{DecisionRow, Error, ListDecisions};

macro_rules! select_decisions {
    ($($rest:expr),+) => {
        concat!(
            "SELECT decision_id, tenant_id, request_id, state, version, created_at, deadline, doc
             FROM decisions ",
            $($rest),+
        )
    };
}

/// A page of the list, with its index named as for requests. Parameters: tenant, request, state, cursor,
/// limit, project.
macro_rules! page_of_decisions {
    ($index:literal, $where:literal) => {
        select_decisions!(
            "INDEXED BY ",
            $index,
            " WHERE tenant_id = ?1 AND ",
            $where,
            " AND (?2 IS NULL OR request_id = ?2) AND (?3 IS NULL OR state = ?3)
              AND (created_at, decision_id) < (?4, ?5)
              AND (?7 IS NULL OR EXISTS (SELECT 1 FROM requests
                   WHERE requests.request_id = decisions.request_id AND requests.project_id = ?7))
              ORDER BY created_at DESC, decision_id DESC LIMIT ?6"
        )
    };
}

/// The statement for this choice of filters.
pub(super) fn page_of(list: &ListDecisions) -> &'static str {
    match (&list.request_id, &list.state) {
        (Some(_), _) => page_of_decisions!("decisions_of_request", "request_id = ?2"),
        (None, Some(_)) => page_of_decisions!("decisions_by_state", "state = ?3"),
        (None, None) => page_of_decisions!("decisions_newest", "true"),
    }
}

/// Decisions, newest first.
pub(super) fn list(
    conn: &Connection,
    tenant: &TenantId,
    list: &ListDecisions,
) -> Result<Vec<DecisionRow>, Error> {
    let request = list.request_id.map(|request| request.to_string());
    let (time, id) = cursor(list.after.as_ref());
    let parameters = params![
        tenant.as_str(),
        request,
        list.state,
        time,
        id,
        page(list.limit),
        list.project_id.as_ref().map(ProjectId::as_str)
    ];
    let mut statement = conn.prepare_cached(page_of(list))?;
    let rows = statement.query_map(parameters, decision)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Decisions of one request, oldest first.
pub(super) fn of_request(conn: &Connection, request: &str) -> Result<Vec<DecisionRow>, Error> {
    let sql = select_decisions!("WHERE request_id = ?1 ORDER BY created_at, decision_id");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([request], decision)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The request of a decision.
pub(super) fn request_of(
    conn: &Connection,
    tenant: &TenantId,
    decision: &str,
) -> Result<Option<RequestId>, Error> {
    let sql = "SELECT request_id FROM decisions WHERE decision_id = ?1 AND tenant_id = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([decision, tenant.as_str()], |row| parsed(row, 0));
    Ok(found.optional()?)
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
