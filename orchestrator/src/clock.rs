//! Where the orchestrator's time and ids come from: the one place beside the database driver that is not a value.

use jiff::Timestamp;
use uuid::Uuid;

/// The orchestrator's clock and mint.
pub trait Clock: Send + Sync + 'static {
    /// The time, UTC.
    fn now(&self) -> Timestamp;

    /// A fresh UUID, version 7.
    fn fresh_id(&self) -> Uuid;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
