//! What the agent must know of a bundle's inventory: its hosts, whether any is reached over SSH, and
//! the values in it that are secret. Making the inventory is left to the orchestrator, reading it for a
//! run to Ansible.

use std::{collections::BTreeSet, path::PathBuf};

use chiffon_common::{Bundle, ErrorCode, Problem};
use serde_yaml_ng::{Mapping, Value};

/// Where the inventory lies in a bundle.
pub(crate) const HOSTS_FILE: &str = "inventory/hosts.yml";

/// Where the pinned host keys lie in a bundle.
pub(crate) const KNOWN_HOSTS: &str = "inventory/known_hosts";

const KEY_FILES: [&str; 2] = ["ansible_ssh_private_key_file", "ansible_private_key_file"];

const PASSWORDS: [&str; 3] = [
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
];

/// What ssh is given on its command line; `-i`, `-F` and `-o IdentityFile=` may name files.
const SSH_ARGUMENTS: [&str; 3] = [
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
];

/// An inventory, as far as it concerns the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// All hosts.
    pub(crate) hosts: BTreeSet<String>,
    /// Whether a host may be reached over a network.
    pub(crate) remote: bool,
    /// Whether a host is this machine.
    pub(crate) local: bool,
    /// Files that ssh is told to read: keys, and what stands in its arguments. Absolute; they may not exist.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Whether a host is told neither a key nor a password, so that ssh tries its usual keys.
    pub(crate) usual_keys: bool,
    /// Values under names such as `ansible_password`, of the inventory and of group and host variables.
    pub(crate) secrets: Vec<String>,
}

impl Inventory {
    /// Reads it from a bundle.
    ///
    /// # Errors
    /// 5414 where the bundle has none that can be read.
    pub(crate) fn of(bundle: &Bundle) -> Result<Self, Problem> {
        let file = bundle
            .file(HOSTS_FILE)
            .ok_or_else(|| broken(format!("{HOSTS_FILE} is missing")))?;
        let value: Value = serde_yaml_ng::from_slice(&file.content)
            .map_err(|error| broken(format!("{HOSTS_FILE}: {error}")))?;
        let mut inventory = Self::default();
        // A host may be listed in several groups and described in one. Where only a group says that it
        // is local, it counts as remote: cleaning up once more does no harm.
        let mut local_hosts = BTreeSet::new();
        for group in untagged(&value)
            .as_mapping()
            .into_iter()
            .flat_map(Mapping::values)
        {
            inventory.read_group(group, 0, &mut local_hosts);
        }
        inventory.remote = inventory.hosts != local_hosts;
        inventory.local = !local_hosts.is_empty();
        collect_files(&value, &mut inventory.files);
        for (path, file) in bundle.files() {
            if holds_variables(path)
                && let Ok(value) = serde_yaml_ng::from_slice::<Value>(&file.content)
            {
                collect_secrets(&value, &mut inventory.secrets);
                collect_files(&value, &mut inventory.files);
            }
        }
        Ok(inventory)
    }

    fn read_group(&mut self, group: &Value, depth: usize, local_hosts: &mut BTreeSet<String>) {
        let Some(group) = untagged(group).as_mapping() else {
            return;
        };
        for (host, variables) in group
            .get("hosts")
            .and_then(Value::as_mapping)
            .into_iter()
            .flatten()
        {
            let Some(name) = host.as_str() else { continue };
            self.hosts.insert(name.to_owned());
            let connection = untagged(variables).get("ansible_connection");
            let local = match connection.and_then(|value| untagged(value).as_str()) {
                Some(connection) => connection == "local" || connection == "ansible.builtin.local",
                None => name == "localhost",
            };
            if local {
                local_hosts.insert(name.to_owned());
            } else if untagged(variables).is_mapping() {
                let says = |name: &&&str| untagged(variables).get(**name).is_some();
                self.usual_keys |= !KEY_FILES.iter().chain(&PASSWORDS).any(|name| says(&name));
            }
        }
        let children = group.get("children").and_then(Value::as_mapping);
        for child in children.into_iter().flat_map(Mapping::values) {
            if depth < 32 {
                self.read_group(child, depth + 1, local_hosts);
            }
        }
    }
}

fn broken(why: String) -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        format!("The bundle of this run cannot be used: {why}."),
        "Ask again, so that a new plan with a new bundle is made.",
    )
}

fn holds_variables(path: &str) -> bool {
    let named = |folder: &str| path.split('/').any(|part| part == folder);
    let in_place = path.starts_with("inventory/") || named("group_vars") || named("host_vars");
    in_place && path != KNOWN_HOSTS
}

