//! Table `outbox`: what is to be sent, claimed by state and lease and never by number (R1, R2).

use chiffon_common::{MessageId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::columns::{changed_one, micros, opt_micros, opt_time, owned, parsed, text_list, time};
use crate::{Error, OutboxRow};

/// Adds a message.
pub(super) fn insert(conn: &Connection, tenant: &TenantId, row: &OutboxRow) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "outbox row")?;
    let sql = "INSERT INTO outbox (message_id, tenant_id, queue, body, not_before, not_after, state, tries)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0) ON CONFLICT DO NOTHING";
    let message = row.message_id.to_string();
    let written = conn.prepare_cached(sql)?.execute(params![
        message,
        tenant.as_str(),
        row.queue,
        row.body,
        micros(row.not_before),
        opt_micros(row.not_after)
    ])?;
    changed_one(written, || format!("outbox message {message}"))
}

/// Gives up what is too late, then claims what is due.
pub(super) fn claim(
    conn: &Connection,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<OutboxRow>, Error> {
    let now = micros(now);
    let sql = "UPDATE outbox INDEXED BY outbox_ending SET state = 'given_up'
               WHERE state = 'pending' AND not_after IS NOT NULL AND not_after <= ?1
                 AND (claimed_until IS NULL OR claimed_until <= ?1)";
    conn.prepare_cached(sql)?.execute([now])?;
    // INDEXED BY: without it the order by `seq` would tempt SQLite to walk over all that was ever sent.
    let sql = "UPDATE outbox SET claimed_by = ?1, claimed_until = ?2, tries = tries + 1
               WHERE seq IN (
                   SELECT seq FROM outbox INDEXED BY outbox_pending
                   WHERE state = 'pending' AND not_before <= ?3
                     AND (claimed_until IS NULL OR claimed_until <= ?3)
                   ORDER BY seq LIMIT ?4)
               RETURNING message_id, tenant_id, queue, body, not_before, not_after, tries, seq";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![owner, micros(until), now, limit], |row| {
        Ok((row.get::<_, i64>(7)?, outbox_row(row)?))
    })?;
    let mut claimed: Vec<(i64, OutboxRow)> = rows.collect::<Result<_, _>>()?;
    // RETURNING promises no order.
    claimed.sort_unstable_by_key(|(seq, _)| *seq);
    Ok(claimed.into_iter().map(|(_, row)| row).collect())
}

/// Marks as sent what this owner still has claimed; how many. The body goes: a bundle's pieces are large, and
/// what was sent is sent again from the state, never from here.
pub(super) fn sent(conn: &Connection, owner: &str, messages: &[MessageId]) -> Result<u64, Error> {
    let sql = "UPDATE outbox SET state = 'sent', body = x''
               WHERE message_id IN (SELECT value FROM json_each(?1))
                 AND claimed_by = ?2 AND state = 'pending'";
    let changed = conn
        .prepare_cached(sql)?
        .execute(params![text_list(messages)?, owner])?;
    Ok(changed as u64)
}

/// Gives back what this owner still has claimed; how many.
pub(super) fn release(
    conn: &Connection,
    owner: &str,
    messages: &[MessageId],
    not_before: Timestamp,
) -> Result<u64, Error> {
    let sql = "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, not_before = ?3
               WHERE message_id IN (SELECT value FROM json_each(?1))
                 AND claimed_by = ?2 AND state = 'pending'";
    let changed = conn.prepare_cached(sql)?.execute(params![
        text_list(messages)?,
        owner,
        micros(not_before)
    ])?;
    Ok(changed as u64)
}

fn outbox_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        message_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        queue: row.get(2)?,
        body: row.get(3)?,
        not_before: time(row, 4)?,
        not_after: opt_time(row, 5)?,
        tries: row.get(6)?,
    })
}
