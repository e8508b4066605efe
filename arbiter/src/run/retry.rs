//! Which failures pass by themselves, and when the same work is tried again after one.
//!
//! Only what certainly touched nothing, or only reads, or is harmless to repeat by the catalogue's word, is
//! tried again: a new attempt of the same task in the same approved run, through the same gate. A failed
//! playbook never is.

use chiffon_common::{
    ErrorCode, HostOutcome, HostSummary, Mode, OnInterrupt, Problem, TaskId, Tier, clock_words,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Outcome, Refusal, Task, TaskState, WaitingOn, desk::Desk};

/// Before it connects, Ansible holds a role's parameters against their declaration on this machine, and counts that.
const CHECKS_OF_ITS_OWN: u32 = 1;

impl Desk<'_> {
    /// Puts a failed attempt back in line where the failure passes by itself; whether it did.
    pub(super) fn tried_again(&mut self, id: TaskId, problem: &Problem) -> bool {
        let Some(task) = self.run.tasks.get(&id) else {
            return false;
        };
        let passes = match problem.code {
            ErrorCode::HostUnreachable => nobody_answered(task.outcome.as_ref()),
            ErrorCode::PackagesLocked => true,
            _ => false,
        };
        if !passes || !self.may_repeat(task) {
            return false;
        }
        self.wait_for_another_try(id, problem)
    }

    /// The same for work that was refused before it began: nothing was touched, whatever it is.
    pub(super) fn refused_for_now(&mut self, id: TaskId, problem: &Problem) -> bool {
        const PASSES: [ErrorCode; 5] = [
            ErrorCode::WorkExpired,
            ErrorCode::ClockSkew,
            ErrorCode::Interrupted,
            ErrorCode::Overloaded,
            ErrorCode::ShuttingDown,
        ];
        PASSES.contains(&problem.code) && self.wait_for_another_try(id, problem)
    }

    /// Whether this attempt touched nothing, or may run twice all the same.
    fn may_repeat(&self, task: &Task) -> bool {
        let step = self.step_of(task);
        let reads = task.mode == Mode::Check || step.is_some_and(|step| step.tier == Tier::Zero);
        let harmless = step.is_some_and(|step| step.on_interrupt == OnInterrupt::Retry);
        let untouched = |outcome: &Outcome| {
            !outcome.hosts.is_empty() && outcome.hosts.values().all(|host| host.changed == 0)
        };
        reads || harmless || task.outcome.as_ref().is_some_and(untouched)
    }

    fn wait_for_another_try(&mut self, id: TaskId, problem: &Problem) -> bool {
        let (Some(task), false) = (
            self.run.tasks.get(&id),
            self.run.request.cancelling.is_some(),
        ) else {
            return false;
        };
        let limit = self.policy.attempts;
        if task.attempt >= limit {
            return false;
        }
        let wait = self.wait_before(task, problem.code);
        let at = self.now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let next = task.attempt.saturating_add(1);
        let words = format!(
            "tries again at {}: {}; attempt {next} of {limit}",
            clock_words(at, self.now, "%H:%M:%S"),
            reason(task, problem),
        );
        // The reason may be a host's words, which the audit does not keep (S70).
        let because = format!(
            "error {}: {}; tried again as attempt {next} of {limit}",
            problem.code,
            problem.code.title()
        );
        self.put_back(id, WaitingOn::Retry { at, words }, &because);
        true
    }

    /// Doubles with each attempt up to the longest, less up to a quarter, so that those that failed together
    /// do not come back together. The same attempt always waits the same: there are no dice in here.
    fn wait_before(&self, task: &Task, code: ErrorCode) -> SignedDuration {
        let changes = task.mode == Mode::Apply
            && self
                .step_of(task)
                .is_some_and(|step| step.tier > Tier::Zero);
        let first = match code {
            ErrorCode::PackagesLocked => self.policy.retry_change,
            ErrorCode::HostUnreachable if changes => self.policy.retry_change,
            _ => self.policy.retry,
        };
        let doubled = first.saturating_mul(1 << task.attempt.saturating_sub(1).min(16));
        let whole = doubled.min(self.policy.retry_longest);
        let name = task.attempt.to_be_bytes();
        let dice = Uuid::new_v5(task.task_id.as_uuid(), &name).as_bytes()[0];
        let less = whole.as_millis() / 4 * i128::from(dice) / 256;
        let less = SignedDuration::from_millis(i64::try_from(less).unwrap_or_default());
        whole.saturating_sub(less)
    }

    /// A person does not want to wait for the next try.
    pub(super) fn retry_now(&mut self, id: TaskId, by: &str) -> Result<(), Refusal> {
        let waits = matches!(
            self.task(id)?.state,
            TaskState::Waiting {
                on: WaitingOn::Retry { .. }
            }
        );
        if !waits {
            return Err(Refusal::NoRetry);
        }
        let because = format!("{by} wants it tried now");
        self.note_task(id, &because);
        self.wait_again(id, &because);
        Ok(())
    }
}

/// Nobody was reached, so nothing was begun. One that answered may have been changed, or has its result.
fn nobody_answered(outcome: Option<&Outcome>) -> bool {
    let silent = |host: &HostSummary| {
        matches!(
            host.outcome,
            HostOutcome::Unreachable | HostOutcome::NotReached
        ) && host.ok <= CHECKS_OF_ITS_OWN
            && host.changed == 0
    };
    outcome.is_some_and(|outcome| !outcome.hosts.is_empty() && outcome.hosts.values().all(silent))
}

/// In a few words; the whole stands in the output of the attempt.
fn reason(task: &Task, problem: &Problem) -> String {
    let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
    let named = |wanted: HostOutcome| {
        let hosts = hosts.into_iter().flatten();
        let names: Vec<_> = hosts
            .filter(|(_, summary)| summary.outcome == wanted)
            .map(|(host, _)| host.as_str())
            .collect();
        names.join(", ")
    };
    match problem.code {
        ErrorCode::HostUnreachable => {
            format!("{} did not answer", named(HostOutcome::Unreachable))
        }
        ErrorCode::PackagesLocked => format!(
            "the package manager of {} is at work for somebody else",
            named(HostOutcome::Failed)
        ),
        code => code.title().to_owned(),
    }
}