/// At any depth; what is a template is not known here.
fn collect_files(value: &Value, files: &mut BTreeSet<PathBuf>) {
    let fields = match untagged(value) {
        Value::Mapping(fields) => fields,
        Value::Sequence(items) => return items.iter().for_each(|item| collect_files(item, files)),
        _ => return,
    };
    for (name, value) in fields {
        let name = untagged(name).as_str().unwrap_or_default();
        let mut add = |text: &str| {
            if text.starts_with('/') && !text.contains("{{") {
                files.insert(PathBuf::from(text));
            }
        };
        match untagged(value).as_str() {
            Some(text) if KEY_FILES.contains(&name) => add(text),
            Some(text) if SSH_ARGUMENTS.contains(&name) => {
                let words = text.split(|c: char| c.is_whitespace() || "\"'=".contains(c));
                words.for_each(|word| add(word.trim_start_matches("-i").trim_start_matches("-F")));
            }
            _ => collect_files(value, files),
        }
    }
}

fn collect_secrets(value: &Value, secrets: &mut Vec<String>) {
    match untagged(value) {
        Value::Mapping(fields) => {
            for (key, value) in fields {
                let value = untagged(value);
                match value {
                    Value::String(text) if is_secret(key, text) => secrets.push(text.clone()),
                    Value::Number(number) if is_secret(key, "") => secrets.push(number.to_string()),
                    _ => collect_secrets(value, secrets),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect_secrets(item, secrets)),
        _ => {}
    }
}

/// Whether the name speaks of a secret and the value is one, not a template or the place of one.
fn is_secret(key: &Value, text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "password",
        "passwd",
        "passphrase",
        "_pass",
        "secret",
        "token",
        "private_key",
        "api_key",
        "apikey",
        "credential",
        "access_key",
        "ssh_key",
    ];
    const PLACES: [&str; 4] = ["_file", "_path", "_dir", "_name"];
    let Some(key) = untagged(key).as_str() else {
        return false;
    };
    let key = key.to_ascii_lowercase();
    let speaks = WORDS.iter().any(|word| key.contains(word));
    let is_place = PLACES.iter().any(|place| key.ends_with(place));
    speaks && !is_place && !text.contains("{{")
}

fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => untagged(&tagged.value),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use chiffon_common::BundleFile;

    use super::*;

    fn inventory(files: &[(&str, &str)]) -> Result<Inventory, Problem> {
        let mut bundle = Bundle::default();
        for (path, content) in files {
            let content = content.as_bytes().to_vec();
            let file = BundleFile {
                executable: false,
                content,
            };
            bundle.insert(path, file).unwrap();
        }
        Inventory::of(&bundle)
    }

    #[test]
    fn hosts_of_all_groups_are_seen_and_whether_one_is_remote() {
        let local = "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n    here: {ansible_connection: local}\n";
        let seen = inventory(&[(HOSTS_FILE, local)]).unwrap();
        assert!(!seen.remote && seen.hosts.len() == 2);
        let mixed = "all:\n  hosts:\n    localhost: {ansible_connection: local}\n  children:\n    web:\n      hosts:\n        nas: {ansible_host: !unsafe 10.0.0.1}\n        localhost:\n";
        let seen = inventory(&[(HOSTS_FILE, mixed)]).unwrap();
        assert!(seen.remote);
        assert_eq!(Vec::from_iter(seen.hosts), ["localhost", "nas"]);
    }

    #[test]
    fn files_for_ssh_are_found_and_whether_its_usual_keys_are_wanted() {
        let hosts = "all:\n  hosts:\n    a: {ansible_private_key_file: /k/a, ansible_ssh_common_args: !unsafe '-F /c/f -o IdentityFile=\"/k/b\" -i/k/c -o X=y'}\n    b: {ansible_password: x}\n";
        let seen = inventory(&[
            (HOSTS_FILE, hosts),
            ("inventory/group_vars/all.yml", "ansible_ssh_private_key_file: '{{ k }}'\nl: [{ansible_ssh_private_key_file: /k/d}]"),
        ])
        .unwrap();
        let files = ["/c/f", "/k/a", "/k/b", "/k/c", "/k/d"].map(PathBuf::from);
        assert_eq!(Vec::from_iter(seen.files), files);
        assert!(!seen.usual_keys && !seen.local && seen.remote);
        let seen = inventory(&[(HOSTS_FILE, "all: {hosts: {a: {}, localhost: {}}}")]).unwrap();
        assert!(seen.usual_keys && seen.local && seen.remote);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let hosts = "all:\n  hosts:\n    nas:\n      ansible_password: !unsafe tops3cret\n      ansible_become_password: 12345\n      ansible_ssh_private_key_file: /home/a/.ssh/id\n      db: {api_token: 'a b c d', user_password: '{{ vaulted }}'}\n";
        let seen = inventory(&[
            (HOSTS_FILE, hosts),
            ("inventory/group_vars/all.yml", "mail_pass: geheim1"),
            ("playbooks/x.yml", "password: no"),
        ])
        .unwrap();
        assert_eq!(seen.secrets, ["geheim1", "tops3cret", "12345", "a b c d"]);
    }

    #[test]
    fn a_bundle_without_a_readable_inventory_is_refused() {
        for files in [&[][..], &[(HOSTS_FILE, "a: [")][..]] {
            assert_eq!(
                inventory(files).unwrap_err().code,
                ErrorCode::ContentChanged
            );
        }
    }
}
