//! Reading `hosts.yml`. What this form does not cover is refused with its line: a host or a variable that
//! was passed over in silence would make a run something else than its author meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use chiffon_common::{ErrorCode, HostName, Problem, visible};

use super::{
    Here, Host, HostKeys, Inventory,
    foreign::TAKEN,
    groups,
    spoken::{self, Spoken},
};
use crate::catalogue::yaml::{self, Fault, Key, Node};

const FILE: &str = "hosts.yml";
const MAX_BYTES: u64 = 16 * 1024 * 1024;
const MAX_DEPTH: usize = 32;
pub(super) const ALIASES: &str = "chiffon_aliases";
/// Where Ansible puts its programs on a host. By the run's own folder Chiffon finds what a run left behind.
pub(super) const REMOTE_FOLDER: &str = "ansible_remote_tmp";

/// One group as it is written, from all places where it stands.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) vars: BTreeMap<String, Node>,
    pub(super) hosts: BTreeSet<HostName>,
    pub(super) children: BTreeSet<String>,
}

/// The file as it is written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) hosts: BTreeMap<HostName, BTreeMap<String, Node>>,
    /// Where a host stands first, in the file that was read.
    lines: BTreeMap<HostName, u32>,
}

impl Inventory {
    /// Reads a folder. Reads files, so it blocks.
    ///
    /// # Errors
    /// 5109 with file, line and what to do.
    pub fn load(dir: &Path, here: &Here) -> Result<Self, Problem> {
        Self::load_without(dir, here, None)
    }

    /// The same without what was taken over from one repository.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_without(dir: &Path, here: &Here, left_out: Option<&str>) -> Result<Self, Problem> {
        refuse_other_sources(dir)?;
        let path = dir.join(FILE);
        let text = read_text(&path, OWN)?;
        let mut written = read(&text).map_err(|fault| problem(&path, &fault))?;
        let left_out = left_out.map(|name| dir.join(TAKEN).join(format!("{name}.yml")));
        let mut several = false;
        for taken in taken_files(dir)? {
            if left_out.as_ref() == Some(&taken) {
                continue;
            }
            let text = read_text(&taken, OWN)?;
            let joined = read(&text).and_then(|more| written.join(more));
            joined.map_err(|fault| problem(&taken, &fault))?;
            several = true;
        }
        let keys = HostKeys::load(dir)?;
        let assembled = Self::assemble(written, keys, here);
        assembled.map_err(|fault| match several {
            // Its line may be one of another file.
            true => problem(dir, &Fault::whole(fault.reason)),
            false => problem(&path, &fault),
        })
    }

    /// Reads a file by itself, wherever it lies: without pinned keys, so for looking things up only.
    ///
    /// # Errors
    /// 5109 with file, line and what to do.
    pub fn load_file(path: &Path, here: &Here) -> Result<Self, Problem> {
        // The data folder, and what checks it, has nothing to do with such a file.
        let problem =
            |fault: Fault| with_todo(path, &fault, "correct the file, or name another one");
        let text = read_text(path, "name a file with an inventory as YAML")?;
        let written = read(&text).map_err(problem)?;
        Self::assemble(written, HostKeys::default(), here).map_err(problem)
    }

    fn assemble(written: Written, keys: HostKeys, here: &Here) -> Result<Self, Fault> {
        written.one_meaning()?;
        let merged = groups::merge(&written)?;
        let mut hosts = BTreeMap::new();
        let mut nicknames = Nicknames::new(merged.hosts.keys());
        for (name, (mut vars, groups)) in merged.hosts {
            let aliases = match vars.remove(ALIASES) {
                Some(node) => nicknames.of(&name, &node)?,
                None => Vec::new(),
            };
            expand_home(&mut vars, &here.home);
            let host = Host {
                name: name.clone(),
                aliases,
                groups,
                vars,
            };
            hosts.insert(name, host);
        }
        let spoken = Spoken::new(&hosts, &merged.groups, &here.hostname);
        Ok(Self {
            hosts,
            groups: merged.groups,
            keys,
            spoken,
            own_name: super::resolve::folded(&here.hostname),
            machines: OnceLock::new(),
            by_key: OnceLock::new(),
        })
    }
}

/// The files of hosts that were taken over from repositories, in the order of their names.
fn taken_files(dir: &Path) -> Result<Vec<PathBuf>, Problem> {
    let folder = dir.join(TAKEN);
    let listed = match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.collect::<Result<Vec<_>, _>>()),
    };
    let entries = listed
        .map_err(|error| problem(&folder, &Fault::whole(format!("cannot be read: {error}"))))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    let is_taken = |path: &PathBuf| {
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|ending| ending == "yml")
    };
    paths.retain(is_taken);
    paths.sort();
    Ok(paths)
}

/// Ansible would read these too; here they would be passed over.
fn refuse_other_sources(dir: &Path) -> Result<(), Problem> {
    for name in ["group_vars", "host_vars"] {
        let path = dir.join(name);
        if path.exists() {
            let fault = Fault::whole("variables in folders of their own are not read yet");
            let todo = "write them into hosts.yml, under `vars` of the group or below the host";
            return Err(with_todo(&path, &fault, todo));
        }
    }
    Ok(())
}

