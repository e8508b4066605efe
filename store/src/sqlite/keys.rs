//! Tables `inbox` and `idempotency_keys`: what was handled or answered before (R4, R47).

use chiffon_common::TenantId;
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{json, micros, parsed};
use crate::{
    Error, StoredAnswer,
    commit::{IdempotencyClaim, InboxKey},
};

/// Notes a message as handled.
pub(super) fn handle(conn: &Connection, tenant: &TenantId, key: &InboxKey) -> Result<(), Error> {
    let sql = "INSERT INTO inbox (tenant_id, consumer, message_id, handled_at)
               VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let written = conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        key.consumer,
        key.message_id.to_string(),
        micros(key.handled_at)
    ])?;
    match written {
        1 => Ok(()),
        _ => Err(Error::AlreadyHandled),
    }
}

/// Claims an idempotency key.
pub(super) fn claim(
    conn: &Connection,
    tenant: &TenantId,
    claim: &IdempotencyClaim,
) -> Result<(), Error> {
    match answer(conn, tenant, &claim.key)? {
        Some(used) if used.body == claim.body => {
            return Err(Error::Replay {
                answer: used.answer,
            });
        }
        Some(_) => return Err(Error::KeyReused),
        None => {}
    }
    let sql = "INSERT INTO idempotency_keys (tenant_id, key, body, answer, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        claim.key,
        claim.body.to_string(),
        claim.answer.to_string(),
        micros(claim.at)
    ])?;
    Ok(())
}

/// Forgets a key that has this answer.
pub(super) fn forget(
    conn: &Connection,
    tenant: &TenantId,
    key: &str,
    kept: &StoredAnswer,
) -> Result<(), Error> {
    if answer(conn, tenant, key)?.as_ref() == Some(kept) {
        let sql = "DELETE FROM idempotency_keys WHERE tenant_id = ?1 AND key = ?2";
        conn.prepare_cached(sql)?.execute([tenant.as_str(), key])?;
    }
    Ok(())
}

/// What is kept of an idempotency key.
pub(super) fn answer(
    conn: &Connection,
    tenant: &TenantId,
    key: &str,
) -> Result<Option<StoredAnswer>, Error> {
    let sql = "SELECT body, answer FROM idempotency_keys WHERE tenant_id = ?1 AND key = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.as_str(), key], |row| {
        Ok(StoredAnswer {
            body: parsed(row, 0)?,
            answer: json(row, 1)?,
        })
    });
    Ok(found.optional()?)
}
