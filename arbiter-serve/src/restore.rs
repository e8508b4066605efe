//! Bringing the store and the audit files to the same state at a start. The files are the truth: the memory store is
//! filled from them, and a database is given what stands in them and it lacks. What a database has decided and a crash has
//! kept from the files is written to them. Whether they are all there is for `outbox` to say.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use chiffon_arbiter::{Gates, answering_plan};
use chiffon_common::{AuditId, Digest, ErrorCode, Problem, RoomId, TenantId};
use chiffon_store::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Expect, Outcome, StateChange, StateWrite,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::{
    audit::{Audit, Head, Lines, Newest, files, files_from, follow},
    decide::store_problem,
    record::{self, Judged, Next, Record},
    states,
};

/// A page of the outbox.
const PAGE: u32 = 500;
/// How much later a record may stand in the files than one with a later time: clocks are set.
const SLACK: SignedDuration = SignedDuration::from_mins(10);
/// Decisions that are brought back to a database at once.
const AT_ONCE: usize = 64;

fn unreadable(path: &Path, why: impl std::fmt::Display) -> Problem {
    let detail = format!("{}: {why}", path.display());
    let todo = "look at it with `arbiter audit verify`; nothing was changed";
    Problem::new(ErrorCode::AuditBroken, detail, todo)
}

fn unfit(file: &Path, seq: u64, why: &str) -> Problem {
    unreadable(file, format_args!("record {seq}: {why}"))
}

/// The records of a folder after a number, in their order, each held against the one before it. Blocks while it reads.
struct Records {
    files: VecDeque<PathBuf>,
    open: Option<(PathBuf, Lines)>,
    head: Option<Head>,
    after: u64,
}

/// A record with its place in the chain.
struct Found {
    seq: u64,
    record: Record<'static>,
    file: PathBuf,
}

impl Records {
    fn after(folder: &Path, after: u64) -> Result<Self, Problem> {
        let files = files_from(folder, after).map_err(|error| unreadable(folder, error))?;
        Ok(Self {
            files: files.into(),
            open: None,
            head: None,
            after,
        })
    }

    fn next(&mut self) -> Result<Option<Found>, Problem> {
        loop {
            let Some((file, lines)) = &mut self.open else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                let lines = Lines::open(&file).map_err(|error| unreadable(&file, error))?;
                self.open = Some((file, lines));
                continue;
            };
            let Some(line) = lines.next().map_err(|error| unreadable(file, error))? else {
                self.open = None;
                continue;
            };
            let number = line.number;
            let broken = |why: &dyn std::fmt::Display| {
                unreadable(file, format_args!("line {number}: {why}"))
            };
            let link = follow(self.head, &line).map_err(|why| broken(&why))?;
            let (seq, hash) = (link.seq, link.hash);
            self.head = Some(Head { seq, hash });
            if seq <= self.after {
                continue;
            }
            let record: Record<'static> =
                serde_json::from_slice(line.bytes).map_err(|why| broken(&why))?;
            record.fits().map_err(|why| broken(&why))?;
            let file = file.clone();
            return Ok(Some(Found { seq, record, file }));
        }
    }
}

/// Fills an empty store with what the audit files tell; how many decisions that were, and the newest one of each file.
/// Blocks while it reads.
pub(crate) async fn fill(
    store: &dyn ControlStore,
    folder: &Path,
    gate: &Gates,
) -> Result<(u64, Newest), Problem> {
    let (mut count, mut newest) = (0, Newest::new());
    let mut records = Records::after(folder, 0)?;
    while let Some(found) = records.next()? {
        let Found { seq, record, file } = found;
        let commit = commit_of(&record, gate).map_err(|why| unfit(&file, seq, &why))?;
        let Some(commit) = commit else { continue };
        let committed = store.commit(commit).await;
        committed.map_err(|error| store_problem(&error))?;
        count += 1;
        let newest = newest.entry(file).or_insert(record.ts);
        *newest = record.ts.max(*newest);
    }
    Ok((count, newest))
}

/// Where the last state of each room, or of the tenant itself, stands.
type LastStates = HashMap<(TenantId, Option<RoomId>), u64>;

