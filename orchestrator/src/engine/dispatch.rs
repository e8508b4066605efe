//! Dispatch: tasks that could start meet agents with free slots and hosts that nobody holds. Whose turn it is
//! stands in `line`, what a task is told meanwhile in `turns`.
//!
//! What would run is resolved anew from the files and held against the approved digest right before it is
//! given away (S7, S28); the agent does the same on its side.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_arbiter::{
    Refusal, Run, RunEvent, Sent, Task, TaskState, WaitingOn, changes, may_start, turned_away,
};
use chiffon_common::{
    AgentId, AgentKind, ErrorCode, Frozen, Principal, Problem, RequestId, Step, TaskId,
    api::AgentStatus,
};
use chiffon_store::{Error, TaskRow};
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::time::Duration;

use super::{
    AdvanceError, Cause, Shared,
    library::Moment,
    line::{Claim, Line, Turn, Waiting},
    outgoing::step_of,
    rows::slice_of,
    scribe::Ground,
    shared::nudged,
    turns::{IN_HAND, is_unknown},
};
use crate::ledger::Parting;

/// Tasks looked at in one round: more than can wait for leases while agents are free.
const BATCH: u32 = 5_000;
/// Tasks whose words say that no agent is free.
const TOLD: usize = 50;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(2);

/// Free slots by agent, as far as this round knows.
pub(super) type Slots = BTreeMap<AgentId, (chiffon_common::Incarnation, u32)>;

/// What one round goes by from its first task to its last: what changed in between would let a later one pass an earlier.
struct Round {
    slots: Slots,
    moment: Moment,
    ground: Ground,
}

impl Shared {
    /// Dispatches for ever.
    pub(crate) async fn dispatch(&self) {
        loop {
            if let Err(error) = self.dispatch_round().await {
                tracing::warn!(%error, "dispatch round failed; trying again");
            }
            nudged(&self.nudges.dispatch, PERIOD).await;
        }
    }

    async fn dispatch_round(&self) -> Result<(), AdvanceError> {
        let mut waiting = self.store.tasks_in(&["waiting"], BATCH).await?;
        waiting.retain(|row| self.is_cared_for(row.request_id));
        if waiting.is_empty() {
            return Ok(());
        }
        waiting.sort_by_key(place_in_line);
        let moment = self.library.moment();
        let in_hand = self.store.tasks_in(&IN_HAND, 10_000).await?;
        let round = Round {
            slots: self.free_slots(&in_hand).await?,
            moment,
            ground: self.ground(),
        };
        let mut line = self.line(&round.slots, &in_hand).await?;
        let freeze = self.store.freeze(&self.settings.tenant).await?;
        let words = freeze
            .and_then(|row| row.frozen)
            .map(|frozen| frozen_words(&frozen));
        let mut told = 0;
        for row in waiting {
            let said = frozen_words_in(&row);
            if words.is_some() && said == words {
                // It has been told already what it waits for.
                continue;
            }
            // Who waits for a thaw that has come is told what it waits for now, wherever it stands in the queue.
            let is_thawed = words.is_none() && said.is_some();
            if words.is_none() && !is_thawed && line.is_full() {
                // Nobody is free: the first in the queue are told so, the others wait behind them.
                told += 1;
                if told > TOLD {
                    continue;
                }
            }
            if let Err(error) = self.dispatch_one(&row, &round, &mut line).await {
                // One broken slice must not hold up the others.
                tracing::warn!(%error, task.id = %row.task_id, "task could not be dispatched");
            }
        }
        Ok(())
    }

    async fn free_slots(&self, in_hand: &[TaskRow]) -> Result<Slots, AdvanceError> {
        let now = self.clock.now();
        let agents = self.store.agents(&self.settings.tenant).await?;
        let inactive = AgentStatus::Inactive.name();
        let mut slots = Slots::new();
        for (id, heard) in self.registry.all() {
            let is_out = agents
                .iter()
                .any(|row| row.agent_id == id && row.status == inactive);
            if is_out || self.agent_fault(&id).is_some() {
                continue;
            }
            let patience =
                jiff::SignedDuration::from_secs(i64::from(heard.beat.interval_seconds.max(1)) * 3);
            let alive = now.duration_since(heard.at) <= patience;
            if !alive || heard.beat.draining || heard.beat.kind != AgentKind::Infrastructure {
                continue;
            }
            let taken = in_hand
                .iter()
                .filter(|row| row.agent_id.as_ref() == Some(&id) && !is_unknown(row))
                .count();
            let free = heard
                .beat
                .slots
                .saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
            slots.insert(id, (heard.beat.incarnation, free));
        }
        Ok(slots)
    }

