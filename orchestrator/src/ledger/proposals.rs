//! What people push to `refs/heads/propose/*`: reading it, holding it against what it reverts, putting it
//! aside. Whether it may become a request is left to the engine; nothing here writes `main`.
//!
//! Everything read here was made by somebody else. No blob is opened, every object's size is asked before it is
//! read, and a difference ends at so many paths, so that a push of any size costs little.

use std::{collections::BTreeMap, fs, path::Path};

use chiffon_common::{RequestId, visible};
use gix::{
    ObjectId, Repository,
    objs::{Kind, tree::EntryMode},
    refs::{
        FullName, Target,
        transaction::{Change as RefChange, PreviousValue, RefEdit, RefLog},
    },
};

use super::{CommitId, Ledger, LedgerError};

/// Where proposals are pushed to.
pub(super) const PROPOSED: &str = "refs/heads/propose/";
/// Where those lie that became a request.
pub const TAKEN: &str = "refs/propose-done/";
/// Where those lie that became none.
pub const REFUSED: &str = "refs/propose-refused/";

/// Largest commit that is read, in bytes: a message of ours has a few hundred.
const COMMIT_BYTES: u64 = 256 * 1024;
/// Largest tree that is read, in bytes: the widest folder of ours has some thousand entries of 50.
const TREE_BYTES: u64 = 16 * 1024 * 1024;
/// Most paths in which one commit may differ from the one before it: a plan of 200 steps on 500 hosts touches
/// fewer.
const MOST_PATHS: usize = 200_000;
/// Deeper than any path of ours.
const DEEPEST: usize = 16;

/// A reference that somebody pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its whole name.
    pub name: String,
    /// What it points at.
    pub commit: CommitId,
}

/// What a pushed commit says and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The commits it stands on.
    pub parents: Vec<CommitId>,
    /// Its author as written there, visible and cut; proof of nothing.
    pub author: String,
    message: String,
    changes: Changes,
}

/// Path to what was there before and what is there after.
type Changes = BTreeMap<String, (Option<Leaf>, Option<Leaf>)>;
type Leaf = (EntryMode, ObjectId);

/// Why a commit is no proposal, in words; or the repository cannot be read.
pub type Judged<T> = Result<Result<T, String>, LedgerError>;

