//! The agent from its bus to its worker, in one process. One binary, because linking is what costs.

#![expect(
    clippy::unwrap_used,
    reason = "clippy takes only test functions for tests; the two ends in `support` are tests too"
)]

mod chaos;
mod gates;
mod restarts;
mod runs;
mod support;
