//! One command within the writer's transaction: in which order the parts of a commit are judged and
//! written. Each table's SQL is left to its own file, transactions to `writer.rs`.

use std::ops::RangeInclusive;

use chiffon_common::{MessageId, TenantId};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    audit, fleet, forget, freezes, history, hosts, keys, leases, ledger, logs, outbox, projects,
    runs, schedules, stream, timers, told, writer::Duty,
};
use crate::{
    Error, OutboxRow,
    commit::{Check, Commit, Receipt, Write},
};

/// What the writer can be asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// [`crate::Store::commit`].
    Commit(Box<Commit>),
    /// [`crate::Store::claim_outbox`].
    Claim {
        owner: String,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    },
    /// [`crate::Store::outbox_sent`].
    Sent {
        owner: String,
        messages: Vec<MessageId>,
    },
    /// [`crate::Store::outbox_release`].
    Release {
        owner: String,
        messages: Vec<MessageId>,
        not_before: Timestamp,
    },
    /// A part of [`crate::Store::forget`].
    Forget { before: Timestamp },
    /// [`crate::Store::thin_metrics`].
    Thin {
        from: Timestamp,
        to: Timestamp,
        step_seconds: u32,
    },
}

/// What became of a command.
#[derive(Debug)]
pub(super) enum Answer {
    Receipt(Receipt),
    Rows(Vec<OutboxRow>),
    Count(u64),
}

/// What the commands of one transaction share: the numbers of their audit records and events.
pub(super) struct Batch<'c> {
    conn: &'c Connection,
    /// The first number of this transaction; absent until a record needs one.
    first_seq: Option<u64>,
    hashes: Vec<String>,
    /// The last event before this transaction; absent until an event needs a number.
    last_event: Option<u64>,
    /// How many events came since.
    events: u64,
}

/// Where the numbering of a batch stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    records: usize,
    events: u64,
}

/// What the writer does for the fleet's database.
#[derive(Debug)]
pub(super) struct Fleet;

impl Duty for Fleet {
    type Command = Command;
    type Answer = Answer;
    type Batch<'c> = Batch<'c>;
    type Mark = Mark;

    fn begin(conn: &Connection) -> Batch<'_> {
        Batch::new(conn)
    }

    fn mark(batch: &Batch<'_>) -> Mark {
        batch.mark()
    }

    fn back_to(batch: &mut Batch<'_>, mark: Mark) {
        batch.back_to(mark);
    }

    fn apply(batch: &mut Batch<'_>, command: &Command) -> Result<Answer, Error> {
        apply(batch, command)
    }

    fn seal(batch: &Batch<'_>) -> Result<(), Error> {
        batch.seal()
    }
}

impl<'c> Batch<'c> {
    fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            first_seq: None,
            hashes: Vec::new(),
            last_event: None,
            events: 0,
        }
    }

    pub(super) fn conn(&self) -> &'c Connection {
        self.conn
    }

    /// Where the numbering stands, for [`Self::back_to`].
    fn mark(&self) -> Mark {
        Mark {
            records: self.hashes.len(),
            events: self.events,
        }
    }

    /// Takes back the numbers given since the mark; otherwise a refusal would leave a hole.
    fn back_to(&mut self, mark: Mark) {
        self.hashes.truncate(mark.records);
        self.events = mark.events;
    }

    /// The number for the next record, whose hash this is.
    pub(super) fn number(&mut self, hash: String) -> Result<u64, Error> {
        let first = match self.first_seq {
            Some(first) => first,
            None => *self.first_seq.insert(audit::last_seq(self.conn)? + 1),
        };
        let seq = first + self.hashes.len() as u64;
        self.hashes.push(hash);
        Ok(seq)
    }

    /// The numbers for the next so many events, at least one.
    pub(super) fn place(&mut self, events: u64) -> Result<RangeInclusive<u64>, Error> {
        let before = match self.last_event {
            Some(last) => last,
            None => *self.last_event.insert(stream::head(self.conn)?),
        };
        let first = before + self.events + 1;
        self.events += events.max(1);
        Ok(first..=before + self.events)
    }

    /// Seals the transaction's records, if there are any.
    fn seal(&self) -> Result<(), Error> {
        match self.first_seq {
            Some(first) if !self.hashes.is_empty() => audit::seal(self.conn, first, &self.hashes),
            _ => Ok(()),
        }
    }
}

