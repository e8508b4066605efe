//! Table `outbox`: what is to be sent, claimed by state and lease and never by number (R1, R2).

use chiffon_common::{MessageId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::columns::{
    Param, execute, micros, opt_micros, opt_time, owned, parsed, rows, small, texts, time,
};
use crate::{Error, OutboxRow};

/// Adds messages, in their order and with one way to the server: a commit may hold many.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    messages: &[OutboxRow],
) -> Result<(), Error> {
    if messages.is_empty() {
        return Ok(());
    }
    for row in messages {
        owned(tenant, &row.tenant_id, "outbox row")?;
    }
    let sql = "INSERT INTO outbox (message_id, tenant_id, queue, body, not_before, not_after, state, tries)
               SELECT m.id, $1, m.queue, m.body, m.not_before, m.not_after, 'pending', 0
               FROM unnest($2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[])
                    WITH ORDINALITY AS m (id, queue, body, not_before, not_after, place)
               ORDER BY m.place ON CONFLICT DO NOTHING";
    let ids = texts(messages.iter().map(|row| row.message_id));
    let queues: Vec<&str> = messages.iter().map(|row| row.queue.as_str()).collect();
    let bodies: Vec<&[u8]> = messages.iter().map(|row| row.body.as_slice()).collect();
    let from: Vec<i64> = messages.iter().map(|row| micros(row.not_before)).collect();
    let to: Vec<Option<i64>> = messages
        .iter()
        .map(|row| opt_micros(row.not_after))
        .collect();
    let parameters: [Param<'_>; 6] = [&tenant.as_str(), &ids, &queues, &bodies, &from, &to];
    let written = execute(tx, sql, &parameters).await?;
    match usize::try_from(written) {
        Ok(count) if count == messages.len() => Ok(()),
        _ => Err(Error::Conflict {
            what: format!("one of the outbox messages {}", ids.join(", ")),
        }),
    }
}

/// Gives up what is too late, then claims what is due. What another relay is at is left to it.
pub(super) async fn claim<C: GenericClient>(
    client: &C,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<OutboxRow>, Error> {
    let now = micros(now);
    let sql = "UPDATE outbox SET state = 'given_up' WHERE seq IN (
                   SELECT seq FROM outbox
                   WHERE state = 'pending' AND not_after IS NOT NULL AND not_after <= $1
                     AND (claimed_until IS NULL OR claimed_until <= $1)
                   FOR UPDATE SKIP LOCKED)";
    execute(client, sql, &[&now]).await?;
    let sql = "WITH due AS MATERIALIZED (
                   SELECT seq FROM outbox
                   WHERE state = 'pending' AND not_before <= $3
                     AND (claimed_until IS NULL OR claimed_until <= $3)
                     AND (not_after IS NULL OR not_after > $3)
                   ORDER BY seq LIMIT $4 FOR UPDATE SKIP LOCKED)
               UPDATE outbox o SET claimed_by = $1, claimed_until = $2, tries = tries + 1
               FROM due WHERE o.seq = due.seq
               RETURNING message_id, tenant_id, queue, body, not_before, not_after, tries, o.seq";
    let parameters: [Param<'_>; 4] = [&owner, &micros(until), &now, &i64::from(limit)];
    let mut claimed = rows(client, sql, &parameters, |row| {
        Ok((row.try_get::<_, i64>(7)?, outbox_row(row)?))
    })
    .await?;
    // RETURNING promises no order.
    claimed.sort_unstable_by_key(|(seq, _)| *seq);
    Ok(claimed.into_iter().map(|(_, row)| row).collect())
}

/// Marks as sent what this owner still has claimed. The body goes: a bundle's pieces are large, and what was sent is sent
/// again from the state, never from here.
pub(super) async fn sent<C: GenericClient>(
    client: &C,
    owner: &str,
    messages: &[MessageId],
) -> Result<(), Error> {
    let sql = "UPDATE outbox SET state = 'sent', body = ''
               WHERE message_id = ANY($1) AND claimed_by = $2 AND state = 'pending'";
    execute(client, sql, &[&texts(messages), &owner]).await?;
    Ok(())
}

/// Gives back what this owner still has claimed.
pub(super) async fn release<C: GenericClient>(
    client: &C,
    owner: &str,
    messages: &[MessageId],
    not_before: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE outbox SET claimed_by = NULL, claimed_until = NULL, not_before = $3
               WHERE message_id = ANY($1) AND claimed_by = $2 AND state = 'pending'";
    execute(
        client,
        sql,
        &[&texts(messages), &owner, &micros(not_before)],
    )
    .await?;
    Ok(())
}

fn outbox_row(row: &Row) -> Result<OutboxRow, Error> {
    Ok(OutboxRow {
        message_id: parsed(row, 0)?,
        tenant_id: parsed(row, 1)?,
        queue: row.try_get(2)?,
        body: row.try_get(3)?,
        not_before: time(row, 4)?,
        not_after: opt_time(row, 5)?,
        tries: small(row, 6)?,
    })
}
