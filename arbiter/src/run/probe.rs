//! Probes: where nobody can say how a step ended, the checks that its entry names for afterwards look for
//! themselves (R4; DESIGN section 5). They are steps of the approved plan, run out of their turn.
//!
//! They look once no agent can still run the attempt, so that what they find is the end and not a moment on
//! the way. If all of them hold, the step is done; if not, nobody knows more than before, and the person who
//! is asked is told what they found. Only checks that read are used: what a command does, nobody can tell.

use chiffon_common::{Mode, StepNo, TaskId, Tier};

use jiff::Timestamp;

use super::{DecisionState, Run, Task, TaskState, TimerKind, TimerName, TimerSubject, desk::Desk};

impl Run {
    /// When the checks of a step of which nobody can say how it ended look for themselves; none where it has none that
    /// only read, or they have been sent already, or it is no unknown step.
    #[must_use]
    pub fn checks_look_at(&self, id: TaskId) -> Option<Timestamp> {
        let are_sent = self.tasks.values().any(|task| task.probes == Some(id));
        if are_sent || self.request.cancelling.is_some() || self.checks_after(id).is_empty() {
            return None;
        }
        let name = TimerName {
            subject: TimerSubject::Task(id),
            kind: TimerKind::Lease,
        };
        self.timers.get(&name).copied()
    }

    /// The steps that check this task's, in their order; none where one of them may do more than read.
    fn checks_after(&self, id: TaskId) -> Vec<StepNo> {
        let (Some(task), Some(plan)) = (self.tasks.get(&id), self.plan.as_ref()) else {
            return Vec::new();
        };
        let checks = plan.steps.iter();
        let checks: Vec<_> = checks
            .filter(|step| task.does(task.step) && step.verifies == Some(task.step))
            .collect();
        if checks.iter().any(|step| step.tier > Tier::Zero) {
            return Vec::new();
        }
        checks.into_iter().map(|step| step.no).collect()
    }
}

impl Desk<'_> {
    /// Sends the checks of this unknown task's step to look, if it has any and all of them only read.
    pub(super) fn probe(&mut self, id: TaskId) {
        let checks = self.run.checks_after(id);
        if checks.is_empty() || self.run.request.cancelling.is_some() {
            return;
        }
        // Whoever can answer sooner may: what the checks find is told then too.
        self.ask_unknown(id);
        self.extend_deadline();
        for step in checks {
            self.add(
                step,
                Mode::Apply,
                Some(id),
                "a check looks how the step before it ended",
            );
        }
    }

    /// Whether this task only looks how another ended.
    pub(super) fn is_probe(&self, id: TaskId) -> bool {
        let task = self.run.tasks.get(&id);
        task.is_some_and(|task| task.probes.is_some())
    }

    /// What the probes have found so far.
    pub(super) fn settle_probes(&mut self) {
        let probed: std::collections::BTreeSet<TaskId> = self
            .run
            .tasks
            .values()
            .filter_map(|task| task.probes)
            .collect();
        for id in probed {
            let probes = self.run.tasks.values();
            let probes: Vec<Task> = probes
                .filter(|task| task.probes == Some(id))
                .cloned()
                .collect();
            let is_open = self
                .run
                .tasks
                .get(&id)
                .is_some_and(|task| matches!(task.state, TaskState::Unknown { .. }));
            if !is_open {
                self.withdraw(&probes);
            } else if probes.iter().all(|probe| probe.state.ended()) {
                self.found(id, &probes);
            }
        }
    }

    /// Nobody needs to look any more. What an agent has by now ends by itself.
    fn withdraw(&mut self, probes: &[Task]) {
        let waits =
            |task: &&Task| matches!(task.state, TaskState::Open | TaskState::Waiting { .. });
        for probe in probes.iter().filter(waits) {
            let because = "how the step ended is known by now";
            self.move_task(probe.task_id, TaskState::Cancelled, because);
        }
    }

    fn found(&mut self, id: TaskId, probes: &[Task]) {
        let missing = probes
            .iter()
            .find(|probe| probe.state != TaskState::Completed);
        match missing {
            None => {
                self.move_task(
                    id,
                    TaskState::Completed,
                    "contact was lost; what the step was to bring about is there, as its check found",
                );
                if let Some(task) = self.run.tasks.get_mut(&id) {
                    task.progress = 100;
                }
            }
            Some(probe) => {
                let words = match &probe.state {
                    TaskState::Failed { problem } => problem.detail.clone(),
                    state => state.name().to_owned(),
                };
                self.tell_who_is_asked(id, &format!(" Its check does not settle it: {words}"));
            }
        }
    }

    /// Adds to the open question about a task, once.
    fn tell_who_is_asked(&mut self, id: TaskId, words: &str) {
        let asked = self.run.tasks.get(&id).and_then(|task| task.state.asked());
        let question = asked.and_then(|asked| self.run.decisions.get_mut(&asked));
        if let Some(decision) = question
            && decision.state == DecisionState::Pending
            && !decision.question.ends_with(words)
        {
            decision.question.push_str(words);
            self.note_task(id, "its check was run and does not settle how it ended");
        }
    }
}
