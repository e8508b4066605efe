//! Audit record v1 (DESIGN section 7): the union of ScalBotics 9.4 and RFC-ARB-0001, 12, and the
//! chain that holds the records of one stream together (S66). The hash is over what is understood of a record, so one that
//! says more than that is refused: nobody can write into it what nobody signed.
//!
//! Numbering and sealing of batches is left to the store's sequencer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AuditId, CanonicalError, Digest, ProjectId, RequestId, TenantId, TraceId, to_canonical,
};

/// The hash that stands before the first record of every stream.
pub const GENESIS: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Who acts: as the way in authenticated them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Principal {
    /// `local:<user>`, `agent:<id>`, `chiffon` for the orchestrator itself.
    pub id: String,
    /// `person`, `service` or `agent`.
    pub kind: String,
}

/// What a rule of policy said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyResult {
    /// `allow` or `deny`.
    pub decision: String,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// Which rule.
    pub rule: String,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// `request`, `task`, `decision`, `agent`, `event`, ...
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// One move of a lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MoveRecord {
    /// Whose.
    pub subject: Subject,
    /// The state before; absent where it came into being.
    pub from: Option<String>,
    /// The state after.
    pub to: String,
    /// Why, for people.
    pub because: String,
}

/// What the caller knows of a record before it is chained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Version of this form; 1.
    pub v: u32,
    /// Its id.
    pub audit_id: AuditId,
    /// The owner.
    pub tenant_id: TenantId,
    /// The group of requests, where there is one; the event stream filters by it.
    pub project_id: Option<ProjectId>,
    /// `request:<id>`; `schedule:<id>` for what was done to a schedule; else `<tenant>/<replica>/<day>`.
    pub stream: String,
    /// The event or request that all this belongs to.
    pub correlation_id: String,
    /// The request, where there is one.
    pub request_id: Option<RequestId>,
    /// Who acted.
    pub actor: Principal,
    /// On whose behalf, where it is another.
    pub delegated: Option<Principal>,
    /// `request.received`, `task.dispatched`, ...: noun and past tense.
    pub action: String,
    /// What it was done to.
    pub target: Subject,
    /// What policy said.
    pub policy: Option<PolicyResult>,
    /// `ok`, `refused`, `failed`.
    pub result: String,
    /// Which rule decided; snake_case and stable.
    pub reason_code: String,
    /// Correlation across processes.
    pub trace_id: TraceId,
    /// When, by the orchestrator's clock.
    pub ts: Timestamp,
    /// The moves of this transaction.
    pub moves: Vec<MoveRecord>,
    /// Details for programs; no secrets, prompts or bodies (S70).
    pub data: Value,
    /// Digest over the rows of the request, or of the schedule, as this transaction left them, where it touched one:
    /// whoever edits them later no longer fits the chain. Absent where it left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Digest>,
    /// Digest over the same rows as this transaction found them: the `slice` of the record before it in its stream,
    /// unless somebody edited them in between. Absent where there were none, and in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_before: Option<Digest>,
    /// Digest over why each part of the request that has ended did so, and since when it had run: what changes while it
    /// is open without a record, and never afterwards. Absent where nothing has ended, and in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endings: Option<Digest>,
}

impl AuditEntry {
    /// The action of a record that names requests whose rows were forgotten with age (retention).
    pub const HISTORY_FORGOTTEN: &'static str = "history.forgotten";

    /// The requests whose rows went in this record's transaction: they are missing from the database by right.
    pub fn forgotten_requests(&self) -> impl Iterator<Item = RequestId> {
        let named = (self.action == Self::HISTORY_FORGOTTEN)
            .then(|| self.data.get("requests").and_then(Value::as_array))
            .flatten();
        let ids = named.into_iter().flatten().filter_map(Value::as_str);
        ids.filter_map(|id| id.parse().ok())
    }

    /// How many events it is in the event stream: one for each move, and one where nothing moved.
    pub fn event_count(&self) -> u64 {
        u64::try_from(self.moves.len()).unwrap_or(u64::MAX).max(1)
    }
}

/// A record in its place in its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecord {
    /// What was recorded.
    pub entry: AuditEntry,
    /// Position in its stream, from 0.
    pub position: u64,
    /// Hash of the record before it in its stream, or [`GENESIS`].
    pub previous: String,
    /// `H(previous || canonical entry || position)`.
    pub hash: String,
}

impl AuditRecord {
    /// Puts an entry behind the record whose hash is `previous`.
    pub fn chain(
        entry: AuditEntry,
        position: u64,
        previous: String,
    ) -> Result<Self, CanonicalError> {
        let hash = Self::hash_of(&entry, position, &previous)?;
        Ok(Self {
            entry,
            position,
            previous,
            hash,
        })
    }

    /// Whether the hash fits what the record says.
    pub fn is_intact(&self) -> bool {
        Self::hash_of(&self.entry, self.position, &self.previous)
            .is_ok_and(|hash| hash == self.hash)
    }

    fn hash_of(
        entry: &AuditEntry,
        position: u64,
        previous: &str,
    ) -> Result<String, CanonicalError> {
        let canonical = to_canonical(entry)?;
        let parts: [&[u8]; 3] = [previous.as_bytes(), &position.to_be_bytes(), &canonical];
        Ok(Digest::of_parts(parts).to_string())
    }
}
