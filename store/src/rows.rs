//! The rows. Key columns are those that the store itself looks at or that people query by; `doc` is the
//! whole object in JSON, whose meaning the store leaves to the engine.

use chiffon_common::{
    AgentId, AuditRecord, Digest, EventId, Frozen, MessageId, ProjectId, RequestId, RoomId,
    ScheduleId, TaskId, TenantId,
};
use jiff::Timestamp;
use serde_json::Value;

/// Table `requests`.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub request_id: RequestId,
    /// Group.
    pub project_id: ProjectId,
    /// Conversation.
    pub room_id: RoomId,
    /// Lifecycle state.
    pub state: String,
    /// Whether the state is terminal.
    pub ended: bool,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it came.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `plans`; written once.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key: the request it belongs to. A later plan of the same request replaces it.
    pub request_id: RequestId,
    /// What an approval is bound to.
    pub digest: Digest,
    /// When it was made; kept where the same plan, by its id, is written again.
    pub created_at: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `tasks`.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub task_id: TaskId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// Lifecycle state.
    pub state: String,
    /// Whether the state is terminal.
    pub ended: bool,
    /// The agent that has it.
    pub agent_id: Option<AgentId>,
    /// The attempt in hand.
    pub attempt: u32,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it came.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `decisions`.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key (text of the id).
    pub decision_id: String,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// Lifecycle state.
    pub state: String,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it came.
    pub created_at: Timestamp,
    /// When the default answer is taken.
    pub deadline: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `agents` (documents 000/001: one table for members of the fleet and LLM agents).
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub agent_id: AgentId,
    /// `infrastructure`, `desktop`, `code`, `llm`.
    pub kind: String,
    /// Lifecycle state.
    pub state: String,
    /// `active` or `inactive`: a person's word, apart from the lifecycle.
    pub status: String,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `hosts`: what is known of hosts beyond the inventory (pinned keys are in the inventory). A task left its
/// outcome open at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key, with the task: `host:nas`, or `machine:` and what is behind the name, as in the names of leases.
    pub place: String,
    /// Key, with the place.
    pub task_id: TaskId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// Since when; kept where the same is said again.
    pub since: Timestamp,
    /// What is open, for people.
    pub because: String,
}

/// Table `rooms`.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub room_id: RoomId,
    /// Group.
    pub project_id: ProjectId,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The room state of RFC-ARB-0001.
    pub doc: Value,
}

/// Table `projects`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub project_id: ProjectId,
    /// What people call it; empty where nobody has said so.
    pub title: String,
    /// What it is for; empty where nobody has said so.
    pub description: String,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// When it came into being: by the first request, or by a person's word.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Table `freezes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Rises by one with every freeze and thaw; 1 at first.
    pub version: u64,
    /// Who froze it, since when and why; absent after a thaw.
    pub frozen: Option<Frozen>,
}

/// Table `schedules`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key.
    pub schedule_id: ScheduleId,
    /// The group that its requests belong to.
    pub project_id: ProjectId,
    /// `active`, `paused`, `ended`.
    pub state: String,
    /// Rises by one with every change; 1 at first.
    pub version: u64,
    /// The first time that was neither used nor passed over; none while it is not active.
    pub next_at: Option<Timestamp>,
    /// Every time up to here was used or passed over.
    pub considered_at: Timestamp,
    /// The request of its last run, until that has ended: meanwhile it is not due.
    pub open_request: Option<RequestId>,
    /// When it came into being.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The object.
    pub doc: Value,
}

/// Table `events`: what came in and what the arbiter answered; written once.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Key within the tenant.
    pub event_id: EventId,
    /// Digest of the canonical event: another body under the same id is a conflict.
    pub body: Digest,
    /// The request it became, if it did.
    pub request_id: Option<RequestId>,
    /// When it was taken.
    pub created_at: Timestamp,
    /// The event.
    pub event: Value,
    /// The response plan.
    pub plan: Value,
}

/// Table `timers`. Key: request (or other owner), subject and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// `request:<id>` or `agent:<id>`: the slice that is loaded when it fires.
    pub slice: String,
    /// Which entity and which timer within the slice, e.g. `task:<id>/ack`.
    pub name: String,
    /// When it fires.
    pub due_at: Timestamp,
}

/// A timer that is due.
pub type DueTimer = TimerRow;

