//! The catalogue: the playbooks that may run, with declared parameters, tier and preview fidelity.
//!
//! A root is an ordinary Ansible tree. What cannot be read is named with file, line and reason and costs
//! only its own entry. Which entry a sentence means is left to `planner`, running it to the agents.

mod check;
mod entry;
mod find;
mod infer;
mod load;
mod mentions;
mod metadata;
mod parameter;
mod playbook;
mod refusal;
pub mod repository;
mod roles;
mod sample;
mod scan;
mod shipped;
mod tree;
mod verify;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::shipped as shipped_for_tests;

pub use entry::Entry;
pub use load::{Acceptance, Acceptances, Catalogue, Root, Trust};
pub use metadata::{Call, UndoRule};
pub use parameter::{Kind, Parameter};
pub(crate) use scan::of_variable;
pub use shipped::extract_shipped;
pub use verify::Check;
