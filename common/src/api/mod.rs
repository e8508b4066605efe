//! The bodies of the public HTTP API, for the server that writes them and the clients that read them.
//!
//! Enums are open for growth: clients must pass on states they do not know. Times are UTC. With the feature
//! `openapi` each has its schema, from which the OpenAPI document is made.

mod catalogue;
mod decision;
mod event;
mod fleet;
mod history;
mod inventory;
mod page;
mod problem;
mod project;
mod request;
mod schedule;
mod task;

pub use catalogue::{
    AcceptEntries, AcceptEntry, BrokenFile, CatalogueView, EntryView, ParameterView,
};
pub use decision::{Answer, DECISION_STATES, DecisionView, Resolve, ResolveTask, RoundView};
pub use event::{EventView, EventsPage, ResetReason};
pub use fleet::{AgentEdit, AgentStatus, AgentView, Alive, Freeze, FreezeView, Health};
pub use history::{
    AcceptKey, AuditAnchor, AuditReport, LedgerKey, LedgerLine, NumberedRecord, ReplayReport,
    ReplayStep, VerifyAudit,
};
pub use inventory::{HostView, InventoryView, NeedsLook};
pub use page::{Page, UnreadableRow};
pub use problem::ProblemBody;
pub use project::{ProjectEdit, ProjectView};
pub use request::{
    CancelRequest, EntryRun, Follow, LogLine, Nearest, NewRequest, REQUEST_STATES, RequestAccepted,
    RequestView, UndoRequest, Undone,
};
pub use schedule::{
    MissedRuns, NextTimes, NextTry, SCHEDULE_STATES, ScheduleEdit, SchedulePlan, ScheduleView,
    StandingEdit, StandingView,
};
pub use task::TaskView;