/// What to do where a file of the data folder cannot be read.
const OWN: &str =
    "`chiffon doctor` shows the folder; the first `chiffon up` or `chiffon run` writes the file";

fn read_text(path: &Path, todo: &str) -> Result<String, Problem> {
    let cannot = |reason: String| with_todo(path, &Fault::whole(reason), todo);
    let meta = fs::metadata(path).map_err(|error| cannot(format!("cannot be read: {error}")))?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(cannot("is no file of at most 16 MiB".to_owned()));
    }
    let bytes = fs::read(path).map_err(|error| cannot(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let fault = Fault::at(line, "it holds bytes that are no UTF-8 text");
        with_todo(path, &fault, "save the file as UTF-8")
    })
}

/// The problem of one place in a file.
pub(super) fn problem(path: &Path, fault: &Fault) -> Problem {
    with_todo(path, fault, "correct the file; `chiffon doctor` checks it")
}

pub(super) fn with_todo(path: &Path, fault: &Fault, todo: &str) -> Problem {
    let place = match fault.line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    };
    let detail = format!("{place}: {}", fault.reason);
    Problem::new(ErrorCode::InventoryBroken, detail, todo)
}

pub(super) fn read(text: &str) -> Result<Written, Fault> {
    let first = text
        .lines()
        .map(str::trim_start)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    if first.is_some_and(|line| line.starts_with('[')) {
        return Err(Fault::whole(
            "this is the INI form, which comes later: write it as YAML (`ansible-inventory --list --yaml -i FILE` does)",
        ));
    }
    let node = yaml::parse(text)?;
    if node.get("plugin").is_some() {
        return Err(Fault::at(
            node.line,
            "inventory plugins come later: write the hosts out (`ansible-inventory --list --yaml -i FILE` does)",
        ));
    }
    let mut written = Written::default();
    for (key, group) in mapping(&node, "the inventory")? {
        written.group(key, group, 0)?;
        if key.text != "all" {
            written
                .groups
                .entry("all".to_owned())
                .or_default()
                .children
                .insert(key.text.clone());
        }
    }
    Ok(written)
}

impl Written {
    /// Lets another file count as well. A host stands in one file only; what a group was given first stays.
    fn join(&mut self, more: Self) -> Result<(), Fault> {
        if let Some(host) = more
            .hosts
            .keys()
            .find(|host| self.hosts.contains_key(*host))
        {
            let reason = format!(
                "{host} stands in {FILE} or in another file of {TAKEN}, too: take it out of one of them, or take the \
                 hosts over again (`chiffon catalogue hosts NAME --take`)"
            );
            return Err(Fault::whole(reason));
        }
        self.hosts.extend(more.hosts);
        for (name, group) in more.groups {
            let known = self.groups.entry(name).or_default();
            known.hosts.extend(group.hosts);
            known.children.extend(group.children);
            for (name, value) in group.vars {
                known.vars.entry(name).or_insert(value);
            }
        }
        Ok(())
    }

    fn group(&mut self, key: &Key, node: &Node, depth: usize) -> Result<(), Fault> {
        group_name(key)?;
        if depth > MAX_DEPTH {
            return Err(Fault::at(key.line, "the groups are nested too deeply"));
        }
        let mut group = self.groups.remove(&key.text).unwrap_or_default();
        for (part, node) in mapping(node, &key.text)? {
            match part.text.as_str() {
                "vars" => read_vars(node, &mut group.vars)?,
                "hosts" => self.hosts(node, &mut group)?,
                "children" => {
                    for (child, node) in mapping(node, "children")? {
                        group.children.insert(child.text.clone());
                        self.group(child, node, depth + 1)?;
                    }
                }
                other => {
                    let reason = format!("a group has hosts, vars and children, but no {other:?}");
                    return Err(Fault::at(part.line, reason));
                }
            }
        }
        // A child may have written more of the same group by now.
        let known = self.groups.entry(key.text.clone()).or_default();
        known.hosts.append(&mut group.hosts);
        known.children.append(&mut group.children);
        known.vars.append(&mut group.vars);
        Ok(())
    }

    /// What is both a host and a group would be taken for either.
    fn one_meaning(&self) -> Result<(), Fault> {
        let both = self
            .hosts
            .keys()
            .find(|host| self.groups.contains_key(host.as_str()));
        match both {
            None => Ok(()),
            Some(host) => {
                let line = self.lines.get(host).copied().unwrap_or_default();
                let reason = format!(
                    "{host} is the name of a host and of a group: whoever says it would mean one host or many, so rename \
                     one of them"
                );
                Err(Fault::at(line, reason))
            }
        }
    }

