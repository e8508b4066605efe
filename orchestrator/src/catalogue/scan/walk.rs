//! The way through a playbook: its files, roles, blocks and includes, each once for each set of words that
//! are in force there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chiffon_common::{Fidelity, Tier};

use super::{
    Scanner,
    files::{Place, is_yaml},
    findings::{Finding, Findings},
    scope::{Check, Scope},
};
use crate::catalogue::{roles::role_places, tree::Tree, yaml::Node};

/// Files that are walked, counted once for each set of words; includes may multiply.
const MAX_WALKED: usize = 2_000;
/// Tasks that are judged.
const MAX_TASKS: usize = 20_000;
/// How deep includes, roles and blocks may lie within one another.
const MAX_DEPTH: usize = 48;

/// What a role folder holds beside tasks that Ansible reads as templates or variables.
/// `meta` holds `argument_specs`, which Ansible templates when it validates the arguments of a role.
const ROLE_TEXTS: [&str; 5] = ["defaults", "vars", "meta", "templates", "files"];
/// The same beside the playbooks and at the top.
const TEXTS: [&str; 5] = ["group_vars", "host_vars", "vars", "templates", "files"];

/// Where the walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) file: &'a str,
    pub(super) role: Option<&'a str>,
    pub(super) depth: usize,
}

/// A file, the role it is read for, and the words in force.
type Visit = (String, Option<String>, (Check, [bool; 4]));

/// The walk through one entry.
#[derive(Debug)]
pub(super) struct Walk<'s, 't> {
    pub(super) scanner: &'s mut Scanner<'t>,
    pub(super) files: &'s BTreeSet<String>,
    playbook: &'s str,
    pub(super) findings: Findings,
    walked: BTreeSet<Visit>,
    roles: BTreeSet<String>,
    read: BTreeSet<String>,
    tasks: usize,
    /// The first code that lies elsewhere.
    pub(super) outside: Option<Finding>,
    /// Tasks seen that change something.
    pub(super) changing: usize,
}

impl<'s, 't> Walk<'s, 't> {
    pub(super) fn new(
        scanner: &'s mut Scanner<'t>,
        playbook: &'s str,
        files: &'s BTreeSet<String>,
    ) -> Self {
        Self {
            scanner,
            files,
            playbook,
            findings: Findings::new(),
            walked: BTreeSet::new(),
            roles: BTreeSet::new(),
            read: BTreeSet::new(),
            tasks: 0,
            outside: None,
            changing: 0,
        }
    }

