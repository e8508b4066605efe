//! The shapes that repositories have: which folder is the Ansible tree, which of its files are playbooks, and what
//! their entries are called.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::{Digest, EntryId, Problem, api::BrokenFile, visible};

use super::unusable;
use crate::catalogue::{roles::broken, tree::Tree, yaml::Fault};

/// How deep an Ansible tree may lie in a repository.
const MAX_DEPTH: usize = 4;
/// Longest id of an entry.
const MAX_ID: usize = 64;

/// Folders in which no playbooks lie.
const NOT_PLAYBOOKS: [&str; 24] = [
    "roles",
    "group_vars",
    "host_vars",
    "inventory",
    "inventories",
    "vars",
    "defaults",
    "tasks",
    "handlers",
    "meta",
    "files",
    "templates",
    "collections",
    "library",
    "module_utils",
    "molecule",
    "tests",
    "test",
    "docs",
    "node_modules",
    "venv",
    "charts",
    "manifests",
    "galaxy_roles",
];

/// The playbooks of a tree.
#[derive(Debug, Default)]
pub(in crate::catalogue) struct Found {
    /// Path and id, in the order of the paths.
    pub(in crate::catalogue) playbooks: Vec<(String, EntryId)>,
    /// What is a playbook and cannot be an entry.
    pub(in crate::catalogue) broken: Vec<BrokenFile>,
}

/// The folder of a repository that is its Ansible tree, and others that might be.
pub(super) fn tree_folder(
    tree: &Tree,
    wanted: Option<&str>,
) -> Result<(String, Vec<String>), Problem> {
    if let Some(wanted) = wanted {
        let wanted = wanted.trim_matches('/');
        let there = wanted.is_empty() || tree.below(wanted).next().is_some();
        return match there {
            true => Ok((wanted.to_owned(), Vec::new())),
            false => {
                let detail = format!("there is no folder {:?} in it", visible(wanted));
                Err(unusable(detail, "name a folder of the repository"))
            }
        };
    }
    if tree.files.is_empty() {
        let why = match tree.refused.iter().next() {
            Some((path, why)) => format!("nothing of it can be read ({path}: {why})"),
            None => "it is empty".to_owned(),
        };
        return Err(unusable(why, "name a repository with playbooks"));
    }
    let mut folders = candidates(tree);
    match folders.is_empty() {
        true => Err(unusable(
            "no playbook is in it: no YAML file is a list of plays with `hosts`",
            "name a repository with playbooks, or with --folder where they lie",
        )),
        false => {
            let first = folders.remove(0);
            let inside =
                |other: &String| first.is_empty() || other.starts_with(&format!("{first}/"));
            folders.retain(|other| !inside(other));
            for other in folders.iter_mut().filter(|other| other.is_empty()) {
                ".".clone_into(other);
            }
            Ok((first, folders))
        }
    }
}

/// Folders with playbooks, the likeliest first: what has an `ansible.cfg` or roles, then what lies higher.
fn candidates(tree: &Tree) -> Vec<String> {
    let mut folders: BTreeSet<String> = BTreeSet::new();
    for path in tree.files.keys() {
        if let Some(folder) = root_of_playbook(tree, path) {
            folders.insert(folder);
        }
    }
    let mut folders: Vec<String> = folders.into_iter().collect();
    let weight = |folder: &String| {
        let at = |name: &str| match folder.as_str() {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        let marked = tree.files.contains_key(&at("ansible.cfg"))
            || tree.below(&at("roles")).next().is_some();
        let depth = folder.split('/').filter(|part| !part.is_empty()).count();
        (!marked, depth)
    };
    folders.sort_by_key(weight);
    folders
}

/// The Ansible tree that a playbook belongs to: the nearest folder above it with `ansible.cfg` or roles, else its own.
fn root_of_playbook(tree: &Tree, path: &str) -> Option<String> {
    if !may_be_playbook(path) || !looks_like_playbook(tree, path) {
        return None;
    }
    let own = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut at = own;
    loop {
        let name = |name: &str| match at {
            "" => name.to_owned(),
            at => format!("{at}/{name}"),
        };
        let marked = tree.files.contains_key(&name("ansible.cfg"))
            || tree.below(&name("roles")).next().is_some();
        if marked {
            return deep_enough(at);
        }
        match at.rsplit_once('/') {
            Some((above, _)) => at = above,
            None if at.is_empty() => break,
            None => at = "",
        }
    }
    let own = match own.rsplit('/').next() {
        Some("playbooks" | "plays") => own.rsplit_once('/').map_or("", |(above, _)| above),
        _ => own,
    };
    deep_enough(own)
}

fn deep_enough(folder: &str) -> Option<String> {
    (folder.split('/').count() <= MAX_DEPTH).then(|| folder.to_owned())
}

/// The playbooks of an Ansible tree; ids begin with the name of the repository.
pub(in crate::catalogue) fn playbooks(tree: &Tree, name: &str) -> Found {
    let mut found = Found::default();
    let mut taken: BTreeMap<EntryId, String> = BTreeMap::new();
    let paths = tree.files.keys().chain(tree.refused.keys());
    let mut paths: Vec<&String> = paths.filter(|path| may_be_playbook(path)).collect();
    paths.sort();
    for path in paths {
        if !looks_like_playbook(tree, path) {
            continue;
        }
        let id = match id_of(name, path) {
            Ok(id) => id,
            Err(reason) => {
                found.broken.push(broken(path, Fault::whole(reason)));
                continue;
            }
        };
        if let Some(first) = taken.get(&id) {
            let reason = format!("its entry would be {id}, which is that of {first}");
            found.broken.push(broken(path, Fault::whole(reason)));
            continue;
        }
        taken.insert(id.clone(), path.clone());
        found.playbooks.push((path.clone(), id));
    }
    found
}

/// The files that read as playbooks.
pub(super) fn playbook_paths(tree: &Tree) -> impl Iterator<Item = &String> {
    let paths = tree.files.keys().filter(|path| may_be_playbook(path));
    paths.filter(|path| looks_like_playbook(tree, path))
}

/// Folders of roles beside the two usual ones: beside a playbook, and what `ansible.cfg` names as `roles_path`.
pub(super) fn role_folders(tree: &Tree) -> Vec<String> {
    let mut folders: BTreeSet<String> = BTreeSet::new();
    for path in tree.files.keys().filter(|path| may_be_playbook(path)) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            folders.insert(format!("{folder}/roles"));
        }
    }
    folders.extend(roles_path(tree));
    folders.retain(|folder| {
        !["roles", "playbooks/roles"].contains(&folder.as_str())
            && tree.below(folder).next().is_some()
    });
    folders.into_iter().collect()
}

