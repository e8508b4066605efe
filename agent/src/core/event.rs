//! What happens to an agent (past tense) and what it is to do about it (imperative).
//!
//! Adding an effect: 1. here, 2. its arm in the shell's `perform`, 3. the model in the core's tests.

use std::time::Duration;

use chiffon_bus::Reject;
use chiffon_common::{
    AttemptRef, Bundle, Digest, ErrorMessage, WorkRequest, WorkResult, WorkStatus,
};

use super::{Meta, Record};
use crate::worker::{Ended, StopReason, Swept};

/// Names a delivery in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// What became of a bundle that was put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It is in the cache.
    Kept,
    /// It is another bundle than the digest names.
    Wrong,
    /// The disk would not take it.
    Unwritable,
}

/// What became of reading a bundle for a run.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// Read and held against its digest.
    Whole(Box<Bundle>),
    /// Not in the cache, or damaged there and removed.
    Missing,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A message came.
    Arrived {
        token: Token,
        bytes: std::sync::Arc<[u8]>,
    },
    /// The cache was asked.
    BundleLooked { digest: Digest, found: bool },
    /// A bundle that had come in pieces was checked and written.
    BundleStored { digest: Digest, stored: Stored },
    /// The bundle of a run was read.
    BundleLoaded { attempt: AttemptRef, loaded: Loaded },
    /// A run said how it goes.
    Progressed {
        attempt: AttemptRef,
        percent: Option<u8>,
        message: String,
        lines: Vec<String>,
    },
    /// The worker returned.
    RunEnded {
        attempt: AttemptRef,
        ended: Box<Ended>,
        took: Duration,
    },
    /// The worker panicked.
    RunPanicked { attempt: AttemptRef },
    /// A sweep returned.
    Swept { attempt: AttemptRef, swept: Swept },
    /// The bus has the result.
    Confirmed { attempt: AttemptRef },
    /// Some time went by, at most a second.
    Ticked,
    /// No new work from now on.
    DrainAsked,
    /// Whatever still runs is to be stopped.
    GraceOver,
}

/// A status on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatusOut {
    pub(crate) meta: Meta,
    pub(crate) status: WorkStatus,
}

/// What to do, once the records of the same plan are on the disk.
#[derive(Debug, Clone)]
#[must_use]
pub(crate) enum Effect {
    /// Handled and stored.
    Ack(Token),
    /// Not handled.
    Reject(Token, Reject),
    /// Tell it once.
    PublishStatus(Box<StatusOut>),
    /// Tell it until it is confirmed; a confirm is reported back where the journal holds the attempt.
    PublishResult { meta: Meta, result: Box<WorkResult> },
    /// Tell what was wrong with a message, once.
    PublishError {
        meta: Option<Meta>,
        error: ErrorMessage,
    },
    /// Is it in the cache?
    LookForBundle(Digest),
    /// Check these bytes against the digest and keep them.
    StoreBundle { digest: Digest, bytes: Vec<u8> },
    /// Read it for a run.
    LoadBundle { attempt: AttemptRef, digest: Digest },
    /// Start the worker.
    Start {
        request: Box<WorkRequest>,
        bundle: Box<Bundle>,
    },
    /// Tell the worker to end the run.
    Stop {
        attempt: AttemptRef,
        reason: StopReason,
    },
    /// Wait no longer for a worker that does not end.
    Abandon(AttemptRef),
    /// End what an attempt has left behind.
    Sweep(AttemptRef),
}

/// Records first, then effects.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Plan {
    pub(crate) records: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
}

impl Plan {
    pub(super) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
