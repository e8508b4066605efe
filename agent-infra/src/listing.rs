//! Reading the inventory of somebody's repository through the real `ansible-inventory`: every form that Ansible reads,
//! as Ansible reads it. Which files are given to it, and what becomes of the hosts, is left to the caller.
//!
//! Files in INI and YAML form are data. Programs and plugins are code, which Ansible is permitted only where the caller
//! says that a person has said so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use chiffon_common::{ErrorCode, Problem, visible};
use serde_json::Value;

use crate::{Ansible, settings::PATH, tool};

/// Ten thousand hosts on a slow machine.
const LIMIT: Duration = Duration::from_secs(180);
/// The largest answer that is read.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// How many of Ansible's warnings are passed on.
const MOST_WARNINGS: usize = 20;

/// What is to be read.
#[derive(Debug, Clone)]
pub struct InventoryListing<'a> {
    /// The folder that holds nothing but what Ansible may see of the repository.
    pub folder: &'a Path,
    /// The inventories, as paths within it, in their order.
    pub sources: &'a [String],
    /// Whether variables of hosts and groups at the top of the folder count, as they do for playbooks there.
    pub beside_playbooks: bool,
    /// Where a person has said that programs and plugins of the repository may run: their home folder.
    pub code: Option<&'a Path>,
    /// The file with the password of what is vaulted.
    pub password_file: Option<&'a Path>,
}

/// What Ansible said.
#[derive(Debug, Clone)]
pub struct ListedInventory {
    /// The document of `ansible-inventory --list --export`.
    pub document: Value,
    /// What it warned of, a sentence each.
    pub warnings: Vec<String>,
}

impl InventoryListing<'_> {
    /// Asks Ansible. Blocks, up to minutes.
    ///
    /// # Errors
    /// 5405 where there is no `ansible-inventory`, 5344 where it cannot read what it is given.
    pub fn read(&self, ansible: &Ansible) -> Result<ListedInventory, Problem> {
        let program = program(ansible)?;
        let scratch = tempfile::tempdir()
            .map_err(|error| unreadable(&format!("no temporary folder: {error}")))?;
        let config = scratch.path().join("ansible.cfg");
        let answer = scratch.path().join("answer.json");
        fs::write(&config, self.config()).map_err(|error| unreadable(&error.to_string()))?;
        let mut command = Command::new(program);
        command
            .args(["--list", "--export", "--output"])
            .arg(&answer);
        for source in self.sources {
            command.arg("-i").arg(self.folder.join(source));
        }
        if self.beside_playbooks {
            command.arg("--playbook-dir").arg(self.folder);
        }
        if let Some(file) = self.password_file {
            command.arg("--vault-password-file").arg(file);
        }
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.code.unwrap_or(scratch.path()))
            .env("LC_ALL", "C.UTF-8")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("ANSIBLE_HOME", scratch.path().join("home"))
            .env("ANSIBLE_CONFIG", &config)
            .current_dir(self.folder);
        if self.code.is_some() {
            // What a program of an inventory asks its service with stands in the environment as a rule.
            command.envs(
                std::env::vars_os().filter(|(name, _)| is_passed_on(&name.to_string_lossy())),
            );
        }
        let output = tool::output_within(&mut command, LIMIT)
            .map_err(|error| unreadable(&error.to_string()))?;
        if !output.status.success() {
            return Err(unreadable(&tool::complaint(&output)));
        }
        let document = document(&answer).map_err(|why| unreadable(&why))?;
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(ListedInventory {
            document,
            warnings: warnings(&said, self.folder),
        })
    }

    /// Chiffon's own: nothing of the repository's says which plugins are loaded.
    fn config(&self) -> String {
        let (plugins, collections) = match self.code {
            None => ("ini,yaml", String::new()),
            Some(home) => (
                "host_list,script,auto,yaml,ini,toml",
                format!(
                    "collections_path = {}/collections:{}/.ansible/collections:/usr/share/ansible/collections\n",
                    self.folder.display(),
                    home.display()
                ),
            ),
        };
        format!(
            "[defaults]\n\
             nocows = True\n\
             nocolor = True\n\
             deprecation_warnings = False\n\
             devel_warning = False\n\
             localhost_warning = False\n\
             {collections}\
             [inventory]\n\
             enable_plugins = {plugins}\n\
             any_unparsed_is_failed = False\n\
             unparsed_is_failed = False\n\
             cache = False\n"
        )
    }
}

