//! The bodies of the public HTTP API, for the server that writes them and the clients that read them.
//!
//! Enums are open for growth: clients must pass on states they do not know. Times are UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentId, AgentKind, AuditRecord, DecisionId, Digest, EntryId, ErrorCode, HostName, HostSummary,
    Plan, Problem, ProjectId, RequestId, ResourceMetrics, ResourceUsage, Retry, RoomId, TaskId,
    Tier,
};

/// `POST /request`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// The sentence.
    pub text: String,
    /// The group it belongs to; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The conversation; one of the requester's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room_id: Option<RoomId>,
    /// The same key gives the same request again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// The answer to `POST /request`: 202.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestAccepted {
    /// Ask for it by `GET /request/{id}`.
    pub request_id: RequestId,
    /// Its state at the time of the answer.
    pub state: String,
}

/// `GET /request/{id}`, and one element of `GET /api/v1/requests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestView {
    /// Its id.
    pub request_id: RequestId,
    /// The group it belongs to.
    pub project_id: ProjectId,
    /// The conversation.
    pub room_id: RoomId,
    /// Who asked.
    pub requester: String,
    /// The sentence.
    pub text: String,
    /// `received`, `planning`, `previewing`, `needs_input`, `awaiting_approval`, `running`, `completed`,
    /// `failed`, `rejected`, `expired`, `cancelled`.
    pub state: String,
    /// Whether the state is one of the last five.
    pub ended: bool,
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

/// One task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub task_id: TaskId,
    /// The step it does.
    pub step: u32,
    /// For people.
    pub title: String,
    /// The entry.
    pub entry: EntryId,
    /// `check` or `apply`.
    pub mode: String,
    /// `open`, `waiting`, `dispatched`, `accepted`, `running`, `unknown`, `completed`, `failed`, `cancelled`, `interrupted`.
    pub state: String,
    /// The work-item word for it: `open`, `in_progress`, `blocked`, `closed`.
    pub bead_state: String,
    /// Why it is in this state, or what it waits for, for people.
    pub because: String,
    /// The attempt in hand, from 1; 0 before the first.
    pub attempt: u32,
    /// The agent that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// 0 to 100.
    pub progress: u8,
    /// By host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, HostSummary>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Wall time of the run in seconds, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// What it used, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<ResourceUsage>,
    /// Which isolation was in force.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub isolation: String,
}

/// One question to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its id.
    pub decision_id: DecisionId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// `approval`, `interrupted`, `unknown_outcome`.
    pub kind: String,
    /// `pending`, `resolved`, `timed_out`.
    pub state: String,
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

/// An entry that comes near to what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nearest {
    /// The entry.
    pub entry: EntryId,
    /// Its title.
    pub title: String,
    /// A sentence that would reach it.
    pub example: String,
}

/// `POST /approve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    pub choice: Option<String>,
    /// The typed host name, for tier 2 where only one person is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// For the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One line of a task's live output.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// One member of the fleet: `GET /api/v1/agents`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentView {
    /// Its id.
    pub agent_id: AgentId,
    /// Its kind.
    pub kind: AgentKind,
    /// `spawned`, `idle`, `working`, `blocked`, `shutdown`, `lost`.
    pub state: String,
    /// Version of its program.
    pub version: String,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// What it can do.
    pub capabilities: BTreeMap<String, String>,
    /// Its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceMetrics>,
}

/// One catalogue entry: `GET /api/v1/catalogue`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryView {
    /// Its id.
    pub id: EntryId,
    /// Its title.
    pub title: String,
    /// What it does.
    pub description: String,
    /// Sentences that reach it.
    pub examples: Vec<String>,
    /// Its tier.
    pub tier: Tier,
    /// `exact`, `simulated`, `blind`, `acts`.
    pub preview: String,
    /// How it is taken back, or why not.
    pub undo: String,
    /// Longest run.
    pub timeout_seconds: u64,
    /// Declared parameters.
    pub parameters: Vec<ParameterView>,
    /// The catalogue folder it came from.
    pub origin: String,
}

/// One declared parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ParameterView {
    /// Its name.
    pub name: String,
    /// `str`, `int`, `float`, `bool`, `list`, `dict`, `path`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub description: String,
    /// The value where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The permitted values, where they are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
}

/// `GET /api/v1/catalogue`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CatalogueView {
    /// What loaded.
    pub entries: Vec<EntryView>,
    /// What did not, each with file, line and reason.
    pub broken: Vec<BrokenFile>,
}

/// A catalogue file that did not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenFile {
    /// Path of the file, or of the folder where the whole catalogue folder is meant.
    pub file: String,
    /// Line, from 1; absent where the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Why.
    pub reason: String,
}

/// `GET /api/v1/inventory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InventoryView {
    /// Every host.
    pub hosts: Vec<HostView>,
    /// Why the inventory does not load, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// One host of the inventory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostView {
    /// Its name.
    pub name: HostName,
    /// What else people call it.
    pub aliases: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Whether it is the machine of the agent itself.
    pub local: bool,
    /// Whether its key is pinned, or it needs none.
    pub pinned: bool,
    /// Why nothing can run there as it is written, such as an address that is a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// `GET /api/v1/audit`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NumberedRecord {
    /// The number the sequencer gave it, without holes.
    pub seq: u64,
    /// The record.
    pub record: AuditRecord,
}

/// `POST /api/v1/audit/verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

/// `GET /health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `degraded`, `draining`.
    pub status: String,
    /// Version of the program.
    pub version: String,
    /// By component: `ok` or what is wrong.
    pub components: BTreeMap<String, String>,
    /// Agents by state.
    pub agents: BTreeMap<String, u64>,
}

/// An error answer: RFC 9457 problem+json.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProblemBody {
    /// The page of the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The title of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and why.
    pub detail: String,
    /// What to do.
    pub todo: String,
    /// The code.
    pub code: ErrorCode,
    /// Whether trying again can help.
    pub retry: Retry,
    /// Correlation.
    pub trace_id: String,
}
