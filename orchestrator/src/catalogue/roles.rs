//! What a playbook needs of its tree: the roles it uses, directly and through dependencies, and the files
//! beside it that it names.
//!
//! Literal names only. Where a role is named by a template nobody can say which one it will be, so all
//! roles come along.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::api::BrokenFile;

use super::{
    mentions::{self, Mention},
    tree::{Tree, is_read_at_top, joined},
    yaml::{Fault, Node, Value},
};

const MAX_YAML_DEPTH: usize = 64;

/// Keys of a role within a play's `roles:` that are no variables of it.
const ROLE_KEYWORDS: [&str; 10] = [
    "role",
    "name",
    "vars",
    "when",
    "tags",
    "become",
    "become_user",
    "become_method",
    "environment",
    "delegate_to",
];

/// What one YAML file names.
#[derive(Debug, Default, Clone)]
struct Named {
    /// Roles by name, with the variables that the place fixes.
    roles: Vec<(String, BTreeSet<String>)>,
    /// A role is named by a template.
    any_role: bool,
    /// Texts that may be paths of files beside the playbook.
    texts: BTreeSet<String>,
    /// Folders in which a file lies whose name is found only by the run.
    folders: BTreeSet<String>,
}

/// What a playbook needs.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Folders of the roles that the playbook itself uses, with the variables it fixes for them.
    pub(super) direct: Vec<(String, BTreeSet<String>)>,
    /// Files of the tree, the playbook among them.
    pub(super) files: BTreeSet<String>,
    /// Of the files, those that the playbook leads to by name: the others only lie where Ansible would look.
    pub(super) reached: BTreeSet<String>,
    /// Of the files, those that a path from `playbook_dir` or `role_path` leads to, which may be templates wherever they
    /// lie.
    pub(super) mentioned: BTreeSet<String>,
}

/// A fault in one file of the tree.
pub(super) fn broken(file: &str, fault: Fault) -> BrokenFile {
    BrokenFile {
        file: file.to_owned(),
        line: fault.line,
        reason: fault.reason,
    }
}

