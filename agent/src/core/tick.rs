//! What time brings: limits of runs, latest starts, bundles asked for again, and forgetting.

use std::time::Duration;

use chiffon_common::{AttemptRef, ResultStatus};

use super::{
    Core, KEEP, Moment, Plan, Said,
    attempt::{Attempt, Stage},
    judge,
};
use crate::worker::StopReason;

/// A status is told once and may be lost; a missing bundle is therefore asked for again after this.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How often old attempts are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

enum Due {
    Expired,
    AskAgain,
    TimedOut,
    GiveUp(StopReason),
}

impl Core {
    pub(super) fn ticked(&mut self, at: Moment, plan: &mut Plan) {
        let now = self.clocks.latest(at);
        let due: Vec<(AttemptRef, Due)> = self
            .open()
            .filter_map(|(key, open)| {
                let is_late = now > open.request.not_after;
                let due = match &open.stage {
                    Stage::Looking | Stage::NeedsBundle { .. } | Stage::Waiting if is_late => {
                        Due::Expired
                    }
                    Stage::NeedsBundle { asked } if at.boot >= *asked + ASK_AGAIN => Due::AskAgain,
                    Stage::Running {
                        deadline,
                        stopping: None,
                    } if at.boot >= *deadline => Due::TimedOut,
                    Stage::Running {
                        stopping: Some(stopping),
                        ..
                    } if at.boot >= stopping.until => Due::GiveUp(stopping.reason),
                    Stage::Looking
                    | Stage::NeedsBundle { .. }
                    | Stage::Waiting
                    | Stage::Loading
                    | Stage::Running { .. }
                    | Stage::Sweeping(_) => return None,
                };
                Some((key, due))
            })
            .collect();
        for (attempt, due) in due {
            match due {
                Due::Expired => self.expire(attempt, at, plan),
                Due::AskAgain => self.ask_for_bundle(attempt, at, plan),
                Due::TimedOut => self.stop(attempt, StopReason::TimedOut, at, plan),
                Due::GiveUp(reason) => self.give_up(attempt, reason, plan),
            }
        }
        self.forget(at);
    }

    pub(super) fn expire(&mut self, attempt: AttemptRef, at: Moment, plan: &mut Plan) {
        if let Some(open) = self.open_mut(attempt) {
            let problem = judge::expired(&open.request);
            self.close_bare(attempt, ResultStatus::Refused, problem, at, plan);
        }
    }

    pub(super) fn ask_for_bundle(&mut self, attempt: AttemptRef, at: Moment, plan: &mut Plan) {
        if let Some(open) = self.open_mut(attempt) {
            open.stage = Stage::NeedsBundle { asked: at.boot };
            let message = format!("bundle {} is missing here", open.request.bundle.short());
            self.say(attempt, Said::message(message), plan);
        }
    }

    /// The end of the grace of a drain.
    pub(super) fn grace_over(&mut self, at: Moment, plan: &mut Plan) {
        self.draining = true;
        let open: Vec<AttemptRef> = self.open().map(|(key, _)| key).collect();
        for attempt in open {
            self.stop(attempt, StopReason::ShuttingDown, at, plan);
        }
    }

    fn forget(&mut self, at: Moment) {
        let is_due = self
            .pruned
            .is_none_or(|last| at.boot.saturating_sub(last) >= FORGET_EVERY);
        if is_due {
            self.pruned = Some(at.boot);
            self.forget_old(at);
        }
    }

    /// Results that are confirmed and old go, and with them what they guarded: by then their latest
    /// start is long past, which refuses them for ever.
    pub(super) fn forget_old(&mut self, at: Moment) {
        let now = self.clocks.latest(at);
        let is_old = |time: jiff::Timestamp| time.saturating_add(KEEP).is_ok_and(|end| end < now);
        self.attempts.retain(|key, attempt| match attempt {
            Attempt::Open(_) => true,
            Attempt::Ended(closed) => {
                let guarded = self
                    .highest
                    .get(&key.task_id)
                    .is_some_and(|highest| highest.until >= now);
                !closed.confirmed || !is_old(closed.at) || guarded
            }
        });
        let attempts = &self.attempts;
        self.highest.retain(|task, highest| {
            highest.until >= now || attempts.keys().any(|key| key.task_id == *task)
        });
        self.early_cancels.retain(|_, not_after| *not_after >= now);
    }
}
