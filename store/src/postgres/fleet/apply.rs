//! One commit within the writer's transaction: in which order its parts are judged and written, and the numbers that the
//! commits of one transaction share. Each table's SQL is left to its own file, transactions to `writer.rs`.

use std::ops::RangeInclusive;

use chiffon_common::TenantId;
use deadpool_postgres::Transaction;

use super::{audit, history, keys, leases, ledger, outbox, runs, schedules, stream, timers, world};
use crate::{
    Error,
    commit::{Check, Commit, Receipt, Write},
};

/// The numbers of a transaction's audit records and events. Whoever writes holds the writers' lock, so nobody else gives
/// any meanwhile; what is rolled back takes its numbers with it.
#[derive(Default)]
pub(super) struct Batch {
    /// The first number of this transaction; absent until a record needs one.
    first_seq: Option<u64>,
    hashes: Vec<String>,
    /// The last event before this transaction; absent until an event needs a number.
    last_event: Option<u64>,
    /// How many events came since.
    events: u64,
}

impl Batch {
    /// The number for the next record, whose hash this is.
    pub(super) async fn number(
        &mut self,
        tx: &Transaction<'_>,
        hash: String,
    ) -> Result<u64, Error> {
        let first = match self.first_seq {
            Some(first) => first,
            None => *self.first_seq.insert(audit::last_seq(tx).await? + 1),
        };
        let seq = first + self.hashes.len() as u64;
        self.hashes.push(hash);
        Ok(seq)
    }

    /// The numbers for the next so many events, at least one.
    pub(super) async fn place(
        &mut self,
        tx: &Transaction<'_>,
        events: u64,
    ) -> Result<RangeInclusive<u64>, Error> {
        let before = match self.last_event {
            Some(last) => last,
            None => *self.last_event.insert(stream::head(tx).await?),
        };
        let first = before + self.events + 1;
        self.events += events.max(1);
        Ok(first..=before + self.events)
    }

    /// Seals the transaction's records, if there are any.
    pub(super) async fn seal(&self, tx: &Transaction<'_>) -> Result<(), Error> {
        match self.first_seq {
            Some(first) if !self.hashes.is_empty() => audit::seal(tx, first, &self.hashes).await,
            _ => Ok(()),
        }
    }
}

/// Keys first, so that a repeated message or request learns of it whatever else would be refused by now.
pub(super) async fn commit(
    tx: &Transaction<'_>,
    batch: &mut Batch,
    commit: &Commit,
) -> Result<Receipt, Error> {
    let tenant = &commit.tenant_id;
    let mut receipt = Receipt::default();
    if let Some(key) = &commit.inbox
        && !chiffon_failpoint::mutant!("no-inbox")
    {
        keys::handle(tx, tenant, key).await?;
    }
    if let Some(claim) = &commit.idempotency {
        keys::claim(tx, tenant, claim).await?;
    }
    for check in &commit.checks {
        hold(tx, tenant, check).await?;
    }
    for write in &commit.writes {
        receipt
            .epochs
            .extend(apply(tx, batch, tenant, write).await?);
    }
    for entry in &commit.audit {
        let seq = audit::append(tx, batch, tenant, entry).await?;
        receipt.audit_seqs.push(seq);
    }
    outbox::insert(tx, tenant, &commit.outbox).await?;
    Ok(receipt)
}

/// Holds a check against the tables.
async fn hold(tx: &Transaction<'_>, tenant: &TenantId, check: &Check) -> Result<(), Error> {
    match check {
        Check::Holds { name, owner, epoch } => leases::holds(tx, tenant, name, owner, *epoch).await,
        Check::Free { name, owner, now } => leases::free(tx, tenant, name, owner, *now).await,
        Check::Freeze { version } => world::check_freeze(tx, tenant, *version).await,
        Check::FewerSchedules { than } => schedules::fewer(tx, tenant, *than).await,
        Check::Schedule {
            schedule_id,
            version,
        } => schedules::check(tx, tenant, *schedule_id, *version).await,
    }
}

/// One change; the epoch, where it takes a lease.
async fn apply(
    tx: &Transaction<'_>,
    batch: &mut Batch,
    tenant: &TenantId,
    write: &Write,
) -> Result<Option<u64>, Error> {
    match write {
        Write::Request(expected, row) => runs::write_request(tx, tenant, *expected, row).await?,
        Write::Task(expected, row) => runs::write_task(tx, tenant, *expected, row).await?,
        Write::Decision(expected, row) => runs::write_decision(tx, tenant, *expected, row).await?,
        Write::Plan(row) => runs::write_plan(tx, tenant, row).await?,
        Write::RunEvent(row) => runs::write_run_event(tx, tenant, row).await?,
        Write::Event(row) => runs::write_event(tx, tenant, row).await?,
        Write::Agent(expected, row) => world::write_agent(tx, tenant, *expected, row).await?,
        Write::Room(expected, row) => world::write_room(tx, tenant, *expected, row).await?,
        Write::Project(expected, row) => world::write_project(tx, tenant, *expected, row).await?,
        Write::Freeze(expected, row) => world::write_freeze(tx, tenant, *expected, row).await?,
        Write::Schedule(expected, row) => schedules::write(tx, tenant, *expected, row).await?,
        Write::RemoveSchedule {
            schedule_id,
            version,
        } => schedules::remove(tx, tenant, *schedule_id, *version).await?,
        Write::ForgetRequest(request) => history::forget_request(tx, tenant, *request).await?,
        Write::MarkHost(row) => world::mark(tx, tenant, row).await?,
        Write::ForgetKey { key, kept } => keys::forget(tx, tenant, key, kept).await?,
        Write::UnmarkHosts { task_id, places } => {
            world::unmark(tx, tenant, *task_id, places.as_deref()).await?;
        }
        Write::Metric(row) => world::write_metric(tx, tenant, row).await?,
        Write::SetTimer(row) => timers::set(tx, tenant, row).await?,
        Write::ClearTimer { slice, name } => timers::clear(tx, tenant, slice, name).await?,
        Write::TakeTimer(row) => timers::take(tx, tenant, row).await?,
        Write::TakeLease {
            name,
            owner,
            now,
            expires_at,
        } => {
            let epoch = leases::take(tx, tenant, name, owner, *now, *expires_at).await?;
            return Ok(Some(epoch));
        }
        Write::ReleaseLease { name, owner } => leases::release(tx, tenant, name, owner).await?,
        Write::Logs(lines) => stream::append(tx, batch, tenant, lines).await?,
        Write::LedgerEntry(row) => ledger::append(tx, tenant, row).await?,
        Write::LedgerBatch(row) => ledger::write_batch(tx, tenant, row).await?,
    }
    Ok(None)
}
