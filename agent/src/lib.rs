//! What every agent does: connect, accept, journal, run, report, heartbeat, drain. What a run is
//! is left to the worker of each kind; what becomes of its result to the orchestrator.

mod agent;
mod backoff;
mod bundles;
mod clock;
mod config;
mod core;
mod fall;
mod folders;
mod heartbeat;
mod home;
mod journal;
mod kept;
mod lines;
mod outbox;
#[cfg(feature = "program")]
pub mod program;
mod receive;
mod run;
mod shell;
mod worker;

pub use agent::{Agent, AgentFault, AgentHandle, Drained};
pub use clock::{Clock, SystemClock};
pub use config::AgentConfig;
pub use home::StartError;
pub use journal::JournalError;
pub use kept::{Kept, Seed, Tell};
pub use worker::{Ended, Progress, StopReason, Swept, Work, Worker, run_id};
