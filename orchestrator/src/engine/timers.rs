//! Timers: rows that come due become events. Taking the row is part of the event's transaction, so each
//! fires once, whichever orchestrator sees it first.

use std::time::Duration;

use chiffon_arbiter::{RunEvent, TimerSubject};
use chiffon_common::RequestId;
use chiffon_store::{Commit, TimerRow, Write};
use jiff::SignedDuration;

use super::{AdvanceError, Cause, Shared, shared::nudged};

/// How many due timers are looked at in one round.
const BATCH: u32 = 256;
/// Longest sleep: covers timers set by another orchestrator.
const LONGEST: Duration = Duration::from_secs(5);
/// Shortest sleep, so that a clock that stands still cannot make a busy loop.
const SHORTEST: Duration = Duration::from_millis(20);

/// When a timer that cannot be brought home fires again.
const POSTPONED: SignedDuration = SignedDuration::from_mins(1);
/// Pause after a timer that could not be brought home: it is due still, and would make a busy loop.
const AFTER_FAULT: Duration = Duration::from_millis(500);

impl Shared {
    /// Fires timers for ever.
    pub(crate) async fn fire_timers(&self) {
        loop {
            let fired = self.fire_due().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "timers cannot be read; trying again");
                0
            });
            if fired < BATCH as usize {
                nudged(&self.nudges.timers, self.until_next().await).await;
            }
        }
    }

    async fn until_next(&self) -> Duration {
        let Ok(Some(next)) = self.store.next_timer().await else {
            return LONGEST;
        };
        let wait = next.duration_since(self.clock.now());
        Duration::try_from(wait)
            .unwrap_or(SHORTEST)
            .clamp(SHORTEST, LONGEST)
    }

    async fn fire_due(&self) -> Result<usize, chiffon_store::Error> {
        let due = self.store.due_timers(self.clock.now(), BATCH).await?;
        let count = due.len();
        if count > 0 && self.is_shared() {
            // Whom another one heard has not been silent.
            self.read_agents().await;
        }
        for timer in due {
            self.fire(timer).await;
        }
        Ok(count)
    }

    async fn fire(&self, timer: TimerRow) {
        let again = timer.clone();
        let fired = match timer.slice.split_once(':') {
            Some(("request", id)) => match id.parse() {
                Ok(request) => self.fire_request(request, timer).await,
                Err(_) => self.drop_timer(timer).await,
            },
            Some(("agent", _)) => self.fire_agent(timer).await,
            _ => self.drop_timer(timer).await,
        };
        match fired {
            Ok(()) => {}
            Err(AdvanceError::Store(error)) => {
                tracing::warn!(%error, timer = again.name, slice = again.slice, "timer cannot be stored yet; it fires again");
                tokio::time::sleep(AFTER_FAULT).await;
            }
            Err(error) => {
                tracing::error!(%error, timer = again.name, slice = again.slice, "timer cannot be brought home; it fires again later");
                self.postpone(again).await;
            }
        }
    }

    async fn fire_request(&self, request: RequestId, timer: TimerRow) -> Result<(), AdvanceError> {
        let Ok(name) = timer.name.parse::<chiffon_arbiter::TimerName>() else {
            return self.drop_timer(timer).await;
        };
        let heard = match name.subject {
            TimerSubject::Task(task) => {
                let (run, _) = self.load(request).await?;
                let agent = run
                    .tasks
                    .get(&task)
                    .and_then(|task| task.state.sent())
                    .map(|sent| sent.agent.clone());
                agent.map(|agent| self.silent_since(&agent))
            }
            TimerSubject::Request | TimerSubject::Decision(_) => None,
        };
        let cause = Cause {
            timer: Some(timer),
            ..Cause::own("timer")
        };
        chiffon_failpoint::hit!("timers.commit.before");
        self.advance(request, RunEvent::TimerFired { timer: name, heard }, cause)
            .await?;
        chiffon_failpoint::hit!("timers.commit.after");
        Ok(())
    }

    /// Time may not heal it, and the others must not wait behind it.
    async fn postpone(&self, timer: TimerRow) {
        let due_at = self
            .clock
            .now()
            .checked_add(POSTPONED)
            .unwrap_or(timer.due_at);
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: vec![Write::SetTimer(TimerRow { due_at, ..timer })],
            ..Commit::default()
        };
        if let Err(error) = self.commit(commit).await {
            tracing::warn!(%error, "timer could not be postponed");
        }
    }

    /// A timer that belongs to nothing would fire for ever.
    async fn drop_timer(&self, timer: TimerRow) -> Result<(), AdvanceError> {
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: vec![Write::ClearTimer {
                slice: timer.slice,
                name: timer.name,
            }],
            ..Commit::default()
        };
        Ok(self.commit(commit).await.map(drop)?)
    }
}
