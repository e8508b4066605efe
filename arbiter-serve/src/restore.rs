//! Bringing the store and the audit files to the same state at a start. The files are the truth: the memory store is
//! filled from them, and a database is given what stands in them and it lacks. What a database has decided and a crash has
//! kept from the files is written to them. Whether they are all there is for `outbox` to say.

mod tenants;

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    path::{Path, PathBuf},
    sync::Arc,
};

use chiffon_arbiter::{Gates, TenantState, answering_plan};
use chiffon_common::{AuditId, Digest, ErrorCode, Problem, RoomId, TenantId};
use chiffon_store::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Expect, Outcome, StateChange, StateWrite,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use self::tenants::TenantMoves;
use crate::{
    audit::{Audit, Head, Line, Lines, Newest, files, files_from, follow},
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
/// How often one is tried whose tenant another replica moves at the same time.
const TRIES: u32 = 20;

fn unreadable(path: &Path, why: impl std::fmt::Display) -> Problem {
    let detail = format!("{}: {why}", path.display());
    let todo = "look at it with `arbiter audit verify`; nothing was changed";
    Problem::new(ErrorCode::AuditBroken, detail, todo)
}

fn unfit(file: &Path, seq: u64, why: &str) -> Problem {
    unreadable(file, format_args!("record {seq}: {why}"))
}

/// Records after the first number, up to the second: what follows the end of the chain was torn, and lies there still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) after: u64,
    pub(crate) end: u64,
}

/// The records of a folder in a range, in their order, each held against the one before it. Blocks while it reads.
struct Records {
    files: VecDeque<PathBuf>,
    open: Option<(PathBuf, Lines)>,
    head: Option<Head>,
    range: Range,
}

/// A record with its place in the chain.
struct Found {
    seq: u64,
    record: Record<'static>,
    file: PathBuf,
}

impl Records {
    fn of(folder: &Path, range: Range) -> Result<Self, Problem> {
        let files = files_from(folder, range.after).map_err(|error| unreadable(folder, error))?;
        Ok(Self {
            files: files.into(),
            open: None,
            head: None,
            range,
        })
    }