    pub(super) fn tree(&self) -> &'t Tree {
        self.scanner.tree
    }

    pub(super) fn place<'h>(&self, here: Here<'h>) -> Place<'h>
    where
        's: 'h,
    {
        Place {
            file: here.file,
            role: here.role,
            playbook: self.playbook,
        }
    }

    pub(super) fn say(&mut self, fidelity: Fidelity, here: Here<'_>, line: u32, what: String) {
        self.findings
            .add(Finding::new(fidelity, here.file, line, what));
    }

    /// What cannot be followed is not seen.
    pub(super) fn blind(&mut self, here: Here<'_>, line: u32, what: &str) {
        self.say(
            Fidelity::Blind,
            here,
            line,
            super::text::shortened(what.to_owned()),
        );
    }

    /// Code that cannot be seen could be anything, so it counts as dangerous.
    pub(super) fn unseen(&mut self, here: Here<'_>, line: u32, what: &str) {
        let what = super::text::shortened(what.to_owned());
        let found = Finding::new(Fidelity::Blind, here.file, line, what);
        self.findings.add(found.raising(Tier::Two));
    }

    /// Code under a name that leads out of the folder is in no digest, so the entry cannot be approved at all.
    pub(super) fn outside(&mut self, here: Here<'_>, line: u32, name: &str) {
        let what = format!(
            "`{name}` leads out of the folder: what lies there is not in what is approved, so keep the file beside the playbook"
        );
        let what = super::text::shortened(what);
        self.unseen(here, line, &what);
        let found = Finding::new(Fidelity::Blind, here.file, line, what);
        self.outside.get_or_insert(found);
    }

    /// A file to be walked now, unless it was with these words. What is too much or no YAML is said.
    pub(super) fn enter(&mut self, here: Here<'_>, scope: &Scope) -> Option<Arc<Node>> {
        let role = here.role.map(str::to_owned);
        if !self
            .walked
            .insert((here.file.to_owned(), role, scope.mark()))
        {
            return None;
        }
        if self.walked.len() > MAX_WALKED || here.depth > MAX_DEPTH {
            self.unseen(here, 0, "leads to more files than the scan reads");
            return None;
        }
        self.read.insert(here.file.to_owned());
        let node = self.scanner.node(here.file);
        if node.is_none() {
            self.unseen(here, 0, "cannot be read as YAML");
        }
        node
    }

    /// A playbook, with those that it imports.
    pub(super) fn playbook(&mut self, path: &str) {
        let here = Here {
            file: path,
            role: None,
            depth: 0,
        };
        self.plays(here, &Scope::outermost());
    }

    /// The tasks of a list.
    pub(super) fn tasks(&mut self, here: Here<'_>, list: &Node, scope: &Scope) {
        let Some(items) = list.list() else {
            if list.map() != Some(&[]) {
                self.unseen(here, list.line, "is no list of tasks");
            }
            return;
        };
        if here.depth > MAX_DEPTH {
            return self.unseen(here, list.line, "lies deeper than the scan reads");
        }
        for item in items {
            self.tasks += 1;
            if self.tasks > MAX_TASKS {
                return self.unseen(here, item.line, "leads to more tasks than the scan reads");
            }
            self.task(here, item, scope);
        }
    }

    /// A file of tasks.
    pub(super) fn task_file(&mut self, from: Here<'_>, file: &str, scope: &Scope) {
        let here = Here {
            file,
            depth: from.depth + 1,
            ..from
        };
        if let Some(node) = self.enter(here, scope) {
            self.tasks(here, &node, scope);
        }
    }

    /// A role by its name, with its dependencies and handlers.
    pub(super) fn role(
        &mut self,
        from: Here<'_>,
        line: u32,
        name: &str,
        parts: &BTreeMap<&str, &str>,
        scope: &Scope,
    ) {
        let folder = role_places(self.tree(), name).into_iter().find(|place| {
            let prefix = format!("{place}/");
            let mut below = self.files.range(prefix.clone()..);
            below.next().is_some_and(|file| file.starts_with(&prefix))
        });
        let Some(folder) = folder else {
            return self.unseen(from, line, &format!("the role `{name}` cannot be read"));
        };
        let here = Here {
            role: Some(&folder),
            depth: from.depth + 1,
            ..from
        };
        self.roles.insert(folder.clone());
        let scope = &self.dependencies(here, &folder, scope);
        for kind in ["tasks", "handlers"] {
            let wanted = parts.get(kind);
            let stem = format!("{folder}/{kind}/{}", wanted.unwrap_or(&"main"));
            let endings = ["", ".yml", ".yaml"].map(|ending| format!("{stem}{ending}"));
            match endings.iter().find(|path| self.files.contains(*path)) {
                Some(path) => self.task_file(here, path, scope),
                None if wanted.is_some() => {
                    self.unseen(
                        from,
                        line,
                        &format!("the role `{name}` has no {kind} of that name"),
                    );
                }
                None => {}
            }
        }
    }

    /// The roles that a role stands on, and the words that it says of all its tasks.
    fn dependencies(&mut self, here: Here<'_>, folder: &str, scope: &Scope) -> Scope {
        let metas = ["yml", "yaml"].map(|ending| format!("{folder}/meta/main.{ending}"));
        let Some(meta) = metas.into_iter().find(|path| self.files.contains(path)) else {
            return scope.clone();
        };
        let here = Here {
            file: &meta,
            ..here
        };
        let Some(node) = self.scanner.node(here.file) else {
            self.unseen(here, 0, "cannot be read as YAML");
            return scope.clone();
        };
        let said = scope.within(here.file, &node, &mut self.findings);
        if let Some(list) = node.get("dependencies")
            && self.enter(here, scope).is_some()
        {
            self.roles_of(here, list, scope);
        }
        said
    }

    /// Templates in what was walked and in what lies beside it; code of the catalogue's own.
    pub(super) fn surroundings(&mut self, mentioned: &BTreeSet<String>) {
        let read = self.read.iter().chain(mentioned);
        let mut files: BTreeSet<&str> = read.map(String::as_str).collect();
        for file in self.files {
            let is_text = match self.roles.iter().find_map(|role| within(file, role)) {
                Some(inside) => ROLE_TEXTS
                    .iter()
                    .any(|folder| within(inside, folder).is_some()),
                None => {
                    let file = file.strip_prefix("playbooks/").unwrap_or(file);
                    TEXTS.iter().any(|folder| within(file, folder).is_some())
                }
            };
            if is_text {
                files.insert(file);
            }
            if is_own_code(file) {
                let what = "is code that Ansible loads and nobody can read beforehand";
                let found = Finding::new(Fidelity::Blind, file, 0, what);
                self.findings.add(found.raising(Tier::Two));
            }
        }
        for file in files {
            // Scripts and other files that hold no template are not YAML either, and cost nothing.
            for found in self.scanner.texts(file).iter() {
                self.findings.add(found.clone());
            }
        }
    }
}

/// The rest of a path below a folder.
fn within<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// Plugins and utilities of modules: they change what Ansible itself does.
pub(super) fn is_own_code(path: &str) -> bool {
    let in_collection = path.starts_with("collections/");
    let is_folder = |part: &str| part.ends_with("_plugins") || part == "module_utils";
    let mut folders = path.split('/').rev().skip(1);
    !in_collection && !is_yaml(path) && folders.any(is_folder)
}
