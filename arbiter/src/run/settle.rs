//! What follows from the states together, after every event: which tasks may start, whose ground is
//! gone, and whether the request has ended. Idempotent; the only place where tasks end a request.

use chiffon_common::{ErrorCode, HostOutcome, Mode, Problem};

use jiff::Timestamp;

use super::{
    Effect, Refusal, RequestState, Task, TaskState, TimerKind, TimerName, TimerSubject, WaitingOn,
    desk::Desk,
    open::{needs_look, words_of},
};

impl Desk<'_> {
    pub(super) fn timer_fired(
        &mut self,
        timer: TimerName,
        heard: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        match self.run.timers.get(&timer) {
            Some(due) if *due <= self.now => {}
            Some(_) | None => return Err(Refusal::Nothing),
        }
        self.run.timers.remove(&timer);
        match timer.subject {
            TimerSubject::Request => self.request_timer(timer.kind),
            TimerSubject::Task(id) => self.task_timer(id, timer.kind, heard),
            TimerSubject::Decision(id) if timer.kind == TimerKind::Deadline => {
                self.decision_timer(id)
            }
            TimerSubject::Decision(_) => Err(Refusal::Nothing),
        }
    }

    pub(super) fn settle(&mut self) {
        match self.run.request.state {
            RequestState::Previewing => {
                self.release(Mode::Check);
                self.settle_preview();
            }
            RequestState::Running { .. } => {
                self.settle_probes();
                self.release(Mode::Apply);
                self.settle_run();
            }
            _ => {}
        }
    }

    /// Open tasks whose steps before them are done begin to wait; those whose ground is gone end.
    fn release(&mut self, mode: Mode) {
        // Repeated, because a cancelled step takes its own dependents with it.
        loop {
            let open: Vec<_> = self
                .run
                .tasks
                .values()
                .filter(|task| task.mode == mode && task.state == TaskState::Open)
                .map(|task| (task.task_id, self.ground(task)))
                .collect();
            let mut moved = false;
            for (id, ground) in open {
                match ground {
                    Ground::Firm => {
                        let on = WaitingOn::Agent {
                            words: "to be given to an agent".to_owned(),
                        };
                        self.move_task(id, TaskState::Waiting { on }, "nothing stands before it");
                        self.push(Effect::Wake);
                    }
                    Ground::Gone => {
                        self.move_task(
                            id,
                            TaskState::Cancelled,
                            "a step before it was not completed",
                        );
                        moved = true;
                    }
                    Ground::Open => {}
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn ground(&self, task: &Task) -> Ground {
        // Check runs stand for themselves: a failed one only lowers the fidelity of its step. Probes run out of turn.
        if task.mode == Mode::Check || task.probes.is_some() {
            return Ground::Firm;
        }
        let Some(step) = self
            .run
            .plan
            .as_ref()
            .and_then(|plan| plan.steps.get(task.step as usize))
        else {
            return Ground::Gone;
        };
        let before = self
            .run
            .tasks
            .values()
            .filter(|other| step.depends_on.iter().any(|before| other.does(*before)));
        let mut ground = Ground::Firm;
        for other in before {
            match other.state {
                TaskState::Completed => {}
                TaskState::Failed { .. } | TaskState::Cancelled => return Ground::Gone,
                _ => ground = Ground::Open,
            }
        }
        ground
    }

    fn settle_preview(&mut self) {
        let ended = self.run.tasks.values().all(|task| task.state.ended());
        if !ended {
            return;
        }
        if let Some(cancelling) = self.run.request.cancelling.clone() {
            let because = cancelling.words();
            self.move_request(RequestState::Cancelled { by: cancelling.by }, because);
        } else {
            self.push(Effect::SealPreview);
        }
    }

    fn settle_run(&mut self) {
        let tasks: Vec<Task> = self
            .run
            .tasks
            .values()
            .filter(|task| task.mode == Mode::Apply)
            .cloned()
            .collect();
        if tasks.is_empty() || tasks.iter().any(|task| !task.state.ended()) {
            return;
        }
        // What a probe found counts by the task that it looked at.
        let tasks: Vec<Task> = tasks
            .into_iter()
            .filter(|task| task.probes.is_none())
            .collect();
        let first_failed = tasks
            .iter()
            .filter(|task| matches!(task.state, TaskState::Failed { .. }))
            .min_by_key(|task| task.step);
        if let Some(Task {
            state: TaskState::Failed { problem },
            ..
        }) = first_failed
        {
            let detail = format!("{}; {}", problem.detail, per_host(&tasks));
            let problem = Problem {
                detail: detail.trim_end_matches("; ").to_owned(),
                ..problem.clone()
            };
            let because = problem.detail.clone();
            self.move_request(RequestState::Failed { problem }, because);
        } else if tasks.iter().all(|task| task.state == TaskState::Completed) {
            self.move_request(RequestState::Completed, "every step is done");
        } else if let Some(cancelling) = self.run.request.cancelling.clone() {
            let open = tasks.iter().flat_map(|task| needs_look(&self.run, task));
            let open = words_of(&open.collect());
            let because = cancelling.words() + &open;
            self.move_request(RequestState::Cancelled { by: cancelling.by }, because);
        } else {
            let problem = past_deadline(&tasks);
            let because = problem.detail.clone();
            self.move_request(RequestState::Failed { problem }, because);
        }
        self.close_questions("chiffon", "no longer needed");
    }
}

enum Ground {
    Firm,
    Open,
    Gone,
}

/// What the run's deadline has cut short: steps that had begun, or steps that had not.
fn past_deadline(tasks: &[Task]) -> Problem {
    let is_cut = |task: &&Task| task.state != TaskState::Completed && task.started_at.is_some();
    match tasks.iter().any(|task| is_cut(&task)) {
        true => Problem::new(
            ErrorCode::TimedOut,
            "the run's deadline passed before every step had ended; what was still at work was stopped",
            "look at what its steps did, then ask again for what was left out",
        ),
        false => Problem::new(
            ErrorCode::NotStartedInTime,
            "not every step was started before the run's deadline",
            "ask again for what was left out",
        ),
    }
}

/// `nas failed, tower ok`: every host of every task in words.
fn per_host(tasks: &[Task]) -> String {
    let words = |outcome: HostOutcome| match outcome {
        HostOutcome::Ok => "ok",
        HostOutcome::Changed => "changed",
        HostOutcome::Failed => "failed",
        HostOutcome::Unreachable => "unreachable",
        HostOutcome::NotReached => "not reached",
        HostOutcome::CutOff => "cut off",
    };
    let hosts = tasks
        .iter()
        .filter_map(|task| task.outcome.as_ref())
        .flat_map(|outcome| &outcome.hosts);
    let mut lines: Vec<_> = hosts
        .map(|(host, summary)| format!("{host} {}", words(summary.outcome)))
        .collect();
    lines.dedup();
    lines.join(", ")
}
