//! Decisions: questions to a person, and their answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DecisionId, Digest, RequestId, Tier};

/// The states of a decision, as they stand in [`DecisionView::state`] and may be filtered by.
pub const DECISION_STATES: [&str; 3] = ["pending", "resolved", "timed_out"];

/// One question to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionView {
    /// Its id.
    pub decision_id: DecisionId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// `approval`, `interrupted`, `unknown_outcome`.
    pub kind: String,
    /// `pending`, `resolved`, `timed_out`.
    pub state: String,
    /// Who asked for what the question is about.
    pub requester: String,
    /// The question.
    pub question: String,
    /// The permitted answers.
    pub options: Vec<String>,
    /// The plan it is bound to, for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The tier that must be confirmed, for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When the default answer is taken.
    pub deadline: Timestamp,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// What was said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// `POST /approve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The request whose pending question is answered.
    pub request_id: RequestId,
    /// The question, where several could be meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// The plan that was read: required for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// One of the options; `approve` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 253))]
    pub choice: Option<String>,
    /// The typed host name, for tier 2 where only one person is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 253))]
    pub confirm: Option<String>,
    /// For the record: 2,000 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2000))]
    pub comment: Option<String>,
}

/// `POST /api/v1/decisions/{id}/resolve`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// One of the options; `approve` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 253))]
    pub choice: Option<String>,
    /// The plan that was read: required for approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The typed host name, for tier 2 where only one person is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 253))]
    pub confirm: Option<String>,
    /// For the record: 2,000 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2000))]
    pub comment: Option<String>,
}
