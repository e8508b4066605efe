//! HTTP as a server, for whoever answers calls: a listener that is bound before anything is promised, bounded in
//! connections and in the time that a header or a body may take, and ended within a bound (R46, S77). What is called, by
//! whom, and what it is answered is left to the two that serve: the orchestrator and `arbiter serve`.

mod arriving;
mod body;
mod idle;
mod server;

pub use arriving::Arriving;
pub use body::{is_json, whole};
pub use server::{Bound, Server, bind};