/// A setting of `[defaults]` in `ansible.cfg`.
pub(super) fn setting(tree: &Tree, name: &str) -> Option<String> {
    let file = tree.files.get("ansible.cfg")?;
    let text = String::from_utf8_lossy(&file.content);
    let mut section = "";
    text.lines().find_map(|line| {
        if let Some(rest) = line.trim().strip_prefix('[') {
            section = rest.trim_end_matches(']').trim();
        }
        let (key, value) = line.split_once('=')?;
        let value = value.split([';', '#']).next().unwrap_or_default().trim();
        (section == "defaults" && key.trim() == name).then(|| value.to_owned())
    })
}

/// `roles_path` of `ansible.cfg`, as far as it stays within the repository.
pub(in crate::catalogue) fn roles_path(tree: &Tree) -> Vec<String> {
    let value = setting(tree, "roles_path");
    let folders = value
        .as_deref()
        .unwrap_or_default()
        .split(':')
        .map(str::trim);
    let plain = |folder: &str| {
        let folder = folder.trim_start_matches("./").trim_matches('/');
        let inside = !folder.is_empty()
            && !folder.starts_with(['~', '$', '{'])
            && !folder.split('/').any(|part| part == ".." || part == ".");
        inside.then(|| folder.to_owned())
    };
    folders
        .filter(|folder| !folder.starts_with('/'))
        .filter_map(plain)
        .collect()
}

fn may_be_playbook(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    let metadata = name.ends_with(".chiffon.yml");
    let no_home = |part: &str| NOT_PLAYBOOKS.contains(&part) || part.ends_with("_plugins");
    let requirements = name.starts_with("requirements.");
    yaml && !metadata && !requirements && !folder.split('/').any(no_home)
}

/// Whether it reads as one, or would but for a fault that is worth telling.
fn looks_like_playbook(tree: &Tree, path: &str) -> bool {
    match tree.files.get(path) {
        // Whether it was one cannot be told any more; that it was left out is told elsewhere.
        None => false,
        Some(file) => {
            match file.content.starts_with(b"\xff\xfe") || file.content.starts_with(b"\xfe\xff") {
                // UTF-16, which Ansible does not read: worth telling.
                true => {
                    let plain = file.content[2..].iter().filter(|byte| **byte != 0);
                    has_play_words(&plain.copied().collect::<Vec<u8>>())
                }
                false => has_play_words(&file.content),
            }
        }
    }
}

/// A list item that names hosts or imports a playbook; whatever else is wrong with the file.
fn has_play_words(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let text = text.trim_start_matches('\u{feff}');
    let mut in_item = false;
    for line in text.lines() {
        let (dash, rest) = match line.strip_prefix('-') {
            Some(rest) if rest.starts_with([' ', '\t']) || rest.is_empty() => (true, rest.trim()),
            _ => (false, line.trim()),
        };
        in_item |= dash;
        let top = dash || (line.starts_with("  ") && !line.starts_with("   "));
        let word = rest.split(':').next().unwrap_or_default();
        let word = word.trim_matches(['"', '\'']);
        let names = [
            "hosts",
            "import_playbook",
            "ansible.builtin.import_playbook",
        ];
        if in_item && top && rest.len() > word.len() && names.contains(&word) {
            return true;
        }
    }
    false
}

/// `<repository>_<path>`, in the letters of an id; else why it has none. A letter that an id cannot hold is not left out:
/// what was left over would be another name.
fn id_of(name: &str, path: &str) -> Result<EntryId, String> {
    if let Some(odd) = path.chars().find(|c| !c.is_ascii()) {
        return Err(format!(
            "its name holds {:?}, and the id of an entry has small letters, digits and _ only: rename the file",
            visible(&odd.to_string())
        ));
    }
    let none = |_| "its name cannot be made the id of an entry: rename the file".to_owned();
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let stem = stem.strip_prefix("playbooks/").unwrap_or(stem);
    let mut id = format!("{name}_");
    for c in stem.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => id.push(c),
            _ if id.ends_with('_') => {}
            _ => id.push('_'),
        }
    }
    let id = id.trim_end_matches('_');
    if id.len() <= MAX_ID {
        return id.parse().map_err(none);
    }
    let mark = Digest::of_bytes(path.as_bytes()).to_string();
    let mark: String = mark.chars().skip("sha256:".len()).take(8).collect();
    let cut: String = id.chars().take(MAX_ID - 9).collect();
    format!("{cut}_{mark}").parse().map_err(none)
}
