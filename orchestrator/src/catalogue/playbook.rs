//! The two files of an entry, the playbook and its metadata: what they are called, what makes a file a playbook, and what
//! is wrong with a file that looks like one of them and leads to no entry.

use std::collections::BTreeSet;

use chiffon_common::api::BrokenFile;

use super::{
    roles::broken,
    tree::Tree,
    yaml::{Fault, Node},
};

/// How the name of metadata ends.
pub(super) const METADATA: &str = ".chiffon.yml";

/// The file that says what Chiffon has to know of a playbook: beside it, with its name.
pub(super) fn metadata_of(playbook: &str) -> String {
    let stem = playbook.rsplit_once('.').map_or(playbook, |(stem, _)| stem);
    format!("{stem}{METADATA}")
}

/// Why a file leads to no entry, where somebody surely meant it to: metadata without its playbook, or a name that nobody
/// looks for. `known` are the playbooks of a repository, by their paths.
pub(super) fn stray(tree: &Tree, known: &BTreeSet<&str>, path: &str) -> Option<BrokenFile> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let fault = |reason: String| Some(broken(path, Fault::whole(reason)));
    if let Some(stem) = path.strip_suffix(".chiffon.yaml") {
        let stem = stem.rsplit('/').next().unwrap_or_default();
        return fault(format!(
            "metadata of this name is not read: call it {stem}{METADATA}"
        ));
    }
    if let Some(stem) = path.strip_suffix(METADATA) {
        let playbooks = match tree.whole {
            true => vec![format!("{stem}.yml"), format!("{stem}.yaml")],
            false => vec![format!("{stem}.yml")],
        };
        let there = tree.first(playbooks.iter().map(String::as_str));
        let stem = stem.rsplit('/').next().unwrap_or_default();
        return match there {
            None => fault(format!("there is no playbook {stem}.yml for it")),
            Some(playbook) if tree.whole && !known.contains(playbook) => fault(format!(
                "{playbook} is no playbook that is read: it is no list of plays, or lies in a folder of roles, inventories \
                 or the like"
            )),
            Some(_) => None,
        };
    }
    match name.strip_suffix(".yaml") {
        Some(stem) if !tree.whole => fault(format!(
            "a playbook of this name is not read: call it {stem}.yml"
        )),
        _ => None,
    }
}

/// The name of the first play; a file that is no list of plays is no playbook.
pub(super) fn play_name(node: &Node) -> Result<Option<String>, Fault> {
    let is_play = |item: &Node| {
        let keys = [
            "hosts",
            "import_playbook",
            "ansible.builtin.import_playbook",
        ];
        keys.iter().any(|key| item.get(key).is_some())
    };
    let plays = node.list().unwrap_or_default();
    match plays.iter().find(|play| !is_play(play)) {
        Some(stranger) => Err(Fault::at(stranger.line, "is no play: it names no hosts")),
        None if plays.is_empty() => Err(Fault::at(node.line, "is no list of plays")),
        None => {
            let name = plays[0].get("name").and_then(Node::text);
            Ok(name.map(|name| name.trim().to_owned()))
        }
    }
}
