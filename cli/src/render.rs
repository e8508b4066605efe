//! Views of the API as text for people. Pure: the same values give the same text. Whatever came from a
//! person, a model or a host is made visible here before it reaches a terminal.

mod catalogue;
mod decision;
mod diff;
mod event;
mod explain;
mod failure;
mod fleet;
mod plan;
mod replay;
mod request;
mod schedule;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod words;
mod wrap;

pub use catalogue::{broken, entries, entry, scanned};
pub use decision::{decision, decision_line, decisions, question};
pub use event::{event, reset};
pub use explain::{error_codes, page};
pub use failure::{failure, failure_with_page};
pub use fleet::{agents, fleet, health, inventory, ledger, looks};
pub use plan::{Extent, plan, plan_diff};
pub use replay::replay;
pub use request::{nearest, outcome, request, requests, task_ended, waiting};
pub use schedule::{next_times, schedule, schedules, standing_plan};
pub use settings::{settings, settings_with_origin};
pub use table::table;
pub use words::{file_name, one_line, state};
