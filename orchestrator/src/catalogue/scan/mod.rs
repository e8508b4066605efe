//! The scan: what a check run of an entry is worth, found by reading its playbook with everything that it
//! leads to (DESIGN section 4.4, S9). docs/preview.md holds the rules for people.
//!
//! It can lower what the metadata says of itself and raise the tier, and says at which line why. It is
//! deterministic and bounded, and where it cannot follow it says `blind`: a step is run in check mode before
//! anybody has approved it only where the scan has seen all of it. It reads honest playbooks; it is no
//! sandbox for hostile ones.

mod files;
mod findings;
mod judge;
mod lookups;
mod modules;
mod plays;
mod scope;
mod task;
mod text;
mod walk;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use chiffon_common::{Fidelity, Tier, api::BrokenFile};

use self::{findings::Finding, walk::Walk};
use super::{tree::Tree, yaml::Node};

/// Findings that are kept of one entry, the gravest first.
const MAX_FINDINGS: usize = 64;

/// What the scan of an entry found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// What a check run is worth at best.
    pub(super) fidelity: Fidelity,
    /// The lowest tier that what was seen allows.
    pub(super) tier: Tier,
    /// The gravest first.
    findings: Vec<Finding>,
    /// Code that lies elsewhere, which nobody can approve.
    pub(super) outside: Option<BrokenFile>,
}

impl Scan {
    /// Why the fidelity is what it is, the gravest first, each `file:line: reason`.
    pub(super) fn lowered_by(&self) -> Vec<String> {
        let lowering = self.findings.iter();
        lowering
            .filter(|found| found.fidelity > Fidelity::Exact)
            .map(Finding::to_string)
            .collect()
    }

    /// Why the tier is at least this one.
    pub(super) fn raised_by(&self) -> Vec<String> {
        let raising = self.findings.iter().filter(|found| found.tier == self.tier);
        match self.tier {
            Tier::Zero => Vec::new(),
            _ => raising.map(Finding::to_string).collect(),
        }
    }
}

/// What a check run is worth at best beside the templates in a variable that comes from elsewhere, and why, each
/// `file:line: reason`.
pub(crate) fn of_variable(file: &str, name: &str, value: &Node) -> Vec<(Fidelity, String)> {
    let found = text::of_node(file, value).into_iter();
    found
        .map(|found| (found.fidelity, found.within(name).to_string()))
        .collect()
}

/// The first of these files that Ansible would load as code of its own: a module, a plugin, or what they import.
pub(super) fn own_code(files: &BTreeSet<String>) -> Option<&String> {
    files.iter().find(|path| {
        let mut folders = path.split('/').rev().skip(1);
        let in_collection = path.starts_with("collections/") && path.contains("/plugins/");
        in_collection || walk::is_own_code(path) || folders.any(|part| part == "library")
    })
}

/// Scans the entries of one tree; each file is read once, however many entries use it.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    tree: &'t Tree,
    texts: BTreeMap<String, Rc<Vec<Finding>>>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            texts: BTreeMap::new(),
        }
    }

    /// Scans a playbook that is given these files of the tree; `mentioned` may be templates wherever they lie.
    pub(super) fn scan(
        &mut self,
        playbook: &str,
        files: &BTreeSet<String>,
        mentioned: &BTreeSet<String>,
    ) -> Scan {
        let mut walk = Walk::new(self, playbook, files);
        walk.playbook(playbook);
        walk.surroundings(mentioned);
        let outside = walk.outside.map(Finding::into_broken);
        let mut findings = walk.findings.into_sorted();
        let fidelity = findings.first().map_or(Fidelity::Exact, |f| f.fidelity);
        let tier = findings.iter().map(|f| f.tier).max().unwrap_or(Tier::Zero);
        // The reason of the tier must not fall to the bound.
        let raising = findings.iter().position(|found| found.tier == tier);
        if let Some(at) = raising.filter(|at| *at >= MAX_FINDINGS) {
            findings.swap(at, MAX_FINDINGS - 1);
        }
        findings.truncate(MAX_FINDINGS);
        Scan {
            fidelity,
            tier,
            findings,
            outside,
        }
    }

    /// A YAML file, parsed; nothing where it is none.
    fn node(&self, path: &str) -> Option<Arc<Node>> {
        self.tree.yaml(path).ok()
    }

    /// What the templates within a file would do.
    fn texts(&mut self, path: &str) -> Rc<Vec<Finding>> {
        if let Some(known) = self.texts.get(path) {
            return Rc::clone(known);
        }
        let node = files::is_yaml(path).then(|| self.node(path)).flatten();
        let found = match (node, self.tree.files.get(path)) {
            (Some(node), _) => text::of_node(path, &node),
            (None, Some(file)) => text::of_bytes(path, &file.content),
            (None, None) => Vec::new(),
        };
        let found = Rc::new(found);
        self.texts.insert(path.to_owned(), Rc::clone(&found));
        found
    }
}
