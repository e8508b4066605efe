//! The contracts v0 beside event and response plan (RFC-ARB-0001, sections 6, 11 and 13): what generators, adapters and
//! authorisers send and are sent, and the bounds of what is read from outside.
//!
//! What they cause is left to `chiffon-arbiter`, carrying them to the servers.

mod document;
mod read;
mod refused;
#[cfg(feature = "openapi")]
mod schema;
mod shape;
mod values;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use document::{CONTRACT_SCHEMAS, ContractActions, Contracts, contracts};
pub use read::{
    ContractError, MAX_CONTRACT_BYTES, MAX_CONTRACT_DEPTH, in_words, path_pointer, read,
};
pub use refused::{by_rule, form};
#[cfg(feature = "openapi")]
pub use schema::contract_schemas;
pub(crate) use shape::shape_of;
pub use shape::{Unshaped, shape};
pub(crate) use values::{time, whole};

use values::whole_if_there;

use crate::{
    ActionId, Actor, EventError, EventId, PlanId, ReasonCode, RoomId, TenantId,
    event::{validate_field, validate_text},
};

/// What the generator made of a `request_generation`. Its idempotency key is tenant and plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GenerationResult {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// The owner.
    pub tenant_id: TenantId,
    /// The plan that asked for it.
    pub plan_id: PlanId,
    /// How it went.
    pub status: GenerationStatus,
    /// The text, where it was completed: 1 to 8,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: Option<String>,
    /// What went wrong, where it was not and that is known: 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub error: Option<String>,
    /// When it ended, by the generator's clock.
    #[serde(deserialize_with = "time")]
    pub ts: Timestamp,
}

/// How a generation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GenerationStatus {
    /// There is a text.
    Completed,
    /// It failed.
    Failed,
    /// The generator does not want to.
    Refused,
}

/// What became of an action. Its idempotency key is tenant and action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionResult {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// The owner.
    pub tenant_id: TenantId,
    /// The plan that holds the action.
    pub plan_id: PlanId,
    /// The action.
    pub action_id: ActionId,
    /// How it went.
    pub status: ActionStatus,
    /// What went wrong, where it failed and that is known: 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub error: Option<String>,
    /// When it ended, by the adapter's clock.
    #[serde(deserialize_with = "time")]
    pub ts: Timestamp,
}

/// How an action went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActionStatus {
    /// It was carried out.
    Done,
    /// It was not.
    Failed,
}

/// The answer to an action result: the same whenever the same is reported again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionReceipt {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// The owner.
    pub tenant_id: TenantId,
    /// The conversation.
    pub room_id: RoomId,
    /// The plan that holds the action.
    pub plan_id: PlanId,
    /// The action.
    pub action_id: ActionId,
    /// What was noted: `action_done` or `action_failed`.
    pub reason_code: ReasonCode,
}

/// The question to an external authoriser (section 11.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthZRequest {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// UUIDv5 of tenant and event: the same question has the same id.
    pub request_id: ActionId,
    /// The owner.
    pub tenant_id: TenantId,
    /// The conversation.
    pub room_id: RoomId,
    /// Who wants it.
    pub actor: Actor,
    /// What is wanted.
    pub action: Permission,
    /// Where the event came from.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub source: String,
    /// The event.
    pub event_id: EventId,
    /// What the audit records of all that follows are found by: the id of the plan that the event gets.
    pub correlation_id: PlanId,
    /// The event's own time.
    #[serde(deserialize_with = "time")]
    pub ts: Timestamp,
}

/// What can be permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Permission {
    /// To have a text generated.
    RequestGeneration,
    /// To have work started.
    StartAgentJob,
    /// To answer a question of tier 1 in the room.
    Approve,
    /// Everything.
    #[serde(rename = "*")]
    Any,
}

/// The external authoriser's answer. Fields beyond these are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthZDecision {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// The word.
    pub decision: AuthZWord,
    /// Which of its rules decided: 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub reason_code: Option<String>,
    /// Which version of its rules: 1 to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub policy_version: Option<String>,
    /// For how many milliseconds the answer may be used again for the same actor, room and action.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole_if_there"
    )]
    pub cache_ttl_ms: Option<u64>,
}

/// May it be?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AuthZWord {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

impl GenerationResult {
    /// What the JSON types alone cannot say.
    ///
    /// # Errors
    /// An unknown version, a text or an error where there is none to be, no text where there must be one, or one out of
    /// bounds.
    pub fn validate(&self) -> Result<(), EventError> {
        version(self.v)?;
        optional("error", self.error.as_deref())?;
        match (self.status, &self.text) {
            (GenerationStatus::Completed, _) if self.error.is_some() => {
                Err(EventError::Unexpected("error"))
            }
            (GenerationStatus::Completed, Some(text)) => validate_text(text),
            (GenerationStatus::Completed, None) => Err(EventError::Missing("text")),
            (_, Some(_)) => Err(EventError::Unexpected("text")),
            (_, None) => Ok(()),
        }
    }
}

impl ActionResult {
    /// What the JSON types alone cannot say.
    ///
    /// # Errors
    /// An unknown version, or an error out of bounds or beside success.
    pub fn validate(&self) -> Result<(), EventError> {
        version(self.v)?;
        optional("error", self.error.as_deref())?;
        match (self.status, &self.error) {
            (ActionStatus::Done, Some(_)) => Err(EventError::Unexpected("error")),
            _ => Ok(()),
        }
    }
}

impl AuthZDecision {
    /// What the JSON types alone cannot say.
    ///
    /// # Errors
    /// An unknown version, or a text out of bounds.
    pub fn validate(&self) -> Result<(), EventError> {
        version(self.v)?;
        optional("reason_code", self.reason_code.as_deref())?;
        optional("policy_version", self.policy_version.as_deref())
    }
}

fn version(v: u32) -> Result<(), EventError> {
    (v == 0).then_some(()).ok_or(EventError::Version(v))
}

fn optional(name: &'static str, value: Option<&str>) -> Result<(), EventError> {
    value.map_or(Ok(()), |value| validate_field(name, value))
}
