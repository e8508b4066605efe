//! The contract, handed on: writes to the one writer, reads to the pool.

use std::time::Duration;

use async_trait::async_trait;
use chiffon_common::{
    Digest, EventId, MessageId, PlanId, ProjectId, RequestId, RoomId, ScheduleId, TaskId, TenantId,
};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Sqlite,
    apply::{Answer, Command},
    audit, check, decisions, fleet, forget, freezes, history, hosts, keys, leases, ledger, lists,
    logs, plans, projects, schedules, stream, tasks, timers, told,
    writer::BOUND,
};
use crate::{
    AgentRow, AuditSeal, DecisionRow, DueTimer, Error, EventRow, FreezeRow, HostRow, LeaseRow,
    LedgerBatchRow, LedgerEntryRow, ListDecisions, ListRequests, ListSchedules, ListTasks, LogRow,
    NumberedAudit, OutboxRow, PlanRow, ProjectRow, RequestRow, RoomRow, RunEventRow, RunRows,
    ScheduleRow, Store, StoredAnswer, StreamRow, TaskRow,
    commit::{Commit, Receipt},
};

/// A full check reads every page of the file, however large it is.
const CHECK: Duration = Duration::from_secs(600);

impl Sqlite {
    async fn read<T, F>(&self, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.damage.noted(self.readers.read(BOUND, read).await)
    }

    async fn submit(&self, command: Command) -> Result<Answer, Error> {
        self.damage.noted(self.writer.submit(command).await)
    }
}

fn unexpected<T>(answer: &Answer) -> Result<T, Error> {
    Err(Error::Unavailable(format!("unexpected answer {answer:?}")))
}

#[async_trait]
impl Store for Sqlite {
    async fn commit(&self, commit: Commit) -> Result<Receipt, Error> {
        match self.submit(Command::Commit(Box::new(commit))).await? {
            Answer::Receipt(receipt) => Ok(receipt),
            other => unexpected(&other),
        }
    }

