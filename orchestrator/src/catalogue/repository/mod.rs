//! An Ansible repository that a person adds as it is: fetched, surveyed, and kept as a pinned copy, so that what runs
//! is what was listed and accepted.
//!
//! Nothing of a repository is executed here. Its entries are read by `load` like those of any other root; which of
//! them are accepted is the orchestrator's record; its inventory is read by whoever may run Ansible.

mod cycle;
mod difference;
mod git;
mod layout;
mod pin;
mod requirements;
mod source;
mod sources;
mod survey;

#[cfg(test)]
mod tests;

pub use difference::{Change, Difference};
pub use pin::{Staged, inventories_of, pinned, remove, source_of};
pub use source::{Fetched, Source, Wanted, fetch};
pub use sources::{Copy, InventorySource};
pub use survey::{Left, Survey};

pub(super) use cycle::refuse_circles;
pub(super) use layout::{playbooks, roles_path};
pub(super) use pin::{base, read_pinned};
pub(super) use sources::may_be_inventory;

use chiffon_common::{ErrorCode, Problem};

use super::{Root, Trust};

/// The folder of the pinned copies, below the data folder.
pub const ADDED: &str = "catalogue/added";
/// The folder of the entries that a person writes, below the data folder.
pub const OWN: &str = "catalogue/own";

/// What a person writes and what was added, below a data folder, after the roots of the configuration.
pub fn roots(home: &std::path::Path) -> Vec<Root> {
    let own = home.join(OWN);
    let own = own.is_dir().then(|| Root {
        name: own.display().to_string(),
        path: own,
        trust: Trust::Added,
    });
    let added = pinned(&home.join(ADDED));
    own.into_iter().chain(added).collect()
}

fn unusable(detail: impl Into<String>, todo: &str) -> Problem {
    Problem::new(ErrorCode::RepositoryUnusable, detail, todo)
}

fn cannot_keep(path: &std::path::Path, error: &std::io::Error) -> Problem {
    let detail = format!("{} cannot be written: {error}", path.display());
    let todo = "make room, or make the data folder writable; nothing was added";
    Problem::new(ErrorCode::HomeUnusable, detail, todo)
}
