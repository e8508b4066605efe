//! What the agent knows of its attempts and what it decides: events in, a plan out. Pure: no clock, no
//! file, no socket; the times come with each event.
//!
//! The order of a plan is the promise of the agent: its records are in the journal, on the disk, before
//! any of its effects happens (accept, journal, then ack; journal the end, then publish it). Reading
//! sources and performing effects are left to the shell.

mod arrive;
mod attempt;
mod bundles;
mod clocks;
mod event;
mod finish;
mod fit;
mod judge;
mod record;
mod recover;
mod run;
mod tick;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use chiffon_common::{
    AgentId, AgentKind, AttemptRef, Incarnation, StatusKind, TaskId, TrustedKeys, WorkStatus,
};
use jiff::Timestamp;

use self::{
    attempt::{Attempt, Open, Stage},
    bundles::Assemblies,
    clocks::OrchestratorClocks,
};
pub(crate) use self::{
    event::{Effect, Event, Loaded, Plan, StatusOut, Stored, Token},
    fit::head,
    record::{Meta, Record},
    recover::Doubt,
};

/// Most attempts kept in memory and journal; beyond that, only signed work is written down.
const MAX_ATTEMPTS: usize = 20_000;
/// Most cancels kept for requests that have not come.
const MAX_EARLY_CANCELS: usize = 10_000;
/// How long an ended attempt and the highest number of a task are kept.
pub(crate) const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who this agent is and whom it obeys.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) agent: AgentId,
    pub(crate) kind: AgentKind,
    pub(crate) incarnation: Incarnation,
    pub(crate) keys: TrustedKeys,
    pub(crate) max_clock_skew: Duration,
}

/// When an event came: on the wall, and since the machine started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) boot: Duration,
}

/// The highest attempt of a task that was accepted, and until when that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Highest {
    attempt: u32,
    until: Timestamp,
}

/// The agent's memory.
#[derive(Debug)]
pub(crate) struct Core {
    me: Identity,
    slots: usize,
    draining: bool,
    attempts: BTreeMap<AttemptRef, Attempt>,
    /// Those that wait for a slot, in the order they became ready.
    waiting: VecDeque<AttemptRef>,
    highest: BTreeMap<TaskId, Highest>,
    early_cancels: BTreeMap<AttemptRef, Timestamp>,
    clocks: OrchestratorClocks,
    assemblies: Assemblies,
    /// Sequence numbers of this start begin above those of every earlier one.
    seq_base: u64,
    pruned: Option<Duration>,
}

impl Core {
    /// Judges one event.
    pub(crate) fn handle(&mut self, event: Event, at: Moment) -> Plan {
        let mut plan = Plan::default();
        match event {
            Event::Arrived { token, bytes } => self.arrived(token, &bytes, at, &mut plan),
            Event::BundleLooked { digest, found } => {
                self.bundle_looked(digest, found, at, &mut plan)
            }
            Event::BundleStored { digest, stored } => {
                self.bundle_stored(digest, stored, at, &mut plan)
            }
            Event::BundleLoaded { attempt, loaded } => {
                self.bundle_loaded(attempt, loaded, at, &mut plan)
            }
            Event::Progressed {
                attempt,
                percent,
                message,
                lines,
            } => self.progressed(attempt, percent, message, lines, &mut plan),
            Event::RunEnded {
                attempt,
                ended,
                took,
            } => self.run_ended(attempt, *ended, took, at, &mut plan),
            Event::RunPanicked { attempt } => self.run_panicked(attempt, &mut plan),
            Event::Swept { attempt, swept } => self.swept(attempt, swept, at, &mut plan),
            Event::Confirmed { attempt } => self.confirmed(attempt, &mut plan),
            Event::Ticked => self.ticked(at, &mut plan),
            Event::DrainAsked => self.draining = true,
            Event::GraceOver => self.grace_over(at, &mut plan),
        }
        self.fill_slots(&mut plan);
        plan
    }

    /// Past the signatures, which cost a storm of events more than everything else.
    #[cfg(test)]
    fn handle_signed(&mut self, token: Token, signed: arrive::Signed, at: Moment) -> Plan {
        let mut plan = Plan::default();
        self.signed_arrived(token, signed, at, &mut plan);
        self.fill_slots(&mut plan);
        plan
    }

    /// Attempts accepted or running, for the heartbeat.
    pub(crate) fn open_attempts(&self) -> Vec<AttemptRef> {
        self.open().map(|(attempt, _)| attempt).collect()
    }

