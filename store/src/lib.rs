//! The store: its contract, the SQLite backend, and the conformance suite that a backend must pass to be
//! supported. What the rows mean (lifecycles, judgement) is left to the arbiter and the engine.

mod commit;
mod contract;
mod error;
mod rows;

pub use commit::{Check, Commit, Expected, IdempotencyClaim, InboxKey, Receipt, Write};
pub use contract::{ListRequests, RunRows, Store};
pub use error::Error;
pub use rows::{
    AgentRow, AuditSeal, DecisionRow, DueTimer, EventRow, HostRow, LeaseRow, LedgerBatchRow,
    LedgerEntryRow, LogRow, MetricRow, NewLogLine, NumberedAudit, OutboxRow, PlanRow, RequestRow,
    RoomRow, TaskRow, TimerRow,
};