/// Does one command. After an error the caller rolls back to where it began.
fn apply(batch: &mut Batch<'_>, command: &Command) -> Result<Answer, Error> {
    let conn = batch.conn();
    match command {
        Command::Commit(commit) => apply_commit(batch, commit).map(Answer::Receipt),
        Command::Claim {
            owner,
            now,
            until,
            limit,
        } => outbox::claim(conn, owner, *now, *until, *limit).map(Answer::Rows),
        Command::Sent { owner, messages } => outbox::sent(conn, owner, messages).map(Answer::Count),
        Command::Release {
            owner,
            messages,
            not_before,
        } => outbox::release(conn, owner, messages, *not_before).map(Answer::Count),
        Command::Forget { before } => forget::some(conn, *before).map(Answer::Count),
        Command::Thin {
            from,
            to,
            step_seconds,
        } => history::thin(conn, *from, *to, *step_seconds).map(Answer::Count),
    }
}

/// Keys first, so that a repeated message or request learns of it whatever else would be refused by now.
fn apply_commit(batch: &mut Batch<'_>, commit: &Commit) -> Result<Receipt, Error> {
    let (conn, tenant) = (batch.conn(), &commit.tenant_id);
    let mut receipt = Receipt::default();
    if let Some(key) = &commit.inbox
        && !chiffon_failpoint::mutant!("no-inbox")
    {
        keys::handle(conn, tenant, key)?;
    }
    if let Some(claim) = &commit.idempotency {
        keys::claim(conn, tenant, claim)?;
    }
    for check in &commit.checks {
        match check {
            Check::Holds { name, owner, epoch } => {
                leases::holds(conn, tenant, name, owner, *epoch)?;
            }
            Check::Free { name, owner, now } => leases::free(conn, tenant, name, owner, *now)?,
            Check::Freeze { version } => freezes::check(conn, tenant, *version)?,
            Check::FewerSchedules { than } => schedules::fewer(conn, tenant, *than)?,
            Check::Schedule {
                schedule_id,
                version,
            } => schedules::check(conn, tenant, *schedule_id, *version)?,
        }
    }
    for write in &commit.writes {
        receipt.epochs.extend(apply_write(batch, tenant, write)?);
    }
    for entry in &commit.audit {
        receipt
            .audit_seqs
            .push(audit::append(batch, tenant, entry)?);
    }
    for row in &commit.outbox {
        outbox::insert(conn, tenant, row)?;
    }
    Ok(receipt)
}

/// One change; the epoch, where it takes a lease.
fn apply_write(
    batch: &mut Batch<'_>,
    tenant: &TenantId,
    write: &Write,
) -> Result<Option<u64>, Error> {
    let conn = batch.conn();
    match write {
        Write::Request(expected, row) => runs::write_request(conn, tenant, *expected, row)?,
        Write::Task(expected, row) => runs::write_task(conn, tenant, *expected, row)?,
        Write::Decision(expected, row) => runs::write_decision(conn, tenant, *expected, row)?,
        Write::Plan(row) => runs::write_plan(conn, tenant, row)?,
        Write::RunEvent(row) => told::write(conn, tenant, row)?,
        Write::Event(row) => runs::write_event(conn, tenant, row)?,
        Write::Agent(expected, row) => fleet::write_agent(conn, tenant, *expected, row)?,
        Write::Room(expected, row) => fleet::write_room(conn, tenant, *expected, row)?,
        Write::Project(expected, row) => projects::write(conn, tenant, *expected, row)?,
        Write::Freeze(expected, row) => freezes::write(conn, tenant, *expected, row)?,
        Write::Schedule(expected, row) => schedules::write(conn, tenant, *expected, row)?,
        Write::RemoveSchedule {
            schedule_id,
            version,
        } => schedules::remove(conn, tenant, *schedule_id, *version)?,
        Write::ForgetRequest(request) => history::forget(conn, tenant, *request)?,
        Write::MarkHost(row) => hosts::mark(conn, tenant, row)?,
        Write::ForgetKey { key, kept } => keys::forget(conn, tenant, key, kept)?,
        Write::UnmarkHosts { task_id, places } => {
            hosts::unmark(conn, tenant, *task_id, places.as_deref())?;
        }
        Write::Metric(row) => fleet::write_metric(conn, tenant, row)?,
        Write::SetTimer(row) => timers::set(conn, tenant, row)?,
        Write::ClearTimer { slice, name } => timers::clear(conn, tenant, slice, name)?,
        Write::TakeTimer(row) => timers::take(conn, tenant, row)?,
        Write::TakeLease {
            name,
            owner,
            now,
            expires_at,
        } => return leases::take(conn, tenant, name, owner, *now, *expires_at).map(Some),
        Write::ReleaseLease { name, owner } => leases::release(conn, tenant, name, owner)?,
        Write::Logs(lines) => logs::append(batch, tenant, lines)?,
        Write::LedgerEntry(row) => ledger::append(conn, tenant, row)?,
        Write::LedgerBatch(row) => ledger::write_batch(conn, tenant, row)?,
    }
    Ok(None)
}
