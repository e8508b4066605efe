//! Hosts of somebody's repository, as `ansible-inventory` told them, and taking them over: a file of their own in the
//! folder `taken` beside `hosts.yml`, which a person's word puts there and which is read like it.
//!
//! Nothing of it reaches hosts that were there before: names that stand in both are left out and named, and variables
//! of all its hosts, or of a group that both know, are given to its own hosts only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, HostName, Problem, visible};
use serde_json::{Map, Value as Json};

use super::{
    Inventory, emit, groups,
    read::{
        ALIASES, Group, REMOTE_FOLDER, Written, is_reserved, permitted_group, permitted_variable,
        reserved,
    },
};
use crate::catalogue::yaml::{Node, Value};

/// The folder, within that of the inventory.
pub(super) const TAKEN: &str = "taken";
/// How many names of a kind are left out by name; the rest is counted.
const NAMED: usize = 100;

/// The inventory of a repository.
#[derive(Debug, Default)]
pub struct ForeignInventory {
    written: Written,
    left: Vec<String>,
}

/// One of its hosts, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignHost {
    /// Its name.
    pub name: HostName,
    /// Its groups, with all that hold them.
    pub groups: Vec<String>,
    /// What Ansible would connect to, where it is not the name.
    pub address: Option<String>,
    /// Whether a host of this name was there before.
    pub is_there: bool,
}

impl ForeignInventory {
    /// Reads what `ansible-inventory --list --export` said.
    pub fn read(document: &Json) -> Self {
        let mut found = Self::default();
        let Some(groups) = document.as_object() else {
            return found;
        };
        for (name, group) in groups.iter().filter(|(name, _)| *name != "_meta") {
            found.group(name, group);
        }
        let hostvars = document
            .pointer("/_meta/hostvars")
            .and_then(Json::as_object);
        for (name, vars) in hostvars.into_iter().flatten() {
            if let Some(name) = found.host(name) {
                let read = found.vars(name.as_str(), vars.as_object());
                found.written.hosts.insert(name, read);
            }
        }
        found.leave_out_twins();
        let all: BTreeSet<HostName> = found.written.hosts.keys().cloned().collect();
        found
            .written
            .groups
            .entry("all".to_owned())
            .or_default()
            .hosts = all;
        found.left.sort();
        found.left.dedup();
        found
    }

    fn group(&mut self, name: &str, group: &Json) {
        if !permitted_group(name) {
            let reason = format!("group {}: the name is not permitted here", shown(name));
            self.left.push(reason);
            return;
        }
        let names = |key: &str| -> Vec<String> {
            let list = group.get(key).and_then(Json::as_array);
            let names = list.into_iter().flatten().filter_map(Json::as_str);
            names.map(str::to_owned).collect()
        };
        let hosts = names("hosts")
            .iter()
            .filter_map(|name| self.host(name))
            .collect();
        let children = names("children")
            .into_iter()
            .filter(|name| permitted_group(name));
        let vars = self.vars(name, group.get("vars").and_then(Json::as_object));
        let read = Group {
            vars,
            hosts,
            children: children.filter(|child| child != "ungrouped").collect(),
        };
        if name == "ungrouped" {
            read.hosts.into_iter().for_each(|host| {
                self.written.hosts.entry(host).or_default();
            });
            return;
        }
        for host in &read.hosts {
            self.written.hosts.entry(host.clone()).or_default();
        }
        self.written.groups.insert(name.to_owned(), read);
    }

    /// What is both a host and a group would be taken for either.
    fn leave_out_twins(&mut self) {
        let Written { hosts, groups, .. } = &mut self.written;
        let twins = hosts
            .keys()
            .filter(|host| groups.contains_key(host.as_str()));
        for twin in twins.cloned().collect::<Vec<_>>() {
            hosts.remove(&twin);
            for group in groups.values_mut() {
                group.hosts.remove(&twin);
            }
            self.left
                .push(format!("host {twin}: a group has that name, too"));
        }
    }

    fn host(&mut self, name: &str) -> Option<HostName> {
        if is_reserved(name) {
            self.left.push(reserved(name));
            return None;
        }
        match name.parse::<HostName>() {
            Ok(name) => Some(name),
            Err(error) => {
                self.left.push(format!("host {}: {error}", shown(name)));
                None
            }
        }
    }

    fn vars(&mut self, of: &str, vars: Option<&Map<String, Json>>) -> BTreeMap<String, Node> {
        let mut read = BTreeMap::new();
        for (name, value) in vars.into_iter().flatten() {
            let why = match name.as_str() {
                name if !permitted_variable(name) => Some("is no name of a variable"),
                REMOTE_FOLDER => Some("is Chiffon's own to set"),
                ALIASES => Some("is not a repository's to give"),
                _ => None,
            };
            match why.map(str::to_owned).map_or_else(|| node(value), Err) {
                Ok(node) => drop(read.insert(name.clone(), node)),
                Err(why) => self
                    .left
                    .push(format!("{} of {}: {why}", shown(name), shown(of))),
            }
        }
        read
    }

