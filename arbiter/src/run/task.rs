//! How a task moves: dispatch, reports, the end of an attempt, lost contact.
//!
//! Messages come in any order and more than once; they are judged by attempt and sequence number. The
//! attempt is the fencing token: nothing of a lower one is heard.

use chiffon_common::{
    AgentId, Digest, ErrorCode, Incarnation, Mode, OnInterrupt, Problem, ResultStatus, StatusKind,
    TaskId, Tier,
};
use jiff::Timestamp;

use super::{
    DecisionKind, Effect, Outcome, Refusal, Reported, RequestState, Run, Sent, Task, TaskState,
    TimerKind, TimerSubject, WaitingOn, desk::Desk,
};

/// The one gate before every start: whether this task may be given to an agent now. Check runs belong
/// to the preview; the real ones need tier 0, or a live approval of exactly this plan (S27, S34).
pub fn may_start(run: &Run, task: &Task, now: Timestamp) -> Result<(), Refusal> {
    let plan = run.plan.as_ref().ok_or(Refusal::NotApproved)?;
    if run.request.cancelling.is_some() {
        return Err(Refusal::OutOfTurn("being cancelled"));
    }
    match (&run.request.state, task.mode) {
        (RequestState::Previewing, Mode::Check) => Ok(()),
        (RequestState::Running { deadline }, Mode::Apply) if now <= *deadline => {
            if plan.tier == Tier::Zero
                || run
                    .request
                    .approval
                    .as_ref()
                    .is_some_and(|a| is_live(a, plan.digest, now))
            {
                Ok(())
            } else {
                Err(Refusal::NotApproved)
            }
        }
        (state, _) => Err(Refusal::OutOfTurn(state.name())),
    }
}

fn is_live(approval: &super::Approval, digest: Digest, now: Timestamp) -> bool {
    approval.digest == digest && (approval.used_at.is_some() || now <= approval.good_until)
}