    async fn run(&self, tenant: &TenantId, request: RequestId) -> Result<Option<RunRows>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| lists::run(conn, &tenant, request))
            .await
    }

    async fn request_of_task(&self, task: TaskId) -> Result<Option<(TenantId, RequestId)>, Error> {
        self.read(move |conn| tasks::request_of(conn, task)).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        list: ListRequests,
    ) -> Result<Vec<RequestRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| lists::requests(conn, &tenant, &list))
            .await
    }

    async fn undos_of(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RequestRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| lists::undos_of(conn, &tenant, request))
            .await
    }

    async fn tasks(&self, tenant: &TenantId, list: ListTasks) -> Result<Vec<TaskRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| tasks::list(conn, &tenant, &list))
            .await
    }

    async fn decisions(
        &self,
        tenant: &TenantId,
        list: ListDecisions,
    ) -> Result<Vec<DecisionRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| decisions::list(conn, &tenant, &list))
            .await
    }

    async fn request_of_decision(
        &self,
        tenant: &TenantId,
        decision: &str,
    ) -> Result<Option<RequestId>, Error> {
        let (tenant, decision) = (tenant.clone(), decision.to_owned());
        self.read(move |conn| decisions::request_of(conn, &tenant, &decision))
            .await
    }

    async fn plans(
        &self,
        tenant: &TenantId,
        after: Option<(Timestamp, RequestId)>,
        limit: u32,
    ) -> Result<Vec<PlanRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| plans::list(conn, &tenant, after.as_ref(), limit))
            .await
    }

    async fn request_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<RequestId>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| plans::request_of(conn, &tenant, plan))
            .await
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| projects::list(conn, &tenant, after.as_ref(), limit))
            .await
    }

    async fn project(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Option<ProjectRow>, Error> {
        let (tenant, project) = (tenant.clone(), project.clone());
        self.read(move |conn| projects::one(conn, &tenant, &project))
            .await
    }

    async fn freeze(&self, tenant: &TenantId) -> Result<Option<FreezeRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| freezes::one(conn, &tenant)).await
    }

    async fn schedules(
        &self,
        tenant: &TenantId,
        list: ListSchedules,
    ) -> Result<Vec<ScheduleRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| schedules::list(conn, &tenant, &list))
            .await
    }

    async fn schedule(
        &self,
        tenant: &TenantId,
        schedule: ScheduleId,
    ) -> Result<Option<ScheduleRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| schedules::one(conn, &tenant, schedule))
            .await
    }

    async fn schedule_count(&self, tenant: &TenantId) -> Result<u64, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| schedules::count(conn, &tenant)).await
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        self.read(move |conn| schedules::due(conn, now, limit))
            .await
    }

    async fn schedules_ahead(&self, of: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        self.read(move |conn| schedules::ahead(conn, of, limit))
            .await
    }

    async fn watched_schedules(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<ScheduleRow>, Error> {
        self.read(move |conn| schedules::watched(conn, after, limit))
            .await
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, Error> {
        self.read(schedules::next).await
    }

    async fn stored_answer(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, Error> {
        let (tenant, key) = (tenant.clone(), key.to_owned());
        self.read(move |conn| keys::answer(conn, &tenant, &key))
            .await
    }

    async fn tasks_in(&self, states: &[&str], limit: u32) -> Result<Vec<TaskRow>, Error> {
        let states = lists::states(states)?;
        self.read(move |conn| tasks::in_states(conn, &states, limit))
            .await
    }

    async fn requests_in(&self, states: &[&str], limit: u32) -> Result<Vec<RequestRow>, Error> {
        let states = lists::states(states)?;
        self.read(move |conn| lists::requests_in(conn, &states, limit))
            .await
    }

    async fn event(&self, tenant: &TenantId, event: &EventId) -> Result<Option<EventRow>, Error> {
        let (tenant, event) = (tenant.clone(), event.clone());
        self.read(move |conn| lists::event(conn, &tenant, &event))
            .await
    }

    async fn event_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<EventRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| lists::event_of_plan(conn, &tenant, plan))
            .await
    }

    async fn room(&self, tenant: &TenantId, room: &RoomId) -> Result<Option<RoomRow>, Error> {
        let (tenant, room) = (tenant.clone(), room.clone());
        self.read(move |conn| fleet::room(conn, &tenant, &room))
            .await
    }

    async fn agents(&self, tenant: &TenantId) -> Result<Vec<AgentRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| fleet::agents(conn, &tenant)).await
    }

    async fn open_at(&self, tenant: &TenantId, places: &[String]) -> Result<Vec<HostRow>, Error> {
        let (tenant, places) = (tenant.clone(), places.to_owned());
        self.read(move |conn| hosts::open_at(conn, &tenant, &places))
            .await
    }

    async fn due_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueTimer>, Error> {
        self.read(move |conn| timers::due(conn, now, limit)).await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, Error> {
        self.read(timers::next).await
    }

    async fn leases(
        &self,
        tenant: &TenantId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Vec<LeaseRow>, Error> {
        let (tenant, names) = (tenant.clone(), names.to_vec());
        self.read(move |conn| leases::named(conn, &tenant, &names, now))
            .await
    }

    async fn claim_outbox(
        &self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, Error> {
        let claim = Command::Claim {
            owner: owner.to_owned(),
            now,
            until,
            limit,
        };
        match self.submit(claim).await? {
            Answer::Rows(rows) => Ok(rows),
            other => unexpected(&other),
        }
    }

    async fn outbox_sent(&self, owner: &str, messages: &[MessageId]) -> Result<(), Error> {
        let sent = Command::Sent {
            owner: owner.to_owned(),
            messages: messages.to_vec(),
        };
        self.submit(sent).await.map(drop)
    }

    async fn outbox_release(
        &self,
        owner: &str,
        messages: &[MessageId],
        not_before: Timestamp,
    ) -> Result<(), Error> {
        let release = Command::Release {
            owner: owner.to_owned(),
            messages: messages.to_vec(),
            not_before,
        };
        self.submit(release).await.map(drop)
    }

    async fn logs(&self, request: RequestId, after: u64, limit: u32) -> Result<Vec<LogRow>, Error> {
        self.read(move |conn| logs::after(conn, request, after, limit))
            .await
    }

    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<NumberedAudit>, Error> {
        self.read(move |conn| audit::after(conn, seq, limit)).await
    }

    async fn stream_after(&self, after: u64, limit: u32) -> Result<Vec<StreamRow>, Error> {
        self.read(move |conn| stream::after(conn, after, limit))
            .await
    }

    async fn stream_head(&self) -> Result<u64, Error> {
        self.read(stream::head).await
    }

    async fn audit_stream(&self, stream: &str) -> Result<Vec<NumberedAudit>, Error> {
        let stream = stream.to_owned();
        self.read(move |conn| audit::of_stream(conn, &stream)).await
    }

    async fn last_of_stream(&self, stream: &str) -> Result<Option<NumberedAudit>, Error> {
        let stream = stream.to_owned();
        self.read(move |conn| audit::last_of_stream(conn, &stream))
            .await
    }

    async fn forgotten_by(&self, request: RequestId) -> Result<Option<NumberedAudit>, Error> {
        self.read(move |conn| audit::forgotten_by(conn, request))
            .await
    }

    async fn last_seal(&self) -> Result<Option<AuditSeal>, Error> {
        self.read(audit::last_seal).await
    }

    async fn run_events(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RunEventRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| told::of_request(conn, &tenant, request))
            .await
    }

    async fn run_policy(&self, digest: Digest) -> Result<Option<serde_json::Value>, Error> {
        self.read(move |conn| told::policy(conn, digest)).await
    }

    async fn seals_after(&self, seal_no: u64, limit: u32) -> Result<Vec<AuditSeal>, Error> {
        self.read(move |conn| audit::seals_after(conn, seal_no, limit))
            .await
    }

    async fn ledger_entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntryRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| ledger::entries(conn, &tenant, after, limit))
            .await
    }

    async fn ledger_batches(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerBatchRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| ledger::batches(conn, &tenant, after, limit))
            .await
    }

    async fn last_ledger_batch(&self, tenant: &TenantId) -> Result<Option<LedgerBatchRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| ledger::last(conn, &tenant)).await
    }

    async fn ledger_entry(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Option<LedgerEntryRow>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| ledger::entry_of(conn, &tenant, request))
            .await
    }

    async fn ledger_commit(&self, request: RequestId) -> Result<Option<String>, Error> {
        self.read(move |conn| ledger::commit_of(conn, request))
            .await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, Error> {
        let mut gone = 0;
        // In pieces, each a transaction of its own, so that commits get in between.
        loop {
            match self.submit(Command::Forget { before }).await? {
                Answer::Count(some) => {
                    gone += some;
                    if some < forget::CHUNK {
                        return Ok(gone);
                    }
                }
                other => return unexpected(&other),
            }
        }
    }

    async fn forgettable(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RequestId>, Error> {
        let tenant = tenant.clone();
        self.read(move |conn| history::old(conn, &tenant, before, limit))
            .await
    }

    async fn thin_metrics(
        &self,
        from: Timestamp,
        to: Timestamp,
        step_seconds: u32,
    ) -> Result<u64, Error> {
        let thin = Command::Thin {
            from,
            to,
            step_seconds,
        };
        match self.submit(thin).await? {
            Answer::Count(gone) => Ok(gone),
            other => unexpected(&other),
        }
    }

    async fn check(&self) -> Result<Vec<String>, Error> {
        self.damage
            .noted(self.readers.read(CHECK, check::faults).await)
    }

    async fn look_at_pages(&self) -> Result<(), Error> {
        let faults = self
            .damage
            .noted(self.readers.read(CHECK, check::pages).await)?;
        match faults.first() {
            None => Ok(()),
            Some(first) => {
                let error = Error::Corrupt(first.clone());
                self.damage.is(&error);
                Err(error)
            }
        }
    }

    fn damage(&self) -> Option<String> {
        self.damage.known()
    }
}
