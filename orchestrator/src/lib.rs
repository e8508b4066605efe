//! The orchestrator: what the fleet may run, where, and what a sentence asks for.

pub mod catalogue;
pub mod inventory;
pub mod ledger;
pub mod planner;
