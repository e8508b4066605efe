//! The timers of a task: they follow from its state alone, so that no state can wait for ever.

use chiffon_common::TaskId;
use jiff::{SignedDuration, Timestamp};

use super::{
    RequestState, RunPolicy, Sent, Task, TaskState, TimerKind, TimerName, TimerSubject, WaitingOn,
    desk::Desk,
};

impl Desk<'_> {
    /// Sets the timers of a task anew.
    pub(super) fn arm_task(&mut self, id: TaskId) {
        let subject = TimerSubject::Task(id);
        self.clear_timers(subject);
        let Some(task) = self.run.tasks.get(&id) else {
            return;
        };
        let timers = self.timers_of(task);
        let named = timers
            .into_iter()
            .map(|(kind, due)| (TimerName { subject, kind }, due));
        self.run.timers.extend(named);
    }

    fn timers_of(&self, task: &Task) -> Vec<(TimerKind, Timestamp)> {
        let policy = self.policy;
        let at = |after: SignedDuration| later(self.now, after);
        match &task.state {
            TaskState::Open => {
                let due = match &self.run.request.state {
                    RequestState::Running { deadline } => *deadline,
                    _ => at(policy.question),
                };
                vec![(TimerKind::Start, due)]
            }
            TaskState::Waiting {
                on: WaitingOn::Retry { at, .. },
            } => vec![
                (TimerKind::Again, *at),
                (TimerKind::Start, later(*at, policy.start)),
            ],
            TaskState::Waiting { .. } => vec![(TimerKind::Start, at(policy.start))],
            TaskState::Dispatched { sent } => {
                vec![(TimerKind::Ack, at(ack_wait(policy, sent.sends)))]
            }
            // The agent starts nothing after `not_after`: by then it runs, or was refused, or is lost.
            TaskState::Accepted { sent } => vec![
                (TimerKind::Contact, at(policy.contact)),
                (
                    TimerKind::Start,
                    later(sent.not_after.max(self.now), policy.grace),
                ),
            ],
            TaskState::Running { since, .. } => vec![
                (TimerKind::Contact, at(policy.contact)),
                (
                    TimerKind::End,
                    later(*since, self.timeout(task).saturating_add(policy.grace)),
                ),
            ],
            TaskState::Unknown { sent, asked, .. } => {
                let mut timers = match asked {
                    None => vec![
                        (TimerKind::Contact, at(policy.ack_longest)),
                        (TimerKind::Resolve, at(policy.unknown)),
                    ],
                    Some(_) => vec![self.floor()],
                };
                if !task.leases.is_empty() {
                    timers.push((TimerKind::Lease, self.run_is_over(task, sent)));
                }
                timers
            }
            TaskState::Interrupted { .. } => vec![self.floor()],
            TaskState::Completed | TaskState::Failed { .. } | TaskState::Cancelled => Vec::new(),
        }
    }

    /// A question has a deadline of its own; this one is the floor below it.
    fn floor(&self) -> (TimerKind, Timestamp) {
        let after = self.policy.question.saturating_add(self.policy.unknown);
        (TimerKind::Resolve, later(self.now, after))
    }

    fn timeout(&self, task: &Task) -> SignedDuration {
        let seconds = self.step_of(task).map_or(0, |step| step.timeout_seconds);
        SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// When no agent can still run this attempt, whatever its clock shows: start limit, time-out, grace, skew.
    fn run_is_over(&self, task: &Task, sent: &Sent) -> Timestamp {
        let policy = self.policy;
        let after = self.timeout(task).saturating_add(policy.grace);
        later(sent.not_after, after.saturating_add(policy.skew)).max(self.now)
    }
}

fn later(from: Timestamp, after: SignedDuration) -> Timestamp {
    from.checked_add(after).unwrap_or(Timestamp::MAX)
}

fn ack_wait(policy: &RunPolicy, sends: u32) -> SignedDuration {
    let doubled = policy
        .ack
        .saturating_mul(1 << sends.saturating_sub(1).min(8));
    doubled.min(policy.ack_longest)
}
