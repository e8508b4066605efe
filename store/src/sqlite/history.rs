//! The end of old history: requests that ended long ago with all their rows, and metrics that are thinned with age.
//! What goes by itself after a month is left to `forget.rs`. Audit records and ledger entries never go.

use chiffon_common::{RequestId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::columns::{micros, page, parsed};
use crate::Error;

/// Ended, and all that the ledger is to know of it is written. The batch of an entry is the last one that begins at or
/// before it: batches have no holes.
macro_rules! forgettable {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " r.tenant_id = ?1 AND r.ended = 1 AND NOT EXISTS (
                SELECT 1 FROM ledger_entries e WHERE e.request_id = r.request_id
                AND (SELECT CASE WHEN b.last_entry >= e.entry_no THEN b.commit_id END
                     FROM ledger_batches b
                     WHERE b.tenant_id = e.tenant_id AND b.first_entry <= e.entry_no
                     ORDER BY b.first_entry DESC LIMIT 1) IS NULL) ",
            $after
        )
    };
}

/// Parameters: tenant, the moment before which they ended, limit.
pub(super) const OLD: &str = forgettable!(
    "SELECT r.request_id FROM requests r INDEXED BY requests_ended_by_age WHERE r.updated_at < ?2 AND",
    "ORDER BY r.updated_at LIMIT ?3"
);

/// What belongs to a request, in an order that leaves nothing referring to what is gone.
const PARTS: [&str; 7] = [
    "DELETE FROM execution_logs WHERE request_id = ?1",
    "DELETE FROM decisions WHERE request_id = ?1",
    "DELETE FROM tasks WHERE request_id = ?1",
    "DELETE FROM plans WHERE request_id = ?1",
    "DELETE FROM events WHERE request_id = ?1",
    "DELETE FROM run_events WHERE request_id = ?1",
    "DELETE FROM requests WHERE request_id = ?1",
];

/// Requests that may be forgotten, those that ended first.
pub(super) fn old(
    conn: &Connection,
    tenant: &TenantId,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<RequestId>, Error> {
    let mut statement = conn.prepare_cached(OLD)?;
    let parameters = params![tenant.as_str(), micros(before), page(limit)];
    let rows = statement.query_map(parameters, |row| parsed(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Forgets a request, if it may be.
pub(super) fn forget(conn: &Connection, tenant: &TenantId, id: RequestId) -> Result<(), Error> {
    let request = id.to_string();
    let may = forgettable!("SELECT 1 FROM requests r WHERE", "AND r.request_id = ?2");
    let may = conn
        .prepare_cached(may)?
        .exists([tenant.as_str(), &request])?;
    if !may {
        return Err(Error::Conflict {
            what: format!("request {id}, which has not ended or is not recorded yet"),
        });
    }
    for sql in PARTS {
        conn.prepare_cached(sql)?.execute([&request])?;
    }
    Ok(())
}

/// Keeps the first report of each agent in every so many seconds between two moments; how many went.
pub(super) fn thin(
    conn: &Connection,
    from: Timestamp,
    to: Timestamp,
    step_seconds: u32,
) -> Result<u64, Error> {
    let sql = "DELETE FROM resource_metrics WHERE rowid IN (
                   SELECT m.rowid FROM resource_metrics m INDEXED BY resource_metrics_by_age
                   WHERE m.ts >= ?1 AND m.ts < ?2 AND EXISTS (
                       SELECT 1 FROM resource_metrics k INDEXED BY resource_metrics_of_agent
                       WHERE k.tenant_id = m.tenant_id AND k.agent_id = m.agent_id
                         AND k.ts BETWEEN m.ts - m.ts % ?3 AND m.ts
                         AND (k.ts, k.rowid) < (m.ts, m.rowid)))";
    let step = i64::from(step_seconds.max(1)) * 1_000_000;
    let gone = conn
        .prepare_cached(sql)?
        .execute(params![micros(from), micros(to), step])?;
    Ok(gone as u64)
}
