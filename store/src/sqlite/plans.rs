//! Reading the table `plans`: lists, the plan of a request, and the request of a plan. Writing it is left
//! to `runs.rs`.

use chiffon_common::{PlanId, RequestId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{cursor, json, page, parsed, time};
use crate::{Error, PlanRow};

/// Parameters: tenant, cursor, limit. The index is named as for requests.
pub(super) const PAGE_OF: &str =
    "SELECT tenant_id, request_id, digest, created_at, doc FROM plans INDEXED BY plans_newest
     WHERE tenant_id = ?1 AND (created_at, request_id) < (?2, ?3)
     ORDER BY created_at DESC, request_id DESC LIMIT ?4";

/// The id stands in the document only; the index is over the very same words.
pub(super) const REQUEST_OF: &str = "SELECT request_id FROM plans INDEXED BY plans_by_id
     WHERE tenant_id = ?1 AND doc ->> '$.plan_id' = ?2 LIMIT 1";

/// Plans, newest first.
pub(super) fn list(
    conn: &Connection,
    tenant: &TenantId,
    after: Option<&(Timestamp, RequestId)>,
    limit: u32,
) -> Result<Vec<PlanRow>, Error> {
    let (time, id) = cursor(after);
    let mut statement = conn.prepare_cached(PAGE_OF)?;
    let rows = statement.query_map(params![tenant.as_str(), time, id, page(limit)], plan)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The plan of one request.
pub(super) fn of_request(conn: &Connection, request: &str) -> Result<Option<PlanRow>, Error> {
    let sql =
        "SELECT tenant_id, request_id, digest, created_at, doc FROM plans WHERE request_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([request], plan).optional()?)
}

/// The request that has this plan now.
pub(super) fn request_of(
    conn: &Connection,
    tenant: &TenantId,
    plan: PlanId,
) -> Result<Option<RequestId>, Error> {
    let mut statement = conn.prepare_cached(REQUEST_OF)?;
    let found = statement.query_row(params![tenant.as_str(), plan.to_string()], |row| {
        parsed(row, 0)
    });
    Ok(found.optional()?)
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