/// Table `leases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// Owner of everything.
    pub tenant_id: TenantId,
    /// Key: `host:nas`, `job:scribe`, ...
    pub name: String,
    /// Who holds it: `task:<id>`, `orchestrator:<boot>`.
    pub owner: String,
    /// Rises by one each time it changes hands.
    pub epoch: u64,
    /// Since when.
    pub since: Timestamp,
    /// When it may be taken by another; absent: only a release ends it.
    pub expires_at: Option<Timestamp>,
}

/// Table `outbox`: what is to be sent after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Key: the message's own id, the same through every resend.
    pub message_id: MessageId,
    /// Owner.
    pub tenant_id: TenantId,
    /// Queue name.
    pub queue: String,
    /// The envelope's bytes.
    pub body: Vec<u8>,
    /// Not before this.
    pub not_before: Timestamp,
    /// Given up after this; absent: never.
    pub not_after: Option<Timestamp>,
    /// How often it was tried. Set by the store.
    pub tries: u32,
}

/// Table `execution_logs`, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Rises within the request, from 1.
    pub id: u64,
    /// The task.
    pub task_id: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// When it reached the orchestrator.
    pub ts: Timestamp,
    /// One line, redacted.
    pub line: String,
}

/// Table `execution_logs`, as written; the store numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLogLine {
    /// The request.
    pub request_id: RequestId,
    /// The task.
    pub task_id: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// When it reached the orchestrator.
    pub ts: Timestamp,
    /// One line, redacted.
    pub line: String,
}

/// Table `resource_metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// The agent that reported it.
    pub agent_id: AgentId,
    /// When it reached the orchestrator.
    pub ts: Timestamp,
    /// The report.
    pub doc: Value,
}

/// Table `ledger_entries`: the ledger's outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntryRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Position, from 1, without holes. Set by the store; 0 when written.
    pub entry_no: u64,
    /// The request it records.
    pub request_id: RequestId,
    /// Tier-0 results may share a commit.
    pub shares_commit: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// What is recorded.
    pub doc: Value,
}

/// Table `ledger_batches`: a commit of the ledger is a pure function of this row (DESIGN section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerBatchRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// Position, from 1, without holes.
    pub batch_no: u64,
    /// First entry in it.
    pub first_entry: u64,
    /// Last entry in it.
    pub last_entry: u64,
    /// Commit time.
    pub time: Timestamp,
    /// Parent commit; absent for the first.
    pub parent: Option<String>,
    /// The commit, which replay must reproduce. Absent between deciding the batch and writing it.
    pub commit: Option<String>,
    /// The name of the key that signs the commit; absent where it is not signed. Part of the decision, so
    /// that the commit still follows from the row.
    pub signer: Option<String>,
}

/// Table `run_events`: an event that a request took, so that its moves can be told again.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEventRow {
    /// Owner.
    pub tenant_id: TenantId,
    /// The request.
    pub request_id: RequestId,
    /// The version that the request's row had after it; key within the request.
    pub version: u64,
    /// Digest of the limits it was judged by.
    pub policy: Digest,
    /// Those limits; absent when read, and where they are known to be stored.
    pub policy_doc: Option<Value>,
    /// Event, time and minted ids.
    pub doc: Value,
}

/// An audit record with the sequencer's number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberedAudit {
    /// From 1, without holes, over all streams of a tenant's store.
    pub seq: u64,
    /// The record.
    pub record: AuditRecord,
}

/// One place of the event stream (R42): a numbered source with the events that it stands for. An audit
/// record stands for as many as [`chiffon_common::AuditEntry::event_count`] says, a run of output lines
/// for one.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRow {
    /// Number of its first event; from 1, without holes over all rows.
    pub first: u64,
    /// Number of its last event.
    pub last: u64,
    /// What it shows.
    pub source: StreamSource,
}

/// What an event is made from.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamSource {
    /// An audit record.
    Record(Box<NumberedAudit>),
    /// Output lines of one request that were committed together.
    Lines {
        /// The request.
        request_id: RequestId,
        /// Its group.
        project_id: ProjectId,
        /// The lines, oldest first. Empty once they were forgotten: the number stays.
        lines: Vec<LogRow>,
    },
}

/// Table `audit_seals`: one for each numbered batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// Position, from 1.
    pub seal_no: u64,
    /// First number in the batch.
    pub first_seq: u64,
    /// Last number in the batch.
    pub last_seq: u64,
    /// Digest over the hashes of the batch's records in order.
    pub root: String,
    /// Hash of the seal before, or [`chiffon_common::GENESIS`].
    pub previous: String,
    /// `Digest::of_parts([previous, first_seq, last_seq, root])` with the numbers as 8 big-endian bytes.
    pub hash: String,
}