    /// Lets this one count as well, as far as it says how hosts are reached: `ansible_*`.
    #[must_use]
    pub fn with_connections_of(mut self, other: Self) -> Self {
        let is_connection = |name: &String| name.starts_with("ansible_");
        for (name, group) in other.written.groups {
            if let Some(known) = self.written.groups.get_mut(&name) {
                for (name, value) in group
                    .vars
                    .into_iter()
                    .filter(|(name, _)| is_connection(name))
                {
                    known.vars.insert(name, value);
                }
            }
        }
        for (name, vars) in other.written.hosts {
            if let Some(known) = self.written.hosts.get_mut(&name) {
                known.extend(vars.into_iter().filter(|(name, _)| is_connection(name)));
            }
        }
        self.left.extend(other.left);
        self.left.sort();
        self.left.dedup();
        self
    }

    /// What of it is left out, and why.
    pub fn left(&self) -> Vec<String> {
        let mut left: Vec<String> = self.left.iter().take(NAMED).cloned().collect();
        if let Some(more) = self.left.len().checked_sub(NAMED + 1) {
            left.push(format!("and {} more", more + 1));
        }
        left
    }

    /// Its hosts, beside the inventory that is there.
    ///
    /// # Errors
    /// 5344 where its groups hold themselves.
    pub fn hosts(&self, there: &Inventory) -> Result<Vec<ForeignHost>, Problem> {
        let merged = groups::merge(&self.written).map_err(|fault| circle(&fault.reason))?;
        let host = |(name, (vars, groups)): (HostName, (BTreeMap<String, Node>, Vec<String>))| {
            let address = vars.get("ansible_host").and_then(Node::text);
            ForeignHost {
                is_there: there.host(&name).is_some(),
                address: address.map(str::to_owned),
                groups,
                name,
            }
        };
        Ok(merged.hosts.into_iter().map(host).collect())
    }

    /// Its text in the form of `hosts.yml`, for a repository of this name, without the hosts that are there already.
    ///
    /// # Errors
    /// 5345 where none is left, 5344 where its groups hold themselves.
    pub fn text(&self, name: &str, there: &Inventory) -> Result<String, Problem> {
        let merged = groups::merge(&self.written).map_err(|fault| circle(&fault.reason))?;
        let known: BTreeSet<&str> = there.groups().map(|(name, _)| name).collect();
        let mut hosts = self.untaken(name, there)?;
        let groups = self
            .written
            .groups
            .iter()
            .filter(|(name, _)| *name != "all");
        let groups: BTreeMap<&String, &Group> = groups.collect();
        // Variables of a group that is there would reach its hosts, so each of these hosts is given its own.
        let flat = groups
            .iter()
            .any(|(name, group)| known.contains(name.as_str()) && !group.vars.is_empty());
        if flat {
            for (host, vars) in &mut hosts {
                if let Some((merged, _)) = merged.hosts.get(host) {
                    vars.clone_from(merged);
                }
            }
        }
        let mut own = format!("{name}_hosts");
        while known.contains(own.as_str()) || groups.contains_key(&own) {
            own.push('_');
        }
        let mut to = format!(
            "---\n# Hosts of the repository {name}, taken over by `chiffon catalogue hosts {name} --take`.\n\
             # Written anew by the next one: correct the repository, or move hosts to hosts.yml.\nall:\n  children:\n    "
        );
        let all = self.written.groups.get("all").map(|group| &group.vars);
        let all = all.filter(|_| !flat).cloned().unwrap_or_default();
        emit::text(&own, &mut to);
        to.push_str(":\n");
        put_vars(6, &all, &mut to);
        to.push_str("      hosts:\n");
        for (host, vars) in &hosts {
            put_key(8, host.as_str(), &mut to);
            put_map(vars, &mut to);
        }
        put_groups(&groups, &hosts, flat, &mut to);
        Ok(to)
    }

    /// Those of its hosts that are not there yet.
    fn untaken(
        &self,
        name: &str,
        there: &Inventory,
    ) -> Result<BTreeMap<HostName, BTreeMap<String, Node>>, Problem> {
        let known: BTreeSet<&str> = there.groups().map(|(name, _)| name).collect();
        let mut hosts = self.written.hosts.clone();
        hosts.retain(|host, _| there.host(host).is_none() && !known.contains(host.as_str()));
        let twin = self.written.groups.keys().find(|group| {
            let name = group.parse::<HostName>();
            name.is_ok_and(|name| there.host(&name).is_some())
        });
        if let Some(twin) = twin {
            let detail = format!(
                "{} has a group {twin}, and a host of that name is there",
                visible(name)
            );
            let todo = "rename the host in hosts.yml, or the group in the repository";
            return Err(Problem::new(ErrorCode::HostsThere, detail, todo));
        }
        if hosts.is_empty() {
            let detail = match self.written.hosts.is_empty() {
                true => "the inventory names no hosts".to_owned(),
                false => format!(
                    "every host of {} is in the inventory already",
                    visible(name)
                ),
            };
            let todo = "`chiffon inventory show` lists them";
            return Err(Problem::new(ErrorCode::HostsThere, detail, todo));
        }
        Ok(hosts)
    }
}