/// Reads what the files of a tree name; each file is read once, however many entries use it.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    tree: &'t Tree,
    read: BTreeMap<String, Result<Named, BrokenFile>>,
    folders: BTreeMap<String, Result<Vec<String>, BrokenFile>>,
    /// What Ansible picks up for the playbooks of a folder.
    support: BTreeMap<String, Vec<String>>,
    mentions: BTreeMap<String, Vec<Mention>>,
    /// Every role of the tree.
    all: Option<Vec<String>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            read: BTreeMap::new(),
            folders: BTreeMap::new(),
            support: BTreeMap::new(),
            mentions: BTreeMap::new(),
            all: None,
        }
    }

    /// What a playbook needs. An error names the one file that makes it unusable.
    pub(super) fn needs(&mut self, playbook: &str) -> Result<Needs, BrokenFile> {
        let mut needs = Needs::default();
        let mut roles: BTreeSet<String> = BTreeSet::new();
        let mut any_role = false;
        let mut folders_of: Vec<(String, String)> = Vec::new();
        let mut files = vec![playbook.to_owned()];
        while let Some(file) = files.pop() {
            if !needs.files.insert(file.clone()) {
                continue;
            }
            if let Some(reason) = self.tree.refused.get(&file) {
                return Err(broken(&file, Fault::whole(reason.as_str())));
            }
            if !is_yaml(&file) {
                continue;
            }
            let named = self.named(&file)?;
            let folders = named.folders.iter();
            folders_of.extend(folders.map(|folder| (file.clone(), folder.clone())));
            any_role |= named.any_role;
            for (role, fixed) in named.roles {
                let folder = self.role_folder(&file, &role)?;
                roles.insert(folder.clone());
                if !needs.direct.iter().any(|(known, _)| *known == folder) {
                    needs.direct.push((folder, fixed));
                }
            }
            files.extend(
                named
                    .texts
                    .iter()
                    .filter_map(|text| self.beside(&file, text)),
            );
        }
        if any_role {
            roles.extend(self.all_roles());
        }
        self.add_roles(roles, &mut needs)?;
        for (file, folder) in folders_of {
            let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let folder = joined(beside, &folder).filter(|folder| !folder.is_empty());
            let below = folder.iter().flat_map(|folder| self.tree.below(folder));
            needs.files.extend(below.map(str::to_owned));
        }
        needs.reached.clone_from(&needs.files);
        match self.tree.whole {
            true => self.add_support_of(playbook, &mut needs),
            false => self.add_support(&mut needs)?,
        }
        self.add_mentioned(playbook, &mut needs)?;
        Ok(needs)
    }

    /// Files that a path from `playbook_dir` or `role_path` means, and those that such a file leads to in turn.
    fn add_mentioned(&mut self, playbook: &str, needs: &mut Needs) -> Result<(), BrokenFile> {
        let tree = self.tree;
        let mut waiting: Vec<String> = needs.files.iter().cloned().collect();
        while let Some(file) = waiting.pop() {
            // What Ansible's own modules and plugins call so is not a playbook's word.
            if file.starts_with("collections/") || file.ends_with(".py") || file.ends_with(".md") {
                continue;
            }
            let Some(known) = tree.files.get(&file) else {
                continue;
            };
            let role = self.role_of(&file);
            let read = || mentions::mentions(&known.content);
            let found = self.mentions.entry(file.clone()).or_insert_with(read);
            if found.is_empty() {
                continue;
            }
            let meant = mentions::meant(tree, found, playbook, &file, role.as_deref());
            let meant = meant.map_err(|fault| broken(&file, fault))?;
            for path in &meant.named {
                if let Some(reason) = tree.refused.get(path) {
                    return Err(broken(path, Fault::whole(reason.as_str())));
                }
            }
            let texts = meant.possible.iter().filter(|path| !is_yaml(path));
            needs
                .mentioned
                .extend(meant.named.iter().chain(texts).cloned());
            for path in meant.named.into_iter().chain(meant.possible) {
                if needs.files.insert(path.clone()) {
                    waiting.push(path);
                }
            }
        }
        Ok(())
    }

    /// The roles with all that they lead to.
    fn add_roles(&mut self, roles: BTreeSet<String>, needs: &mut Needs) -> Result<(), BrokenFile> {
        let mut waiting: Vec<String> = roles.into_iter().collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some(folder) = waiting.pop() {
            if !seen.insert(folder.clone()) {
                continue;
            }
            for file in self.folder(&folder)? {
                if names_roles(&file, &folder) {
                    let named = self.named(&file)?;
                    if named.any_role {
                        waiting.extend(self.all_roles());
                    }
                    for (role, _) in named.roles {
                        waiting.push(self.role_folder(&file, &role)?);
                    }
                }
                needs.files.insert(file);
            }
        }
        Ok(())
    }

    /// The folder of the role that a file lies in.
    fn role_of(&self, file: &str) -> Option<String> {
        let folders = ["playbooks/roles", "roles"].into_iter();
        let mut folders = folders.chain(self.tree.role_folders.iter().map(String::as_str));
        folders.find_map(|folder| {
            let rest = file.strip_prefix(folder)?.strip_prefix('/')?;
            let (name, _) = rest.split_once('/')?;
            Some(format!("{folder}/{name}"))
        })
    }

    /// What Ansible picks up by itself, without being named.
    fn add_support(&mut self, needs: &mut Needs) -> Result<(), BrokenFile> {
        let tree = self.tree;
        let paths = tree.files.keys().chain(tree.refused.keys());
        let folders: BTreeSet<String> = paths.filter_map(|path| support_folder(path)).collect();
        for folder in folders {
            needs.files.extend(self.folder(&folder)?);
        }
        Ok(())
    }

    /// The same in a repository, where much else may lie: only what Ansible knows by name, at the top and beside the
    /// playbook. What of it was left out is no fault of the entry before it is named.
    fn add_support_of(&mut self, playbook: &str, needs: &mut Needs) {
        let beside = playbook.rsplit_once('/').map_or("", |(folder, _)| folder);
        let known = |path: &&String| {
            let rest = match beside {
                "" => path.as_str(),
                beside => path
                    .strip_prefix(beside)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .unwrap_or(path),
            };
            let rest = rest.strip_prefix("inventory/").unwrap_or(rest);
            let first = rest.split('/').next().unwrap_or_default();
            first.len() < rest.len()
                && !["playbooks", "roles"].contains(&first)
                && is_read_at_top(first)
        };
        let list = || self.tree.files.keys().filter(known).cloned().collect();
        let files = self.support.entry(beside.to_owned()).or_insert_with(list);
        needs.files.extend(files.iter().cloned());
    }

    /// All files of a folder, or the one that could not be read.
    fn folder(&mut self, folder: &str) -> Result<Vec<String>, BrokenFile> {
        let tree = self.tree;
        let list = || {
            let prefix = format!("{folder}/");
            let mut refused = tree.refused.range(folder.to_owned()..);
            match refused.next() {
                Some((path, reason)) if path == folder || path.starts_with(&prefix) => {
                    Err(broken(path, Fault::whole(reason.as_str())))
                }
                _ => Ok(tree.below(folder).map(str::to_owned).collect()),
            }
        };
        let known = self.folders.entry(folder.to_owned());
        known.or_insert_with(list).clone()
    }

    fn named(&mut self, file: &str) -> Result<Named, BrokenFile> {
        if let Some(known) = self.read.get(file) {
            return known.clone();
        }
        let read = self.tree.yaml(file);
        let named = read
            .map(|node| {
                let mut named = Named::default();
                collect(
                    &node,
                    file.ends_with("/meta/main.yml") || file.ends_with("/meta/main.yaml"),
                    0,
                    &mut named,
                );
                named
            })
            .map_err(|fault| broken(file, fault));
        self.read.insert(file.to_owned(), named.clone());
        named
    }

    fn role_folder(&self, from: &str, role: &str) -> Result<String, BrokenFile> {
        let is_there =
            |place: &String| self.tree.below(place).next().is_some() || self.is_refused(place);
        let found = role_places(self.tree, role).into_iter().find(is_there);
        found.ok_or_else(|| {
            let of_collection = role.rsplit_once('.').filter(|(of, _)| of.contains('.'));
            let reason = match self.tree.whole {
                true => match of_collection {
                    Some((collection, _)) => format!(
                        "the role {role:?} is not in the repository; put its collection there: ansible-galaxy collection install {collection} -p collections"
                    ),
                    None => format!(
                        "the role {role:?} is not in the repository; put it there: ansible-galaxy install {role} -p roles"
                    ),
                },
                false => format!("the role {role:?} is not in this catalogue folder"),
            };
            broken(from, Fault::whole(reason))
        })
    }

    fn is_refused(&self, place: &str) -> bool {
        let prefix = format!("{place}/");
        let first = self.tree.refused.range(place.to_owned()..).next();
        first.is_some_and(|(path, _)| path == place || path.starts_with(&prefix))
    }

    fn all_roles(&mut self) -> Vec<String> {
        if let Some(known) = &self.all {
            return known.clone();
        }
        let role = |path: &String| {
            let folders = ["playbooks/roles", "roles"].into_iter();
            let mut folders = folders.chain(self.tree.role_folders.iter().map(String::as_str));
            folders.find_map(|folder| {
                let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
                Some(format!("{folder}/{}", rest.split('/').next()?))
            })
        };
        let roles: BTreeSet<String> = self.tree.files.keys().filter_map(role).collect();
        let roles: Vec<String> = roles.into_iter().collect();
        self.all = Some(roles.clone());
        roles
    }

    /// The file that a text means, seen from the file it stands in.
    fn beside(&self, from: &str, text: &str) -> Option<String> {
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = joined(folder, text)?;
        self.tree.first([path.as_str()]).map(str::to_owned)
    }
}

