//! The engine: the shell around the arbiter. Load the slice, let the arbiter judge, commit everything at
//! once, and only then let anything leave.
//!
//! Jobs (planning, preview, dispatch, relay, timers, recording) are reconcilers: they take no input, look
//! at what is stored, and are nudged so that nobody waits for their period. Any of them may die at any point.

mod acceptances;
mod advance;
mod agents;
mod anchor;
mod arrived;
mod asked;
mod audit;
mod authorise;
mod claim;
mod closing;
mod dispatch;
mod edits;
mod follow;
mod foresight;
mod freeze;
mod heal;
mod held;
mod history;
mod inbound;
mod intake;
mod jobs;
mod judged;
mod ledger_keys;
mod library;
mod line;
mod looks;
mod outgoing;
mod parting;
mod places;
mod planning;
mod posts;
mod preview;
mod proposals;
mod reasons;
mod record;
mod recorded;
mod relay;
mod remote;
mod replay;
mod restorations;
mod room;
mod rows;
mod schedules;
mod scribe;
mod shared;
mod store_watch;
mod timers;
mod told;
mod turned_away;
mod turns;
mod undo;
mod verify;
mod verify_columns;
mod verify_rows;
mod views;

pub(crate) use advance::{AdvanceError, Advanced, Along, Cause};
pub(crate) use agents::Heard;
pub(crate) use arrived::accepted;
pub(crate) use claim::{KeptAnswer, KeyClaim};
pub(crate) use edits::{Editor, agent_of};
pub(crate) use intake::{Incoming, Intake, IntakeError, Way};
pub(crate) use jobs::Jobs;
pub(crate) use library::Library;
pub(crate) use looks::ClearError;
pub(crate) use preview::sealed_bytes;
pub(crate) use recorded::Limits;
pub(crate) use rows::{Unreadable, read, slice_of};
pub(crate) use schedules::{
    Draft, Edit, EditError, Fate, FireError, Fired, Schedule, Toggle, local, moment, schedule_view,
    times, zone, zone_at,
};
pub(crate) use shared::{Changed, Settings, Shared, nudged};
pub(crate) use told::{plan_of, told};
pub(crate) use turned_away::TurnedAway;
pub(crate) use undo::undo_words;
pub(crate) use verify::store_problem;
pub(crate) use views::{MASK, decision_view, request_line, request_view, shown_plan, task_view};