/// The groups with those of their hosts that are taken; where hosts have all variables of their own, without variables.
fn put_groups(
    groups: &BTreeMap<&String, &Group>,
    hosts: &BTreeMap<HostName, BTreeMap<String, Node>>,
    is_flat: bool,
    to: &mut String,
) {
    if !groups.is_empty() {
        to.push_str("      children:\n");
    }
    for (name, group) in groups {
        put_key(8, name, to);
        to.push('\n');
        if !is_flat {
            put_vars(10, &group.vars, to);
        }
        to.push_str("          hosts: {");
        let taken = group.hosts.iter().filter(|host| hosts.contains_key(*host));
        put_names(taken.map(HostName::as_str), to);
        to.push_str("}\n          children: {");
        put_names(group.children.iter().map(String::as_str), to);
        to.push_str("}\n");
    }
}

/// Puts the hosts of a repository beside those that are there, in place of what was taken of it before.
///
/// # Errors
/// 5803 where the file cannot be written; what was there is there still then.
pub fn take(dir: &Path, name: &str, text: &str) -> Result<PathBuf, Problem> {
    let folder = dir.join(TAKEN);
    let path = folder.join(format!("{name}.yml"));
    let write = || {
        fs::create_dir_all(&folder)?;
        let fresh = folder.join(format!(".{name}.new"));
        let _none = fs::remove_file(&fresh);
        let mut open = fs::OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().map_err(|error: std::io::Error| unwritable(&path, &error))?;
    Ok(path)
}

/// Takes the hosts of a repository out again; says whether there were any.
///
/// # Errors
/// 5803 where the file cannot be removed.
pub fn give_back(dir: &Path, name: &str) -> Result<bool, Problem> {
    let path = dir.join(TAKEN).join(format!("{name}.yml"));
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unwritable(&path, &error)),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    let detail = format!("{} cannot be written: {error}", path.display());
    Problem::new(
        ErrorCode::HomeUnusable,
        detail,
        "make room, or make the data folder writable",
    )
}

fn circle(reason: &str) -> Problem {
    let todo = "correct the inventory of the repository";
    Problem::new(ErrorCode::InventoryUnreadable, reason, todo)
}

fn shown(name: &str) -> String {
    visible(&name.chars().take(80).collect::<String>())
}

/// A value as Ansible's JSON has it: what is tagged stands in an object of its own.
fn node(value: &Json) -> Result<Node, String> {
    let plain = |value| Node {
        line: 0,
        tag: None,
        value,
    };
    Ok(match value {
        Json::Null => plain(Value::Null),
        Json::Bool(is) => plain(Value::Bool(*is)),
        Json::Number(number) => plain(Value::Number(number.clone())),
        Json::String(text) => plain(Value::Text(text.clone())),
        Json::Array(items) => plain(Value::List(
            items.iter().map(node).collect::<Result<_, _>>()?,
        )),
        Json::Object(map) if map.contains_key("__ansible_vault") => {
            return Err("is vaulted, so it is left out".to_owned());
        }
        Json::Object(map) => match map.get("__ansible_unsafe").and_then(Json::as_str) {
            Some(text) => Node {
                tag: Some("!unsafe".to_owned()),
                ..plain(Value::Text(text.to_owned()))
            },
            None => {
                let entry = |(key, value): (&String, &Json)| {
                    let key = crate::catalogue::yaml::Key {
                        line: 0,
                        text: key.clone(),
                    };
                    Ok::<_, String>((key, node(value)?))
                };
                plain(Value::Map(map.iter().map(entry).collect::<Result<_, _>>()?))
            }
        },
    })
}

fn put_key(indent: usize, key: &str, to: &mut String) {
    to.push_str(&" ".repeat(indent));
    emit::text(key, to);
    to.push(':');
}

fn put_vars(indent: usize, vars: &BTreeMap<String, Node>, to: &mut String) {
    if !vars.is_empty() {
        put_key(indent, "vars", to);
        put_map(vars, to);
    }
}

fn put_map(vars: &BTreeMap<String, Node>, to: &mut String) {
    to.push_str(" {");
    for (at, (name, value)) in vars.iter().enumerate() {
        to.push_str(if at > 0 { ", " } else { "" });
        emit::text(name, to);
        to.push_str(": ");
        emit::node(value, to);
    }
    to.push_str("}\n");
}

fn put_names<'n>(names: impl Iterator<Item = &'n str>, to: &mut String) {
    for (at, name) in names.enumerate() {
        to.push_str(if at > 0 { ", " } else { "" });
        emit::text(name, to);
        to.push_str(": {}");
    }
}

#[cfg(test)]
mod tests;
