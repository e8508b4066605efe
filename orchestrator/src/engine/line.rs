//! The line before the hosts: whose turn it is. A pure fold over the waiting tasks in the order in which they
//! came, the rights that are held, the slots and the limits; reading and writing those is left to `dispatch`.
//!
//! * Two changes never meet on one machine; what only reads stands in no line of a host.
//! * One line for each machine: who came first goes first. Who waits for several is first in all of their
//!   lines, so nobody who came later gets in between, and it cannot starve.
//! * Who waits for a host that only a person can free keeps its place there, and lets others pass elsewhere.
//! * The order follows from stored rows alone, so it outlives every restart.

use std::{collections::BTreeMap, num::NonZeroU32};

use chiffon_common::{AgentId, ProjectId, RequestId, TaskId};

/// One right that a change needs to be alone on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its name in the store.
    pub(crate) lease: String,
    /// The host of the step that it stands for.
    pub(crate) host: String,
}

/// A task that could start now, but for hosts, limits and agents.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) task: TaskId,
    pub(crate) request: RequestId,
    pub(crate) project: ProjectId,
    /// None where it only reads.
    pub(crate) claims: Vec<Claim>,
}

/// Who holds a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) task: TaskId,
    /// Nobody knows how it goes, so it may take a person to end it.
    pub(crate) unknown: bool,
}

/// Who stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// This one has the host.
    Holds(TaskId),
    /// Nobody has it, but this request came first.
    Came(RequestId),
}

/// What becomes of a task in this round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is given to this agent.
    Go(AgentId),
    /// It waits for a host.
    Host {
        /// The right that is not free.
        claim: Claim,
        ahead: Ahead,
        /// How many wait for the same before it.
        before: usize,
    },
    /// Its project has as much at work as it may.
    Project(NonZeroU32),
    /// No agent has a free slot.
    Agent,
}

/// The state of the line while one round goes through it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    held: BTreeMap<String, Holder>,
    /// By right: the requests that wait for it, in their order.
    claimed: BTreeMap<String, Vec<RequestId>>,
    at_work: BTreeMap<ProjectId, u32>,
    free: BTreeMap<AgentId, u32>,
    per_project: Option<NonZeroU32>,
}

impl Line {
    /// A line in which nobody stands yet: free slots by agent, and how much one project may have at work.
    pub(crate) fn new(free: BTreeMap<AgentId, u32>, per_project: Option<NonZeroU32>) -> Self {
        Self {
            free,
            per_project,
            ..Self::default()
        }
    }

    /// This task holds these rights.
    pub(crate) fn holds(&mut self, leases: impl IntoIterator<Item = String>, holder: Holder) {
        let held = leases.into_iter().map(|lease| (lease, holder));
        self.held.extend(held);
    }

    /// This project has one more task at work.
    pub(crate) fn at_work(&mut self, project: &ProjectId) {
        *self.at_work.entry(project.clone()).or_default() += 1;
    }

    /// Whether there is no slot for anybody.
    pub(crate) fn is_full(&self) -> bool {
        self.free.values().all(|free| *free == 0)
    }

    /// The next one in the order in which they came: every task that waits must pass here, each once.
    pub(crate) fn next(&mut self, waiting: &Waiting) -> Turn {
        let turn = self.judge(waiting);
        match &turn {
            Turn::Go(agent) => {
                let (task, unknown) = (waiting.task, false);
                let leases = waiting.claims.iter().map(|claim| claim.lease.clone());
                self.holds(leases, Holder { task, unknown });
                self.at_work(&waiting.project);
                if let Some(free) = self.free.get_mut(agent) {
                    *free = free.saturating_sub(1);
                }
            }
            Turn::Host { .. } | Turn::Project(_) | Turn::Agent => self.stand(waiting),
        }
        turn
    }

    fn judge(&self, waiting: &Waiting) -> Turn {
        if let Some(turn) = self.host_of(waiting)
            && !chiffon_failpoint::mutant!("no-lease")
        {
            return turn;
        }
        let at_work = self.at_work.get(&waiting.project).copied();
        if let Some(limit) = self.per_project
            && at_work.unwrap_or_default() >= limit.get()
        {
            return Turn::Project(limit);
        }
        let free = self.free.iter().filter(|(_, free)| **free > 0);
        match free.max_by_key(|(_, free)| **free) {
            Some((agent, _)) => Turn::Go(agent.clone()),
            None => Turn::Agent,
        }
    }

    /// The host that it waits for: one that is held before one that is only spoken for.
    fn host_of(&self, waiting: &Waiting) -> Option<Turn> {
        let before = |claim: &Claim| self.claimed.get(&claim.lease).map_or(0, Vec::len);
        let held = waiting.claims.iter().find_map(|claim| {
            let holder = self.held.get(&claim.lease)?;
            Some((claim, Ahead::Holds(holder.task)))
        });
        let spoken_for = || {
            waiting.claims.iter().find_map(|claim| {
                let first = self.claimed.get(&claim.lease)?.first()?;
                Some((claim, Ahead::Came(*first)))
            })
        };
        let (claim, ahead) = held.or_else(spoken_for)?;
        Some(Turn::Host {
            before: before(claim),
            claim: claim.clone(),
            ahead,
        })
    }

    /// Takes its place in the lines of its hosts.
    fn stand(&mut self, waiting: &Waiting) {
        let stuck = |claim: &Claim| self.held.get(&claim.lease).is_some_and(|by| by.unknown);
        // Until a person has decided, the other hosts would be idle for nothing.
        let is_stuck = waiting.claims.iter().any(stuck);
        let places: Vec<String> = waiting
            .claims
            .iter()
            .filter(|claim| !is_stuck || stuck(claim))
            .map(|claim| claim.lease.clone())
            .collect();
        for lease in places {
            self.claimed.entry(lease).or_default().push(waiting.request);
        }
    }
}

#[cfg(test)]
mod tests;
