//! Decisions: questions to a person, and their answers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Nearest;
use crate::{DecisionId, Digest, ProjectId, RequestId, Tier};

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
    /// The group of that request.
    #[serde(default)]
    pub project_id: ProjectId,
    /// `approval`: may the plan run? `question`: what was meant? `interrupted`: once more? `unknown_outcome`: how did
    /// it end?
    pub kind: String,
    /// `pending`, `resolved`, `timed_out`.
    pub state: String,
    /// Who asked for what the question is about.
    pub requester: String,
    /// The question.
    pub question: String,
    /// What it is about, in words: what was asked for, or the step whose outcome is in question.
    #[serde(default)]
    pub context: String,
    /// The permitted answers. Those of a `question` are sentences.
    pub options: Vec<String>,
    /// Whether words of one's own are an answer too.
    #[serde(default)]
    pub takes_text: bool,
    /// What is taken where nobody answers in time; absent for a `question`, whose request expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_choice: Option<String>,
    /// The entries that come near, for a `question`, each with a sentence that reaches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
    /// Parameters that nobody gave, for a `question`; `name=value` answers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
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
    /// When it was answered, or came too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// The answer: one of the options, `own words`, or what ended it (`withdrawn`, `cancelled`, `expired`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// The answer in own words, secret values struck out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
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
    /// The answer to a `question` in own words, instead of `choice`: a value (`name=value`, or bare where one is
    /// missing), a host where that is in question, or another sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: Option<String>,
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
    /// The answer to a `question` in own words, as in [`Answer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: Option<String>,
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

/// One round of asking back, as it stands in [`RequestView::rounds`](super::RequestView::rounds).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoundView {
    /// The question, as a decision.
    pub decision_id: DecisionId,
    /// The question.
    pub question: String,
    /// The answer, secret values struck out.
    pub answer: String,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// `POST /api/v1/tasks/{id}/resolve`: how a task ended of which nobody else knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResolveTask {
    /// `completed`, `failed`, or `retry` for another attempt.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 253))]
    pub choice: String,
    /// For the record: 2,000 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 2000))]
    pub comment: Option<String>,
}
