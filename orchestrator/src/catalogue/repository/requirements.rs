//! What `requirements.yml` says of roles and collections that a repository does not hold. Fetching them is left to
//! the person: nothing is downloaded at run time (S7).

use std::collections::BTreeSet;

use crate::catalogue::{
    roles::role_places,
    tree::Tree,
    yaml::{Fault, Node},
};

/// Where Ansible looks for them.
const PLACES: [&str; 6] = [
    "requirements.yml",
    "requirements.yaml",
    "roles/requirements.yml",
    "roles/requirements.yaml",
    "collections/requirements.yml",
    "collections/requirements.yaml",
];

/// What a repository requires and does not hold.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) roles: Vec<String>,
    pub(super) collections: Vec<String>,
    /// Files that cannot be read.
    pub(super) faults: Vec<(String, Fault)>,
}

impl Missing {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut missing = Self::default();
        for place in PLACES {
            if tree.first([place]).is_none() {
                continue;
            }
            match tree.yaml(place) {
                Ok(node) => missing.read(tree, &node, place.starts_with("collections/")),
                Err(fault) => missing.faults.push((place.to_owned(), fault)),
            }
        }
        missing.used(tree);
        for names in [&mut missing.roles, &mut missing.collections] {
            names.sort();
            names.dedup();
        }
        missing
    }

    /// What playbooks and task files name by its whole name, whether it is declared or not.
    fn used(&mut self, tree: &Tree) {
        let variables = [
            "group_vars/",
            "host_vars/",
            "vars/",
            "defaults/",
            "molecule/",
        ];
        let is_read = |path: &&String| {
            let ending = [".yml", ".yaml"].iter().any(|end| path.ends_with(end));
            ending && !variables.iter().any(|part| path.contains(part))
        };
        let mut found = BTreeSet::new();
        for path in tree.files.keys().filter(is_read) {
            // What cannot be read is named where it is needed.
            if let Ok(node) = tree.yaml(path) {
                collections_of(&node, &mut found);
            }
        }
        let missing = found.into_iter().filter(|name| !holds(tree, name));
        self.collections.extend(missing);
    }

    fn read(&mut self, tree: &Tree, node: &Node, collections: bool) {
        if let Some(list) = node.list() {
            return match collections {
                true => self.collections(tree, list),
                false => self.roles(tree, list),
            };
        }
        let list = |key| node.get(key).and_then(Node::list).unwrap_or_default();
        self.roles(tree, list("roles"));
        self.collections(tree, list("collections"));
    }

    fn roles(&mut self, tree: &Tree, list: &[Node]) {
        for item in list {
            let Some(name) = name(item, &["name", "role", "src"]) else {
                continue;
            };
            let mut places = role_places(tree, &name).into_iter();
            if !places.any(|place| tree.below(&place).next().is_some()) {
                self.roles.push(name);
            }
        }
    }

    fn collections(&mut self, tree: &Tree, list: &[Node]) {
        for item in list {
            let Some(name) = name(item, &["name", "source"]) else {
                continue;
            };
            if !holds(tree, &name) {
                self.collections.push(name);
            }
        }
    }
}

fn holds(tree: &Tree, collection: &str) -> bool {
    let place = collection.replacen('.', "/", 1);
    let folder = format!("collections/ansible_collections/{place}");
    tree.below(&folder).next().is_some()
}

/// The collections of the modules that are keys of tasks: `community.general.ufw`.
fn collections_of(node: &Node, found: &mut BTreeSet<String>) {
    for item in node.list().unwrap_or_default() {
        collections_of(item, found);
    }
    for (key, value) in node.map().unwrap_or_default() {
        let is_word = |part: &str| {
            let begins = part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
            begins
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let parts: Vec<&str> = key.text.split('.').collect();
        if let [namespace, collection, _] = parts[..]
            && parts.iter().all(|part| is_word(part))
            && !(namespace == "ansible" && ["builtin", "legacy"].contains(&collection))
        {
            found.insert(format!("{namespace}.{collection}"));
        }
        collections_of(value, found);
    }
}

fn name(item: &Node, keys: &[&str]) -> Option<String> {
    let named = keys.iter().find_map(|key| item.get(key)?.text());
    item.text().or(named).map(str::to_owned)
}