/// Where a role of this name may lie, in the order in which they count.
pub(super) fn role_places(tree: &Tree, role: &str) -> Vec<String> {
    let parts: Vec<&str> = role.split('.').collect();
    let mut places = vec![format!("playbooks/roles/{role}"), format!("roles/{role}")];
    let others = tree.role_folders.iter();
    places.extend(others.map(|folder| format!("{folder}/{role}")));
    if let [namespace, collection, name] = parts[..] {
        places.push(format!(
            "collections/ansible_collections/{namespace}/{collection}/roles/{name}"
        ));
    }
    places
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

/// Files of a role in which tasks and dependencies stand; `argument_specs` and data are not among them.
fn names_roles(file: &str, folder: &str) -> bool {
    let within = file.strip_prefix(folder).unwrap_or_default();
    let has_tasks = within.starts_with("/tasks/") || within.starts_with("/handlers/");
    is_yaml(file) && (has_tasks || within.starts_with("/meta/main."))
}

/// The folder of a path that Ansible reads without being told, or that a playbook reaches by a template.
fn support_folder(path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let first = parts.next()?;
    if first == "roles" {
        return None;
    }
    if first != "playbooks" {
        return Some(first.to_owned());
    }
    let second = parts.next()?;
    let is_folder = parts.next().is_some();
    (is_folder && second != "roles").then(|| format!("playbooks/{second}"))
}

fn collect(node: &Node, is_meta: bool, depth: usize, named: &mut Named) {
    if depth > MAX_YAML_DEPTH {
        return;
    }
    match &node.value {
        Value::Text(text) if text.len() < 256 && !text.contains(char::is_whitespace) => {
            named.texts.insert(text.clone());
        }
        Value::Text(text) if text.len() < 256 && text.contains("{{") => {
            let before = text.split("{{").next().unwrap_or_default();
            let folder = before.rsplit_once('/').map(|(folder, _)| folder);
            let plain = |folder: &&str| !folder.is_empty() && !folder.contains(char::is_whitespace);
            let folder = folder.filter(plain).filter(|_| !before.contains(':'));
            named.folders.extend(folder.map(str::to_owned));
        }
        Value::List(items) => {
            for item in items {
                collect(item, is_meta, depth + 1, named);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let word = key
                    .text
                    .strip_prefix("ansible.builtin.")
                    .unwrap_or(&key.text);
                match word {
                    "include_role" | "import_role" => task_role(node, value, named),
                    "roles" => listed_roles(value, named),
                    "dependencies" if is_meta => listed_roles(value, named),
                    _ => collect(value, is_meta, depth + 1, named),
                }
            }
        }
        _ => {}
    }
}

/// `include_role: {name: x}` or `include_role: name=x`.
fn task_role(task: &Node, value: &Node, named: &mut Named) {
    let short = value.text().and_then(|text| {
        let mut words = text.split_whitespace();
        words.find_map(|word| word.strip_prefix("name="))
    });
    let name = value.get("name").and_then(Node::text).or(short);
    named.role(name, keys(task.get("vars")));
}

/// `roles:` of a play, `dependencies:` of a role.
fn listed_roles(list: &Node, named: &mut Named) {
    for item in list.list().unwrap_or_default() {
        let name = item.text().or_else(|| {
            let role = item.get("role").or_else(|| item.get("name"));
            role.and_then(Node::text)
        });
        let mut fixed = keys(item.get("vars"));
        fixed.extend(keys(Some(item)));
        named.role(name, fixed);
    }
}

fn keys(node: Option<&Node>) -> BTreeSet<String> {
    let entries = node.and_then(Node::map).unwrap_or_default();
    let names = entries.iter().map(|(key, _)| key.text.clone());
    names
        .filter(|name| !ROLE_KEYWORDS.contains(&name.as_str()))
        .collect()
}

impl Named {
    fn role(&mut self, name: Option<&str>, fixed: BTreeSet<String>) {
        match name {
            Some(name) if !name.contains("{{") && is_plain(name) => {
                self.roles.push((name.to_owned(), fixed));
            }
            _ => self.any_role = true,
        }
    }
}

/// A role name is one path segment; anything else is no role of this tree.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}
