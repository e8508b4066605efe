//! The lifecycle of one attempt: open in a stage, then ended for good with one result.

use std::time::Duration;

use chiffon_common::{StatusKind, WorkRequest, WorkResult};
use jiff::Timestamp;

use super::Meta;
use crate::worker::StopReason;

/// One attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    Open(Open),
    Ended(Closed),
}

impl Attempt {
    /// The attempt has come once more. Where that is no resend of the same work but work that was given anew, by an
    /// orchestrator whose database was put back to before, its result says that it was there already.
    pub(super) fn given_again(&mut self, not_after: Timestamp) {
        if let Self::Ended(closed) = self
            && closed.not_after.is_some_and(|first| first != not_after)
        {
            closed.result.done_before = Some(closed.at);
        }
    }
}

/// It will run, runs, or is being cleaned up after.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) meta: Meta,
    pub(super) request: Box<WorkRequest>,
    /// Of the last status.
    pub(super) seq: u64,
    pub(super) progress: u8,
    /// How often a wrong or vanishing bundle was asked for again.
    pub(super) asked_again: u8,
    pub(super) stage: Stage,
}

/// It has its result.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) meta: Meta,
    pub(super) at: Timestamp,
    pub(super) confirmed: bool,
    /// Until when the work that it is the result of might have begun; it tells one giving of an attempt from another.
    pub(super) not_after: Option<Timestamp>,
    pub(super) result: Box<WorkResult>,
}

/// How far an open attempt is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The cache is asked for its bundle.
    Looking,
    /// Its bundle was asked for at this time since boot.
    NeedsBundle { asked: Duration },
    /// It waits for a slot.
    Waiting,
    /// It has a slot; its bundle is being read.
    Loading,
    /// The worker has it.
    Running {
        deadline: Duration,
        stopping: Option<Stopping>,
    },
    /// What it left behind is being ended.
    Sweeping(SweepCause),
}

/// A worker that was told to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    pub(super) reason: StopReason,
    /// Since boot; after this nobody waits for it any more.
    pub(super) until: Duration,
}

/// Why a sweep is needed.
#[derive(Debug, Clone, Copy)]
pub(super) enum SweepCause {
    /// The agent died while it ran.
    Restarted,
    /// The worker panicked.
    Panicked,
    /// The worker did not end when told to.
    DidNotEnd(StopReason),
}

impl Stage {
    /// Whether it takes up a slot.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Looking | Self::NeedsBundle { .. } | Self::Waiting => false,
            Self::Loading | Self::Running { .. } | Self::Sweeping(_) => true,
        }
    }

    /// Whether the worker may have begun.
    pub(super) fn has_started(&self) -> bool {
        match self {
            Self::Looking | Self::NeedsBundle { .. } | Self::Waiting | Self::Loading => false,
            Self::Running { .. } | Self::Sweeping(_) => true,
        }
    }

    /// What a status says of it.
    pub(super) fn status(&self) -> StatusKind {
        match self {
            Self::NeedsBundle { .. } => StatusKind::NeedsBundle,
            Self::Looking | Self::Waiting | Self::Loading => StatusKind::Accepted,
            Self::Running { .. } | Self::Sweeping(_) => StatusKind::Running,
        }
    }
}
