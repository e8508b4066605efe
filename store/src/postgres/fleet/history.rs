//! The end of old history: requests that ended long ago with all their rows, metrics that are thinned with age, and what
//! goes by itself after a while. Whole days that are old are left to `partitions.rs`. Audit records and ledger entries
//! never go.

use chiffon_common::{RequestId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;

use super::columns::{execute, micros, page, parsed, row, rows};
use crate::Error;

/// Most rows of a kind in one go; between two goes others may write.
pub(super) const CHUNK: u64 = 2000;

/// Ended, and all that the ledger is to know of it is written. The batch of an entry is the last one that begins at or
/// before it: batches have no holes.
const FORGETTABLE: &str = "r.tenant_id = $1 AND r.ended AND NOT EXISTS (
        SELECT 1 FROM ledger_entries e WHERE e.request_id = r.request_id
        AND (SELECT CASE WHEN b.last_entry >= e.entry_no THEN b.commit_id END
             FROM ledger_batches b
             WHERE b.tenant_id = e.tenant_id AND b.first_entry <= e.entry_no
             ORDER BY b.first_entry DESC LIMIT 1) IS NULL)";

/// What belongs to a request, in an order that leaves nothing referring to what is gone.
const PARTS: [&str; 7] = [
    "DELETE FROM execution_logs WHERE request_id = $1",
    "DELETE FROM decisions WHERE request_id = $1",
    "DELETE FROM tasks WHERE request_id = $1",
    "DELETE FROM plans WHERE request_id = $1",
    "DELETE FROM events WHERE request_id = $1",
    "DELETE FROM run_events WHERE request_id = $1",
    "DELETE FROM requests WHERE request_id = $1",
];

/// What goes with age. A sent row carries no time of its own; the end of its claim is a little later than its sending. What
/// another orchestrator is at is left to it.
const KINDS: [&str; 5] = [
    "DELETE FROM outbox WHERE seq IN (
         SELECT seq FROM outbox WHERE state <> 'pending' AND coalesce(claimed_until, not_after) < $1
         LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM inbox WHERE (tenant_id, consumer, message_id) IN (
         SELECT tenant_id, consumer, message_id FROM inbox WHERE handled_at < $1
         LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (
         SELECT tenant_id, key FROM idempotency_keys WHERE created_at < $1
         LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM resource_metrics WHERE ts < $1 AND id IN (
         SELECT id FROM resource_metrics WHERE ts < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM execution_logs WHERE ts < $1 AND (request_id, id) IN (
         SELECT l.request_id, l.id FROM execution_logs l JOIN requests r ON r.request_id = l.request_id
         WHERE l.ts < $1 AND r.ended LIMIT $2 FOR UPDATE OF l SKIP LOCKED)",
];

/// Requests that may be forgotten, those that ended first.
pub(super) async fn forgettable<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<RequestId>, Error> {
    let sql = format!(
        "SELECT r.request_id FROM requests r WHERE r.updated_at < $2 AND {FORGETTABLE}
         ORDER BY r.updated_at LIMIT $3"
    );
    let (before, limit) = (micros(before), page(limit));
    rows(client, &sql, &[&tenant.as_str(), &before, &limit], |row| {
        parsed(row, 0)
    })
    .await
}

/// Forgets a request, if it may be.
pub(super) async fn forget_request(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    id: RequestId,
) -> Result<(), Error> {
    let request = id.to_string();
    let may = format!("SELECT 1 FROM requests r WHERE r.request_id = $2 AND {FORGETTABLE}");
    let may = row(tx, &may, &[&tenant.as_str(), &request], |_| Ok(())).await?;
    if may.is_none() {
        return Err(Error::Conflict {
            what: format!("request {id}, which has not ended or is not recorded yet"),
        });
    }
    for sql in PARTS {
        execute(tx, sql, &[&request]).await?;
    }
    Ok(())
}

/// Forgets up to [`CHUNK`] rows of each kind; how many, and whether there may be more.
pub(super) async fn forget<C: GenericClient>(
    client: &C,
    before: Timestamp,
) -> Result<(u64, bool), Error> {
    let (mut gone, mut is_more) = (0, false);
    for sql in KINDS {
        let chunk = i64::try_from(CHUNK).unwrap_or(i64::MAX);
        let some = execute(client, sql, &[&micros(before), &chunk]).await?;
        gone += some;
        is_more |= some >= CHUNK;
    }
    Ok((gone, is_more))
}

/// Keeps the first report of each agent in every so many seconds between two moments; how many went.
pub(super) async fn thin<C: GenericClient>(
    client: &C,
    from: Timestamp,
    to: Timestamp,
    step_seconds: u32,
) -> Result<u64, Error> {
    let sql = "DELETE FROM resource_metrics m WHERE m.ts >= $1 AND m.ts < $2 AND EXISTS (
                   SELECT 1 FROM resource_metrics k
                   WHERE k.tenant_id = m.tenant_id AND k.agent_id = m.agent_id
                     AND k.ts BETWEEN m.ts - m.ts % $3 AND m.ts AND (k.ts, k.id) < (m.ts, m.id))";
    let step = i64::from(step_seconds.max(1)) * 1_000_000;
    execute(client, sql, &[&micros(from), &micros(to), &step]).await
}
