//! The modules: those of ansible-core from a table, those that a catalogue brings from what they say of
//! themselves.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{
    super::{tree::Tree, yaml},
    lookups::builtin,
};
use chiffon_common::Fidelity;

const TABLE: &str = include_str!("modules.tsv");

static BUILTIN: LazyLock<Vec<Module>> = LazyLock::new(|| TABLE.lines().filter_map(row).collect());

/// What a module does to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Reads,
    /// Nothing, but it steers the play.
    Flow,
    /// Whatever it is given.
    Runs,
    Changes,
}

/// A module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module {
    name: &'static str,
    pub(super) kind: Kind,
    /// What a check run is worth for it.
    pub(super) worth: Fidelity,
}

fn row(line: &'static str) -> Option<Module> {
    let line = line.split('#').next()?;
    let mut columns = line.split('\t');
    let mut next = || columns.next().filter(|text| !text.is_empty());
    let name = next()?;
    // What the documentation says stands in the table for the test that holds it against a real Ansible.
    next()?;
    Some(Module {
        name,
        kind: match next()? {
            "reads" => Kind::Reads,
            "flow" => Kind::Flow,
            "runs" => Kind::Runs,
            _ => Kind::Changes,
        },
        worth: match next()? {
            "exact" => Fidelity::Exact,
            "simulated" => Fidelity::Simulated,
            _ => Fidelity::Blind,
        },
    })
}

/// What is known of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Of ansible-core.
    Builtin(Module),
    /// The catalogue brings it, and says this of it.
    Own(Kind, Fidelity),
    /// Neither.
    Unknown,
}

/// Finds a module. A short name means one of the catalogue's own before one of ansible-core.
pub(super) fn find(name: &str, tree: &Tree, files: &BTreeSet<String>) -> Known {
    if !name.starts_with("ansible.builtin.")
        && let Some(path) = own(name, files)
    {
        return described(name, path, tree);
    }
    let short = builtin(name);
    let known = BUILTIN.iter().find(|module| module.name == short);
    known.map_or(Known::Unknown, |module| Known::Builtin(*module))
}

/// The file of a module that the catalogue brings.
fn own<'f>(name: &str, files: &'f BTreeSet<String>) -> Option<&'f String> {
    let parts: Vec<&str> = name.split('.').collect();
    let collection = match parts[..] {
        [namespace, collection, module] => Some(format!(
            "collections/ansible_collections/{namespace}/{collection}/plugins/modules/{module}"
        )),
        _ => None,
    };
    let short = builtin(name);
    let is_it = |path: &&String| {
        let stem = path
            .rsplit_once('.')
            .map_or(path.as_str(), |(stem, _)| stem);
        let whole = path.as_str();
        match &collection {
            Some(wanted) if !name.starts_with("ansible.") => stem == wanted || whole == wanted,
            _ => {
                let below = |path: &str| {
                    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
                    file == short && folder.split('/').any(|part| part == "library")
                };
                below(stem) || below(whole)
            }
        }
    };
    files.iter().find(is_it)
}

/// What the documentation within the file says. Its own word, so never `exact`.
fn described(name: &str, path: &str, tree: &Tree) -> Known {
    let content = tree.files.get(path).map(|file| &*file.content);
    let text = content.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let documentation = text.and_then(documentation);
    let support = documentation.and_then(|node| {
        let check = node.get("attributes")?.get("check_mode")?;
        check.get("support")?.text().map(str::to_owned)
    });
    let reads = name.ends_with("_info") || name.ends_with("_facts");
    let kind = if reads { Kind::Reads } else { Kind::Changes };
    match support.as_deref() {
        Some("full" | "partial") => Known::Own(kind, Fidelity::Simulated),
        _ => Known::Own(Kind::Changes, Fidelity::Blind),
    }
}

/// The YAML of `DOCUMENTATION = r'''...'''`.
fn documentation(text: &str) -> Option<yaml::Node> {
    let (_, rest) = text.split_once("DOCUMENTATION")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let rest = rest.trim_start_matches(['r', 'u']);
    let quote = ["'''", "\"\"\""]
        .into_iter()
        .find(|q| rest.starts_with(*q))?;
    let (block, _) = rest[quote.len()..].split_once(quote)?;
    yaml::parse(block).ok()
}
