//! Whether the database can be written: remembered from every commit for `health`, and tried again while it cannot;
//! and what others write to it, looked at when they say so.
//! What a refused commit means for its caller is left to the caller; nothing is taken that was not stored.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use chiffon_store::{Commit, TimerRow, Write};

use super::{Changed, Shared};

/// What others commit meanwhile is looked at together.
const BREATH: Duration = Duration::from_millis(50);

/// How long nothing may be heard of others before one looks by oneself.
const UNHEARD: Duration = Duration::from_secs(2);

/// How often a database that cannot be written is tried.
const RETRY: Duration = Duration::from_secs(3);

impl Shared {
    /// Remembers whether the database could be written, for `health`, and tells a change in the log.
    pub(super) fn note_store<T>(&self, done: &Result<T, chiffon_store::Error>) {
        use chiffon_store::Error;
        let fault = match done {
            Ok(_) => None,
            Err(
                error @ (Error::Full
                | Error::ReadOnly(_)
                | Error::Corrupt(_)
                | Error::Newer { .. }
                | Error::Unavailable(_)
                | Error::OutcomeUnknown(_)),
            ) => Some(error.to_string()),
            // It answered; that it would not take this commit says nothing of it.
            Err(_) => return,
        };
        let mut known = self
            .store_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (known.is_some(), &fault) {
            (false, Some(error)) => {
                tracing::error!(%error, "the database cannot be written; nothing new is taken, and what was taken is not lost");
            }
            (true, None) => tracing::info!("the database is written again"),
            _ => {}
        }
        if fault.is_some() && known.is_none() {
            self.nudges.store.notify_one();
        }
        *known = fault;
    }

    /// Whether the database could be written when that was last tried; otherwise why not.
    pub(crate) fn store_fault(&self) -> Option<String> {
        self.store_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// As long as the database cannot be written, tries again: nobody may have anything to write, and `health` would
    /// tell an old fault for ever.
    pub(crate) async fn watch_store(self: Arc<Self>) {
        loop {
            self.nudges.store.notified().await;
            while self.store_fault().is_some() {
                tokio::time::sleep(RETRY).await;
                let done = self.store.commit(self.trial()).await;
                self.note_store(&done);
            }
            // Whatever failed meanwhile is tried again at once.
            self.look_again();
        }
    }

    /// What another orchestrator on the same database has committed is looked at as soon as that one says so.
    pub(crate) async fn hear_store(self: Arc<Self>) {
        let Some(mut heard) = self.store.wakes() else {
            return;
        };
        let mut accepted = None;
        loop {
            match tokio::time::timeout(UNHEARD, heard.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                // A word may be lost; what agents told another one is looked up all the same.
                Err(_) => {
                    self.read_agents().await;
                    continue;
                }
            }
            self.read_agents().await;
            if let Err(error) = self.look_at_acceptances(&mut accepted).await {
                tracing::debug!(%error, "acceptances cannot be read now");
            }
            // Nobody listening is no fault.
            let _listeners = self.changes.send(Changed::Elsewhere);
            self.look_again();
            for nudge in [
                &self.nudges.preview,
                &self.nudges.events,
                &self.nudges.schedules,
            ] {
                nudge.notify_one();
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    fn look_again(&self) {
        for nudge in [
            &self.nudges.planning,
            &self.nudges.dispatch,
            &self.nudges.relay,
            &self.nudges.timers,
            &self.nudges.record,
        ] {
            nudge.notify_one();
        }
    }

    /// A commit that writes pages and leaves nothing.
    fn trial(&self) -> Commit {
        let (slice, name) = ("trial".to_owned(), "trial".to_owned());
        let timer = TimerRow {
            tenant_id: self.settings.tenant.clone(),
            slice: slice.clone(),
            name: name.clone(),
            due_at: self.clock.now(),
        };
        Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: vec![Write::SetTimer(timer), Write::ClearTimer { slice, name }],
            ..Commit::default()
        }
    }
}
