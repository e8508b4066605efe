//! The contract that every store keeps (DESIGN section 7; R1 to R12).

use async_trait::async_trait;
use chiffon_common::{
    AgentId, Digest, EventId, MessageId, PlanId, ProjectId, RequestId, RoomId, ScheduleId, TaskId,
    TenantId,
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    Error,
    commit::{Commit, Receipt},
    rows::{
        AgentRow, AuditSeal, DecisionRow, DueTimer, EventRow, FreezeRow, HostRow, LeaseRow,
        LedgerBatchRow, LedgerEntryRow, LogRow, NumberedAudit, OutboxRow, PlanRow, ProjectRow,
        RequestRow, RoomRow, RunEventRow, ScheduleRow, StreamRow, TaskRow, TimerRow,
    },
};

/// Everything of one request, read at one point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRows {
    /// The request.
    pub request: RequestRow,
    /// Its plan.
    pub plan: Option<PlanRow>,
    /// Its tasks, oldest first.
    pub tasks: Vec<TaskRow>,
    /// Its decisions, oldest first.
    pub decisions: Vec<DecisionRow>,
    /// The timers of its slice.
    pub timers: Vec<TimerRow>,
    /// The leases that its tasks (owner `task:<id>`) have taken and not given back, run out or not.
    pub leases: Vec<LeaseRow>,
    /// The freeze of its tenant, if there ever was one.
    pub freeze: Option<FreezeRow>,
}

/// Which requests to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequests {
    /// Only of this group.
    pub project_id: Option<ProjectId>,
    /// Only of this conversation.
    pub room_id: Option<RoomId>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only those that have not ended.
    pub open_only: bool,
    /// After this one in the order (newest first); its creation time and id.
    pub after: Option<(Timestamp, RequestId)>,
    /// At most this many; taken as 1 where it is less, as 1,000 where it is more.
    pub limit: u32,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListTasks {
    /// Only of this request.
    pub request_id: Option<RequestId>,
    /// Only those that this agent has or had last.
    pub agent_id: Option<AgentId>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only those that have not ended.
    pub open_only: bool,
    /// After this one in the order (newest first); its creation time and id.
    pub after: Option<(Timestamp, TaskId)>,
    /// At most this many; taken as 1 where it is less, as 1,000 where it is more.
    pub limit: u32,
}

/// Which decisions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListDecisions {
    /// Only of this request.
    pub request_id: Option<RequestId>,
    /// Only of requests of this group.
    pub project_id: Option<ProjectId>,
    /// Only in this state.
    pub state: Option<String>,
    /// After this one in the order (newest first); its creation time and id.
    pub after: Option<(Timestamp, String)>,
    /// At most this many; taken as 1 where it is less, as 1,000 where it is more.
    pub limit: u32,
}

/// Which schedules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListSchedules {
    /// Only in this state.
    pub state: Option<String>,
    /// After this one in the order (newest first); its creation time and id.
    pub after: Option<(Timestamp, ScheduleId)>,
    /// At most this many; taken as 1 where it is less, as 1,000 where it is more.
    pub limit: u32,
}

/// What is kept of an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAnswer {
    /// Digest of what was asked.
    pub body: Digest,
    /// The answer to give again.
    pub answer: serde_json::Value,
}