/// Gives a database the decisions that stand in the files after record `after` and are not in it; how many that were.
/// What is older than `since` would be forgotten at once, and is left out. Blocks while it reads.
pub(crate) async fn bring_back(
    store: &Arc<dyn ControlStore>,
    folder: &Path,
    after: u64,
    gate: &Gates,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64, Problem> {
    // Only the last state of each counts, so that the order in which the database takes them does not.
    let last = last_states(folder, after)?;
    let mut records = Records::after(folder, after)?;
    let (mut sent, mut brought) = (JoinSet::new(), 0);
    while let Some(found) = records.next()? {
        let Found { seq, record, file } = found;
        if record.ts < since {
            continue;
        }
        let commit = commit_of(&record, gate).map_err(|why| unfit(&file, seq, &why))?;
        let Some(mut commit) = commit else { continue };
        let tenant_id = commit.key.tenant_id.clone();
        let room_id = Some(commit.room_id.clone());
        let is_last = |of: (TenantId, Option<RoomId>)| last.get(&of) == Some(&seq);
        commit.room = commit
            .room
            .filter(|_| is_last((tenant_id.clone(), room_id)));
        commit.tenant = commit.tenant.filter(|_| is_last((tenant_id, None)));
        for write in [&mut commit.room, &mut commit.tenant].into_iter().flatten() {
            over_if_ended(write, now);
        }
        if sent.len() >= AT_ONCE {
            brought += taken(sent.join_next().await)?;
        }
        let store = Arc::clone(store);
        sent.spawn(async move { store.commit(commit).await });
    }
    while !sent.is_empty() {
        brought += taken(sent.join_next().await)?;
    }
    Ok(brought)
}

/// Whether the database took it: 1, or 0 where it had it.
fn taken(
    done: Option<Result<Result<Outcome, chiffon_store::Error>, tokio::task::JoinError>>,
) -> Result<u64, Problem> {
    match done {
        Some(Ok(Ok(Outcome::Committed { .. }))) => Ok(1),
        Some(Ok(Err(error))) => Err(store_problem(&error)),
        Some(Err(error)) => {
            let todo = "please report this with the log of the arbiter";
            Err(Problem::new(ErrorCode::Internal, error.to_string(), todo))
        }
        Some(Ok(Ok(_))) | None => Ok(0),
    }
}

fn last_states(folder: &Path, after: u64) -> Result<LastStates, Problem> {
    let mut last = LastStates::new();
    let mut records = Records::after(folder, after)?;
    while let Some(found) = records.next()? {
        let record = found.record;
        let (record::Outcome::Decided, Some(judged), Some(tenant), Some(room)) = (
            record.result,
            record.judged,
            record.tenant_id,
            record.room_id,
        ) else {
            continue;
        };
        let next = judged.next();
        let tenant = tenant.into_owned();
        if next.tenant.is_some() {
            last.insert((tenant.clone(), None), found.seq);
        }
        if next.room.is_some() {
            last.insert((tenant, Some(room.into_owned())), found.seq);
        }
    }
    Ok(last)
}

/// A state that means nothing any more is none.
fn over_if_ended(write: &mut StateWrite, now: Timestamp) {
    let is_over = |change: &StateChange| matches!(change, StateChange::Put { keep_until, .. } if *keep_until <= now);
    if is_over(&write.change) {
        write.change = StateChange::Remove;
    }
}

/// What a decision has made true; nothing for records that changed nothing.
fn commit_of(record: &Record<'_>, gate: &Gates) -> Result<Option<ControlCommit>, String> {
    let (record::Outcome::Decided, Some(judged), Some(tenant_id)) =
        (record.result, &record.judged, record.tenant_id.as_deref())
    else {
        return Ok(None);
    };
    let commit = match judged {
        Judged::Event {
            event, plan, next, ..
        } => Told {
            kind: ControlKind::Event,
            id: event.event_id.to_string(),
            room_id: &plan.room_id,
            plan_id: Some(plan.plan_id),
            body: digest(event)?,
            answer: json(plan)?,
            needed_until: states::asked_until(plan, next),
            next,
        },
        Judged::Generation {
            result, plan, next, ..
        } => Told {
            kind: ControlKind::Generation,
            id: answering_plan(result.plan_id).to_string(),
            room_id: &plan.room_id,
            plan_id: Some(result.plan_id),
            body: digest(result)?,
            answer: json(plan)?,
            needed_until: None,
            next,
        },
        Judged::Action {
            result,
            receipt,
            next,
            ..
        } => Told {
            kind: ControlKind::Action,
            id: result.action_id.to_string(),
            room_id: &receipt.room_id,
            plan_id: None,
            body: digest(result)?,
            answer: json(receipt)?,
            needed_until: None,
            next,
        },
    };
    commit.commit(tenant_id, record.ts, gate).map(Some)
}

/// What is the same in decisions of all kinds.
struct Told<'a> {
    kind: ControlKind,
    id: String,
    room_id: &'a RoomId,
    plan_id: Option<chiffon_common::PlanId>,
    body: Digest,
    answer: String,
    needed_until: Option<Timestamp>,
    next: &'a Next<'a>,
}

