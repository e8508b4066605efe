//! The contract, handed on: commits to the writer, everything else to a connection of the pool.

use std::time::Duration;

use async_trait::async_trait;
use chiffon_common::{
    Digest, EventId, MessageId, PlanId, ProjectId, RequestId, RoomId, ScheduleId, TaskId, TenantId,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Postgres, audit, check, history, keys, leases, ledger, lists, outbox, partitions, schedules,
    snapshot, stream, timers, world,
};
use crate::{
    AgentRow, AuditSeal, DecisionRow, DueTimer, Error, EventRow, FreezeRow, HostRow, LeaseRow,
    LedgerBatchRow, LedgerEntryRow, ListDecisions, ListRequests, ListSchedules, ListTasks, LogRow,
    NumberedAudit, OutboxRow, PlanRow, ProjectRow, RequestRow, RoomRow, RunEventRow, RunRows,
    ScheduleRow, Store, StoredAnswer, StreamRow, TaskRow,
    commit::{Commit, Receipt},
    patience::within,
    postgres::pool::bounded,
};

/// A full check reads everything, however much there is.
const CHECK: Duration = Duration::from_secs(600);

#[async_trait]
impl Store for Postgres {
    async fn commit(&self, commit: Commit) -> Result<Receipt, Error> {
        self.writer.submit(commit).await
    }

    async fn run(&self, tenant: &TenantId, request: RequestId) -> Result<Option<RunRows>, Error> {
        let mut client = self.client().await?;
        bounded(async {
            let tx = snapshot(&mut client).await?;
            let run = lists::run(&tx, tenant, request).await?;
            tx.rollback().await?;
            Ok(run)
        })
        .await
    }

    async fn request_of_task(&self, task: TaskId) -> Result<Option<(TenantId, RequestId)>, Error> {
        let client = self.client().await?;
        bounded(lists::request_of_task(&client, task)).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        list: ListRequests,
    ) -> Result<Vec<RequestRow>, Error> {
        let client = self.client().await?;
        bounded(lists::requests(&client, tenant, &list)).await
    }

