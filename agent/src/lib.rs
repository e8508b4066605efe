//! What every agent does: connect, accept, journal, run, report, heartbeat, drain. What a run is
//! is left to the worker of each kind; what becomes of its result to the orchestrator.

mod worker;

pub use worker::{Ended, Progress, StopReason, Swept, Work, Worker, run_id};
