//! How a task begins: dispatch, and what its agent reports. Whether it may is left to `gate`, how it ends to `ending`,
//! what becomes of it without contact to `contact`.
//!
//! Messages come in any order and more than once; they are judged by attempt and sequence number. The
//! attempt is the fencing token: nothing of a lower one is heard.

use chiffon_common::{AgentId, ErrorCode, Mode, Problem, StatusKind, Step, TaskId, Tier};
use jiff::Timestamp;

use super::{
    Effect, Refusal, Reported, Run, Sent, Task, TaskState, WaitingOn, desk::Desk, gate::turned_away,
};

/// Whether a task may change its hosts: then it is alone on them. Reading and checking may meet others.
pub fn changes(task: &Task, step: &Step) -> bool {
    task.mode == Mode::Apply && step.tier > Tier::Zero
}

impl Desk<'_> {
    pub(super) fn task(&self, id: TaskId) -> Result<&Task, Refusal> {
        self.run.tasks.get(&id).ok_or(Refusal::NoSuch("task"))
    }

    /// The step that a task does.
    pub(super) fn step_of(&self, task: &Task) -> Option<&Step> {
        let plan = self.run.plan.as_ref()?;
        plan.steps.get(task.step as usize)
    }

    pub(super) fn task_held(&mut self, id: TaskId, on: WaitingOn) -> Result<(), Refusal> {
        let task = self.run.tasks.get_mut(&id).ok_or(Refusal::NoSuch("task"))?;
        match &mut task.state {
            TaskState::Waiting {
                on: WaitingOn::Retry { .. },
            } => Err(Refusal::OutOfTurn("waiting for its next try")),
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
        match &task.state {
            TaskState::Waiting {
                on: WaitingOn::Retry { .. },
            } => return Err(Refusal::OutOfTurn("waiting for its next try")),
            TaskState::Waiting { .. } => {}
            state => return Err(Refusal::OutOfTurn(state.name())),
        }
        self.may_start(task)?;
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
            // It had told that it ran: a journal that no longer knows that has lost words.
            (StatusKind::NeverSeen, _) if self.task(id)?.started_at.is_some() => {
                self.lose(id, "the agent's journal no longer knows of it");
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
        let may = self.task(id).and_then(|task| self.may_start(task));
        // Frozen, it stays where it is: its agent is asked again until the thaw, and is sent it then.
        let is_frozen = matches!(may, Err(Refusal::Frozen(_)));
        if let Err(refusal) = may.as_ref()
            && !is_frozen
        {
            let problem = turned_away(refusal).unwrap_or_else(|| {
                Problem::new(
                    ErrorCode::NotStartedInTime,
                    format!(
                        "the step never reached its agent, and may not start any more: {refusal}"
                    ),
                    "ask again",
                )
            });
            self.move_task(
                id,
                TaskState::Failed { problem },
                "it may not start any more",
            );
            return;
        }
        let task = self.run.tasks.get(&id);
        let step = task.and_then(|task| self.step_of(task).map(|step| (task, step)));
        if step.is_some_and(|(task, step)| changes(task, step) && task.leases.is_empty()) {
            // Its hosts were given to others while nobody heard of it.
            self.wait_again(id, "it had never arrived, and has to wait its turn again");
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
        let to = TaskState::Dispatched { sent };
        if is_frozen {
            self.move_task(id, to, "it had never arrived, and waits for the thaw");
        } else {
            self.move_task(id, to, "sent again: it had never arrived");
            self.push(Effect::Dispatch { task: id });
        }
    }

    pub(super) fn cancel_again(&mut self, id: TaskId) {
        if self.run.request.cancelling.is_some() {
            self.push(Effect::Cancel { task: id });
        }
    }
}

fn task_started(run: &mut Run, id: TaskId, now: Timestamp) -> Timestamp {
    let task = run.tasks.get_mut(&id);
    task.map_or(now, |task| *task.started_at.get_or_insert(now))
}