    fn hosts(&mut self, node: &Node, group: &mut Group) -> Result<(), Fault> {
        for (key, vars) in mapping(node, "hosts")? {
            let name = host_name(key)?;
            self.lines.entry(name.clone()).or_insert(key.line);
            read_vars(vars, self.hosts.entry(name.clone()).or_default())?;
            group.hosts.insert(name);
        }
        Ok(())
    }
}

fn host_name(key: &Key) -> Result<HostName, Fault> {
    if key.text.contains(['[', '*', ',']) {
        let reason = format!(
            "{:?} is a pattern: patterns come later, write the hosts out",
            key.text
        );
        return Err(Fault::at(key.line, reason));
    }
    if is_reserved(&key.text) {
        return Err(Fault::at(key.line, reserved(&key.text)));
    }
    key.text
        .parse()
        .map_err(|error| Fault::at(key.line, format!("{error}")))
}

/// The groups that every inventory has, whatever stands in it.
pub(super) fn is_reserved(name: &str) -> bool {
    ["all", "ungrouped"]
        .iter()
        .any(|group| group.eq_ignore_ascii_case(name))
}

/// Why no host can be called so.
pub(super) fn reserved(name: &str) -> String {
    format!(
        "no host can be called {name:?}: that is a group which every inventory has, so give it another name"
    )
}

fn group_name(key: &Key) -> Result<(), Fault> {
    if permitted_group(&key.text) {
        return Ok(());
    }
    let shown: String = key.text.chars().take(80).collect();
    let reason =
        format!("group name {shown:?} is not permitted: a letter, then letters, digits, _ and -");
    Err(Fault::at(key.line, reason))
}

pub(super) fn permitted_group(name: &str) -> bool {
    let is_permitted = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && name.len() <= 64 && name.chars().all(is_permitted)
}

pub(super) fn permitted_variable(name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = !name.starts_with(|c: char| c.is_ascii_digit());
    !name.is_empty() && starts && name.chars().all(is_name)
}

fn read_vars(node: &Node, into: &mut BTreeMap<String, Node>) -> Result<(), Fault> {
    for (key, value) in mapping(node, "variables")? {
        if !permitted_variable(&key.text) {
            let shown: String = key.text.chars().take(80).collect();
            let reason = format!("{shown:?} is no name of a variable");
            return Err(Fault::at(key.line, reason));
        }
        if key.text == REMOTE_FOLDER {
            let reason = format!(
                "{REMOTE_FOLDER} is not yours to set: every run has a folder of its own on a host, by which \
                 what it leaves behind is found; take the variable out"
            );
            return Err(Fault::at(key.line, reason));
        }
        into.insert(key.text.clone(), value.clone());
    }
    Ok(())
}

fn mapping<'n>(node: &'n Node, what: &str) -> Result<&'n [(Key, Node)], Fault> {
    node.map().ok_or_else(|| {
        let reason = format!("{what:?} must be a mapping, not {}", node.kind());
        Fault::at(node.line, reason)
    })
}

/// By folded name, which host is meant, and whether that is its own name.
struct Nicknames(BTreeMap<String, (HostName, bool)>);

impl Nicknames {
    fn new<'h>(hosts: impl Iterator<Item = &'h HostName>) -> Self {
        let own = hosts.map(|host| (spoken::phrase(host.as_str()), (host.clone(), true)));
        Self(own.collect())
    }

    /// The nicknames of a host. A name that means another one as well is refused: whoever says it would be taken at one of
    /// two meanings, and a change would go to the other host.
    fn of(&mut self, host: &HostName, node: &Node) -> Result<Vec<String>, Fault> {
        let wrong = || Fault::at(node.line, format!("{ALIASES} must be a list of names"));
        let mut aliases = Vec::new();
        for item in node.list().ok_or_else(wrong)? {
            let alias = item.text().ok_or_else(wrong)?;
            aliases.push(alias.to_owned());
            let phrase = spoken::phrase(alias);
            if phrase.is_empty() {
                continue; // Nobody can say it.
            }
            if is_reserved(alias) {
                return Err(Fault::at(item.line, reserved(alias)));
            }
            let known = self.0.entry(phrase);
            let (other, is_own) = known.or_insert_with(|| (host.clone(), false));
            if other != host {
                let shown: String = visible(alias).chars().take(80).collect();
                let what = match is_own {
                    true => format!("is the name of another host, {other}"),
                    false => format!("is given to {other}, too"),
                };
                let reason = format!(
                    "{shown:?} in {ALIASES} of {host} {what}: a name must mean one host, so give another one"
                );
                return Err(Fault::at(item.line, reason));
            }
        }
        Ok(aliases)
    }
}

/// The agent runs with a home folder of its own, so `~` must not reach it.
fn expand_home(vars: &mut BTreeMap<String, Node>, home: &Path) {
    for name in ["ansible_ssh_private_key_file", "ansible_private_key_file"] {
        let Some(node) = vars.get_mut(name) else {
            continue;
        };
        if let yaml::Value::Text(text) = &mut node.value
            && let Some(rest) = text.strip_prefix("~/")
        {
            *text = home.join(rest).to_string_lossy().into_owned();
        }
    }
}
