//! The orchestrator: judged intake, planner, engine, ledger and the public HTTP API, as one part that a
//! binary starts with the backends it chose. What may run is the catalogue's word, where the inventory's.

pub mod catalogue;
mod clock;
mod engine;
mod events;
mod http;
pub mod inventory;
pub mod ledger;
pub mod planner;
mod start;

pub use chiffon_authorizer::{Authorizer, Endpoint};
pub use clock::{Clock, SystemClock};
pub use http::{HttpLimits, openapi};
pub use start::{Board, Config, Orchestrator, Parts, start, usual_control};
