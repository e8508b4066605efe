//! The lifecycles of one request, its tasks and its decisions, moved together.
//!
//! [`apply`] takes the slice of one request, one event and the time, and gives the next slice, the
//! moves for the audit record and the effects for the outbox. Timers and leases are part of the slice,
//! so that "every non-terminal state holds a timer or a lease" can be looked at (see `tests`).
//!
//! Adding an event: 1. [`RunEvent`], 2. its arm in [`apply`], 3. the storm in `tests`.

mod apply;
mod arm;
mod asked;
mod contact;
mod context;
mod decision;
mod desk;
mod ending;
mod event;
mod gate;
mod open;
mod probe;
mod proof;
mod question;
mod request;
mod resolve;
mod retry;
mod settle;
mod standing;
mod state;
mod task;
#[cfg(test)]
mod tests;
mod timer;
mod waiting;

pub use apply::{NewRun, apply};
pub use asked::{Decision, DecisionKind, DecisionState};
pub use context::{Context, Ids};
pub use desk::{Moved, RunPolicy};
pub use event::{
    Answered, Effect, Outcome, Refusal, Replied, Reported, Resolved, RunEvent, StandingApproved,
};
pub use gate::{Gate, may_start, turned_away};
pub use open::{UNKNOWN_CHANGES, needs_look, uncounted};
pub use proof::{Proof, ProofError, SliceDocs};
pub use question::{MAX_ROUNDS, Round, Said, Wants, Words};
pub use request::secrets_of;
pub use state::{
    Approval, Cancelling, Request, RequestState, Run, Sent, Task, TaskState, bead_state,
};
pub use task::changes;
pub use timer::{TimerKind, TimerName, TimerSubject};
pub use waiting::WaitingOn;
