//! What a repository holds beside its playbooks: inventories, vaulted files, `ansible.cfg`, requirements; and what of
//! it was left out, each with file, line and reason.

use super::{
    cycle::beside,
    layout::playbook_paths,
    requirements::Missing,
    sources::{InventorySource, VAULTED, sources},
};
use crate::catalogue::tree::Tree;

/// How many of a kind are named; the rest is counted.
const NAMED: usize = 200;
/// Keys of `[defaults]` that Chiffon obeys or that change nothing of what an entry does.
const HARMLESS: [&str; 14] = [
    "inventory",
    "host_key_checking",
    "retry_files_enabled",
    "stdout_callback",
    "nocows",
    "forks",
    "deprecation_warnings",
    "interpreter_python",
    "gathering",
    "callbacks_enabled",
    "bin_ansible_callbacks",
    "timeout",
    "localhost_warning",
    "log_path",
];

/// A file, or a part of it, that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its path within the repository.
    pub file: String,
    /// From 1.
    pub line: Option<u32>,
    /// Why.
    pub reason: String,
}

/// What is in a repository beside its playbooks.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Its inventories, the one that `ansible.cfg` names first.
    pub inventories: Vec<InventorySource>,
    /// Vaulted files. Known by their first words, never read as text.
    pub vaulted: Vec<String>,
    /// Files that hold single vaulted values.
    pub vaulted_values: Vec<String>,
    /// Roles that `requirements.yml` names and the repository does not hold.
    pub missing_roles: Vec<String>,
    /// Collections, likewise.
    pub missing_collections: Vec<String>,
    /// Other folders of the repository with Ansible trees of their own.
    pub other_trees: Vec<String>,
    /// What was left out.
    pub left: Vec<Left>,
}

impl Survey {
    pub(super) fn of(tree: &Tree, others: &[String]) -> Self {
        let missing = Missing::of(tree);
        let mut survey = Self {
            inventories: sources(tree),
            missing_roles: missing.roles,
            missing_collections: missing.collections,
            other_trees: others.to_vec(),
            ..Self::default()
        };
        for (file, fault) in missing.faults {
            survey.left.push(Left {
                file,
                line: fault.line,
                reason: fault.reason,
            });
        }
        for (path, file) in &tree.files {
            if file.content.starts_with(VAULTED) {
                survey.vaulted.push(path.clone());
                continue;
            }
            let yaml = path.ends_with(".yml") || path.ends_with(".yaml");
            if yaml && holds(&file.content, b"!vault") {
                survey.vaulted_values.push(path.clone());
            }
        }
        survey.settings(tree);
        survey.missing_variables(tree);
        let refused = tree.refused.iter().take(NAMED);
        survey.left.extend(refused.map(|(file, reason)| Left {
            file: file.clone(),
            line: None,
            reason: reason.clone(),
        }));
        if let Some(more) = tree.refused.len().checked_sub(NAMED + 1) {
            survey.left.push(Left {
                file: String::new(),
                line: None,
                reason: format!("and {} more files", more + 1),
            });
        }
        survey
    }

    /// `vars_files` that are not there: often what is kept out of the repository on purpose, and without it a run ends
    /// before it begins.
    fn missing_variables(&mut self, tree: &Tree) {
        for path in playbook_paths(tree) {
            let Ok(node) = tree.yaml(path) else {
                continue;
            };
            let plays = node.list().unwrap_or_default().iter();
            let listed = plays.filter_map(|play| play.get("vars_files")?.list());
            for item in listed.flatten() {
                let Some(name) = item.text().filter(|name| !name.contains("{{")) else {
                    continue;
                };
                if !name.starts_with(['/', '~']) && beside(tree, path, name).is_none() {
                    let reason = format!(
                        "its plays read {name}, which is not in the repository; without it a run fails"
                    );
                    let left = Left {
                        file: path.clone(),
                        line: (item.line > 0).then_some(item.line),
                        reason,
                    };
                    let known = |one: &Left| one.file == left.file && one.reason == left.reason;
                    if !self.left.iter().any(known) && self.left.len() < NAMED {
                        self.left.push(left);
                    }
                }
            }
        }
    }

    /// `ansible.cfg`: Chiffon brings its own, so whatever would change what a playbook does is named.
    fn settings(&mut self, tree: &Tree) {
        let file = "ansible.cfg";
        let Some(found) = tree.files.get(file) else {
            return;
        };
        let text = String::from_utf8_lossy(&found.content);
        let mut section = String::new();
        for (number, line) in (1_u32..).zip(text.lines()) {
            let line = line.trim();
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                section = name.trim().to_owned();
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let key = key.trim();
            let comment = key.starts_with(['#', ';']);
            let obeyed = section == "defaults" && (HARMLESS.contains(&key) || key == "roles_path");
            if comment || obeyed || section == "ssh_connection" {
                continue;
            }
            // What a password file is called is no secret, what is in the line may be one.
            let about = match key.starts_with("vault_") {
                true => "Chiffon knows no vault password, so a run that needs one fails".to_owned(),
                false => format!(
                    "[{section}] {key} is not obeyed: Chiffon brings its own ansible.cfg ({})",
                    match value.trim().len() {
                        0 => "it is empty here",
                        _ => "say it in the playbook or the inventory instead",
                    }
                ),
            };
            self.left.push(Left {
                file: file.to_owned(),
                line: Some(number),
                reason: about,
            });
        }
    }
}

fn holds(content: &[u8], word: &[u8]) -> bool {
    content.windows(word.len()).any(|window| window == word)
}