    /// How many attempts hold something outside: a worker, a sweep or a bundle being read.
    pub(crate) fn busy(&self) -> usize {
        self.open().filter(|(_, open)| open.stage.is_busy()).count()
    }

    /// Results that the bus has not confirmed.
    pub(crate) fn unconfirmed(&self) -> usize {
        let is_waiting =
            |attempt: &&Attempt| matches!(attempt, Attempt::Ended(closed) if !closed.confirmed);
        self.attempts.values().filter(is_waiting).count()
    }

    /// Whether what the attempt left behind is being ended.
    pub(crate) fn is_sweeping(&self, attempt: AttemptRef) -> bool {
        matches!(self.attempts.get(&attempt), Some(Attempt::Open(open)) if matches!(open.stage, Stage::Sweeping(_)))
    }

    /// Whether the journal has a word of the attempt, or of a later one of the same task.
    pub(crate) fn knows(&self, attempt: AttemptRef) -> bool {
        let highest = self.highest.get(&attempt.task_id);
        self.attempts.contains_key(&attempt)
            || highest.is_some_and(|highest| highest.attempt >= attempt.attempt)
    }

    fn open(&self) -> impl Iterator<Item = (AttemptRef, &Open)> {
        self.attempts
            .iter()
            .filter_map(|(key, attempt)| match attempt {
                Attempt::Open(open) => Some((*key, open)),
                Attempt::Ended(_) => None,
            })
    }

    fn open_mut(&mut self, attempt: AttemptRef) -> Option<&mut Open> {
        match self.attempts.get_mut(&attempt)? {
            Attempt::Open(open) => Some(open),
            Attempt::Ended(_) => None,
        }
    }

    /// Gives free slots to the first in line whose task has no other attempt at work.
    fn fill_slots(&mut self, plan: &mut Plan) {
        if self.draining {
            return;
        }
        let busy: Vec<_> = self
            .open()
            .filter(|(_, open)| open.stage.is_busy())
            .collect();
        let mut free = self.slots.saturating_sub(busy.len());
        let mut tasks: BTreeSet<TaskId> = busy.iter().map(|(key, _)| key.task_id).collect();
        let mut later = VecDeque::new();
        while let Some(attempt) = self.waiting.pop_front() {
            let Some(open) = self.open_mut(attempt) else {
                continue;
            };
            if !matches!(open.stage, Stage::Waiting) {
                continue;
            }
            if free == 0 || tasks.contains(&attempt.task_id) {
                later.push_back(attempt);
                continue;
            }
            open.stage = Stage::Loading;
            let digest = open.request.bundle;
            free -= 1;
            tasks.insert(attempt.task_id);
            plan.effect(Effect::LoadBundle { attempt, digest });
        }
        self.waiting = later;
    }

    /// A status of an open attempt, with the next number.
    fn say(&mut self, attempt: AttemptRef, what: Said, plan: &mut Plan) {
        let (agent, incarnation) = (self.me.agent.clone(), self.me.incarnation);
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        open.seq += 1;
        open.progress = open.progress.max(what.percent.unwrap_or_default().min(100));
        let status = WorkStatus {
            attempt,
            agent,
            incarnation,
            seq: open.seq,
            status: open.stage.status(),
            progress: open.progress,
            message: what.message,
            metrics: BTreeMap::new(),
            lines: what.lines,
        };
        let meta = open.meta;
        plan.effect(Effect::PublishStatus(Box::new(StatusOut { meta, status })));
    }

    fn never_seen(&self, attempt: AttemptRef, meta: Meta, plan: &mut Plan) {
        let status = WorkStatus {
            attempt,
            agent: self.me.agent.clone(),
            incarnation: self.me.incarnation,
            seq: self.seq_base,
            status: StatusKind::NeverSeen,
            progress: 0,
            message: "this journal has never seen the attempt".to_owned(),
            metrics: BTreeMap::new(),
            lines: Vec::new(),
        };
        plan.effect(Effect::PublishStatus(Box::new(StatusOut { meta, status })));
    }
}

/// The changing part of a status.
#[derive(Debug, Default)]
struct Said {
    percent: Option<u8>,
    message: String,
    lines: Vec<String>,
}

impl Said {
    fn message(text: impl Into<String>) -> Self {
        Self {
            message: text.into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
