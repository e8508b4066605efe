//! Dispatch: tasks that could start meet agents with free slots and hosts that nobody holds.
//!
//! What would run is resolved anew from the files and held against the approved digest right before it is
//! given away (S7, S28); the agent does the same on its side.

use std::collections::BTreeMap;

use chiffon_arbiter::{
    Refusal, Run, RunEvent, Sent, Task, TaskState, WaitingOn, may_start, turned_away,
};
use chiffon_common::{
    AgentId, AgentKind, ErrorCode, Frozen, Mode, Problem, Step, Tier, api::AgentStatus,
};
use chiffon_store::{Error, TaskRow};
use serde::Deserialize as _;
use serde_json::json;
use std::time::Duration;

use super::{AdvanceError, Cause, Shared, outgoing::step_of, shared::nudged};

/// Tasks looked at in one round: more than can wait for leases while agents are free.
const BATCH: u32 = 5_000;
/// Tasks whose words say that no agent is free.
const TOLD: usize = 50;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(2);

/// Free slots by agent, as far as this round knows.
type Slots = BTreeMap<AgentId, (chiffon_common::Incarnation, u32)>;

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
        let waiting = self.store.tasks_in(&["waiting"], BATCH).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut slots = self.free_slots().await?;
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
            if words.is_none() && !is_thawed && slots.values().all(|(_, free)| *free == 0) {
                // Nobody is free: the first in the queue are told so, the others wait behind them.
                told += 1;
                if told > TOLD {
                    continue;
                }
            }
            if let Err(error) = self.dispatch_one(&row, &mut slots).await {
                // One broken slice must not hold up the others.
                tracing::warn!(%error, task.id = %row.task_id, "task could not be dispatched");
            }
        }
        Ok(())
    }

    async fn free_slots(&self) -> Result<Slots, AdvanceError> {
        let held = self
            .store
            .tasks_in(&["dispatched", "accepted", "running"], 10_000)
            .await?;
        let now = self.clock.now();
        let agents = self.store.agents(&self.settings.tenant).await?;
        let inactive = AgentStatus::Inactive.name();
        let mut slots = Slots::new();
        for (id, heard) in self.registry.all() {
            let is_out = agents
                .iter()
                .any(|row| row.agent_id == id && row.status == inactive);
            if is_out {
                continue;
            }
            let patience =
                jiff::SignedDuration::from_secs(i64::from(heard.beat.interval_seconds.max(1)) * 3);
            let alive = now.duration_since(heard.at) <= patience;
            if !alive || heard.beat.draining || heard.beat.kind != AgentKind::Infrastructure {
                continue;
            }
            let taken = held
                .iter()
                .filter(|row| row.agent_id.as_ref() == Some(&id))
                .count();
            let free = heard
                .beat
                .slots
                .saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
            slots.insert(id, (heard.beat.incarnation, free));
        }
        Ok(slots)
    }

    async fn dispatch_one(&self, row: &TaskRow, slots: &mut Slots) -> Result<(), AdvanceError> {
        let (run, versions) = self.load(row.request_id).await?;
        let Some(task) = run.tasks.get(&row.task_id) else {
            return Ok(());
        };
        if !matches!(task.state, TaskState::Waiting { .. }) {
            return Ok(());
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
        let free = slots
            .iter_mut()
            .filter(|(_, (_, free))| *free > 0)
            .max_by_key(|(_, (_, free))| *free);
        let Some((agent, (incarnation, free))) = free else {
            let words = self.agent_words().await?;
            return self.hold(&run, task, WaitingOn::Agent { words }).await;
        };
        if let Some(problem) = self.changed_since_planned(step).await {
            return self.refuse(row, problem).await;
        }
        let now = self.clock.now();
        let not_after = now
            .checked_add(self.settings.lifecycles.not_after)
            .unwrap_or(now);
        let sent = Sent {
            agent: agent.clone(),
            incarnation: *incarnation,
            not_after,
            sends: 1,
        };
        let event = RunEvent::TaskDispatched {
            task: row.task_id,
            sent,
            leases: leases(task, step),
        };
        let cause = Cause {
            data: json!({ "agent_id": agent }),
            ..Cause::own("dispatched")
        };
        match self.advance(row.request_id, event, cause).await {
            Ok(_) => {
                *free -= 1;
                Ok(())
            }
            Err(AdvanceError::Store(Error::LeaseHeld { name, owner, since })) => {
                let words = self.lease_words(&name, &owner, since).await;
                self.hold(&run, task, WaitingOn::Lease { words }).await
            }
            Err(error) => Err(error),
        }
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

    /// What a task waits for where no agent takes it.
    async fn agent_words(&self) -> Result<String, AdvanceError> {
        let agents = self.store.agents(&self.settings.tenant).await?;
        let kind = AgentKind::Infrastructure;
        let heard = self.registry.all();
        let able = agents.iter().filter(|row| {
            let heard = heard.get(&row.agent_id);
            heard.is_some_and(|heard| heard.beat.kind == kind)
        });
        let (paused, active): (Vec<_>, Vec<_>) =
            able.partition(|row| row.status == AgentStatus::Inactive.name());
        Ok(match (active.is_empty(), paused.first()) {
            (false, _) => "waits for an agent with a free slot".to_owned(),
            (true, Some(paused)) => format!(
                "waits for an agent: {} is paused; chiffon fleet resume {}",
                paused.agent_id, paused.agent_id
            ),
            (true, None) => "waits for an agent to report".to_owned(),
        })
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

    async fn lease_words(&self, name: &str, owner: &str, since: jiff::Timestamp) -> String {
        let host = name.strip_prefix("host:").unwrap_or(name);
        let task = owner.strip_prefix("task:").and_then(|id| id.parse().ok());
        let holder = match task {
            Some(task) => self.store.request_of_task(task).await.ok().flatten(),
            None => None,
        };
        let asks = match &holder {
            Some((_, request)) => self.load(*request).await.is_ok_and(|(run, _)| {
                run.decisions
                    .values()
                    .any(|decision| !decision.state.ended())
            }),
            None => false,
        };
        let holder = holder.map_or_else(
            || owner.to_owned(),
            |(_, request)| format!("request {request}"),
        );
        let since = since.strftime("%H:%M");
        let asks = if asks {
            ", which waits for an answer itself"
        } else {
            ""
        };
        format!("waits for {host}, held by {holder} since {since}{asks}")
    }

    async fn changed_since_planned(&self, step: &Step) -> Option<Problem> {
        let now = match self.library.current().await {
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

/// What waits in a frozen fleet, with who froze it.
fn frozen_words(frozen: &Frozen) -> WaitingOn {
    let words = frozen.words();
    WaitingOn::Freeze { words }
}

/// The freeze that a task was told to wait for.
fn frozen_words_in(row: &TaskRow) -> Option<WaitingOn> {
    let on = WaitingOn::deserialize(row.doc.pointer("/state/on")?).ok()?;
    matches!(on, WaitingOn::Freeze { .. }).then_some(on)
}

/// Two changes never meet on one host; reading and checking may.
fn leases(task: &Task, step: &Step) -> Vec<String> {
    if task.mode == Mode::Check || step.tier == Tier::Zero {
        return Vec::new();
    }
    let mut names: Vec<_> = step
        .hosts
        .iter()
        .map(|host| format!("host:{host}"))
        .collect();
    // One order for all: who takes several never waits for who waits for them.
    names.sort();
    names.dedup();
    names
}
