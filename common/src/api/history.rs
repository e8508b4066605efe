//! What was done: audit records and the ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AuditRecord, MoveRecord, RequestId};

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
    /// Requests whose rows were held against their last record.
    #[serde(default)]
    pub requests: u64,
    /// Anchors held against seals and ledger.
    #[serde(default)]
    pub anchors: u64,
    /// Ledger commits held against the database.
    pub ledger_commits: u64,
    /// Everything that does not fit, the lowest number first.
    pub faults: Vec<String>,
    /// What fits and should be known all the same: what was put back of the ledger and told before.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// `POST /api/v1/audit/key`: that the key of the ledger that is here takes the place of the one that signed so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcceptKey {
    /// The fingerprint of the key that is here, `SHA256:...`, so that nobody accepts another than they mean.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub key: String,
    /// Why; it stands in the record.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 500))]
    pub because: String,
}

/// The key that signs the ledger from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerKey {
    /// Its fingerprint.
    pub key: String,
    /// The one whose place it took; absent where it signed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// The number of the record that says so; absent where nothing was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
}

/// `GET /api/v1/audit/head`: the last seal and the last ledger commit, to be noted where whoever could change the
/// database cannot (S67). Held against the stored ones by `POST /api/v1/audit/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditAnchor {
    /// Number of the seal, from 1.
    #[cfg_attr(feature = "openapi", schema(maximum = 9223372036854775807u64))]
    pub seal_no: u64,
    /// First record under it.
    #[cfg_attr(feature = "openapi", schema(maximum = 9223372036854775807u64))]
    pub first_seq: u64,
    /// Last record under it.
    #[cfg_attr(feature = "openapi", schema(maximum = 9223372036854775807u64))]
    pub last_seq: u64,
    /// Digest over the hashes of those records.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub root: String,
    /// Hash of the seal before.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub previous: String,
    /// Hash of this seal.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub hash: String,
    /// The last commit of the ledger; absent where there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub ledger_commit: Option<String>,
    /// When it was noted, by the orchestrator's clock.
    pub at: Timestamp,
}

/// `POST /api/v1/audit/verify`: nothing, or what was noted elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VerifyAudit {
    /// Each must be among the stored seals, unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub anchors: Vec<AuditAnchor>,
    /// Whether those of the ledger's remote count, too.
    #[serde(default)]
    pub remote: bool,
}

/// `POST /api/v1/requests/{id}/replay`: what was said to a request, told again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayReport {
    /// The request.
    pub request_id: RequestId,
    /// Whether every move came out the same.
    pub same: bool,
    /// Events told again.
    pub events: u64,
    /// Audit records that they were held against.
    pub records: u64,
    /// The events in their order, as far as they came out the same.
    pub steps: Vec<ReplayStep>,
    /// The first thing that came out otherwise.
    pub faults: Vec<String>,
}

/// One event told again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayStep {
    /// Its position, from 1.
    pub no: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// What moved.
    pub moves: Vec<MoveRecord>,
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
