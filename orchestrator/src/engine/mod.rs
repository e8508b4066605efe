//! The engine: the shell around the arbiter. Load the slice, let the arbiter judge, commit everything at
//! once, and only then let anything leave.
//!
//! Jobs (planning, preview, dispatch, relay, timers, recording) are reconcilers: they take no input, look
//! at what is stored, and are nudged so that nobody waits for their period. Any of them may die at any point.

mod advance;
mod agents;
mod audit;
mod dispatch;
mod heal;
mod inbound;
mod intake;
mod jobs;
mod library;
mod outgoing;
mod planning;
mod preview;
mod record;
mod relay;
mod rows;
mod scribe;
mod shared;
mod timers;
mod verify;
mod views;

pub(crate) use advance::{AdvanceError, Advanced, Cause};
pub(crate) use intake::IntakeError;
pub(crate) use jobs::Jobs;
pub(crate) use library::Library;
pub(crate) use rows::slice_of;
pub(crate) use shared::{Settings, Shared};
pub(crate) use verify::store_problem;
pub(crate) use views::{request_line, request_view};
