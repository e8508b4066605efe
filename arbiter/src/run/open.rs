//! What nobody has counted: the hosts on which it is not known what a change did, and those of them that a person
//! should look at. Follows from the slice alone, after every event; keeping the marks of hosts is left to the shell.

use std::collections::BTreeSet;

use chiffon_common::{ErrorCode, HostName, HostOutcome, Step, TaskId};

use super::{
    DecisionKind, DecisionState, Effect, Run, Task, TaskState, desk::Desk, request::first_of,
    task::changes,
};

/// Words by which a person says how a task ended.
const SAID: [&str; 2] = ["completed", "failed"];

/// The hosts of a task on which it is not known what it changed: a run that was stopped, cut off or lost tells of no task
/// of its playbook that it was in the middle of, unless it came to its last count there. Nobody's word counts anything.
pub fn uncounted(task: &Task, step: &Step) -> BTreeSet<HostName> {
    if !changes(task, step) || step.verifies.is_some() || task.attempt == 0 {
        return BTreeSet::new();
    }
    let outcome_on = |host: &HostName| {
        let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
        hosts
            .and_then(|hosts| hosts.get(host.as_str()))
            .map(|summary| summary.outcome)
    };
    let those = |is_open: &dyn Fn(Option<HostOutcome>) -> bool| {
        let hosts = step.hosts.iter().filter(|host| is_open(outcome_on(host)));
        hosts.cloned().collect()
    };
    let all = || those(&|_| true);
    let not_ended = || {
        those(&|outcome| {
            !matches!(
                outcome,
                Some(HostOutcome::Ok | HostOutcome::Changed | HostOutcome::Failed)
            )
        })
    };
    let cut_off = || those(&|outcome| outcome == Some(HostOutcome::CutOff));
    if task.cut_off_before {
        return all();
    }
    match &task.state {
        TaskState::Open | TaskState::Waiting { .. } => BTreeSet::new(),
        TaskState::Dispatched { .. }
        | TaskState::Accepted { .. }
        | TaskState::Running { .. }
        | TaskState::Unknown { .. } => all(),
        TaskState::Interrupted { .. } => not_ended(),
        // Stopped before it began, or while it waited for another try after one that touched nothing.
        TaskState::Cancelled if task.started_at.is_none() => BTreeSet::new(),
        TaskState::Cancelled => not_ended(),
        TaskState::Failed { problem } => match problem.code {
            ErrorCode::OutcomeUnknown => all(),
            ErrorCode::Interrupted | ErrorCode::TimedOut => not_ended(),
            _ => cut_off(),
        },
        // By a person's word, or by a check: the run itself may have told nothing.
        TaskState::Completed => {
            let told =
                |host: &HostName| !matches!(outcome_on(host), None | Some(HostOutcome::NotReached));
            match step.hosts.iter().any(told) {
                true => cut_off(),
                false => all(),
            }
        }
    }
}

/// The hosts of a task that a person should look at: not known what it changed there, and nobody has said how it ended.
pub fn needs_look(run: &Run, task: &Task) -> BTreeSet<HostName> {
    let is_left = match &task.state {
        TaskState::Unknown { .. }
        | TaskState::Interrupted { .. }
        | TaskState::Failed { .. }
        | TaskState::Cancelled => true,
        TaskState::Open
        | TaskState::Waiting { .. }
        | TaskState::Dispatched { .. }
        | TaskState::Accepted { .. }
        | TaskState::Running { .. }
        | TaskState::Completed => false,
    };
    let steps = run.plan.as_ref().map(|plan| &plan.steps);
    let step = steps.and_then(|steps| steps.get(task.step as usize));
    match step {
        Some(step) if is_left && !is_said(run, task.task_id) => uncounted(task, step),
        _ => BTreeSet::new(),
    }
}

fn is_said(run: &Run, id: TaskId) -> bool {
    run.decisions.values().any(|decision| {
        let about = matches!(
            decision.kind,
            DecisionKind::Interrupted { task } | DecisionKind::UnknownOutcome { task } if task == id
        );
        let said = matches!(
            &decision.state,
            DecisionState::Resolved { choice, .. } if SAID.contains(&choice.as_str())
        );
        about && said
    })
}

impl Desk<'_> {
    /// Which hosts need a look, and which need none any more, since the event came.
    pub(super) fn mark_hosts(&mut self) {
        let mut marks = Vec::new();
        for (id, task) in &self.run.tasks {
            let was = self.before.tasks.get(id);
            let before = was.map_or_else(BTreeSet::new, |was| needs_look(self.before, was));
            let now = needs_look(&self.run, task);
            let is_retold = !now.is_empty() && was.is_some_and(|was| was.because != task.because);
            if before != now || is_retold {
                marks.push(Effect::MarkHosts {
                    task: *id,
                    needs_look: !now.is_empty(),
                });
            }
        }
        for mark in marks {
            self.push(mark);
        }
    }

    /// What would be open about a task in this state, as the rest of a sentence; nothing where nothing is.
    pub(super) fn open_words(&self, id: TaskId, state: TaskState) -> String {
        let Some(task) = self.run.tasks.get(&id) else {
            return String::new();
        };
        let ended = Task {
            state,
            ..task.clone()
        };
        let step = self.step_of(task);
        words_of(&step.map_or_else(BTreeSet::new, |step| uncounted(&ended, step)))
    }
}

/// How words begin that say what nobody has counted.
pub const UNKNOWN_CHANGES: &str = "what was changed on";

/// `; what was changed on nas is not known`: the rest of a sentence.
pub(super) fn words_of(hosts: &BTreeSet<HostName>) -> String {
    if hosts.is_empty() {
        return String::new();
    }
    let hosts = first_of(hosts.iter().map(HostName::as_str), ", ", "hosts");
    format!("; {UNKNOWN_CHANGES} {hosts} is not known")
}