impl Desk<'_> {
    fn task(&self, id: TaskId) -> Result<&Task, Refusal> {
        self.run.tasks.get(&id).ok_or(Refusal::NoSuch("task"))
    }

    pub(super) fn task_held(&mut self, id: TaskId, on: WaitingOn) -> Result<(), Refusal> {
        let task = self.run.tasks.get_mut(&id).ok_or(Refusal::NoSuch("task"))?;
        match &mut task.state {
            TaskState::Waiting { on: now_on } if *now_on != on => {
                // Not a move: it still waits, and its timer counts on; only the words change.
                *now_on = on;
                Ok(())
            }
            TaskState::Waiting { .. } => Err(Refusal::Nothing),
            state => Err(Refusal::OutOfTurn(state.name())),
        }
    }

    pub(super) fn task_dispatched(
        &mut self,
        id: TaskId,
        sent: Sent,
        leases: Vec<String>,
    ) -> Result<(), Refusal> {
        let task = self.task(id)?;
        if !matches!(task.state, TaskState::Waiting { .. }) {
            return Err(Refusal::OutOfTurn(task.state.name()));
        }
        may_start(&self.run, task, self.now)?;
        if task.mode == Mode::Apply {
            self.use_approval();
        }
        if let Some(task) = self.run.tasks.get_mut(&id) {
            task.attempt += 1;
            task.seq = 0;
            task.started_at = None;
            task.leases = leases;
        }
        let because = format!("given to {}", sent.agent);
        self.move_task(id, TaskState::Dispatched { sent }, because);
        self.push(Effect::Dispatch { task: id });
        Ok(())
    }

    pub(super) fn dispatch_refused(&mut self, id: TaskId, problem: Problem) -> Result<(), Refusal> {
        let task = self.task(id)?;
        if !matches!(task.state, TaskState::Waiting { .. }) {
            return Err(Refusal::OutOfTurn(task.state.name()));
        }
        let because = problem.detail.clone();
        self.move_task(id, TaskState::Failed { problem }, because);
        Ok(())
    }

    /// Whether a message is about the attempt in hand, from the agent that has it, and new.
    pub(super) fn is_current(
        &self,
        id: TaskId,
        attempt: u32,
        seq: u64,
        agent: &AgentId,
    ) -> Result<(), Refusal> {
        let task = self.task(id)?;
        let sent = task.state.sent().ok_or(Refusal::Stale)?;
        let current = task.attempt == attempt && seq > task.seq && sent.agent == *agent;
        if current { Ok(()) } else { Err(Refusal::Stale) }
    }

    pub(super) fn reported(&mut self, report: &Reported) -> Result<(), Refusal> {
        let id = report.task;
        self.is_current(id, report.attempt, report.seq, &report.agent)?;
        let task = self.task(id)?;
        let Some(sent) = task.state.sent().cloned() else {
            return Err(Refusal::Stale);
        };
        let same_life = sent.incarnation == report.incarnation;
        let state = task.state.clone();
        if let Some(task) = self.run.tasks.get_mut(&id) {
            task.seq = report.seq;
        }
        match (report.status, state) {
            (_, _) if !same_life => self.lose(id, "the agent began a new journal"),
            (StatusKind::Accepted, TaskState::Dispatched { .. } | TaskState::Unknown { .. }) => {
                self.move_task(
                    id,
                    TaskState::Accepted { sent },
                    "the agent has it in its journal",
                );
                self.cancel_again(id);
            }
            (StatusKind::Running, TaskState::Running { .. }) => {
                if let Some(task) = self.run.tasks.get_mut(&id) {
                    task.progress = task.progress.max(report.progress.min(100));
                }
            }
            (
                StatusKind::Running,
                TaskState::Dispatched { .. }
                | TaskState::Accepted { .. }
                | TaskState::Unknown { .. },
            ) => {
                // Contact may have been lost in between: the run has not begun anew.
                let since = task_started(&mut self.run, id, self.now);
                self.move_task(id, TaskState::Running { sent, since }, "the agent runs it");
                self.cancel_again(id);
            }
            (
                StatusKind::NeedsBundle,
                TaskState::Dispatched { .. }
                | TaskState::Accepted { .. }
                | TaskState::Unknown { .. },
            ) => {
                self.push(Effect::SendBundle { task: id });
                if !matches!(self.task(id)?.state, TaskState::Accepted { .. }) {
                    self.move_task(
                        id,
                        TaskState::Accepted { sent },
                        "the agent asks for the playbook",
                    );
                }
            }
            // The same journal has never seen it, so it never began: sending it again is harmless.
            (
                StatusKind::NeverSeen,
                TaskState::Dispatched { .. }
                | TaskState::Accepted { .. }
                | TaskState::Unknown { .. },
            ) => self.send_again(id, sent),
            (StatusKind::Accepted | StatusKind::NeedsBundle | StatusKind::NeverSeen, _)
            | (StatusKind::Running, _) => {
                return Err(Refusal::Stale);
            }
        }
        Ok(())
    }

    /// It never began, so whether it may still begin is judged anew.
    fn send_again(&mut self, id: TaskId, sent: Sent) {
        if self.run.request.cancelling.is_some() {
            self.move_task(id, TaskState::Cancelled, "cancelled; it had never arrived");
            return;
        }
        let may = self
            .run
            .tasks
            .get(&id)
            .map(|task| may_start(&self.run, task, self.now));
        if let Some(Err(refusal)) = may {
            let problem = Problem::new(
                ErrorCode::NotStartedInTime,
                format!("the step never reached its agent, and may not start any more: {refusal}"),
                "ask again",
            );
            self.move_task(
                id,
                TaskState::Failed { problem },
                "it may not start any more",
            );
            return;
        }
        let not_after = self
            .now
            .checked_add(self.policy.not_after)
            .unwrap_or(Timestamp::MAX);
        let sent = Sent {
            sends: sent.sends.saturating_add(1),
            not_after,
            ..sent
        };
        self.move_task(
            id,
            TaskState::Dispatched { sent },
            "sent again: it had never arrived",
        );
        self.push(Effect::Dispatch { task: id });
    }

    fn cancel_again(&mut self, id: TaskId) {
        if self.run.request.cancelling.is_some() {
            self.push(Effect::Cancel { task: id });
        }
    }

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
        let was_unknown = matches!(self.task(id)?.state, TaskState::Unknown { .. });
        let same_life = sent.incarnation == incarnation;
        if let Some(task) = self.run.tasks.get_mut(&id) {
            task.seq = seq;
            task.outcome = Some(outcome);
        }
        match status {
            // A later life of the journal cannot speak for an earlier one.
            ResultStatus::Refused if !same_life => self.lose(id, "the agent began a new journal"),
            ResultStatus::Completed => {
                if let Some(task) = self.run.tasks.get_mut(&id) {
                    task.progress = 100;
                }
                self.move_task(
                    id,
                    TaskState::Completed,
                    "the agent reports that it is done",
                );
            }
            ResultStatus::Failed => {
                let problem = problem.unwrap_or_else(|| unexplained("the run failed"));
                let because = problem.detail.clone();
                self.move_task(id, TaskState::Failed { problem }, because);
            }
            ResultStatus::Cancelled => self.move_task(
                id,
                TaskState::Cancelled,
                "stopped by the agent, everything it started has ended",
            ),
            ResultStatus::Interrupted => self.interrupted(id),
            ResultStatus::Refused => self.refused(id, problem),
            ResultStatus::Unknown => {
                self.lose(id, "the agent cannot say how it ended");
                self.ask_unknown(id);
            }
        }
        if was_unknown && self.task(id)?.state.ended() {
            self.push(Effect::MarkHosts {
                task: id,
                needs_look: false,
            });
        }
        Ok(())
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
        let on_interrupt = if mode == Mode::Check {
            OnInterrupt::Retry
        } else {
            step.map_or(OnInterrupt::Ask, |step| step.on_interrupt)
        };
        let title = step.map_or_else(String::new, |step| step.title.clone());
        if self.run.request.cancelling.is_some() {
            self.move_task(
                id,
                TaskState::Cancelled,
                "cut off while it was being cancelled",
            );
            return;
        }
        match on_interrupt {
            OnInterrupt::Retry if attempt < self.policy.attempts => {
                self.wait_again(
                    id,
                    "cut off; the catalogue says that running it again is harmless",
                );
            }
            OnInterrupt::Retry | OnInterrupt::Ask => {
                let question = format!("\"{title}\" was cut off after it had begun. Run it again?");
                let asked = self.ask(
                    DecisionKind::Interrupted { task: id },
                    question,
                    &["retry", "fail"],
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
        let attempt = self.run.tasks.get(&id).map_or(0, |task| task.attempt);
        let problem = problem.unwrap_or_else(|| unexplained("the agent refused the work"));
        if problem.code == ErrorCode::WorkExpired && attempt < self.policy.attempts {
            self.wait_again(id, "it reached the agent too late and never began");
        } else {
            let because = problem.detail.clone();
            self.move_task(id, TaskState::Failed { problem }, because);
        }
    }

    pub(super) fn journal_lost(
        &mut self,
        id: TaskId,
        incarnation: Incarnation,
    ) -> Result<(), Refusal> {
        let sent = self.task(id)?.state.sent().ok_or(Refusal::Nothing)?;
        if sent.incarnation == incarnation
            || matches!(self.task(id)?.state, TaskState::Unknown { .. })
        {
            return Err(Refusal::Nothing);
        }
        self.lose(id, "the agent began a new journal");
        Ok(())
    }

    /// Contact lost: unknown, never guessed. The leases stay.
    fn lose(&mut self, id: TaskId, because: &str) {
        let Some(task) = self.run.tasks.get(&id) else {
            return;
        };
        let Some(sent) = task.state.sent().cloned() else {
            return;
        };
        if matches!(task.state, TaskState::Unknown { .. }) {
            return;
        }
        let state = TaskState::Unknown {
            sent,
            since: self.now,
            asked: None,
        };
        self.move_task(id, state, because);
        self.push(Effect::Query { task: id });
        self.push(Effect::MarkHosts {
            task: id,
            needs_look: true,
        });
    }

    fn ask_unknown(&mut self, id: TaskId) {
        let Some(Task {
            state:
                TaskState::Unknown {
                    sent,
                    since,
                    asked: None,
                },
            step,
            mode,
            ..
        }) = self.run.tasks.get(&id).cloned()
        else {
            return;
        };
        if mode == Mode::Check {
            // A check run changes nothing, so nobody needs to be asked how it ended.
            self.give_up_unknown(id);
            return;
        }
        let title = self
            .run
            .plan
            .as_ref()
            .and_then(|plan| plan.steps.get(step as usize))
            .map_or_else(String::new, |step| step.title.clone());
        let question = format!(
            "Contact with \"{title}\" on agent {} was lost. How did it end?",
            sent.agent
        );
        let asked = self.ask(
            DecisionKind::UnknownOutcome { task: id },
            question,
            &["completed", "retry", "failed"],
        );
        let state = TaskState::Unknown {
            sent,
            since,
            asked: Some(asked),
        };
        self.move_task(id, state, "contact lost; a person is asked how it ended");
    }

    pub(super) fn give_up_unknown(&mut self, id: TaskId) {
        let problem = Problem::new(
            ErrorCode::OutcomeUnknown,
            "contact with the run was lost, and nobody could say how it ended",
            "look at the host before anything else is asked of it",
        );
        self.move_task(
            id,
            TaskState::Failed { problem },
            "nobody could say how it ended",
        );
        self.push(Effect::MarkHosts {
            task: id,
            needs_look: true,
        });
    }

    pub(super) fn task_timer(
        &mut self,
        id: TaskId,
        kind: TimerKind,
        heard: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let task = self.task(id)?.clone();
        match (kind, task.state) {
            (TimerKind::Start, TaskState::Open | TaskState::Waiting { .. }) => {
                let problem = Problem::new(
                    ErrorCode::NotStartedInTime,
                    format!("the step was not started in time; {}", task.because),
                    "see `chiffon doctor` for agents and leases, then ask again",
                );
                self.move_task(id, TaskState::Failed { problem }, "not started in time");
            }
            (TimerKind::Ack, TaskState::Dispatched { sent }) => self.not_acknowledged(id, sent),
            (TimerKind::Start, TaskState::Accepted { .. }) => {
                self.lose(
                    id,
                    "it was accepted, and neither started nor refused in time",
                );
            }
            (
                TimerKind::Contact,
                state @ (TaskState::Accepted { .. } | TaskState::Running { .. }),
            ) => {
                if matches!(state, TaskState::Accepted { .. }) {
                    // What was accepted long ago may have been refused, or lost with its journal.
                    self.push(Effect::Query { task: id });
                }
                let silent_since = heard.unwrap_or(Timestamp::MIN);
                let limit = self
                    .now
                    .checked_sub(self.policy.silence)
                    .unwrap_or(Timestamp::MIN);
                if silent_since < limit {
                    self.lose(id, "the agent was not heard of for too long");
                } else {
                    self.set_timer(
                        TimerSubject::Task(id),
                        TimerKind::Contact,
                        self.policy.contact,
                    );
                    self.cancel_again(id);
                }
            }
            (TimerKind::End, TaskState::Running { .. }) => self.lose(id, "no result came in time"),
            (TimerKind::Contact, TaskState::Unknown { .. }) => {
                self.push(Effect::Query { task: id });
                self.set_timer(
                    TimerSubject::Task(id),
                    TimerKind::Contact,
                    self.policy.ack_longest,
                );
            }
            (TimerKind::Resolve, TaskState::Unknown { asked: None, .. }) => self.ask_unknown(id),
            (
                TimerKind::Resolve,
                TaskState::Unknown { asked: Some(_), .. } | TaskState::Interrupted { .. },
            ) => self.give_up_unknown(id),
            _ => return Err(Refusal::Nothing),
        }
        Ok(())
    }

    fn not_acknowledged(&mut self, id: TaskId, sent: Sent) {
        // The agent starts nothing after `not_after`; the grace covers clocks that are apart.
        let over = sent
            .not_after
            .checked_add(self.policy.grace)
            .unwrap_or(Timestamp::MAX);
        if self.now > over {
            self.lose(id, "the agent did not answer");
            return;
        }
        let sent = Sent {
            sends: sent.sends.saturating_add(1),
            ..sent
        };
        self.move_task(
            id,
            TaskState::Dispatched { sent },
            "sent again: no answer yet",
        );
        if self.run.request.cancelling.is_some() {
            // Not begun again only to be cancelled: asked, so that it may end as never seen.
            self.push(Effect::Query { task: id });
            self.cancel_again(id);
        } else {
            self.push(Effect::Dispatch { task: id });
        }
    }
}

fn task_started(run: &mut Run, id: TaskId, now: Timestamp) -> Timestamp {
    let task = run.tasks.get_mut(&id);
    task.map_or(now, |task| *task.started_at.get_or_insert(now))
}

fn unexplained(what: &str) -> Problem {
    Problem::new(
        ErrorCode::AgentFault,
        format!("{what}, and the agent gave no reason"),
        "see the output of the task",
    )
}
