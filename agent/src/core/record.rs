//! What the journal holds. How it lies on the disk is left to the journal.
//!
//! Adding a record: 1. here, 2. its arm in `recover`, 3. the snapshot in `recover`, if it must outlive a
//! compaction. Records are never changed in meaning; a later version adds new ones.

use chiffon_common::{
    AgentId, AttemptRef, Incarnation, MessageId, RequestId, TaskId, TraceId, WorkRequest,
    WorkResult,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the answers to a message carry on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The message that brought it.
    pub(crate) message: MessageId,
    /// Its correlation id.
    pub(crate) trace: TraceId,
    /// Its request.
    pub(crate) request: Option<RequestId>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first: whose journal this is, and which life of it.
    Life {
        version: u32,
        agent: AgentId,
        incarnation: Incarnation,
    },
    /// The agent started; `number` rises and keeps sequence numbers rising over restarts.
    Boot { number: u64 },
    /// An attempt was checked and taken; it runs or is refused from here on.
    Accepted {
        meta: Meta,
        request: Box<WorkRequest>,
    },
    /// Its worker is about to start: from here on its end may be unknown.
    Started { attempt: AttemptRef },
    /// It has its one result.
    Ended {
        meta: Meta,
        at: Timestamp,
        /// That of the work, whose own record a compaction drops.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_after: Option<Timestamp>,
        result: Box<WorkResult>,
    },
    /// The bus has the result.
    Confirmed { attempt: AttemptRef },
    /// A cancel that came before its request.
    CancelledEarly {
        attempt: AttemptRef,
        not_after: Timestamp,
    },
    /// The highest attempt accepted of a task whose attempts may be gone already.
    Highest {
        task: TaskId,
        attempt: u32,
        until: Timestamp,
    },
}
