//! The store: its contract with its backends, SQLite and Postgres; the control store with its backends in memory, SQLite and Postgres;
//! and the conformance suites that a backend must pass to be supported. What the rows mean (lifecycles, judgement) is left to the arbiter and the engine.

mod commit;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod control;
mod error;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod lease;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod patience;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod seal;
#[cfg(feature = "sqlite")]
mod sqlite;
mod verify;

pub use commit::{Check, Commit, Expected, IdempotencyClaim, InboxKey, Receipt, Write};
pub use contract::{
    ListDecisions, ListRequests, ListSchedules, ListTasks, RunRows, Store, StoredAnswer,
};
pub use control::{
    AuditMark, AuditWrite, Backlog, ControlCommit, ControlCounts, ControlKey, ControlKind,
    ControlStore, Decided, Expect, Loaded, Marked, MemoryControl, MemoryLimits, Noting, Outcome,
    StateChange, StateWrite, Unaudited, Versioned,
};
pub use error::Error;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresControl, PostgresOptions};
pub use rows::{
    AgentRow, AuditSeal, DecisionRow, DueTimer, EventRow, FreezeRow, HostRow, LeaseRow,
    LedgerBatchRow, LedgerEntryRow, LogRow, MetricRow, NewLogLine, NumberedAudit, OutboxRow,
    PlanRow, ProjectRow, RequestRow, RoomRow, RunEventRow, ScheduleRow, StreamRow, StreamSource,
    TaskRow, TimerRow,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{Options, Sqlite, SqliteControl};
pub use verify::{
    Fault, Report, SliceHead, verify_audit, verify_audit_against, verify_audit_reading,
};
