//! A commit: everything that becomes true at once. State, audit record, outbox and inbox in one
//! transaction (DESIGN section 7, R1, R4).
//!
//! Declarative, so that a backend may group many into one transaction (the fsync is the cost), check
//! each by its own row counts, and retry singly what failed.

use chiffon_common::{AuditEntry, Digest, MessageId, RequestId, ScheduleId, TaskId, TenantId};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    StoredAnswer,
    rows::{
        AgentRow, DecisionRow, EventRow, FreezeRow, HostRow, LedgerBatchRow, LedgerEntryRow,
        MetricRow, NewLogLine, OutboxRow, PlanRow, ProjectRow, RequestRow, RoomRow, RunEventRow,
        ScheduleRow, TaskRow, TimerRow,
    },
};

/// What becomes true at once, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Owner.
    pub tenant_id: TenantId,
    /// The message this commit handles; refused with [`crate::Error::AlreadyHandled`] if it was handled before.
    pub inbox: Option<InboxKey>,
    /// The claim of an idempotency key.
    pub idempotency: Option<IdempotencyClaim>,
    /// What must be so.
    pub checks: Vec<Check>,
    /// What changes, in order.
    pub writes: Vec<Write>,
    /// One record for the transaction; more only where several streams are concerned.
    pub audit: Vec<AuditEntry>,
    /// What is to be sent afterwards.
    pub outbox: Vec<OutboxRow>,
}

/// One handled message of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxKey {
    /// The queue or job that handled it.
    pub consumer: String,
    /// The message.
    pub message_id: MessageId,
    /// When; old keys are forgotten by age.
    pub handled_at: Timestamp,
}

/// An idempotency key with what was asked and what is answered (R47).
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyClaim {
    /// The key, as the client gave it, with the principal in front so that keys of two people never meet.
    pub key: String,
    /// Digest of the canonical body.
    pub body: Digest,
    /// The answer to give again.
    pub answer: Value,
    /// When.
    pub at: Timestamp,
}

/// What must be so for the commit to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// This owner holds this lease at this epoch (fencing, R5): [`crate::Error::Conflict`] otherwise,
    /// also where another owner has it now.
    Holds {
        /// Lease name.
        name: String,
        /// Owner.
        owner: String,
        /// Epoch.
        epoch: u64,
    },
    /// Nobody else holds this lease: [`crate::Error::LeaseHeld`] otherwise. Takes nothing.
    Free {
        /// Lease name.
        name: String,
        /// An owner that is not "somebody else".
        owner: String,
        /// The caller's clock, for leases that expire.
        now: Timestamp,
    },
    /// Nobody has frozen or thawed since this version of the freeze was read (0: there was never one):
    /// [`crate::Error::Conflict`] otherwise.
    Freeze {
        /// The version.
        version: u64,
    },
    /// There are fewer schedules than this: [`crate::Error::Conflict`] otherwise. Counted where commits are serial, so
    /// that many at once are not more.
    FewerSchedules {
        /// As many as there may be.
        than: u64,
    },
    /// This schedule still has this version: [`crate::Error::Conflict`] otherwise.
    Schedule {
        /// The schedule.
        schedule_id: ScheduleId,
        /// As it was read.
        version: u64,
    },
}

/// What the row must be before the write. The version stored is counted by the store: what the written
/// row says of itself is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It must not exist.
    Absent,
    /// It must have this version; the written row has the next.
    Version(u64),
}

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// A request.
    Request(Expected, RequestRow),
    /// A task.
    Task(Expected, TaskRow),
    /// A decision.
    Decision(Expected, DecisionRow),
    /// An agent.
    Agent(Expected, AgentRow),
    /// A room.
    Room(Expected, RoomRow),
    /// A project.
    Project(Expected, ProjectRow),
    /// The freeze of the tenant, or its end.
    Freeze(Expected, FreezeRow),
    /// A schedule.
    Schedule(Expected, ScheduleRow),
    /// Removes a schedule of this version.
    RemoveSchedule {
        /// The schedule.
        schedule_id: ScheduleId,
        /// As it was read.
        version: u64,
    },
    /// Forgets a request with all its rows but its audit records and ledger entries. Refused with
    /// [`crate::Error::Conflict`] where it has not ended, or where an entry of it has no ledger commit yet.
    ForgetRequest(RequestId),
    /// Forgets an idempotency key with this answer, so that it may be used anew; harmless if it has another by now.
    ForgetKey {
        /// The key, as it was claimed.
        key: String,
        /// What is kept of it.
        kept: StoredAnswer,
    },
    /// The plan of a request; replaces an earlier one.
    Plan(PlanRow),
    /// An event; must not exist.
    Event(EventRow),
    /// An outcome that is open at a place; said again, it gets other words.
    MarkHost(HostRow),
    /// Nothing is open of this task at these places; at none at all, where none is named. Harmless if nothing was.
    UnmarkHosts {
        /// The task.
        task_id: TaskId,
        /// The places.
        places: Option<Vec<String>>,
    },
    /// Sets a timer, or moves it if it exists.
    SetTimer(TimerRow),
    /// Clears a timer; harmless if it is not there.
    ClearTimer {
        /// Its slice.
        slice: String,
        /// Its name.
        name: String,
    },
    /// Clears a timer that must still be due: the firing of a timer happens once.
    TakeTimer(TimerRow),
    /// Takes a lease, or renews one's own. Refused with [`crate::Error::LeaseHeld`].
    TakeLease {
        /// Lease name.
        name: String,
        /// Who takes it.
        owner: String,
        /// The caller's clock.
        now: Timestamp,
        /// When another may take it; absent: only a release ends it.
        expires_at: Option<Timestamp>,
    },
    /// Gives a lease back; harmless if another holds it.
    ReleaseLease {
        /// Lease name.
        name: String,
        /// Who gives it back.
        owner: String,
    },
    /// Output lines; numbered by the store within their request.
    Logs(Vec<NewLogLine>),
    /// An event that a request took; each version once.
    RunEvent(RunEventRow),
    /// A resource report.
    Metric(MetricRow),
    /// Something for the ledger; numbered by the store.
    LedgerEntry(LedgerEntryRow),
    /// A batch of the ledger, decided (without commit) or written (with it). The first follows the last
    /// batch without a hole; the second says the same but for the commit, and may be repeated.
    LedgerBatch(LedgerBatchRow),
}

/// What a successful commit tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Numbers of the commit's audit records, if the backend numbers at once (SQLite does).
    pub audit_seqs: Vec<u64>,
    /// Epochs of the leases taken, in the order of the writes.
    pub epochs: Vec<u64>,
}
