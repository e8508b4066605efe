//! A question to a person, as a slice holds it. Data only; how it is answered stands in `decision`.

use chiffon_common::{DecisionId, Digest, HostName, TaskId, Tier, api::Nearest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Wants;

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its id.
    pub decision_id: DecisionId,
    /// What kind.
    pub kind: DecisionKind,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When the default answer is taken.
    pub deadline: Timestamp,
    /// The question.
    pub question: String,
    /// The permitted answers; the default is the last.
    pub options: Vec<String>,
    /// Where it stands.
    pub state: DecisionState,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DecisionKind {
    /// May this plan run?
    Approval {
        /// The plan.
        digest: Digest,
        /// Its tier.
        tier: Tier,
        /// Its hosts, one of which must be typed where only one person is configured.
        hosts: Vec<HostName>,
    },
    /// What is to be done? The planner was not sure. Beside the options, own words are an answer.
    Question {
        /// The entries that come near; the options are their sentences.
        nearest: Vec<Nearest>,
        /// What would be an answer beside a sentence.
        #[serde(default)]
        wants: Wants,
    },
    /// It was cut off: again?
    Interrupted {
        /// The task.
        task: TaskId,
    },
    /// Nobody knows how it ended: how did it?
    UnknownOutcome {
        /// The task.
        task: TaskId,
    },
}

impl DecisionKind {
    /// Its name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Approval { .. } => "approval",
            Self::Question { .. } => "question",
            Self::Interrupted { .. } => "interrupted",
            Self::UnknownOutcome { .. } => "unknown_outcome",
        }
    }
}

/// Where a question stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum DecisionState {
    /// Nobody has answered.
    Pending,
    /// Answered, or no longer needed.
    Resolved {
        /// The answer.
        choice: String,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
        /// What was said with it.
        comment: Option<String>,
    },
    /// Nobody answered in time: the default was taken.
    TimedOut {
        /// When.
        at: Timestamp,
    },
}

impl DecisionState {
    /// Its name, as it stands in database, API and audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Resolved { .. } => "resolved",
            Self::TimedOut { .. } => "timed_out",
        }
    }

    /// Whether nothing moves it any more.
    pub fn ended(&self) -> bool {
        !matches!(self, Self::Pending)
    }
}
