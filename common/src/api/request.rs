//! Requests: what is asked, how it stands, and following it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DecisionView, RoundView, TaskView};
use crate::{EntryId, Plan, Problem, ProjectId, RequestId, RoomId, Scheduled, TaskId};

/// The states of a request, as they stand in [`RequestView::state`] and may be filtered by.
pub const REQUEST_STATES: [&str; 11] = [
    "received",
    "planning",
    "previewing",
    "needs_input",
    "awaiting_approval",
    "running",
    "completed",
    "failed",
    "rejected",
    "expired",
    "cancelled",
];

/// `POST /request`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// The sentence: 1 to 8,000 characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: String,
    /// The group it belongs to; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The conversation; one of the requester's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// The same key gives the same request again; the header `Idempotency-Key` is the other way to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 255))]
    pub idempotency_key: Option<String>,
}

/// The answer to `POST /request`: 202.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestAccepted {
    /// Ask for it by `GET /request/{id}`.
    pub request_id: RequestId,
    /// Its state at the time of the answer.
    pub state: String,
}

/// `GET /request/{id}`, and one element of `GET /api/v1/requests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestView {
    /// Its id.
    pub request_id: RequestId,
    /// The group it belongs to.
    pub project_id: ProjectId,
    /// The conversation.
    pub room_id: RoomId,
    /// Who asked.
    pub requester: String,
    /// The sentence, or the explicit form of an entry that was started without one.
    pub text: String,
    /// What was asked back and answered, in order: with the text, the words that led to the plan. Empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundView>,
    /// The request that this one repeats, where it is a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RequestId>,
    /// The request that this one takes back, where it is an undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<RequestId>,
    /// The undo of this request that is under way or done; the newest one where all came to nothing. Absent
    /// in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<Undone>,
    /// The schedule that asked, where nobody did by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Scheduled>,
    /// `received`, `planning`, `previewing`, `needs_input`, `awaiting_approval`, `running`, `completed`,
    /// `failed`, `rejected`, `expired`, `cancelled`.
    pub state: String,
    /// Whether the state is one of the last five.
    pub ended: bool,
    /// Whether a person is asked for something: an approval, another answer, or a clearer sentence.
    #[serde(default)]
    pub waits_for_person: bool,
    /// Why nothing of it moves while it is running, for people: what it waits for, or that nobody can say how it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_still: Option<String>,
    /// Why it is in this state, for people.
    pub because: String,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// When it came.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
    /// Its plan, once there is one. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What a person should know of its hosts before it goes on. Empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Its tasks in the order of the steps. Empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskView>,
    /// Its questions, oldest first. Empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionView>,
    /// The nearest entries, where it asks back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Nearest>,
    /// The commit that records it in the ledger, once it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger_commit: Option<String>,
}

/// The request that takes another one back, as the other one shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Undone {
    /// The undo.
    pub request_id: RequestId,
    /// Its state: `completed` means that the change was taken back.
    pub state: String,
}

/// `POST /api/v1/requests/{id}/undo`. The body may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// Take back what can be taken back, and leave the rest as it is. Without it the undo is refused
    /// where a step that changed something has no way back.
    #[serde(default)]
    pub what_can_be: bool,
}

/// Why a request is to be cancelled; may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// How many seconds the command was to take that asks for this, where it does because they are over. It is recorded so,
    /// and not as a person's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
}

/// An entry that comes near to what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nearest {
    /// The entry.
    pub entry: EntryId,
    /// Its title.
    pub title: String,
    /// A sentence that would reach it.
    pub example: String,
}

/// One line of a task's live output.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// Rises within the request without regard to the task; resume by it.
    pub id: u64,
    /// The task.
    pub task_id: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// When it reached the orchestrator.
    pub ts: Timestamp,
    /// The text, redacted, without line end.
    pub line: String,
}

/// `GET /api/v1/requests/{id}/follow?after=&version=`: answers as soon as there is something newer, or
/// after 25 seconds with nothing new.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Follow {
    /// The request as it stands.
    pub request: RequestView,
    /// Pass it as `version` next time.
    pub version: u64,
    /// Lines after `after`.
    pub lines: Vec<LogLine>,
    /// Pass it as `after` next time.
    pub last_line: u64,
}

/// `POST /api/v1/catalogue/{entry}/run`: an entry started without a sentence.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EntryRun {
    /// Hosts and groups of the inventory; may be left out where the inventory has one host only.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub hosts: Vec<String>,
    /// Parameters as the entry declares them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub parameters: Map<String, Value>,
    /// The group it belongs to; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The conversation; one of the requester's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
}
