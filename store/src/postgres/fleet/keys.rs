//! Tables `inbox` and `idempotency_keys`: what was handled or answered before (R4, R47).

use chiffon_common::TenantId;
use deadpool_postgres::{GenericClient, Transaction};

use super::columns::{execute, json, micros, parsed, row};
use crate::{
    Error, StoredAnswer,
    commit::{IdempotencyClaim, InboxKey},
};

/// Notes a message as handled.
pub(super) async fn handle(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    key: &InboxKey,
) -> Result<(), Error> {
    let sql = "INSERT INTO inbox (tenant_id, consumer, message_id, handled_at)
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let message = key.message_id.to_string();
    let at = micros(key.handled_at);
    let written = execute(tx, sql, &[&tenant.as_str(), &key.consumer, &message, &at]).await?;
    match written {
        1 => Ok(()),
        _ => Err(Error::AlreadyHandled),
    }
}

/// Claims an idempotency key.
pub(super) async fn claim(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    claim: &IdempotencyClaim,
) -> Result<(), Error> {
    match answer(tx, tenant, &claim.key).await? {
        Some(used) if used.body == claim.body => {
            return Err(Error::Replay {
                answer: used.answer,
            });
        }
        Some(_) => return Err(Error::KeyReused),
        None => {}
    }
    let sql = "INSERT INTO idempotency_keys (tenant_id, key, body, answer, created_at)
               VALUES ($1, $2, $3, $4::text::json, $5)";
    let (body, answer) = (claim.body.to_string(), claim.answer.to_string());
    let at = micros(claim.at);
    execute(
        tx,
        sql,
        &[&tenant.as_str(), &claim.key, &body, &answer, &at],
    )
    .await?;
    Ok(())
}

/// Forgets a key that has this answer.
pub(super) async fn forget(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    key: &str,
    kept: &StoredAnswer,
) -> Result<(), Error> {
    if answer(tx, tenant, key).await?.as_ref() == Some(kept) {
        let sql = "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND key = $2";
        execute(tx, sql, &[&tenant.as_str(), &key]).await?;
    }
    Ok(())
}

/// What is kept of an idempotency key.
pub(super) async fn answer<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    key: &str,
) -> Result<Option<StoredAnswer>, Error> {
    let sql = "SELECT body, answer::text FROM idempotency_keys WHERE tenant_id = $1 AND key = $2";
    row(client, sql, &[&tenant.as_str(), &key], |row| {
        Ok(StoredAnswer {
            body: parsed(row, 0)?,
            answer: json(row, 1)?,
        })
    })
    .await
}