/// Chiffon's own variables and those that steer Ansible, Python and the loader stay where they are.
fn is_passed_on(name: &str) -> bool {
    let steers = ["ANSIBLE_", "CHIFFON_", "PYTHON", "LD_"];
    let set = ["PATH", "HOME", "LC_ALL"];
    !steers.iter().any(|start| name.starts_with(start)) && !set.contains(&name)
}

fn program(ansible: &Ansible) -> Result<PathBuf, Problem> {
    let program = ansible.playbook.with_file_name("ansible-inventory");
    match program.exists() {
        true => Ok(program),
        false => Err(Problem::new(
            ErrorCode::AnsibleMissing,
            format!(
                "There is no ansible-inventory beside {}.",
                ansible.playbook.display()
            ),
            "Install ansible-core as a whole; the private one is made anew when its folder `ansible` is moved away.",
        )),
    }
}

fn document(path: &Path) -> Result<Value, String> {
    let size = fs::metadata(path).map_err(|error| format!("it wrote no answer: {error}"))?;
    if size.len() > MOST_BYTES {
        return Err(format!(
            "its answer is larger than {} MiB",
            MOST_BYTES >> 20
        ));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("its answer is no JSON: {error}"))
}

/// Ansible breaks its warnings into lines; what goes on does not begin with `[`. Other kinds are left out whole. Paths are said as the repository has them.
fn warnings(said: &str, folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_kept = false;
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            let rest = line.strip_prefix("[WARNING]:");
            is_kept = rest.is_some();
            found.extend(rest.map(|rest| rest.trim().to_owned()));
        } else if is_kept && let Some(last) = found.last_mut() {
            last.push(' ');
            last.push_str(line);
        }
    }
    let prefix = format!("{}/", folder.display());
    let mut told: Vec<String> = found
        .into_iter()
        .map(|text| {
            visible(
                &text
                    .replace(&prefix, "")
                    .chars()
                    .take(400)
                    .collect::<String>(),
            )
        })
        .collect();
    told.dedup();
    if let Some(more) = told.len().checked_sub(MOST_WARNINGS + 1) {
        told.truncate(MOST_WARNINGS);
        told.push(format!("and {} more warnings", more + 1));
    }
    told
}

fn unreadable(why: &str) -> Problem {
    Problem::new(
        ErrorCode::InventoryUnreadable,
        format!("ansible-inventory could not read it: {}", visible(why)),
        "Correct the inventory, or name another one of the repository: --source",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_sentences_with_the_paths_of_the_repository() {
        let said = "[WARNING]: Unable to parse /x/y/inventory/a as an\ninventory source\n\n[DEPRECATION WARNING]: no\n more\n[WARNING]: two\n";
        assert_eq!(
            warnings(said, Path::new("/x/y")),
            ["Unable to parse inventory/a as an inventory source", "two"]
        );
        let many: String = (0..50).map(|n| format!("[WARNING]: {n}\n")).collect();
        assert_eq!(
            warnings(&many, Path::new("/")).last().unwrap(),
            "and 30 more warnings"
        );
    }

    #[test]
    fn data_loads_no_plugin_but_those_that_read_files() {
        let listing = InventoryListing {
            folder: Path::new("/r"),
            sources: &[],
            beside_playbooks: false,
            code: None,
            password_file: None,
        };
        assert!(listing.config().contains("enable_plugins = ini,yaml\n"));
        assert!(!listing.config().contains("collections_path"));
    }
}
