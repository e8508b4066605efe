//! Retention: what may go after a while. Audit records and what the engine still needs never do.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::columns::micros;
use crate::Error;

/// Most rows in one go; between two goes others may write.
pub(super) const CHUNK: u64 = 2000;

/// A sent row carries no time of its own; the end of its claim is a little later than its sending.
const KINDS: [&str; 5] = [
    "DELETE FROM outbox WHERE seq IN (
         SELECT seq FROM outbox INDEXED BY outbox_done
         WHERE state <> 'pending' AND coalesce(claimed_until, not_after) < ?1 LIMIT ?2)",
    "DELETE FROM inbox WHERE (tenant_id, consumer, message_id) IN (
         SELECT tenant_id, consumer, message_id FROM inbox WHERE handled_at < ?1 LIMIT ?2)",
    "DELETE FROM idempotency_keys WHERE rowid IN (
         SELECT rowid FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)",
    "DELETE FROM resource_metrics WHERE rowid IN (
         SELECT rowid FROM resource_metrics WHERE ts < ?1 LIMIT ?2)",
    "DELETE FROM execution_logs WHERE (request_id, id) IN (
         SELECT l.request_id, l.id FROM execution_logs l JOIN requests r ON r.request_id = l.request_id
         WHERE l.ts < ?1 AND r.ended = 1 LIMIT ?2)",
];

/// Forgets up to [`CHUNK`] rows; how many. Fewer than that: nothing is left to forget.
pub(super) fn some(conn: &Connection, before: Timestamp) -> Result<u64, Error> {
    let mut gone = 0;
    for sql in KINDS {
        let room = CHUNK - gone;
        gone += conn
            .prepare_cached(sql)?
            .execute(params![micros(before), room])? as u64;
    }
    Ok(gone)
}
