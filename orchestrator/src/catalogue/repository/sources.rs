//! The inventories of a repository: which files make one, what of it is code, and which variables of hosts and groups
//! belong to it. Reading them is left to Ansible, which is given copies of exactly these files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use super::{cannot_keep, layout};
use crate::catalogue::{
    tree::{Tree, TreeFile},
    yaml::Node,
};
use chiffon_common::Problem;

/// The first words of a vaulted file.
pub(super) const VAULTED: &[u8] = b"$ANSIBLE_VAULT;";
/// Folders of inventories at the top.
const FOLDERS: [&str; 3] = ["inventory", "inventories", "hosts"];
/// A folder in which each file is an inventory by itself; in the others, the files of a folder are one.
const OF_ALTERNATIVES: &str = "inventories";
/// Names at the top that say what they are, with or without an ending, beside those that hold `hosts` or `inventory`.
const STAGES: [&str; 8] = [
    "production",
    "prod",
    "staging",
    "stage",
    "development",
    "dev",
    "testing",
    "lab",
];
/// Endings that an inventory has.
const ENDINGS: [&str; 11] = [
    "", "ini", "yml", "yaml", "json", "py", "sh", "example", "sample", "dist", "cfg",
];
const VARIABLES: [&str; 2] = ["group_vars", "host_vars"];

/// One inventory: what Ansible reads together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventorySource {
    /// Its file, or the folder of its files.
    pub name: String,
    /// Files in INI or YAML form: data only.
    pub files: Vec<String>,
    /// Programs and plugins: code, which runs only where a person says so.
    pub code: Vec<String>,
    /// Whether `ansible.cfg` names it.
    pub is_default: bool,
    /// Files of `group_vars` and `host_vars` that count for it alone, which no run is given by itself.
    pub own_variables: Vec<String>,
    /// Those beside it or at the top that travel with the playbooks, too.
    pub shared_variables: Vec<String>,
    /// Which of both are vaulted.
    pub vaulted: Vec<String>,
    /// Files of it that are no YAML that can be read within bounds, and why: Ansible has no such bounds.
    pub broken: Vec<(String, String)>,
}

impl InventorySource {
    /// Writes copies of its files to an empty folder: with what is code only if a person has said that it may run
    /// (then all of the repository, which it may need), with what is vaulted only if there is a password.
    ///
    /// # Errors
    /// 5803 where they cannot be written.
    pub fn write(&self, from: &Path, to: &Path, copy: Copy) -> Result<(), Problem> {
        let mut files: BTreeSet<&String> = self.files.iter().chain(&self.own_variables).collect();
        if copy.shared {
            files.extend(&self.shared_variables);
        }
        if !copy.vaulted {
            files.retain(|file| !self.vaulted.contains(file));
        }
        let written = match copy.code {
            true => copy_all(from, to, &|path| {
                let skipped = self.vaulted.iter().any(|vaulted| vaulted == path);
                !skipped || copy.vaulted
            }),
            false => files.iter().try_for_each(|file| copy_one(from, to, file)),
        };
        written.map_err(|error| cannot_keep(to, &error))
    }
}

/// What of an inventory is copied.
#[derive(Debug, Clone, Copy)]
pub struct Copy {
    /// Variables that travel with the playbooks as well.
    pub shared: bool,
    /// What is vaulted.
    pub vaulted: bool,
    /// Code, and whatever it may need.
    pub code: bool,
}

fn copy_one(from: &Path, to: &Path, file: &str) -> io::Result<()> {
    let target = to.join(file);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from.join(file), target).map(drop)
}

