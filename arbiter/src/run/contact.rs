//! Contact with the agent that has a task: timers, silence, lost journals. Lost contact is `unknown`,
//! which is resolved by the agent or a person and never guessed.

use chiffon_common::{ErrorCode, Incarnation, Mode, Problem, TaskId};
use jiff::Timestamp;

use super::{
    DecisionKind, Effect, Refusal, Sent, Task, TaskState, TimerKind, TimerSubject, WaitingOn,
    desk::Desk, task::changes,
};

impl Desk<'_> {
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
    pub(super) fn lose(&mut self, id: TaskId, because: &str) {
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
    }

    pub(super) fn ask_unknown(&mut self, id: TaskId) {
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
        if mode == Mode::Check || self.is_probe(id) {
            // It changes nothing, so nobody needs to be asked how it ended.
            self.give_up_unknown(id);
            return;
        }
        let title = self
            .run
            .plan
            .as_ref()
            .and_then(|plan| plan.steps.get(step as usize))
            .map_or_else(String::new, |step| step.title.clone());
        let what = match self.only_reads(id) {
            true => "the reading ",
            false => "",
        };
        let question = format!(
            "Contact with {what}\"{title}\" on agent {} was lost. How did it end?",
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

    /// Whether a task is a step that reads: then nothing can be changed, however it ended.
    fn only_reads(&self, id: TaskId) -> bool {
        let task = self.run.tasks.get(&id);
        let step = task.and_then(|task| Some((task, self.step_of(task)?)));
        step.is_some_and(|(task, step)| task.mode == Mode::Apply && !changes(task, step))
    }

    pub(super) fn give_up_unknown(&mut self, id: TaskId) {
        let (lost, todo) = match self.only_reads(id) {
            true => (
                "contact with the reading was lost, and nobody could say how it ended",
                "ask again: a reading changes nothing",
            ),
            false => (
                "contact with the run was lost, and nobody could say how it ended",
                "look at the host before anything else is asked of it",
            ),
        };
        let problem = Problem::new(ErrorCode::OutcomeUnknown, lost, todo);
        self.move_task(
            id,
            TaskState::Failed { problem },
            "nobody could say how it ended",
        );
    }

    pub(super) fn task_timer(
        &mut self,
        id: TaskId,
        kind: TimerKind,
        heard: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let task = self.task(id)?.clone();
        match (kind, task.state) {
            (
                TimerKind::Start,
                TaskState::Waiting {
                    on: WaitingOn::Freeze { words },
                },
            ) => {
                let problem = Problem::new(
                    ErrorCode::Frozen,
                    format!("the step was not started in time: the fleet was {words}"),
                    "end the freeze with `chiffon thaw`, then ask again",
                );
                self.move_task(id, TaskState::Failed { problem }, "not started in time");
            }
            (
                TimerKind::Start,
                TaskState::Waiting {
                    on: WaitingOn::Ledger { words },
                },
            ) => {
                let problem = Problem::new(
                    ErrorCode::NotStartedInTime,
                    format!("the step was not started in time: {words}"),
                    "do what `chiffon audit verify` says, then ask again",
                );
                self.move_task(id, TaskState::Failed { problem }, "not started in time");
            }
            (TimerKind::Start, TaskState::Open | TaskState::Waiting { .. }) => {
                let problem = Problem::new(
                    ErrorCode::NotStartedInTime,
                    format!("the step was not started in time; {}", task.because),
                    "see `chiffon doctor` for agents and leases, then ask again",
                );
                self.move_task(id, TaskState::Failed { problem }, "not started in time");
            }
            (
                TimerKind::Again,
                TaskState::Waiting {
                    on: WaitingOn::Retry { .. },
                },
            ) => self.wait_again(id, "the time for another try has come"),
            (TimerKind::Lease, TaskState::Unknown { .. }) => self.lease_over(id),
            (TimerKind::Ack, TaskState::Dispatched { sent }) => self.not_acknowledged(id, sent),
            (TimerKind::Start, TaskState::Accepted { .. }) => {
                self.lose(
                    id,
                    "it was accepted, and neither started nor refused in time",
                );
            }
            (TimerKind::Contact, TaskState::Accepted { .. }) => {
                // What was accepted long ago may have been refused, or lost with its journal.
                self.push(Effect::Query { task: id });
                self.contact_due(id, heard);
            }
            (TimerKind::Contact, TaskState::Running { .. }) => self.contact_due(id, heard),
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

    /// Its agent was heard of lately, or contact is lost.
    fn contact_due(&mut self, id: TaskId, heard: Option<Timestamp>) {
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

    /// Within start limit, time-out, grace and what clocks may be apart the agent has ended the run by itself
    /// (DESIGN section 8). How it ended is as open as before, but nothing runs there any more.
    fn lease_over(&mut self, id: TaskId) {
        if let Some(task) = self.run.tasks.get_mut(&id) {
            task.leases.clear();
        }
        self.note_task(
            id,
            "its agent must have ended it by now: its hosts are free for others",
        );
        self.push(Effect::Wake);
        self.probe(id);
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
        // Sending again passes the gate like every start. What may not begin any more is asked, so that it may end as
        // never seen; what was cancelled is told so once more.
        let may = self.task(id).and_then(|task| self.may_start(task));
        let (because, effect) = match may {
            Ok(()) => (
                "sent again: no answer yet".to_owned(),
                Effect::Dispatch { task: id },
            ),
            Err(refusal) => (
                format!("no answer yet, and not sent again: {refusal}"),
                Effect::Query { task: id },
            ),
        };
        self.move_task(id, TaskState::Dispatched { sent }, because);
        self.push(effect);
        self.cancel_again(id);
    }
}
