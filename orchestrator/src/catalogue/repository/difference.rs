//! What an update of a repository would change, entry by entry, before it takes effect.

use std::collections::BTreeSet;

use chiffon_common::{EntryId, Tier};

use crate::catalogue::{Catalogue, Entry};

/// What becomes of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub entry: EntryId,
    /// `added`, `removed` or `changed`.
    pub kind: &'static str,
    /// Files that are new, gone and other than before.
    pub added: Vec<String>,
    /// See `added`.
    pub removed: Vec<String>,
    /// See `added`.
    pub changed: Vec<String>,
    /// The tier before and after, where it rises.
    pub tier_raised: Option<(Tier, Tier)>,
}

/// All of it, by entry. Entries that stay as they are do not stand in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// One each.
    pub changes: Vec<Change>,
}

impl Difference {
    pub(super) fn between(was: &Catalogue, becomes: &Catalogue) -> Self {
        let ids: BTreeSet<&EntryId> = was
            .entries()
            .chain(becomes.entries())
            .map(|entry| &entry.id)
            .collect();
        let change = |id: &EntryId| change(id, was.get(id.as_str()), becomes.get(id.as_str()));
        Self {
            changes: ids.into_iter().filter_map(change).collect(),
        }
    }
}

fn change(id: &EntryId, was: Option<&Entry>, becomes: Option<&Entry>) -> Option<Change> {
    let kind = match (was, becomes) {
        (None, None) => return None,
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(was), Some(becomes)) if was.digest == becomes.digest => return None,
        _ => "changed",
    };
    let paths = |entry: Option<&Entry>| -> BTreeSet<String> {
        let files = entry.into_iter().flat_map(|entry| entry.files.keys());
        files.cloned().collect()
    };
    let (old, new) = (paths(was), paths(becomes));
    let same = |path: &String| {
        let file = |entry: Option<&Entry>| entry.and_then(|entry| entry.files.get(path)).cloned();
        file(was) == file(becomes)
    };
    let raised = was
        .zip(becomes)
        .map(|(was, becomes)| (was.tier, becomes.tier));
    Some(Change {
        entry: id.clone(),
        kind,
        added: new.difference(&old).cloned().collect(),
        removed: old.difference(&new).cloned().collect(),
        changed: old
            .intersection(&new)
            .filter(|path| !same(path))
            .cloned()
            .collect(),
        tier_raised: raised.filter(|(was, becomes)| becomes > was),
    })
}
