//! Fixtures of the cross-process suites: real processes, started, watched and surely ended.
//!
//! Each part cleans up behind itself when it is dropped. What a test asserts is left to the files
//! beside this package's manifest; nothing here knows what a right answer of Chiffon is.

pub mod authorizer;
mod binary;
mod chiffon;
mod git;
mod home;
mod lines;
mod postgres;
mod process;
mod proxy;
mod pty;
mod rabbit;
mod report;
mod repository;
mod rot;
mod source;
mod sshd;
mod suite;
mod tls;
mod venv;
mod wait;

pub use binary::arbiter;
pub use chiffon::{Chiffon, Output, Running};
pub use git::git;
pub use home::Home;
pub use postgres::Postgres;
pub use process::{Process, children_of, processes_with_env};
pub use proxy::Proxy;
pub use pty::{Pty, without_codes};
pub use rabbit::{Login, Rabbit};
pub use report::not_run;
pub use repository::{repository_root, tracked_files};
pub use rot::rot;
pub use source::{
    begins_a_transaction, names_a_private_path, opens_unbounded_channel, without_tests,
};
pub use sshd::Sshd;
pub use suite::Suite;
pub use tls::{Authority, Certified, TlsFront};
pub use venv::venv;
pub use wait::wait_for;