    fn next(&mut self) -> Result<Option<Found>, Problem> {
        loop {
            if self.head.map_or(0, |head| head.seq) >= self.range.end {
                return Ok(None);
            }
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
            // The last record may lack its line end, which it is given once nothing refuses the start.
            let is_whole = true;
            let line = Line { is_whole, ..line };
            let link = follow(self.head, &line).map_err(|why| broken(&why))?;
            let (seq, hash) = (link.seq, link.hash);
            self.head = Some(Head { seq, hash });
            if seq <= self.range.after {
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

/// Fills an empty store with what the audit files tell up to record `end`; how many decisions that were, and the newest
/// one of each file. Blocks while it reads.
pub(crate) async fn fill(
    store: &dyn ControlStore,
    folder: &Path,
    gate: &Gates,
    end: u64,
) -> Result<(u64, Newest), Problem> {
    let (mut count, mut newest) = (0, Newest::new());
    let mut tenants = HashMap::<TenantId, TenantMoves>::new();
    let mut records = Records::of(folder, Range { after: 0, end })?;
    while let Some(found) = records.next()? {
        let Found { seq, record, file } = found;
        let unfit = |why: String| unfit(&file, seq, &why);
        let Some(mut commit) = commit_of(&record, gate).map_err(unfit)? else {
            continue;
        };
        if let Some((read, left)) = record.judged.as_ref().and_then(Judged::tenant_moved) {
            let moves = tenants.entry(commit.key.tenant_id.clone()).or_default();
            moves.then(read, left, record.ts);
            let tenant = moves.on(TenantState::default());
            commit.tenant = Some(tenant_write(&tenant, Expect::Any, gate).map_err(unfit)?);
        }
        let committed = store.commit(commit).await;
        committed.map_err(|error| store_problem(&error))?;
        count += 1;
        let newest = newest.entry(file).or_insert(record.ts);
        *newest = record.ts.max(*newest);
    }
    Ok((count, newest))
}

/// Where the last state of each room stands, and that of each tenant, with all that had moved it until then.
#[derive(Default)]
struct LastStates {
    rooms: HashMap<(TenantId, RoomId), u64>,
    tenants: HashMap<TenantId, (u64, TenantMoves)>,
}

/// Gives a database the decisions that stand in the files in this range and are not in it; how many that were. What is
/// older than `since` would be forgotten at once, and is left out. Blocks while it reads.
pub(crate) async fn bring_back(
    store: &Arc<dyn ControlStore>,
    folder: &Path,
    range: Range,
    gate: &Gates,
    since: Timestamp,
    now: Timestamp,
) -> Result<u64, Problem> {
    // Only the last state of each counts, so that the order in which the database takes them does not.
    let mut last = last_states(folder, range)?;
    let mut records = Records::of(folder, range)?;
    let (mut sent, mut brought) = (JoinSet::new(), 0);
    while let Some(found) = records.next()? {
        let Found { seq, record, file } = found;
        if record.ts < since {
            continue;
        }
        let commit = commit_of(&record, gate).map_err(|why| unfit(&file, seq, &why))?;
        let Some(mut commit) = commit else { continue };
        let room = (commit.key.tenant_id.clone(), commit.room_id.clone());
        let is_last = last.rooms.get(&room) == Some(&seq);
        commit.room = commit.room.filter(|_| is_last);
        if let Some(write) = &mut commit.room {
            over_if_ended(write, now);
        }
        let tenant = last.tenants.entry(room.0);
        let moves = match tenant {
            Entry::Occupied(found) if found.get().0 == seq => Some(found.remove().1),
            _ => None,
        };
        if sent.len() >= AT_ONCE {
            brought += taken(sent.join_next().await)?;
        }
        let (store, gate) = (Arc::clone(store), gate.clone());
        sent.spawn(async move {
            match moves {
                Some(moves) => with_tenant(store.as_ref(), commit, &moves, (&gate, now)).await,
                None => store.commit(commit).await,
            }
        });
    }
    while !sent.is_empty() {
        brought += taken(sent.join_next().await)?;
    }
    Ok(brought)
}

/// Commits a decision with the state of its tenant: what the database has, moved by what the files tell. Another replica
/// may move it meanwhile.
async fn with_tenant(
    store: &dyn ControlStore,
    mut commit: ControlCommit,
    moves: &TenantMoves,
    (gate, now): (&Gates, Timestamp),
) -> Result<Outcome, chiffon_store::Error> {
    let corrupt = |error: serde_json::Error| chiffon_store::Error::Corrupt(error.to_string());
    for _ in 0..TRIES {
        let found = store.load(&commit.key, None).await?.tenant;
        let tenant = moves.on(states::read(found.as_ref()).map_err(corrupt)?);
        let mut write = tenant_write(&tenant, Expect::of(found.as_ref()), gate)
            .map_err(chiffon_store::Error::Malformed)?;
        over_if_ended(&mut write, now);
        commit.tenant = Some(write);
        match store.commit(commit.clone()).await? {
            Outcome::Stale => {}
            outcome => return Ok(outcome),
        }
    }
    // The answer is what must not be lost; whoever moves the tenant so often knows it better.
    commit.tenant = None;
    store.commit(commit).await
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

fn last_states(folder: &Path, range: Range) -> Result<LastStates, Problem> {
    let mut last = LastStates::default();
    let mut records = Records::of(folder, range)?;
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
        let tenant = tenant.into_owned();
        if let Some((read, left)) = judged.tenant_moved() {
            let (seq, moves) = last.tenants.entry(tenant.clone()).or_default();
            *seq = found.seq;
            moves.then(read, left, record.ts);
        }
        if judged.next().room.is_some() {
            last.rooms.insert((tenant, room.into_owned()), found.seq);
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

fn tenant_write(
    tenant: &TenantState,
    expected: Expect,
    gate: &Gates,
) -> Result<StateWrite, String> {
    let change = states::put(tenant, states::tenant_until(tenant, gate));
    let change = change.map_err(|error| error.to_string())?;
    Ok(StateWrite { expected, change })
}

/// What a decision has made true, but for its tenant, of which its record names only a part; nothing for records that
/// changed nothing.
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
        let room = self.next.room.as_deref().map(|room| {
            let put = states::put(room, states::room_until(room, gate));
            let change = put.map_err(|error| error.to_string())?;
            Ok::<_, String>(StateWrite {
                expected: Expect::Any,
                change,
            })
        });
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
            tenant: None,
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

/// Writes what the store has decided for a replica and none of these folders has on file; how many lines that were.
pub(crate) async fn catch_up(
    store: &dyn ControlStore,
    audit: &Audit,
    folders: &[&Path],
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
                let mut ids = HashSet::new();
                for folder in folders {
                    let found = ids_since(folder, oldest);
                    ids.extend(found.map_err(|error| unreadable(folder, error))?);
                }
                none.insert(ids)
            }
        };
        let mut seqs = Vec::with_capacity(page.len());
        let mut last = None;
        for one in page {
            seqs.push(one.seq);
            let id = serde_json::from_str::<OnlyId>(&one.line);
            if id.is_ok_and(|id| on_file.contains(&id.audit_id)) {
                continue;
            }
            let place = audit.place().await.map_err(unwritten)?;
            last = Some(place.put(one.line.into_bytes(), None));
            written += 1;
        }
        // They are written in their order.
        if let Some(last) = last {
            last.wait().await.map_err(unwritten)?;
        }
        store
            .audited(replica, &seqs, None)
            .await
            .map_err(|error| store_problem(&error))?;
    }
}

fn unwritten(error: crate::audit::Unwritten) -> Problem {
    let todo = "make the audit folder writable";
    Problem::new(ErrorCode::AuditUnwritable, error.to_string(), todo)
}

#[derive(Deserialize)]
struct OnlyTime {
    ts: Timestamp,
}

pub(crate) fn told_at(line: &str) -> Option<Timestamp> {
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