/// The store.
///
/// * `commit` is atomic and durable: when it returns `Ok`, the rows survive a loss of power (WAL with
///   `synchronous=FULL`, or the server's equal). On any error but [`Error::OutcomeUnknown`] nothing of it is kept.
/// * Commits of one store are serialisable against each other as far as their checks and expected
///   versions go; a reader sees whole commits or nothing of them, and a read begun after a commit
///   returned sees it.
/// * Audit records are chained within their stream in the order of the commits, cannot be changed or
///   deleted, and are numbered without holes; a number is visible only with all lower ones.
/// * No call blocks an async task, and each ends within a bound (30 s; `check` 10 min) with an error if it
///   must. A commit that ends so is [`Error::Unavailable`] if nothing of it will ever be written, and
///   [`Error::OutcomeUnknown`] if it was already under way.
/// * Times are the caller's: the store has no clock of its own. They are kept to the microsecond.
/// * A commit writes rows of its own tenant only; others are [`Error::Malformed`], as are states that do
///   not exist, moves out of a terminal state, and rows of a request that is not there.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes everything in the commit true at once.
    async fn commit(&self, commit: Commit) -> Result<Receipt, Error>;

    /// Everything of one request.
    async fn run(&self, tenant: &TenantId, request: RequestId) -> Result<Option<RunRows>, Error>;

    /// The request that a task belongs to.
    async fn request_of_task(&self, task: TaskId) -> Result<Option<(TenantId, RequestId)>, Error>;

    /// Requests, newest first.
    async fn requests(
        &self,
        tenant: &TenantId,
        list: ListRequests,
    ) -> Result<Vec<RequestRow>, Error>;

    /// Requests that take this one back, newest first; 100 at most.
    async fn undos_of(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RequestRow>, Error>;

    /// Tasks, newest first.
    async fn tasks(&self, tenant: &TenantId, list: ListTasks) -> Result<Vec<TaskRow>, Error>;

    /// Decisions, newest first.
    async fn decisions(
        &self,
        tenant: &TenantId,
        list: ListDecisions,
    ) -> Result<Vec<DecisionRow>, Error>;

    /// The request that a decision belongs to.
    async fn request_of_decision(
        &self,
        tenant: &TenantId,
        decision: &str,
    ) -> Result<Option<RequestId>, Error>;

    /// Plans, newest first, after this one in the order (its creation time and request); the limit as in
    /// [`ListRequests`].
    async fn plans(
        &self,
        tenant: &TenantId,
        after: Option<(Timestamp, RequestId)>,
        limit: u32,
    ) -> Result<Vec<PlanRow>, Error>;

    /// The request that has this plan now; a plan that was replaced by a later one is not found.
    async fn request_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<RequestId>, Error>;

    /// Projects by their ids, after this one; the limit as in [`ListRequests`].
    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, Error>;

    /// One project.
    async fn project(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Option<ProjectRow>, Error>;

    /// The freeze of the tenant, if there ever was one.
    async fn freeze(&self, tenant: &TenantId) -> Result<Option<FreezeRow>, Error>;

    /// Schedules, newest first.
    async fn schedules(
        &self,
        tenant: &TenantId,
        list: ListSchedules,
    ) -> Result<Vec<ScheduleRow>, Error>;

    /// One schedule.
    async fn schedule(
        &self,
        tenant: &TenantId,
        schedule: ScheduleId,
    ) -> Result<Option<ScheduleRow>, Error>;

    /// How many schedules there are.
    async fn schedule_count(&self, tenant: &TenantId) -> Result<u64, Error>;

    /// Schedules of all tenants that have no open run and whose next time has come, the earliest first; the limit as
    /// in [`ListRequests`], here and in the next two.
    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error>;

    /// Active schedules of all tenants that have considered times after this moment, the earliest first.
    async fn schedules_ahead(&self, of: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error>;

    /// Schedules of all tenants with an open run, in the order of those requests' ids, after this one.
    async fn watched_schedules(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<ScheduleRow>, Error>;

    /// When the next schedule without an open run is due.
    async fn next_schedule(&self) -> Result<Option<Timestamp>, Error>;

    /// What is kept of an idempotency key.
    async fn stored_answer(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, Error>;

    /// Tasks in one of these states, oldest first.
    async fn tasks_in(&self, states: &[&str], limit: u32) -> Result<Vec<TaskRow>, Error>;

    /// Requests in one of these states, oldest first.
    async fn requests_in(&self, states: &[&str], limit: u32) -> Result<Vec<RequestRow>, Error>;

    /// One stored event.
    async fn event(&self, tenant: &TenantId, event: &EventId) -> Result<Option<EventRow>, Error>;

    /// The event whose stored plan has this id.
    async fn event_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<EventRow>, Error>;

    /// One room.
    async fn room(&self, tenant: &TenantId, room: &RoomId) -> Result<Option<RoomRow>, Error>;

    /// All agents.
    async fn agents(&self, tenant: &TenantId) -> Result<Vec<AgentRow>, Error>;

    /// What is open at these places, the oldest first; 1,000 at most.
    async fn open_at(&self, tenant: &TenantId, places: &[String]) -> Result<Vec<HostRow>, Error>;

    /// Timers that are due, the oldest first.
    async fn due_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueTimer>, Error>;

    /// When the next timer is due.
    async fn next_timer(&self) -> Result<Option<Timestamp>, Error>;

    /// These leases, as far as they are held at `now`.
    async fn leases(
        &self,
        tenant: &TenantId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Vec<LeaseRow>, Error>;

    /// Claims outbox rows for `owner` until `until`: rows that are pending and due, or whose claim has
    /// run out; in the order of their commits. Rows past their `not_after` are given up, not returned.
    /// `tries` counts the claims, this one included.
    async fn claim_outbox(
        &self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, Error>;

    /// Marks claimed rows as sent; called after the broker's confirm only. Rows that this owner has not
    /// claimed, or that another claimed since, are left as they are; so also in `outbox_release`.
    async fn outbox_sent(&self, owner: &str, messages: &[MessageId]) -> Result<(), Error>;

    /// Gives claimed rows back, not to be tried before `not_before`.
    async fn outbox_release(
        &self,
        owner: &str,
        messages: &[MessageId],
        not_before: Timestamp,
    ) -> Result<(), Error>;

    /// Lines of a request after a number, oldest first.
    async fn logs(&self, request: RequestId, after: u64, limit: u32) -> Result<Vec<LogRow>, Error>;

    /// Audit records after a number, lowest first; only numbered ones.
    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<NumberedAudit>, Error>;

    /// Places of the event stream whose last event has a number above `after`, lowest first, of all tenants.
    /// The limit is taken as 1 where it is less, as 1000 where it is more.
    async fn stream_after(&self, after: u64, limit: u32) -> Result<Vec<StreamRow>, Error>;

    /// The number of the last event; 0 where there is none.
    async fn stream_head(&self) -> Result<u64, Error>;

    /// Audit records of one stream in order.
    async fn audit_stream(&self, stream: &str) -> Result<Vec<NumberedAudit>, Error>;

    /// The last numbered audit record of one stream; nothing where there is no such stream.
    async fn last_of_stream(&self, stream: &str) -> Result<Option<NumberedAudit>, Error>;

    /// The record in whose transaction the rows of this request were forgotten, the last where there are several.
    async fn forgotten_by(&self, request: RequestId) -> Result<Option<NumberedAudit>, Error>;

    /// The last seal; nothing where nothing is recorded.
    async fn last_seal(&self) -> Result<Option<AuditSeal>, Error>;

    /// The events that a request took, in their order; none for one of an earlier version.
    async fn run_events(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RunEventRow>, Error>;

    /// The limits of this digest, by which an event was judged.
    async fn run_policy(&self, digest: Digest) -> Result<Option<serde_json::Value>, Error>;

    /// Seals after a seal number, lowest first.
    async fn seals_after(&self, seal_no: u64, limit: u32) -> Result<Vec<AuditSeal>, Error>;

    /// Ledger entries after a number, lowest first.
    async fn ledger_entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntryRow>, Error>;

    /// The last ledger entry of a request.
    async fn ledger_entry(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Option<LedgerEntryRow>, Error>;

    /// Ledger batches after a number, lowest first.
    async fn ledger_batches(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerBatchRow>, Error>;

    /// The last ledger batch.
    async fn last_ledger_batch(&self, tenant: &TenantId) -> Result<Option<LedgerBatchRow>, Error>;

    /// The ledger commit that holds a request's record, once written.
    async fn ledger_commit(&self, request: RequestId) -> Result<Option<String>, Error>;

    /// Forgets what is older than `before`: sent outbox rows, inbox keys, idempotency keys, metrics,
    /// output lines of ended requests. Never audit records. Returns how many rows went.
    async fn forget(&self, before: Timestamp) -> Result<u64, Error>;

    /// Requests that ended before this moment and may be forgotten ([`crate::Write::ForgetRequest`]), those that ended
    /// first; the limit as in [`ListRequests`].
    async fn forgettable(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RequestId>, Error>;

    /// Of the metrics from one moment to before another, keeps the first of each agent in every `step_seconds`,
    /// counted from 1970. Returns how many went.
    async fn thin_metrics(
        &self,
        from: Timestamp,
        to: Timestamp,
        step_seconds: u32,
    ) -> Result<u64, Error>;

    /// Holds the database against itself (integrity check, schema, triggers); what is wrong, in words.
    async fn check(&self) -> Result<Vec<String>, Error>;

    /// Reads every page of the file, where the backend is one and nobody else looks after it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where one is damaged.
    async fn look_at_pages(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What is known of damage to the file, in words: whatever operation has met it.
    fn damage(&self) -> Option<String> {
        None
    }

    /// Rises when another process on the same database may have committed something; nothing where no other can have. A
    /// hint, which may come late, too often or not at all: whoever waits looks by itself too.
    fn wakes(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}
