//! Runs: what the worker says, and what the runtime makes of it with its own reasons.

use std::time::Duration;

use chiffon_common::{AttemptRef, ErrorCode, Problem, ResultStatus, WorkResult};

use super::{
    Core, Effect, Moment, Plan, Said,
    attempt::{Stage, Stopping, SweepCause},
};
use crate::worker::{Ended, StopReason, Swept};

/// How long a worker may take to end a run (its contract says 20 s).
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(20);

impl Core {
    pub(super) fn progressed(
        &mut self,
        attempt: AttemptRef,
        percent: Option<u8>,
        message: String,
        lines: Vec<String>,
        plan: &mut Plan,
    ) {
        let is_running = |stage: &Stage| matches!(stage, Stage::Running { .. });
        if self
            .open_mut(attempt)
            .is_some_and(|open| is_running(&open.stage))
        {
            self.say(
                attempt,
                Said {
                    percent,
                    message,
                    lines,
                },
                plan,
            );
        }
    }

    /// Tells the worker to end a run; the first reason stands.
    pub(super) fn stop(
        &mut self,
        attempt: AttemptRef,
        reason: StopReason,
        at: Moment,
        plan: &mut Plan,
    ) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        if let Stage::Running {
            stopping: stopping @ None,
            ..
        } = &mut open.stage
        {
            *stopping = Some(Stopping {
                reason,
                until: at.boot + STOP_WITHIN,
            });
            plan.effect(Effect::Stop { attempt, reason });
        }
    }

    pub(super) fn run_ended(
        &mut self,
        attempt: AttemptRef,
        ended: Ended,
        took: Duration,
        at: Moment,
        plan: &mut Plan,
    ) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        let Stage::Running { stopping, .. } = &open.stage else {
            return;
        };
        let reason = stopping.map(|stopping| stopping.reason);
        let (seq, meta, limit) = (open.seq + 1, open.meta, open.request.timeout_seconds);
        let (status, error) = judge_end(ended.status, ended.error, reason, limit);
        let result = WorkResult {
            attempt,
            agent: self.me.agent.clone(),
            incarnation: self.me.incarnation,
            seq,
            status,
            output: ended.output,
            duration_seconds: took.as_secs_f64(),
            resource_usage: ended.usage,
            hosts: ended.hosts,
            diff: ended.diff,
            error,
            isolation: ended.isolation,
            done_before: None,
        };
        self.finish(meta, result, at, plan);
    }

    pub(super) fn run_panicked(&mut self, attempt: AttemptRef, plan: &mut Plan) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        if matches!(open.stage, Stage::Running { .. }) {
            open.stage = Stage::Sweeping(SweepCause::Panicked);
            plan.effect(Effect::Sweep(attempt));
        }
    }

    /// Nobody waits any longer for a worker that was told to stop.
    pub(super) fn give_up(&mut self, attempt: AttemptRef, reason: StopReason, plan: &mut Plan) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        open.stage = Stage::Sweeping(SweepCause::DidNotEnd(reason));
        plan.effect(Effect::Abandon(attempt));
        plan.effect(Effect::Sweep(attempt));
    }

    pub(super) fn swept(&mut self, attempt: AttemptRef, swept: Swept, at: Moment, plan: &mut Plan) {
        let Some(open) = self.open_mut(attempt) else {
            return;
        };
        let Stage::Sweeping(cause) = open.stage else {
            return;
        };
        let (status, problem) = match (cause, swept) {
            (SweepCause::Restarted, Swept::Clean) => (
                ResultStatus::Interrupted,
                interrupted("the agent ended while it ran"),
            ),
            (SweepCause::Panicked, Swept::Clean) => (
                ResultStatus::Interrupted,
                interrupted("the worker failed by a fault of its own, which the agent's log tells"),
            ),
            (SweepCause::Restarted | SweepCause::Panicked, Swept::Uncertain) => (
                ResultStatus::Unknown,
                unknown("something that it started may still run"),
            ),
            (SweepCause::DidNotEnd(reason), _) => {
                let why = format!(
                    "it was to stop ({}) and did not end in time",
                    reason_word(reason)
                );
                (ResultStatus::Unknown, unknown(&why))
            }
        };
        self.close_bare(attempt, status, problem, at, plan);
    }
}

/// The final word. A run that completed before the stop reached it has completed; one of which the
/// worker knows no end has none; everything else ended because it was stopped.
fn judge_end(
    status: ResultStatus,
    error: Option<Problem>,
    reason: Option<StopReason>,
    limit: u64,
) -> (ResultStatus, Option<Problem>) {
    match (status, reason) {
        (ResultStatus::Unknown, _) => (
            status,
            error.or_else(|| Some(unknown("the worker does not know how it ended"))),
        ),
        (ResultStatus::Completed, _) => (status, error),
        (_, None) => (status, error),
        (_, Some(StopReason::Cancelled)) => (
            ResultStatus::Cancelled,
            Some(cancelled_by_person(
                "it was stopped; everything it had started has ended",
            )),
        ),
        (_, Some(StopReason::TimedOut)) => (ResultStatus::Failed, Some(timed_out(limit))),
        (ResultStatus::Refused, Some(StopReason::ShuttingDown)) => (status, error),
        (_, Some(StopReason::ShuttingDown)) => (
            ResultStatus::Interrupted,
            Some(interrupted("the agent had to shut down")),
        ),
    }
}

pub(super) fn cancelled_by_person(why: &str) -> Problem {
    Problem::new(
        ErrorCode::CancelledByPerson,
        why,
        "nothing to do; ask for it again if it is still wanted",
    )
}

fn timed_out(limit: u64) -> Problem {
    Problem::new(
        ErrorCode::TimedOut,
        format!("the run was stopped after {limit} s, the longest it may take"),
        "see the output for what it waited for, or raise the entry's time limit",
    )
}

fn interrupted(why: &str) -> Problem {
    Problem::new(
        ErrorCode::Interrupted,
        format!("{why}; everything it had started has ended, what it had done is open"),
        "see what the run left on its hosts, then ask for it again",
    )
}

fn unknown(why: &str) -> Problem {
    Problem::new(
        ErrorCode::OutcomeUnknown,
        why,
        "look at the hosts of the run before anything else changes them",
    )
}

fn reason_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Cancelled => "cancelled",
        StopReason::TimedOut => "time limit",
        StopReason::ShuttingDown => "shutdown",
    }
}