    async fn undos_of(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RequestRow>, Error> {
        let client = self.client().await?;
        bounded(lists::undos_of(&client, tenant, request)).await
    }

    async fn tasks(&self, tenant: &TenantId, list: ListTasks) -> Result<Vec<TaskRow>, Error> {
        let client = self.client().await?;
        bounded(lists::tasks(&client, tenant, &list)).await
    }

    async fn decisions(
        &self,
        tenant: &TenantId,
        list: ListDecisions,
    ) -> Result<Vec<DecisionRow>, Error> {
        let client = self.client().await?;
        bounded(lists::decisions(&client, tenant, &list)).await
    }

    async fn request_of_decision(
        &self,
        tenant: &TenantId,
        decision: &str,
    ) -> Result<Option<RequestId>, Error> {
        let client = self.client().await?;
        bounded(lists::request_of_decision(&client, tenant, decision)).await
    }

    async fn plans(
        &self,
        tenant: &TenantId,
        after: Option<(Timestamp, RequestId)>,
        limit: u32,
    ) -> Result<Vec<PlanRow>, Error> {
        let client = self.client().await?;
        bounded(lists::plans(&client, tenant, after.as_ref(), limit)).await
    }

    async fn request_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<RequestId>, Error> {
        let client = self.client().await?;
        bounded(lists::request_of_plan(&client, tenant, plan)).await
    }

    async fn projects(
        &self,
        tenant: &TenantId,
        after: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<ProjectRow>, Error> {
        let client = self.client().await?;
        bounded(world::projects(&client, tenant, after.as_ref(), limit)).await
    }

    async fn project(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Option<ProjectRow>, Error> {
        let client = self.client().await?;
        bounded(world::project(&client, tenant, project)).await
    }

    async fn freeze(&self, tenant: &TenantId) -> Result<Option<FreezeRow>, Error> {
        let client = self.client().await?;
        bounded(world::freeze(&client, tenant)).await
    }

    async fn schedules(
        &self,
        tenant: &TenantId,
        list: ListSchedules,
    ) -> Result<Vec<ScheduleRow>, Error> {
        let client = self.client().await?;
        bounded(schedules::list(&client, tenant, &list)).await
    }

    async fn schedule(
        &self,
        tenant: &TenantId,
        schedule: ScheduleId,
    ) -> Result<Option<ScheduleRow>, Error> {
        let client = self.client().await?;
        bounded(schedules::one(&client, tenant, schedule)).await
    }

    async fn schedule_count(&self, tenant: &TenantId) -> Result<u64, Error> {
        let client = self.client().await?;
        bounded(schedules::count(&client, tenant)).await
    }

    async fn due_schedules(&self, now: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        let client = self.client().await?;
        bounded(schedules::due(&client, now, limit)).await
    }

    async fn schedules_ahead(&self, of: Timestamp, limit: u32) -> Result<Vec<ScheduleRow>, Error> {
        let client = self.client().await?;
        bounded(schedules::ahead(&client, of, limit)).await
    }

    async fn watched_schedules(
        &self,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<ScheduleRow>, Error> {
        let client = self.client().await?;
        bounded(schedules::watched(&client, after, limit)).await
    }

    async fn next_schedule(&self) -> Result<Option<Timestamp>, Error> {
        let client = self.client().await?;
        bounded(schedules::next(&client)).await
    }

    async fn stored_answer(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<StoredAnswer>, Error> {
        let client = self.client().await?;
        bounded(keys::answer(&client, tenant, key)).await
    }

    async fn tasks_in(&self, states: &[&str], limit: u32) -> Result<Vec<TaskRow>, Error> {
        let client = self.client().await?;
        bounded(lists::tasks_in(&client, states, limit)).await
    }

    async fn requests_in(&self, states: &[&str], limit: u32) -> Result<Vec<RequestRow>, Error> {
        let client = self.client().await?;
        bounded(lists::requests_in(&client, states, limit)).await
    }

    async fn event(&self, tenant: &TenantId, event: &EventId) -> Result<Option<EventRow>, Error> {
        let client = self.client().await?;
        bounded(lists::event(&client, tenant, event)).await
    }

    async fn event_of_plan(
        &self,
        tenant: &TenantId,
        plan: PlanId,
    ) -> Result<Option<EventRow>, Error> {
        let client = self.client().await?;
        bounded(lists::event_of_plan(&client, tenant, plan)).await
    }

    async fn room(&self, tenant: &TenantId, room: &RoomId) -> Result<Option<RoomRow>, Error> {
        let client = self.client().await?;
        bounded(world::room(&client, tenant, room)).await
    }

    async fn agents(&self, tenant: &TenantId) -> Result<Vec<AgentRow>, Error> {
        let client = self.client().await?;
        bounded(world::agents(&client, tenant)).await
    }

    async fn open_at(&self, tenant: &TenantId, places: &[String]) -> Result<Vec<HostRow>, Error> {
        let client = self.client().await?;
        bounded(world::open_at(&client, tenant, places)).await
    }

    async fn due_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueTimer>, Error> {
        let client = self.client().await?;
        bounded(timers::due(&client, now, limit)).await
    }

    async fn next_timer(&self) -> Result<Option<Timestamp>, Error> {
        let client = self.client().await?;
        bounded(timers::next(&client)).await
    }

    async fn leases(
        &self,
        tenant: &TenantId,
        names: &[String],
        now: Timestamp,
    ) -> Result<Vec<LeaseRow>, Error> {
        let client = self.client().await?;
        bounded(leases::named(&client, tenant, names, now)).await
    }

    async fn claim_outbox(
        &self,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, Error> {
        let client = self.client().await?;
        bounded(outbox::claim(&client, owner, now, until, limit)).await
    }

    async fn outbox_sent(&self, owner: &str, messages: &[MessageId]) -> Result<(), Error> {
        let client = self.client().await?;
        bounded(outbox::sent(&client, owner, messages)).await
    }

    async fn outbox_release(
        &self,
        owner: &str,
        messages: &[MessageId],
        not_before: Timestamp,
    ) -> Result<(), Error> {
        let client = self.client().await?;
        bounded(outbox::release(&client, owner, messages, not_before)).await
    }

    async fn logs(&self, request: RequestId, after: u64, limit: u32) -> Result<Vec<LogRow>, Error> {
        let client = self.client().await?;
        bounded(stream::lines(&client, request, after, limit)).await
    }

    async fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<NumberedAudit>, Error> {
        let client = self.client().await?;
        bounded(audit::after(&client, seq, limit)).await
    }

    async fn stream_after(&self, after: u64, limit: u32) -> Result<Vec<StreamRow>, Error> {
        let client = self.client().await?;
        bounded(stream::after(&client, after, limit)).await
    }

    async fn stream_head(&self) -> Result<u64, Error> {
        let client = self.client().await?;
        bounded(stream::head(&client)).await
    }

    async fn audit_stream(&self, stream: &str) -> Result<Vec<NumberedAudit>, Error> {
        let client = self.client().await?;
        bounded(audit::of_stream(&client, stream)).await
    }

    async fn last_of_stream(&self, stream: &str) -> Result<Option<NumberedAudit>, Error> {
        let client = self.client().await?;
        bounded(audit::last_of_stream(&client, stream)).await
    }

    async fn forgotten_by(&self, request: RequestId) -> Result<Option<NumberedAudit>, Error> {
        let client = self.client().await?;
        bounded(audit::forgotten_by(&client, request)).await
    }

    async fn last_seal(&self) -> Result<Option<AuditSeal>, Error> {
        let client = self.client().await?;
        bounded(audit::last_seal(&client)).await
    }

    async fn run_events(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Vec<RunEventRow>, Error> {
        let client = self.client().await?;
        bounded(lists::run_events(&client, tenant, request)).await
    }

    async fn run_policy(&self, digest: Digest) -> Result<Option<serde_json::Value>, Error> {
        let client = self.client().await?;
        bounded(lists::run_policy(&client, digest)).await
    }

    async fn seals_after(&self, seal_no: u64, limit: u32) -> Result<Vec<AuditSeal>, Error> {
        let client = self.client().await?;
        bounded(audit::seals_after(&client, seal_no, limit)).await
    }

    async fn ledger_entries(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerEntryRow>, Error> {
        let client = self.client().await?;
        bounded(ledger::entries(&client, tenant, after, limit)).await
    }

    async fn ledger_entry(
        &self,
        tenant: &TenantId,
        request: RequestId,
    ) -> Result<Option<LedgerEntryRow>, Error> {
        let client = self.client().await?;
        bounded(ledger::entry_of(&client, tenant, request)).await
    }

    async fn ledger_batches(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<LedgerBatchRow>, Error> {
        let client = self.client().await?;
        bounded(ledger::batches(&client, tenant, after, limit)).await
    }

    async fn last_ledger_batch(&self, tenant: &TenantId) -> Result<Option<LedgerBatchRow>, Error> {
        let client = self.client().await?;
        bounded(ledger::last(&client, tenant)).await
    }

    async fn ledger_commit(&self, request: RequestId) -> Result<Option<String>, Error> {
        let client = self.client().await?;
        bounded(ledger::commit_of(&client, request)).await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, Error> {
        let mut gone = partitions::drop_old(&self.pool, before).await?;
        // In pieces, each a transaction of its own.
        loop {
            let client = self.client().await?;
            let (some, is_more) = bounded(history::forget(&client, before)).await?;
            gone += some;
            if !is_more {
                return Ok(gone);
            }
        }
    }

    async fn forgettable(
        &self,
        tenant: &TenantId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RequestId>, Error> {
        let client = self.client().await?;
        bounded(history::forgettable(&client, tenant, before, limit)).await
    }

    async fn thin_metrics(
        &self,
        from: Timestamp,
        to: Timestamp,
        step_seconds: u32,
    ) -> Result<u64, Error> {
        let client = self.client().await?;
        bounded(history::thin(&client, from, to, step_seconds)).await
    }

    async fn check(&self) -> Result<Vec<String>, Error> {
        let mut client = self.client().await?;
        let work = async {
            let tx = snapshot(&mut client).await?;
            let long = format!("SET LOCAL statement_timeout = '{}s'", CHECK.as_secs());
            tx.batch_execute(&long).await?;
            let faults = check::faults(&tx).await?;
            tx.rollback().await?;
            Ok(faults)
        };
        let late = |_| Error::Unavailable(format!("no answer within {} s", CHECK.as_secs()));
        within(CHECK, work).await.map_err(late)?
    }

    fn wakes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.wakes.heard())
    }
}