impl Told<'_> {
    fn commit(
        self,
        tenant_id: &TenantId,
        at: Timestamp,
        gate: &Gates,
    ) -> Result<ControlCommit, String> {
        let put = |change: Result<StateChange, serde_json::Error>| {
            let change = change.map_err(|error| error.to_string())?;
            Ok::<_, String>(StateWrite {
                expected: Expect::Any,
                change,
            })
        };
        let room = self.next.room.as_deref();
        let room = room.map(|room| put(states::put(room, states::room_until(room, gate))));
        let tenant = self.next.tenant.as_deref();
        let tenant =
            tenant.map(|tenant| put(states::put(tenant, states::tenant_until(tenant, gate))));
        Ok(ControlCommit {
            key: ControlKey {
                tenant_id: tenant_id.clone(),
                kind: self.kind,
                id: self.id,
            },
            room_id: self.room_id.clone(),
            plan_id: self.plan_id,
            body: self.body,
            answer: self.answer,
            at,
            needed_until: self.needed_until,
            room: room.transpose()?,
            tenant: tenant.transpose()?,
            audit: None,
        })
    }
}

fn digest<T: Serialize>(value: &T) -> Result<Digest, String> {
    Digest::of_value(value).map_err(|error| error.to_string())
}

fn json<T: Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct OnlyId {
    audit_id: AuditId,
}

/// Writes what the store has decided and the files lack; how many lines that were.
pub(crate) async fn catch_up(
    store: &dyn ControlStore,
    audit: &Audit,
    folder: &Path,
    replica: &str,
) -> Result<u64, Problem> {
    let mut on_file: Option<HashSet<AuditId>> = None;
    let (mut written, mut after) = (0, 0);
    loop {
        let page = store.unaudited(replica, after, PAGE).await;
        let page = page.map_err(|error| store_problem(&error))?;
        let Some(last) = page.last() else {
            return Ok(written);
        };
        after = last.seq;
        let on_file = match &mut on_file {
            Some(on_file) => on_file,
            none => {
                // Lines wait in the order of their decisions.
                let oldest = page.iter().filter_map(|one| told_at(&one.line)).min();
                let ids = ids_since(folder, oldest);
                none.insert(ids.map_err(|error| unreadable(folder, error))?)
            }
        };
        let mut seqs = Vec::with_capacity(page.len());
        for one in page {
            seqs.push(one.seq);
            let id = serde_json::from_str::<OnlyId>(&one.line);
            if id.is_ok_and(|id| on_file.contains(&id.audit_id)) {
                continue;
            }
            let failed = |error: crate::audit::Unwritten| {
                let todo = "make the audit folder writable";
                Problem::new(ErrorCode::AuditUnwritable, error.to_string(), todo)
            };
            let place = audit.place().await.map_err(failed)?;
            place
                .put(one.line.into_bytes(), None)
                .wait()
                .await
                .map_err(failed)?;
            written += 1;
        }
        store
            .audited(replica, &seqs, None)
            .await
            .map_err(|error| store_problem(&error))?;
    }
}

#[derive(Deserialize)]
struct OnlyTime {
    ts: Timestamp,
}

fn told_at(line: &str) -> Option<Timestamp> {
    serde_json::from_str(line).ok().map(|OnlyTime { ts }| ts)
}

/// The ids in the files that may hold records of this time or later; in all, where it is not known.
fn ids_since(folder: &Path, oldest: Option<Timestamp>) -> std::io::Result<HashSet<AuditId>> {
    let since = oldest.and_then(|oldest| oldest.checked_sub(SLACK).ok());
    let mut ids = HashSet::new();
    for file in files(folder)?.iter().rev() {
        let mut lines = Lines::open(file)?;
        let mut begins = None;
        while let Some(line) = lines.next()? {
            if begins.is_none() {
                begins = serde_json::from_slice(line.bytes).ok();
            }
            if let Ok(OnlyId { audit_id }) = serde_json::from_slice(line.bytes) {
                ids.insert(audit_id);
            }
        }
        if begins.is_some_and(|OnlyTime { ts }| since.is_some_and(|since| ts < since)) {
            break;
        }
    }
    Ok(ids)
}
