//! A store that does what a test orders and is the real one otherwise: it holds commits that carry an idempotency
//! key until they are let go, panics when projects are listed, and counts how often output is read.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chiffon_common::{
    Digest, EventId, Frozen, MessageId, PlanId, ProjectId, RequestId, RoomId, ScheduleId, TaskId,
    TenantId,
};
use chiffon_store::{
    AgentRow, AuditSeal, Check, Commit, DecisionRow, DueTimer, Error, EventRow, Expected,
    FreezeRow, HostRow, LeaseRow, LedgerBatchRow, LedgerEntryRow, ListDecisions, ListRequests,
    ListSchedules, ListTasks, LogRow, NumberedAudit, OutboxRow, PlanRow, ProjectRow, Receipt,
    RequestRow, RoomRow, RunEventRow, RunRows, ScheduleRow, Store, StoredAnswer, StreamRow,
    TaskRow, Write,
};
use jiff::Timestamp;
use tokio::sync::watch;

/// The double.
pub struct Doctored {
    inner: Arc<dyn Store>,
    holds: watch::Sender<bool>,
    /// Commits that are held now.
    held: AtomicUsize,
    /// Whether listing projects panics.
    pub panics: AtomicBool,
    /// Whether the next start finds that somebody has just frozen the fleet.
    pub freezes: AtomicBool,
    /// How often somebody has read output, as followers of a request do.
    pub looks: AtomicUsize,
}

impl Doctored {
    pub fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            holds: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            panics: AtomicBool::new(false),
            freezes: AtomicBool::new(false),
            looks: AtomicUsize::new(0),
        })
    }

    /// Holds commits with a key from now on.
    pub fn hold(&self) {
        self.holds.send_replace(true);
    }

    /// Lets them go.
    pub fn let_go(&self) {
        self.holds.send_replace(false);
    }

    /// How many are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    async fn pass(&self) {
        /// Counted down also where whoever waits is gone.
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let mut holds = self.holds.subscribe();
        self.held.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.held);
        let _sender_lives = holds.wait_for(|holds| !holds).await;
    }
}

/// The first freeze of all, by somebody.
fn frozen() -> Commit {
    let frozen = Frozen {
        by: "local:eve".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        reason: "just now".to_owned(),
    };
    let row = FreezeRow {
        tenant_id: TenantId::default(),
        version: 1,
        frozen: Some(frozen),
    };
    Commit {
        writes: vec![Write::Freeze(Expected::Absent, row)],
        ..Commit::default()
    }
}

#[async_trait]
impl Store for Doctored {
    async fn commit(&self, commit: Commit) -> Result<Receipt, Error> {
        if commit.idempotency.is_some() {
            self.pass().await;
        }
        let is_start = commit
            .checks
            .iter()
            .any(|check| matches!(check, Check::Freeze { .. }));
        if is_start && self.freezes.swap(false, Ordering::SeqCst) {
            self.inner.commit(frozen()).await?;
        }
        self.inner.commit(commit).await
    }

    async fn run(&self, tenant: &TenantId, request: RequestId) -> Result<Option<RunRows>, Error> {
        self.inner.run(tenant, request).await
    }

    async fn freeze(&self, tenant: &TenantId) -> Result<Option<FreezeRow>, Error> {
        self.inner.freeze(tenant).await
    }

    async fn request_of_task(&self, task: TaskId) -> Result<Option<(TenantId, RequestId)>, Error> {
        self.inner.request_of_task(task).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        list: ListRequests,
    ) -> Result<Vec<RequestRow>, Error> {
        self.inner.requests(tenant, list).await
    }

