//! What `requirements.yml` says of roles and collections that a repository does not hold. Fetching them is left to
//! the person: nothing is downloaded at run time (S7).

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
        for names in [&mut missing.roles, &mut missing.collections] {
            names.sort();
            names.dedup();
        }
        missing
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
            let folder = format!(
                "collections/ansible_collections/{}",
                name.replacen('.', "/", 1)
            );
            if tree.below(&folder).next().is_none() {
                self.collections.push(name);
            }
        }
    }
}

fn name(item: &Node, keys: &[&str]) -> Option<String> {
    let named = keys.iter().find_map(|key| item.get(key)?.text());
    item.text().or(named).map(str::to_owned)
}
