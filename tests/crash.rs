//! The crash suite: the real program under load, killed, stopped, starved and led astray by its clock, and afterwards
//! held against the invariants of reliability.md section 4 by a checker that only looks at what was left.
//!
//! `CHIFFON_SEED` plays a cell again; `CHIFFON_CRASH_SEEDS` says how many seeds each cell is to be tried with.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

#[path = "e2e/ansible.rs"]
mod ansible;
#[path = "crash/calls.rs"]
mod calls;
#[path = "crash/cell.rs"]
mod cell;
#[path = "crash/check.rs"]
mod check;
#[path = "crash/clocks.rs"]
mod clocks;
#[path = "crash/dice.rs"]
mod dice;
#[path = "crash/doctored.rs"]
mod doctored;
#[path = "crash/drain.rs"]
mod drain;
#[path = "crash/failpoints.rs"]
mod failpoints;
#[path = "crash/history.rs"]
mod history;
#[path = "crash/kills.rs"]
mod kills;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/panics.rs"]
mod panics;
#[path = "crash/program.rs"]
mod program;
#[path = "crash/reader.rs"]
mod reader;
#[path = "crash/stops.rs"]
mod stops;
#[path = "crash/yard.rs"]
mod yard;
