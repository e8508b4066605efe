//! The control plane (RFC-ARB-0001) as others meet it: the document as a suite, and its store in a real Postgres.

#[path = "acceptance/postgres.rs"]
mod postgres;
