//! What was done: audit records, their verification, the ledger.

use axum::{Json, extract::State as Extract};
use chiffon_common::api::{AuditReport, LedgerLine, NumberedRecord, Page};
use serde::Deserialize;

use super::{State, input::Asked, problem::Refused};

/// The query of the audit trail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

pub(super) async fn audit(
    Extract(state): Extract<State>,
    Asked(asked): Asked<AuditQuery>,
) -> Result<Json<Page<NumberedRecord>>, Refused> {
    let limit = asked.limit.unwrap_or(100).clamp(1, 1000);
    let rows = state.shared.store.audit_after(asked.after, limit).await?;
    let next_cursor = rows
        .last()
        .filter(|_| rows.len() == limit as usize)
        .map(|row| row.seq.to_string());
    let items = rows
        .into_iter()
        .map(|row| NumberedRecord {
            seq: row.seq,
            record: row.record,
        })
        .collect();
    Ok(Json(Page { items, next_cursor }))
}

pub(super) async fn verify(Extract(state): Extract<State>) -> Result<Json<AuditReport>, Refused> {
    Ok(Json(state.shared.verify_audit().await?))
}

/// The query of the ledger.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerQuery {
    limit: Option<u32>,
}

/// The newest commits. Read from the stored batch rows: the database is the truth, git its projection.
pub(super) async fn ledger(
    Extract(state): Extract<State>,
    Asked(asked): Asked<LedgerQuery>,
) -> Result<Json<Page<LedgerLine>>, Refused> {
    let limit = asked.limit.unwrap_or(20).clamp(1, 500);
    let items = state.shared.ledger_lines(limit).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
