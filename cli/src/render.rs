//! Views of the API as text for people. Pure: the same values give the same text. Whatever came from a
//! person, a model or a host is made visible here before it reaches a terminal.

mod catalogue;
mod diff;
mod explain;
mod failure;
mod fleet;
mod plan;
mod request;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod words;

pub use catalogue::{broken, entries, entry};
pub use explain::{error_codes, page};
pub use failure::failure;
pub use fleet::{agents, health, inventory, ledger};
pub use plan::plan;
pub use request::{nearest, outcome, request, requests, task_ended, waiting};
pub use settings::{settings, settings_with_origin};
pub use words::{one_line, state};