/// Whether there may be one, asked without git, so that looking every few seconds costs nothing.
pub fn may_have_proposals(ledger: &Path) -> bool {
    let is_filled = |name: &str| {
        let entries = fs::read_dir(ledger.join(name.trim_end_matches('/')));
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    is_filled(PROPOSED) || packed_names(ledger, PROPOSED).next().is_some()
}

/// The commits that were refused and that nobody has removed yet.
pub fn refused(ledger: &Path) -> Vec<String> {
    let folder = ledger.join(REFUSED.trim_end_matches('/'));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let loose = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = loose
        .filter(|name| !name.ends_with(".lock"))
        .chain(packed_names(ledger, REFUSED))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What stands behind this prefix in `packed-refs`.
fn packed_names(ledger: &Path, prefix: &str) -> impl Iterator<Item = String> {
    let packed = fs::read_to_string(ledger.join("packed-refs")).unwrap_or_default();
    let names: Vec<String> = packed
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.strip_prefix(prefix))
        .map(str::to_owned)
        .collect();
    names.into_iter()
}

impl Ledger {
    /// What was pushed, so many at most.
    pub fn proposals(&self, most: usize) -> Result<Vec<Proposal>, LedgerError> {
        let failed = |error: gix::Error| LedgerError::git("list what was proposed", &error);
        let references = self.repository.references().map_err(failed)?;
        let found = references.prefixed(PROPOSED).map_err(failed)?;
        let mut proposals = Vec::new();
        for reference in found.take(most) {
            let Ok(reference) = reference else {
                // A name or content that git itself does not take; its own tools tell of it.
                continue;
            };
            // A symbolic one points at what is proposed or recorded elsewhere.
            if let Some(id) = reference.target().try_id() {
                proposals.push(Proposal {
                    name: reference.name().as_bstr().to_string(),
                    commit: CommitId(id.to_owned()),
                });
            }
        }
        Ok(proposals)
    }

    /// What a pushed commit says, and how it differs from the one it stands on.
    pub fn offered(&self, commit: CommitId) -> Judged<Offered> {
        let repository = &self.repository;
        if let Err(why) = fits(repository, commit.0, Kind::Commit, COMMIT_BYTES) {
            return Ok(Err(why));
        }
        let unreadable = |error: gix::Error| LedgerError::git("read what was proposed", &error);
        let found = repository.find_commit(commit.0).map_err(unreadable)?;
        let parents: Vec<CommitId> = found.parent_ids().map(|id| CommitId(id.detach())).collect();
        let author = match found.author() {
            Ok(author) => format!("{} <{}>", author.name, author.email),
            Err(_) => "unknown".to_owned(),
        };
        let message = found.message_raw().map_err(unreadable)?.to_string();
        let [parent] = parents.as_slice() else {
            let why = match parents.len() {
                0 => "it stands on nothing, so its history is not the ledger's",
                _ => "it is a merge, not one revert on top of main",
            };
            return Ok(Err(why.to_owned()));
        };
        Ok(self.changes(Some(*parent), commit)?.map(|changes| Offered {
            author: visible(&author).chars().take(200).collect(),
            parents,
            message,
            changes,
        }))
    }

    /// The number of the batch that a commit says it was written for.
    pub fn claimed_batch(&self, commit: CommitId) -> Option<u64> {
        fits(&self.repository, commit.0, Kind::Commit, COMMIT_BYTES).ok()?;
        let found = self.repository.find_commit(commit.0).ok()?;
        let message = found.message_raw().ok()?.to_string();
        let trailers = message.lines().rev();
        let batch = trailers
            .into_iter()
            .find_map(|line| line.strip_prefix("Batch: "));
        batch?.parse().ok()
    }

    /// Whether a commit takes back the whole of a recorded one and nothing else: every path it touches is as it
    /// was before that one. What was changed again since may stay as it is now.
    pub fn reverts(&self, offered: &Offered, recorded: CommitId) -> Judged<()> {
        let found = self.repository.find_commit(recorded.0);
        let found = found.map_err(|error| LedgerError::object(&recorded, &error))?;
        let parent = found.parent_ids().next().map(|id| CommitId(id.detach()));
        let recorded_changes = match self.changes(parent, recorded)? {
            Ok(changes) => changes,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(named) = offered.names_reverted()
            && named != recorded.to_string()
        {
            let why = format!("its message says that it reverts {named}, its files {recorded}");
            return Ok(Err(why));
        }
        for (path, (_, after)) in &offered.changes {
            let shown = visible(path);
            match recorded_changes.get(path) {
                None => return Ok(Err(format!("it also changes {shown}"))),
                Some((before, _)) if before != after => {
                    return Ok(Err(format!(
                        "it leaves {shown} otherwise than it was before"
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(Ok(()))
    }

    /// Whether a proposal was put aside as taken up by this request.
    pub fn is_taken(&self, request: RequestId) -> Result<bool, LedgerError> {
        let name = format!("{TAKEN}{request}");
        let found = self.repository.try_find_reference(name.as_str());
        let failed = |error: gix::Error| LedgerError::git("look for a proposal", &error);
        Ok(found.map_err(failed)?.is_some())
    }

    /// Gives a proposal another name, if it is still what was read. `false`: somebody has pushed it anew.
    pub fn put_aside(&self, proposal: &Proposal, to: &str) -> Result<bool, LedgerError> {
        let named = |name: &str| {
            FullName::try_from(name.to_owned()).map_err(|error| LedgerError::Git {
                doing: "put a proposal aside",
                why: error.to_string(),
            })
        };
        let target = Target::Object(proposal.commit.0);
        let edits = [
            RefEdit::update(named(to)?, proposal.commit.0, PreviousValue::Any, ""),
            RefEdit {
                change: RefChange::Delete {
                    expected: PreviousValue::MustExistAndMatch(target),
                    log: RefLog::AndReference,
                },
                name: named(&proposal.name)?,
                deref: false,
            },
        ];
        match self.repository.edit_references_as(edits, None) {
            Ok(_) => Ok(true),
            Err(error) => {
                let now = self.repository.try_find_reference(proposal.name.as_str());
                let now = now
                    .ok()
                    .flatten()
                    .and_then(|found| found.target().try_id().map(|id| id.to_owned()));
                match now == Some(proposal.commit.0) {
                    true => Err(LedgerError::git("put a proposal aside", &error)),
                    false => Ok(false),
                }
            }
        }
    }

    fn changes(&self, before: Option<CommitId>, after: CommitId) -> Judged<Changes> {
        let tree = |commit: CommitId| {
            let found = self.repository.find_commit(commit.0);
            let tree = found.and_then(|found| found.tree_id().map(|id| id.detach()));
            tree.map_err(|error| LedgerError::git("read what was proposed", &error))
        };
        let before = before.map(tree).transpose()?;
        let mut changes = Changes::new();
        let compared = compare(
            &self.repository,
            (before, Some(tree(after)?)),
            "",
            0,
            &mut changes,
        );
        Ok(compared?.map(|()| changes))
    }
}

impl Offered {
    /// The one request whose record the commit removes.
    pub fn request(&self) -> Result<RequestId, String> {
        let record = |path: &str| {
            let name = path.strip_prefix("records/")?.rsplit('/').next()?;
            name.strip_suffix(".yml")?.parse::<RequestId>().ok()
        };
        let removed = self
            .changes
            .iter()
            .filter(|(_, (_, after))| after.is_none());
        let requests: Vec<RequestId> = removed.filter_map(|(path, _)| record(path)).collect();
        match requests.as_slice() {
            [only] => Ok(*only),
            [] => Err("it is no revert of a recorded change: it removes no record".to_owned()),
            several => Err(format!(
                "it reverts {} requests at once; propose them one by one",
                several.len()
            )),
        }
    }

    /// What `git revert` writes into the message.
    fn names_reverted(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("This reverts commit ")?;
        let hash = rest.get(..40)?;
        hash.chars().all(|c| c.is_ascii_hexdigit()).then_some(hash)
    }
}

/// Asked before an object is read.
fn fits(repository: &Repository, id: ObjectId, kind: Kind, most: u64) -> Result<(), String> {
    let header = repository.find_header(id);
    let header = header.map_err(|error| format!("its object {id} cannot be read: {error}"))?;
    if header.kind() != kind {
        return Err(format!(
            "its object {id} is a {}, not a {kind}",
            header.kind()
        ));
    }
    if header.size() > most {
        return Err(format!(
            "its object {id} has {} bytes, more than a revert needs",
            header.size()
        ));
    }
    Ok(())
}

/// The leaves in which two trees differ. Equal trees are not opened.
fn compare(
    repository: &Repository,
    (before, after): (Option<ObjectId>, Option<ObjectId>),
    prefix: &str,
    depth: usize,
    changes: &mut Changes,
) -> Judged<()> {
    if before == after {
        return Ok(Ok(()));
    }
    if depth > DEEPEST {
        return Ok(Err(format!(
            "its folders are nested too deeply: {}",
            visible(prefix)
        )));
    }
    let (before, after) = match (leaves(repository, before)?, leaves(repository, after)?) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let names = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let (was, is) = (before.get(name).copied(), after.get(name).copied());
        if was == is {
            continue;
        }
        let path = match prefix {
            "" => name.clone(),
            prefix => format!("{prefix}/{name}"),
        };
        let tree = |leaf: Option<Leaf>| leaf.filter(|(mode, _)| mode.is_tree());
        let file = |leaf: Option<Leaf>| leaf.filter(|(mode, _)| !mode.is_tree());
        if file(was) != file(is) {
            changes.insert(path.clone(), (file(was), file(is)));
            if changes.len() > MOST_PATHS {
                return Ok(Err(format!("it changes more than {MOST_PATHS} files")));
            }
        }
        let trees = (tree(was).map(|leaf| leaf.1), tree(is).map(|leaf| leaf.1));
        if let Err(why) = compare(repository, trees, &path, depth + 1, changes)? {
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

fn leaves(repository: &Repository, tree: Option<ObjectId>) -> Judged<BTreeMap<String, Leaf>> {
    let Some(tree) = tree else {
        return Ok(Ok(BTreeMap::new()));
    };
    if tree != ObjectId::empty_tree(repository.object_hash())
        && let Err(why) = fits(repository, tree, Kind::Tree, TREE_BYTES)
    {
        return Ok(Err(why));
    }
    let found = repository.find_tree(tree);
    let found = found.map_err(|error| LedgerError::git("read what was proposed", &error))?;
    let mut leaves = BTreeMap::new();
    for entry in found.iter() {
        let Ok(entry) = entry else {
            return Ok(Err(format!("its folder {tree} is malformed")));
        };
        leaves.insert(
            entry.filename().to_string(),
            (entry.mode(), entry.object_id()),
        );
    }
    Ok(Ok(leaves))
}
