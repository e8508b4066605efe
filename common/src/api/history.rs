//! What was done: audit records and the ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AuditRecord, RequestId};

/// `GET /api/v1/audit`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NumberedRecord {
    /// The number the sequencer gave it, without holes.
    pub seq: u64,
    /// The record.
    pub record: AuditRecord,
}

/// `POST /api/v1/audit/verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// Records held against the chain.
    pub records: u64,
    /// Streams among them.
    pub streams: u64,
    /// Sealed batches held against theirs.
    pub seals: u64,
    /// Ledger commits held against the database.
    pub ledger_commits: u64,
    /// Everything that does not fit, the lowest number first.
    pub faults: Vec<String>,
}

/// One line of the ledger: `GET /api/v1/ledger`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerLine {
    /// The commit.
    pub commit: String,
    /// When, by the orchestrator's clock.
    pub time: Timestamp,
    /// The first line of the message.
    pub subject: String,
    /// The requests it records.
    pub requests: Vec<RequestId>,
}
