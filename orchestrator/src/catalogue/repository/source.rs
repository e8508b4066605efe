//! Where a repository comes from: a folder of this machine, or what git can fetch. Decides which of the two is meant,
//! and which folder of it is the Ansible tree.

use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};

use chiffon_common::{Digest, ErrorCode, Problem, visible};
use serde::{Deserialize, Serialize};

use super::{git, layout, unusable};
use crate::catalogue::tree::Tree;

/// Longest address.
const MAX_ADDRESS: usize = 1024;

/// What a person asks for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A folder, or an address that git takes: `https://`, `ssh://`, `file://`, `user@host:path`.
    pub from: String,
    /// Branch, tag or commit; the repository's own default where absent. For git only.
    pub reference: Option<String>,
    /// The folder of it that is the Ansible tree; found where absent.
    pub folder: Option<String>,
}

/// What is remembered of a repository beside its files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// 1.
    pub form: u32,
    /// As [`Wanted::from`]; a folder as an absolute path.
    pub from: String,
    /// As [`Wanted::reference`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The commit that was fetched; a folder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The folder of it that is the Ansible tree; empty for all of it.
    pub folder: String,
    /// Over every path, mode and byte of the copy.
    pub digest: Digest,
    /// What was not copied, by its path, and why.
    #[serde(default)]
    pub refused: BTreeMap<String, String>,
}

/// A repository in memory.
#[derive(Debug)]
pub struct Fetched {
    pub(super) source: Source,
    pub(super) tree: Tree,
    /// Other folders that look like Ansible trees.
    pub(super) others: Vec<String>,
}

impl Source {
    /// What to ask for to get it again.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            from: self.from.clone(),
            reference: self.reference.clone(),
            folder: Some(self.folder.clone()),
        }
    }
}

/// Reads a folder, or fetches a commit into the folder `scratch`, which must be empty. Blocks, up to minutes; `stop` ends it
/// early.
///
/// # Errors
/// 5340 where it cannot be had or holds nothing for Ansible, 5341 where it is too large.
pub fn fetch(wanted: &Wanted, scratch: &Path, stop: &AtomicBool) -> Result<Fetched, Problem> {
    let from = wanted.from.trim();
    refuse_odd(from)?;
    let path = Path::new(from);
    let (tree, from, commit) = match is_address(from) {
        false => {
            if wanted.reference.is_some() {
                let todo = "leave --ref out, or write the folder as file:///...";
                return Err(unusable("a folder is taken as it stands", todo));
            }
            let real = std::fs::canonicalize(path).map_err(|error| {
                let detail = format!("{} cannot be read: {error}", visible(from));
                unusable(detail, "name a folder, or an address that git can fetch")
            })?;
            if !real.is_dir() {
                let todo = "name the folder that holds the playbooks";
                return Err(unusable(format!("{} is no folder", visible(from)), todo));
            }
            (Tree::read_whole(&real), real.display().to_string(), None)
        }
        true => {
            let (tree, commit) = git::fetch(from, wanted.reference.as_deref(), scratch, stop)?;
            (tree, from.to_owned(), Some(commit))
        }
    };
    if let Some(why) = &tree.overflow {
        let todo = "add the folder of it that holds the Ansible files only";
        return Err(Problem::new(
            ErrorCode::RepositoryTooLarge,
            format!("{}: {why}; nothing was added", visible(&from)),
            todo,
        ));
    }
    let (folder, others) = layout::tree_folder(&tree, wanted.folder.as_deref())?;
    let tree = tree.below_as_root(&folder);
    let source = Source {
        form: 1,
        from,
        reference: wanted.reference.clone(),
        commit,
        folder,
        digest: tree.digest(),
        refused: tree.refused.clone(),
    };
    Ok(Fetched {
        source,
        tree,
        others,
    })
}

/// Whether git is to fetch it; what is a path of this machine is a folder.
fn is_address(from: &str) -> bool {
    let scp_like = from
        .split_once(':')
        .is_some_and(|(host, _)| !host.is_empty() && !host.contains('/') && !host.starts_with('.'));
    from.contains("://") || (scp_like && !Path::new(from).exists())
}

fn refuse_odd(from: &str) -> Result<(), Problem> {
    let odd = from.is_empty() || from.len() > MAX_ADDRESS || from.chars().any(char::is_control);
    if odd || from.starts_with('-') {
        let todo = "name a folder, or an address that git can fetch";
        return Err(unusable(format!("{:?} is no address", visible(from)), todo));
    }
    let Some((scheme, rest)) = from.split_once("://") else {
        if from.contains("::") {
            return Err(refused_scheme(from.split("::").next().unwrap_or_default()));
        }
        return Ok(());
    };
    if !["https", "ssh", "file"].contains(&scheme) {
        return Err(refused_scheme(scheme));
    }
    let login = rest.split('/').next().unwrap_or_default().rsplit_once('@');
    if login.is_some_and(|(login, _)| login.contains(':') || scheme == "https") {
        let todo = "use ssh with a key; or clone it yourself, and add the folder";
        return Err(unusable(
            "an address with a password in it is not taken",
            todo,
        ));
    }
    Ok(())
}

fn refused_scheme(scheme: &str) -> Problem {
    let detail = format!("git is not let fetch by {:?}", visible(scheme));
    unusable(
        detail,
        "there are https://, ssh://, user@host:path, file:// and folders",
    )
}
