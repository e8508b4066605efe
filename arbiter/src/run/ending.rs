//! How an attempt ends: what its result, its interruption or its refusal makes of the task.

use chiffon_common::{
    ErrorCode, Incarnation, Mode, OnInterrupt, Problem, ResultStatus, TaskId, Undo, clock_words,
};

use super::{DecisionKind, Outcome, Refusal, TaskState, desk::Desk};

impl Desk<'_> {
    pub(super) fn ended(
        &mut self,
        id: TaskId,
        seq: u64,
        incarnation: Incarnation,
        status: ResultStatus,
        outcome: Outcome,
        problem: Option<Problem>,
    ) -> Result<(), Refusal> {
        let Some(sent) = self.task(id)?.state.sent().cloned() else {
            return Err(Refusal::Stale);
        };
        let same_life = sent.incarnation == incarnation;
        // What was stopped before it began names no host.
        let has_begun = match status {
            ResultStatus::Refused => false,
            ResultStatus::Cancelled | ResultStatus::Failed => !outcome.hosts.is_empty(),
            ResultStatus::Completed | ResultStatus::Interrupted | ResultStatus::Unknown => true,
        };
        if let Some(task) = self.run.tasks.get_mut(&id) {
            task.seq = seq;
            task.outcome = Some(outcome);
            if has_begun {
                task.started_at.get_or_insert(self.now);
            }
        }
        match status {
            // A later life of the journal cannot speak for an earlier one.
            ResultStatus::Refused if !same_life => self.lose(id, "the agent began a new journal"),
            ResultStatus::Completed => {
                if let Some(task) = self.run.tasks.get_mut(&id) {
                    task.progress = 100;
                }
                let before = self.done_before_words(id);
                let because = format!("the agent reports that it is done{before}");
                self.move_task(id, TaskState::Completed, because);
            }
            ResultStatus::Failed => {
                let problem = problem.unwrap_or_else(|| unexplained("the run failed"));
                let problem = Problem {
                    detail: problem.detail + &self.done_before_words(id),
                    ..problem
                };
                let problem = if self.is_probe(id) {
                    problem
                } else {
                    self.judged_check(id, problem)
                };
                if !self.tried_again(id, &problem) {
                    let problem = self.with_what_is_open(id, problem);
                    let because = problem.detail.clone();
                    self.move_task(id, TaskState::Failed { problem }, because);
                }
            }
            ResultStatus::Cancelled => {
                let open = self.open_words(id, TaskState::Cancelled);
                let because =
                    format!("stopped by the agent, everything it started has ended{open}");
                self.move_task(id, TaskState::Cancelled, because);
            }
            ResultStatus::Interrupted => self.interrupted(id),
            ResultStatus::Refused => self.refused(id, problem),
            ResultStatus::Unknown => {
                self.lose(id, "the agent cannot say how it ended");
                self.ask_unknown(id);
            }
        }
        Ok(())
    }

    /// Whoever asked for another try hears that there was one already, and that nothing was run now.
    fn done_before_words(&self, id: TaskId) -> String {
        let outcome = self
            .run
            .tasks
            .get(&id)
            .and_then(|task| task.outcome.as_ref());
        let Some(at) = outcome.and_then(|outcome| outcome.done_before) else {
            return String::new();
        };
        let at = clock_words(at, self.now, "%H:%M:%S");
        format!("; it had done this attempt before, at {at}, and has run nothing now")
    }

    /// A run that failed before its last count on some host says so.
    fn with_what_is_open(&self, id: TaskId, problem: Problem) -> Problem {
        let state = TaskState::Failed {
            problem: problem.clone(),
        };
        let open = self.open_words(id, state);
        if open.is_empty() {
            return problem;
        }
        Problem {
            detail: problem.detail + &open,
            todo: format!("look at the host, then {}", problem.todo),
            ..problem
        }
    }

    /// What did not pass in a check after a step is that check's failure, not a playbook's (DESIGN section 4.7).
    fn judged_check(&self, id: TaskId, problem: Problem) -> Problem {
        let task = self.run.tasks.get(&id);
        let step = task.zip(self.run.plan.as_ref());
        let step = step.and_then(|(task, plan)| plan.steps.get(task.step as usize));
        let checked = step.and_then(|step| step.verifies);
        let is_word = matches!(
            problem.code,
            ErrorCode::PlaybookFailed | ErrorCode::TimedOut
        );
        let Some(checked) = checked.filter(|_| is_word) else {
            return problem;
        };
        let number = checked.saturating_add(1);
        let plan = self.run.plan.as_ref();
        let done = plan.and_then(|plan| plan.steps.get(checked as usize));
        let back = match done.map(|step| &step.undo) {
            Some(Undo::Entry { .. }) => format!(
                "look at the host, or take the change back by chiffon undo {}",
                self.run.request.request_id
            ),
            Some(Undo::None { .. }) | None => {
                "it has no way back, so look at the host and mend it there".to_owned()
            }
        };
        Problem::new(
            ErrorCode::VerifyFailed,
            format!("the check after step {number} failed: {}", problem.detail),
            format!("step {number} itself was done: {back}"),
        )
    }

    fn interrupted(&mut self, id: TaskId) {
        let Some(task) = self.run.tasks.get(&id) else {
            return;
        };
        let (mode, attempt) = (task.mode, task.attempt);
        let step = self
            .run
            .plan
            .as_ref()
            .and_then(|plan| plan.steps.get(task.step as usize));
        // Who only looks may look again, and nobody needs to be asked about it.
        let looks_only = mode == Mode::Check || self.is_probe(id);
        let on_interrupt = match step {
            _ if looks_only && attempt < self.policy.attempts => OnInterrupt::Retry,
            _ if looks_only => OnInterrupt::Fail,
            step => step.map_or(OnInterrupt::Ask, |step| step.on_interrupt),
        };
        let title = step.map_or_else(String::new, |step| step.title.clone());
        if self.run.request.cancelling.is_some() {
            let open = self.open_words(id, TaskState::Cancelled);
            let because = format!("cut off while it was being cancelled{open}");
            self.move_task(id, TaskState::Cancelled, because);
            return;
        }
        match on_interrupt {
            OnInterrupt::Retry if attempt < self.policy.attempts => {
                self.run_again(
                    id,
                    "cut off; the catalogue says that running it again is harmless",
                );
            }
            OnInterrupt::Retry | OnInterrupt::Ask => {
                let question = format!("\"{title}\" was cut off after it had begun. Run it again?");
                // Everything it started has ended, so the host is free for others until a person has decided.
                if let Some(task) = self.run.tasks.get_mut(&id) {
                    task.leases.clear();
                }
                let asked = self.ask(
                    DecisionKind::Interrupted { task: id },
                    question,
                    &["completed", "retry", "failed"],
                );
                self.move_task(
                    id,
                    TaskState::Interrupted { asked },
                    "cut off after it had begun; a person decides",
                );
            }
            OnInterrupt::Fail => {
                let problem = Problem::new(
                    ErrorCode::Interrupted,
                    "the run was cut off after it had begun",
                    "look at the host, then ask again",
                );
                self.move_task(
                    id,
                    TaskState::Failed { problem },
                    "cut off after it had begun",
                );
            }
        }
    }

    fn refused(&mut self, id: TaskId, problem: Option<Problem>) {
        let problem = problem.unwrap_or_else(|| unexplained("the agent refused the work"));
        if !self.refused_for_now(id, &problem) {
            let because = problem.detail.clone();
            self.move_task(id, TaskState::Failed { problem }, because);
        }
    }
}

fn unexplained(what: &str) -> Problem {
    Problem::new(
        ErrorCode::AgentFault,
        format!("{what}, and the agent gave no reason"),
        "see the output of the task",
    )
}
