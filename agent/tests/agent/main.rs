//! The agent from its bus to its worker, in one process. One binary, because linking is what costs.

mod chaos;
mod gates;
mod restarts;
mod runs;
mod support;
