//! Bringing the store and the audit files to the same state at a start. The memory store is filled from the files, which
//! are the truth then; a database's outbox is written to the files, where a crash came in between.

use std::{collections::HashSet, path::Path};

use chiffon_arbiter::{Gates, answering_plan};
use chiffon_common::{AuditId, Digest, ErrorCode, Problem, RoomId, TenantId};
use chiffon_store::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Expect, StateChange, StateWrite,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Audit, Head, Lines, Newest, files, follow},
    decide::store_problem,
    record::{Judged, Next, Outcome, Record},
    states,
};

/// A page of the outbox.
const PAGE: u32 = 500;

fn unreadable(path: &Path, why: impl std::fmt::Display) -> Problem {
    let detail = format!("{}: {why}", path.display());
    let todo = "look at it with `arbiter audit verify`; nothing was changed";
    Problem::new(ErrorCode::AuditBroken, detail, todo)
}

/// Fills an empty store with what the audit files tell; how many decisions that were, and the newest one of each file.
/// Blocks while it reads.
pub(crate) async fn fill(
    store: &dyn ControlStore,
    folder: &Path,
    gate: &Gates,
) -> Result<(u64, Newest), Problem> {
    let (mut count, mut newest) = (0, Newest::new());
    let mut head: Option<Head> = None;
    for file in files(folder).map_err(|error| unreadable(folder, error))? {
        let broken = |line: u64, why: &dyn std::fmt::Display| {
            unreadable(&file, format_args!("line {line}: {why}"))
        };
        let mut lines = Lines::open(&file).map_err(|error| unreadable(&file, error))?;
        while let Some(line) = lines.next().map_err(|error| unreadable(&file, error))? {
            let link = follow(head, &line).map_err(|why| broken(line.number, &why))?;
            head = Some(Head {
                seq: link.seq,
                hash: link.hash,
            });
            let record: Record<'_> =
                serde_json::from_slice(line.bytes).map_err(|why| broken(line.number, &why))?;
            record.fits().map_err(|why| broken(line.number, &why))?;
            let commit = commit_of(&record, gate).map_err(|why| broken(line.number, &why))?;
            if let Some(commit) = commit {
                store
                    .commit(commit)
                    .await
                    .map_err(|error| store_problem(&error))?;
                count += 1;
                let newest = newest.entry(file.clone()).or_insert(record.ts);
                *newest = record.ts.max(*newest);
            }
        }
    }
    Ok((count, newest))
}

/// What a decision has made true; nothing for records that changed nothing.
fn commit_of(record: &Record<'_>, gate: &Gates) -> Result<Option<ControlCommit>, String> {
    let (Outcome::Decided, Some(judged), Some(tenant_id)) =
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
            none => none.insert(last_ids(folder).map_err(|error| unreadable(folder, error))?),
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
            .audited(replica, &seqs)
            .await
            .map_err(|error| store_problem(&error))?;
    }
}

/// The ids in the last two files: what is not confirmed is of the last moments, and those may lie around a rotation.
fn last_ids(folder: &Path) -> std::io::Result<HashSet<AuditId>> {
    let mut ids = HashSet::new();
    for file in files(folder)?.iter().rev().take(2) {
        let mut lines = Lines::open(file)?;
        while let Some(line) = lines.next()? {
            if let Ok(OnlyId { audit_id }) = serde_json::from_slice(line.bytes) {
                ids.insert(audit_id);
            }
        }
    }
    Ok(ids)
}
