//! Tables `run_events` and `run_policies`: what was said to each request, for telling it again.

use chiffon_common::{Digest, RequestId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{changed_one, json, owned, parsed};
use crate::{Error, RunEventRow};

/// Adds an event, and the limits it was judged by where they are new.
pub(super) fn write(conn: &Connection, tenant: &TenantId, row: &RunEventRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "event of a request")?;
    let policy = row.policy.to_string();
    if let Some(doc) = &row.policy_doc {
        let sql = "INSERT INTO run_policies (digest, doc) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        conn.prepare_cached(sql)?
            .execute(params![policy, doc.to_string()])?;
    }
    let sql = "INSERT INTO run_events (request_id, version, tenant_id, policy, doc)
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let request = row.request_id.to_string();
    let written = conn.prepare_cached(sql)?.execute(params![
        request,
        row.version,
        tenant.as_str(),
        policy,
        row.doc.to_string()
    ])?;
    changed_one(written, || {
        format!("event {} of request {request}", row.version)
    })
}

/// The events of a request in their order.
pub(super) fn of_request(
    conn: &Connection,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Vec<RunEventRow>, Error> {
    let sql = "SELECT request_id, version, tenant_id, policy, doc FROM run_events
               WHERE request_id = ?1 AND tenant_id = ?2 ORDER BY version";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([request.to_string(), tenant.to_string()], event)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The limits of this digest.
pub(super) fn policy(
    conn: &Connection,
    digest: Digest,
) -> Result<Option<serde_json::Value>, Error> {
    let sql = "SELECT doc FROM run_policies WHERE digest = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([digest.to_string()], |row| json(row, 0));
    Ok(found.optional()?)
}

fn event(row: &Row<'_>) -> rusqlite::Result<RunEventRow> {
    Ok(RunEventRow {
        request_id: parsed(row, 0)?,
        version: row.get(1)?,
        tenant_id: parsed(row, 2)?,
        policy: parsed(row, 3)?,
        policy_doc: None,
        doc: json(row, 4)?,
    })
}
