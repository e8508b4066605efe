//! Why a running request does not move, in words: an open end, an agent that is not there, or what its next step
//! waits for. The same words stand in every list; what ends it is told by docs/waiting.md.

use chiffon_arbiter::{Run, Task, TaskState, WaitingOn};
use chiffon_common::{AgentKind, Mode, clock_words};
use jiff::{SignedDuration, Timestamp};

use super::Shared;

impl Shared {
    /// Nothing where it moves, or has ended, or where its state says all.
    pub(crate) fn stands_still(&self, run: &Run) -> Option<String> {
        if run.request.state.name() != "running" {
            return None;
        }
        let tasks = || run.tasks.values().filter(|task| task.mode == Mode::Apply);
        let step = |task: &Task| task.step.saturating_add(1);
        let is_lost = |task: &&Task| matches!(task.state, TaskState::Unknown { .. });
        if let Some(task) = tasks().find(is_lost) {
            let looks = run
                .checks_look_at(task.task_id)
                .map_or_else(String::new, |at| {
                    let at = clock_words(at, self.clock.now(), "%H:%M");
                    format!("; its checks look at {at}, when nothing can still run it")
                });
            return Some(format!(
                "nobody can say yet how step {} ended: {}{looks}",
                step(task),
                task.because
            ));
        }
        let mut in_hand = tasks().filter_map(|task| Some((task, task.state.sent()?)));
        if let Some((task, sent)) = in_hand.next() {
            return match self.is_there(&sent.agent) {
                true => None,
                false => Some(format!(
                    "agent {} has step {} and is not there to say how it goes: it tells how that ended once it runs \
                     again, as it does within `chiffon up`",
                    sent.agent,
                    step(task)
                )),
            };
        }
        let mut waiting = tasks().filter_map(waiting_words);
        let words = waiting.next()?;
        let has_agents =
            self.registry.all().values().any(|heard| {
                heard.beat.kind == AgentKind::Infrastructure && self.is_fresh(heard.at)
            });
        Some(match has_agents {
            true => words,
            false => "waits for an agent: none is there".to_owned(),
        })
    }

    /// Whether an agent was heard of lately.
    fn is_there(&self, agent: &chiffon_common::AgentId) -> bool {
        let heard = self.registry.last_heard(agent);
        heard.is_some_and(|at| self.is_fresh(at))
    }

    fn is_fresh(&self, heard: Timestamp) -> bool {
        let silence: SignedDuration = self.settings.lifecycles.silence;
        self.clock.now().duration_since(heard) <= silence
    }
}

/// What a task waits for, while it does.
pub(crate) fn waiting_words(task: &Task) -> Option<String> {
    let TaskState::Waiting { on } = &task.state else {
        return None;
    };
    Some(match on {
        WaitingOn::Dependency => "waits for a step before it".to_owned(),
        WaitingOn::Lease { words }
        | WaitingOn::Resources { words }
        | WaitingOn::Retry { words, .. }
        | WaitingOn::Agent { words } => words.clone(),
        WaitingOn::Freeze { words } | WaitingOn::Ledger { words } => format!("waits: {words}"),
    })
}
