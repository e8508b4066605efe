//! The infrastructure agent's worker: runs `ansible-playbook` from a bundle, in a folder and an
//! environment of the run's own, and ends everything it started. Journal, seal, messages and time
//! limits are left to `chiffon-agent`; what a run means to the orchestrator.

mod ansible;
mod events;
mod folder;
mod inventory;
mod isolation;
mod limits;
mod lint;
mod listing;
mod outcome;
mod output;
mod processes;
mod remote;
mod run;
mod settings;
mod supervise;
mod supervised;
mod sweep;
mod tool;
mod vars;
mod worker;

pub use ansible::{Ansible, AnsibleLocator, CoreVersion, MIN_VERSION, Origin};
pub use isolation::{Isolation, IsolationChoice, IsolationConfig, isolation_of};
pub use limits::Limits;
pub use lint::{Lint, LintIn, lint};
pub use listing::{InventoryListing, ListedInventory};
pub use supervise::{SUPERVISE_ARG, supervise};
pub use worker::{InfraConfig, InfraWorker};
