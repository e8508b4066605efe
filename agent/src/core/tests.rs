//! The core under a storm: a model of the outside, events by chance, crashes, and after each step the
//! invariants by name.

mod model;
mod storm;
mod tables;
