//! The control store in memory: the fastest, and gone with the process. Whoever uses it brings it back from the audit
//! file at the start.
//!
//! It is bounded. The oldest answers make room for new ones (an event that comes again later than that is judged as a
//! new one), but for those of generations under way; states that still mean something are never dropped, as that would
//! open a gate. Those that were not used for the longest are put by in a [`Spill`]; without one, a new room is refused
//! then.

mod ages;
mod rows;
mod spread;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::timeout};

use self::rows::Rows;
use super::{
    Backlog, ControlCommit, ControlCounts, ControlKey, ControlStore, Decided, Loaded, Marked,
    Noting, Outcome, Unaudited, check, page,
};
use crate::Error;

/// Longest wait for the disk of what is put by.
const BOUND: Duration = Duration::from_secs(30);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Answers; about 1 KB each. Default 200,000.
    pub decided: usize,
    /// States of rooms and tenants that mean something and lie in memory; about 500 bytes each. Default 200,000.
    pub states: usize,
    /// Audit lines that are not on file yet. Default 20,000.
    pub unaudited: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            decided: 200_000,
            states: 200_000,
            unaudited: 20_000,
        }
    }
}

/// A store that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryControl {
    limits: MemoryLimits,
    // No await under it.
    rows: Arc<Mutex<Rows>>,
    /// Whether whoever has the rows may wait for a disk.
    waits: Arc<AtomicBool>,
}

/// Whose state: a room of a tenant, or the tenant.
pub(crate) type StateKey = (TenantId, Option<RoomId>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) doc: String,
    pub(crate) keep_until: Timestamp,
    /// When it was written.
    pub(crate) at: Timestamp,
    /// When it was used last, as a number that only grows; 0 while it is put by.
    pub(crate) used: u64,
}

/// Where states lie that find no place in memory. A state is in one of the two, never in both.
pub(crate) trait Spill: Send + std::fmt::Debug {
    /// How many lie there.
    fn count(&self) -> u64;
    /// One of them, which stays.
    fn get(&mut self, key: &StateKey) -> Result<Option<State>, Error>;
    /// Takes one that is not there.
    fn put(&mut self, key: &StateKey, state: &State) -> Result<(), Error>;
    /// Removes one, if it is there.
    fn remove(&mut self, key: &StateKey) -> Result<(), Error>;
    /// When the oldest of them was written.
    fn oldest(&mut self) -> Result<Option<Timestamp>, Error>;
    /// Removes at most `limit` that mean nothing any more; how many those were.
    fn forget(&mut self, now: Timestamp, limit: u32) -> Result<u64, Error>;
}

impl MemoryControl {
    /// An empty store that refuses new states beyond its bound.
    pub fn new(limits: MemoryLimits) -> Self {
        Self::with(limits, None)
    }

    pub(crate) fn with(limits: MemoryLimits, spill: Option<Box<dyn Spill>>) -> Self {
        let rows = Rows::with(spill);
        Self {
            waits: Arc::new(AtomicBool::new(rows.waits(limits))),
            limits,
            rows: Arc::new(Mutex::new(rows)),
        }
    }

    /// The time of the oldest commit that something here is of: an answer, or a state that means something at `now`.
    /// Whoever brings the store back needs what was committed from then on, and nothing of before. Nothing where it is
    /// empty.
    ///
    /// # Errors
    /// Where states that are put by cannot be reached.
    pub fn oldest(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        locked(&self.rows).oldest(now)
    }

    /// Does it with the rows: at once while all of them lie in memory, else on a thread that may wait for the disk, so that
    /// no task waits that wants nothing of this store.
    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Rows, MemoryLimits) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (rows, limits) = (Arc::clone(&self.rows), self.limits);
        let waits = Arc::clone(&self.waits);
        let done = move || {
            let mut rows = locked(&rows);
            let done = work(&mut rows, limits);
            waits.store(rows.waits(limits), Ordering::Release);
            done
        };
        if !self.waits.load(Ordering::Acquire) {
            return done();
        }
        match timeout(BOUND, spawn_blocking(done)).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Error::Unavailable("the store panicked".to_owned())),
            Err(_) => Err(Error::OutcomeUnknown(format!(
                "the disk of the temporary file did not answer within {} s",
                BOUND.as_secs()
            ))),
        }
    }
}

fn locked(rows: &Mutex<Rows>) -> MutexGuard<'_, Rows> {
    rows.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ControlStore for MemoryControl {
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error> {
        let (key, room) = (key.clone(), room.cloned());
        self.on(move |rows, _| rows.load(&key, room)).await
    }

    async fn plan(&self, tenant: &TenantId, plan: PlanId) -> Result<Option<Decided>, Error> {
        let place = (tenant.clone(), plan);
        self.on(move |rows, _| Ok(rows.plan(&place))).await
    }

    async fn commit(&self, commit: ControlCommit) -> Result<Outcome, Error> {
        check(&commit)?;
        self.on(move |rows, limits| rows.commit(commit, limits))
            .await
    }

    async fn unaudited(
        &self,
        replica: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Unaudited>, Error> {
        let from = (replica.to_owned(), after.saturating_add(1));
        self.on(move |rows, _| Ok(rows.lines_from(from, limit)))
            .await
    }

    async fn audited(
        &self,
        replica: &str,
        seqs: &[u64],
        noting: Option<Noting>,
    ) -> Result<bool, Error> {
        let (replica, seqs) = (replica.to_owned(), seqs.to_vec());
        self.on(move |rows, _| {
            if noting
                .as_ref()
                .is_some_and(|it| rows.marks.get(&replica) != it.before.as_ref())
            {
                return Ok(false);
            }
            for seq in seqs {
                rows.lines.remove(&(replica.clone(), seq));
            }
            if let Some(noting) = noting {
                rows.marks.insert(replica, noting.now);
            }
            Ok(true)
        })
        .await
    }

    async fn marks(&self) -> Result<Vec<Marked>, Error> {
        self.on(|rows, _| {
            let marks = rows.marks.iter().take(1_000);
            let marked = marks.map(|(replica, mark)| Marked {
                replica: replica.clone(),
                mark: mark.clone(),
            });
            Ok(marked.collect())
        })
        .await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        self.on(|rows, _| Ok(rows.backlog())).await
    }

    async fn forget(
        &self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        self.on(move |rows, _| rows.forget(decided_before, now, page(limit)))
            .await
    }

    async fn counts(&self) -> Result<ControlCounts, Error> {
        self.on(|rows, _| Ok(rows.counts())).await
    }

    async fn ready(&self) -> Result<(), Error> {
        self.on(|rows, limits| rows.room_for_a_line(limits)).await
    }
}

#[cfg(test)]
mod tests;