    async fn dispatch_one(
        &self,
        row: &TaskRow,
        round: &Round,
        line: &mut Line,
    ) -> Result<(), AdvanceError> {
        let Round {
            slots,
            moment,
            ground,
        } = round;
        let rows = self.store.run(&self.settings.tenant, row.request_id);
        let rows = rows.await?.ok_or(AdvanceError::NoRequest)?;
        let (run, versions) = slice_of(&rows)?;
        let Some(task) = run.tasks.get(&row.task_id) else {
            return Ok(());
        };
        match &task.state {
            // Whoever waits for its next try stands in nobody's way until then.
            TaskState::Waiting {
                on: WaitingOn::Retry { at, .. },
            } => return self.unless_set_back(row, *at).await,
            TaskState::Waiting { .. } => {}
            _ => return Ok(()),
        }
        match may_start(&run, task, &self.gate(versions.frozen())) {
            Ok(()) => {}
            Err(Refusal::Frozen(frozen)) => {
                return self.hold(&run, task, frozen_words(&frozen)).await;
            }
            Err(refusal) => match turned_away(&refusal) {
                Some(problem) => return self.refuse(row, problem).await,
                // Its own timers, or a person, decide about it.
                None => return Ok(()),
            },
        }
        let (_, step) = step_of(&run, row.task_id)?;
        if changes(task, step) {
            match ground {
                Ground::Firm => {}
                Ground::Unlooked => return Ok(()),
                Ground::Parted(how) => return self.hold(&run, task, parted_words(*how)).await,
            }
        }
        let waiting = self.waiting(&run, task, step, *moment).await;
        let agent = match line.next(&waiting) {
            Turn::Go(agent) => agent,
            turn => {
                let on = self.waits_for(&turn).await?;
                return self.hold(&run, task, on).await;
            }
        };
        // The line gives slots of these agents only.
        let Some((incarnation, _)) = slots.get(&agent) else {
            return Ok(());
        };
        if let Some(problem) = self.changed_since_planned(step, *moment).await {
            return self.refuse(row, problem).await;
        }
        if let Some(fault) = self.altered(row.request_id, rows).await? {
            return self.refuse(row, altered_problem(&fault)).await;
        }
        let now = self.clock.now();
        let not_after = now.checked_add(self.settings.lifecycles.not_after);
        let sent = Sent {
            agent,
            incarnation: *incarnation,
            not_after: not_after.unwrap_or(now),
            sends: 1,
        };
        self.give(&run, task, sent, waiting).await
    }

    /// Gives a task to an agent, with the rights that its turn came with.
    async fn give(
        &self,
        run: &Run,
        task: &Task,
        sent: Sent,
        waiting: Waiting,
    ) -> Result<(), AdvanceError> {
        let agent = sent.agent.clone();
        let event = RunEvent::TaskDispatched {
            task: task.task_id,
            sent,
            leases: leases(&waiting),
        };
        let cause = Cause {
            data: json!({ "agent_id": agent }),
            ..Cause::own("dispatched")
        };
        chiffon_failpoint::hit!("dispatch.commit.before");
        match self.advance(run.request.request_id, event, cause).await {
            Ok(_) => {
                chiffon_failpoint::hit!("dispatch.commit.after");
                Ok(())
            }
            // Somebody took it since this round began: another orchestrator, or a run that was found again.
            Err(AdvanceError::Store(Error::LeaseHeld { name, owner, since })) => {
                let claim = waiting.claims.into_iter().find(|claim| claim.lease == name);
                let claim = claim.unwrap_or_else(|| Claim {
                    host: name.clone(),
                    lease: name,
                });
                let words = self.held_words(&claim, &owner, since, 0).await;
                self.hold(run, task, WaitingOn::Lease { words }).await
            }
            Err(error) => Err(error),
        }
    }

