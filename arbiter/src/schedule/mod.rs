//! When a schedule's times come, and what is done with those that passed unused. Pure: the zone comes in as a value,
//! as `now` does. Asking is left to the shell.

mod cron;
mod due;
mod field;
#[cfg(test)]
mod tests;

pub use cron::{Cron, CronError};
pub use due::{Look, MOST_MISSED, Passed, Times, Verdict};