    async fn undos_of(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RequestRow>, Error> {
        self.inner.undos_of(tenant, request).await
    }

    async fn tasks(&self, tenant: &TenantId, list: ListTasks) -> Result<Vec<TaskRow>, Error> {
        self.inner.tasks(tenant, list).await
    }

    async fn decisions(
        &self,
        tenant: &TenantId,
        list: ListDecisions,
    ) -> Result<Vec<DecisionRow>, Error> {
        self.inner.decisions(tenant, list).await
    }

    async fn request_of_decision(
        &self,
        tenant: &TenantId,
        decision: &str,
    ) -> Result<Option<RequestId>, Error> {
        self.inner.request_of_decision(tenant, decision).await
    }

    async fn plans(
        &self,
        tenant: &TenantId,
        after: Option<(Timestamp, RequestId)>,
        limit: u32,
    ) -> Result<Vec<PlanRow>, Error> {
        self.inner.plans(tenant, after, limit).await
    }

    async fn request_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<RequestId>, Error> {
        self.inner.request_of_plan(tenant, plan).await
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, Error> {
        assert!(!self.panics.load(Ordering::SeqCst), "a fault, as ordered");
        self.inner.projects(tenant, after, limit).await
    }

    async fn project(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Option<ProjectRow>, Error> {
        self.inner.project(tenant, project).await
    }

    async fn schedules(
        &self,
        tenant: &TenantId,
        list: ListSchedules,
    ) -> Result<Vec<ScheduleRow>, Error> {
        self.inner.schedules(tenant, list).await
    }

    async fn schedule(
        &self,
        tenant: &TenantId,
        schedule: ScheduleId,
    ) -> Result<Option<ScheduleRow>, Error> {
        self.inner.schedule(tenant, schedule).await
    }

    async fn schedule_count(&self, tenant: &TenantId) -> Result<u64, Error> {
        self.inner.schedule_count(tenant).await
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        self.inner.due_schedules(now, limit).await
    }

    async fn schedules_ahead(&self, of: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        self.inner.schedules_ahead(of, limit).await
    }

    async fn watched_schedules(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<ScheduleRow>, Error> {
        self.inner.watched_schedules(after, limit).await
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, Error> {
        self.inner.next_schedule().await
    }

    async fn forgettable(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RequestId>, Error> {
        self.inner.forgettable(tenant, before, limit).await
    }

    async fn thin_metrics(
        &self,
        from: Timestamp,
        to: Timestamp,
        step_seconds: u32,
    ) -> Result<u64, Error> {
        self.inner.thin_metrics(from, to, step_seconds).await
    }

    async fn stored_answer(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, Error> {
        self.inner.stored_answer(tenant, key).await
    }

    async fn tasks_in(&self, states: &[&str], limit: u32) -> Result<Vec<TaskRow>, Error> {
        self.inner.tasks_in(states, limit).await
    }

    async fn requests_in(&self, states: &[&str], limit: u32) -> Result<Vec<RequestRow>, Error> {
        self.inner.requests_in(states, limit).await
    }

    async fn event(&self, tenant: &TenantId, event: &EventId) -> Result<Option<EventRow>, Error> {
        self.inner.event(tenant, event).await
    }

    async fn event_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<EventRow>, Error> {
        self.inner.event_of_plan(tenant, plan).await
    }

    async fn room(&self, tenant: &TenantId, room: &RoomId) -> Result<Option<RoomRow>, Error> {
        self.inner.room(tenant, room).await
    }

    async fn agents(&self, tenant: &TenantId) -> Result<Vec<AgentRow>, Error> {
        self.inner.agents(tenant).await
    }

    async fn open_at(&self, tenant: &TenantId, places: &[String]) -> Result<Vec<HostRow>, Error> {
        self.inner.open_at(tenant, places).await
    }

    async fn due_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueTimer>, Error> {
        self.inner.due_timers(now, limit).await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, Error> {
        self.inner.next_timer().await
    }

    async fn leases(
        &self,
        tenant: &TenantId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Vec<LeaseRow>, Error> {
        self.inner.leases(tenant, names, now).await
    }

    async fn claim_outbox(
        &self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, Error> {
        self.inner.claim_outbox(owner, now, until, limit).await
    }

    async fn outbox_sent(&self, owner: &str, messages: &[MessageId]) -> Result<(), Error> {
        self.inner.outbox_sent(owner, messages).await
    }

    async fn outbox_release(
        &self,
        owner: &str,
        messages: &[MessageId],
        not_before: Timestamp,
    ) -> Result<(), Error> {
        self.inner.outbox_release(owner, messages, not_before).await
    }

    async fn logs(&self, request: RequestId, after: u64, limit: u32) -> Result<Vec<LogRow>, Error> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.logs(request, after, limit).await
    }

    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<NumberedAudit>, Error> {
        self.inner.audit_after(seq, limit).await
    }

    async fn stream_after(&self, after: u64, limit: u32) -> Result<Vec<StreamRow>, Error> {
        self.inner.stream_after(after, limit).await
    }

    async fn stream_head(&self) -> Result<u64, Error> {
        self.inner.stream_head().await
    }

    async fn audit_stream(&self, stream: &str) -> Result<Vec<NumberedAudit>, Error> {
        self.inner.audit_stream(stream).await
    }

    async fn last_of_stream(&self, stream: &str) -> Result<Option<NumberedAudit>, Error> {
        self.inner.last_of_stream(stream).await
    }

    async fn forgotten_by(&self, request: RequestId) -> Result<Option<NumberedAudit>, Error> {
        self.inner.forgotten_by(request).await
    }

    async fn last_seal(&self) -> Result<Option<AuditSeal>, Error> {
        self.inner.last_seal().await
    }

    async fn run_events(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RunEventRow>, Error> {
        self.inner.run_events(tenant, request).await
    }

    async fn run_policy(&self, digest: Digest) -> Result<Option<serde_json::Value>, Error> {
        self.inner.run_policy(digest).await
    }

    async fn seals_after(&self, seal_no: u64, limit: u32) -> Result<Vec<AuditSeal>, Error> {
        self.inner.seals_after(seal_no, limit).await
    }

    async fn ledger_entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntryRow>, Error> {
        self.inner.ledger_entries(tenant, after, limit).await
    }

    async fn ledger_batches(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerBatchRow>, Error> {
        self.inner.ledger_batches(tenant, after, limit).await
    }

    async fn last_ledger_batch(&self, tenant: &TenantId) -> Result<Option<LedgerBatchRow>, Error> {
        self.inner.last_ledger_batch(tenant).await
    }

    async fn ledger_entry(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Option<LedgerEntryRow>, Error> {
        self.inner.ledger_entry(tenant, request).await
    }

    async fn ledger_commit(&self, request: RequestId) -> Result<Option<String>, Error> {
        self.inner.ledger_commit(request).await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, Error> {
        self.inner.forget(before).await
    }

    async fn check(&self) -> Result<Vec<String>, Error> {
        self.inner.check().await
    }
}