    /// A wait for the next try that is longer than any may be is of a clock that was set back since: it is over.
    async fn unless_set_back(&self, row: &TaskRow, at: Timestamp) -> Result<(), AdvanceError> {
        let wait = at.duration_since(self.clock.now());
        if wait <= self.settings.lifecycles.retry_longest {
            return Ok(());
        }
        let by = Principal {
            id: "the clock, which was set back,".to_owned(),
            kind: "service".to_owned(),
        };
        let event = RunEvent::RetryNow {
            task: row.task_id,
            by,
        };
        self.advance(row.request_id, event, Cause::own("clock_set_back"))
            .await
            .map(drop)
    }

    /// What would run is not what was approved: nobody gets it.
    async fn refuse(&self, row: &TaskRow, problem: Problem) -> Result<(), AdvanceError> {
        let event = RunEvent::DispatchRefused {
            task: row.task_id,
            problem,
        };
        self.advance(row.request_id, event, Cause::own("content_changed"))
            .await
            .map(drop)
    }

    async fn hold(&self, run: &Run, task: &Task, on: WaitingOn) -> Result<(), AdvanceError> {
        if matches!(&task.state, TaskState::Waiting { on: now } if *now == on) {
            return Ok(());
        }
        let event = RunEvent::TaskHeld {
            task: task.task_id,
            on,
        };
        self.advance(run.request.request_id, event, Cause::own("held"))
            .await
            .map(drop)
    }

    /// Looked up in what the files said after the task had become ready.
    async fn changed_since_planned(&self, step: &Step, moment: Moment) -> Option<Problem> {
        let now = match self.library.since(moment).await {
            Ok(now) => now,
            Err(problem) => return Some(problem),
        };
        // The catalogue's word on the risk may have become a graver one, or the plan's a lighter one.
        let graver = now
            .catalogue
            .find(step.entry.as_str())
            .is_ok_and(|entry| entry.tier > step.tier);
        match now.bundle_of(&step.entry, &step.hosts) {
            Ok(_) if graver => Some(Problem::new(
                ErrorCode::ContentChanged,
                format!(
                    "{} is of a higher tier now than it was planned with",
                    step.entry
                ),
                "ask again: the changed content gets a plan and an approval of its own",
            )),
            Ok(bundle) if bundle.digest() == step.bundle => {
                self.library.keep(step.bundle, bundle);
                None
            }
            Ok(_) => Some(Problem::new(
                ErrorCode::ContentChanged,
                format!(
                    "the playbook of {}, or the inventory of its hosts, was changed after it was planned",
                    step.entry
                ),
                "ask again: the changed content gets a plan and an approval of its own",
            )),
            Err(problem) => Some(problem),
        }
    }
}

/// Rows that nobody's recorded word led to start nothing, whoever wrote them there.
fn altered_problem(fault: &str) -> Problem {
    Problem::new(
        ErrorCode::PlanAltered,
        format!("{fault}, so nothing of it is started"),
        "find out who edited the database (`chiffon audit verify` names all such rows), then ask again",
    )
}

/// What waits in a frozen fleet, with who froze it.
fn frozen_words(frozen: &Frozen) -> WaitingOn {
    let words = frozen.words();
    WaitingOn::Freeze { words }
}

/// What stands in such a database of freezes, approvals and schedules may have been taken back.
fn parted_words(how: Parting) -> WaitingOn {
    let words = format!(
        "{}, and what was taken back since may not be in the database: chiffon audit verify says what to do",
        how.words()
    );
    WaitingOn::Ledger { words }
}

/// The freeze that a task was told to wait for.
fn frozen_words_in(row: &TaskRow) -> Option<WaitingOn> {
    let on = WaitingOn::deserialize(row.doc.pointer("/state/on")?).ok()?;
    matches!(on, WaitingOn::Freeze { .. }).then_some(on)
}

/// The rights that are taken with the start, in one order for all.
fn leases(waiting: &Waiting) -> Vec<String> {
    let names = waiting.claims.iter().map(|claim| claim.lease.clone());
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect()
}

/// Who came first goes first; the tasks of one request in the order of its steps.
fn place_in_line(row: &TaskRow) -> (Timestamp, RequestId, u64, TaskId) {
    let step = row.doc.get("step").and_then(Value::as_u64);
    (
        row.created_at,
        row.request_id,
        step.unwrap_or(u64::MAX),
        row.task_id,
    )
}