fn copy_all(from: &Path, to: &Path, wanted: &impl Fn(&str) -> bool) -> io::Result<()> {
    let mut waiting = vec![String::new()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(from.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = match folder.as_str() {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            match entry.file_type()? {
                kind if kind.is_dir() => waiting.push(path),
                kind if kind.is_file() && wanted(&path) => copy_one(from, to, &path)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// The inventories of a tree, the one that `ansible.cfg` names first.
pub(super) fn sources(tree: &Tree) -> Vec<InventorySource> {
    let named = layout::setting(tree, "inventory");
    let named: Vec<String> = named
        .iter()
        .flat_map(|value| value.split(','))
        .map(|path| {
            path.trim()
                .trim_start_matches("./")
                .trim_end_matches('/')
                .to_owned()
        })
        .collect();
    let mut found: BTreeMap<String, InventorySource> = BTreeMap::new();
    for (path, file) in &tree.files {
        let is_named = |name: &String| {
            path == name
                || path
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let is_default = named.iter().any(is_named);
        if !may_be_inventory(path, is_default) {
            continue;
        }
        let Some(is_code) = kind(tree, path, file) else {
            continue;
        };
        let name = source_of(path);
        let source = found
            .entry(name.clone())
            .or_insert_with(|| InventorySource {
                name,
                ..InventorySource::default()
            });
        source.is_default |= is_default;
        if let Some(why) = broken(tree, path).filter(|_| !is_code) {
            source.broken.push((path.clone(), why));
            continue;
        }
        match is_code {
            true => source.code.push(path.clone()),
            false => source.files.push(path.clone()),
        }
    }
    let mut sources: Vec<InventorySource> = found.into_values().collect();
    sources.sort_by_key(|source| !source.is_default);
    for source in &mut sources {
        variables(tree, source);
    }
    sources
}

/// The files of a folder are one inventory, but at the top, and in a folder of alternatives.
fn source_of(path: &str) -> String {
    match path.rsplit_once('/') {
        None | Some((OF_ALTERNATIVES, _)) => path.to_owned(),
        Some((folder, _)) => folder.to_owned(),
    }
}

/// By its name.
pub(in crate::catalogue) fn may_be_inventory(path: &str, is_named: bool) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let Some((name, folders)) = parts.split_last() else {
        return false;
    };
    let elsewhere = [
        "roles",
        "files",
        "templates",
        "artifacts",
        "credentials",
        "patches",
    ];
    let is_elsewhere = |part: &&str| VARIABLES.contains(part) || elsewhere.contains(part);
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    if folders.iter().any(is_elsewhere) || (!is_named && !ENDINGS.contains(&ending)) {
        return false;
    }
    let first = folders.first();
    let says_so = |name: &str| {
        let mut words = name.split(['.', '-', '_']);
        words.any(|word| ["hosts", "inventory"].contains(&word)) || STAGES.contains(&name)
    };
    let at_top = folders.is_empty() && (says_so(name) || says_so(stem));
    is_named || at_top || first.is_some_and(|first| FOLDERS.contains(first))
}

/// Whether it is code; nothing where it reads as no inventory.
fn kind(tree: &Tree, path: &str, file: &TreeFile) -> Option<bool> {
    if file.executable
        || file.content.starts_with(b"#!")
        || path.ends_with(".py")
        || path.ends_with(".sh")
    {
        return Some(true);
    }
    let text = String::from_utf8_lossy(&file.content);
    let yaml = [".yml", ".yaml", ".json"]
        .iter()
        .any(|ending| path.contains(ending));
    if !yaml {
        let mut lines = text.lines().map(str::trim);
        let says = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        return says.map(|_| false);
    }
    if text
        .lines()
        .any(|line| line.trim_start().starts_with("plugin:"))
    {
        return Some(true);
    }
    match tree.yaml(path) {
        // What is broken is worth telling.
        Err(_) => Some(false),
        Ok(node) => node
            .map()
            .is_some_and(|map| map.iter().any(|(_, group)| is_group(group)))
            .then_some(false),
    }
}

fn is_group(node: &Node) -> bool {
    let parts = ["hosts", "children", "vars"];
    parts.iter().any(|part| node.get(part).is_some())
}

/// Why a YAML file cannot be read within bounds. What is vaulted is none.
fn broken(tree: &Tree, path: &str) -> Option<String> {
    let yaml = [".yml", ".yaml", ".json"]
        .iter()
        .any(|ending| path.ends_with(ending));
    let vaulted = |file: &TreeFile| file.content.starts_with(VAULTED);
    if !yaml || tree.files.get(path).is_none_or(vaulted) {
        return None;
    }
    let fault = tree.yaml(path).err()?;
    Some(match fault.line {
        Some(line) => format!("line {line}: {}", fault.reason),
        None => fault.reason,
    })
}

fn variables(tree: &Tree, source: &mut InventorySource) {
    let path = source.files.iter().chain(&source.code).next();
    let beside = path
        .and_then(|path| path.rsplit_once('/'))
        .map_or("", |(folder, _)| folder);
    for (path, file) in &tree.files {
        let Some(folder) = VARIABLES.iter().find_map(|name| {
            let at = format!("{name}/");
            match path.starts_with(&at) {
                true => Some(""),
                false => path.find(&format!("/{at}")).map(|found| &path[..found]),
            }
        }) else {
            continue;
        };
        // What a run is given anyway: at the top, and in `inventory`.
        let travels = ["", "inventory"].contains(&folder);
        if folder != beside && !folder.is_empty() {
            continue;
        }
        if let Some(why) = broken(tree, path) {
            source.broken.push((path.clone(), why));
            continue;
        }
        if folder == beside && !travels {
            source.own_variables.push(path.clone());
        } else {
            source.shared_variables.push(path.clone());
        }
        if file.content.starts_with(VAULTED) {
            source.vaulted.push(path.clone());
        }
    }
}
