//! Resolving a choice of hosts into the two files that travel with the work: exactly these hosts, with
//! their merged variables and their pinned keys, and nothing of any other host (S3, S12).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use chiffon_common::{Bundle, BundleFile, ErrorCode, HostName, Problem};

use super::{Host, Inventory, emit, host_keys::Address};
use crate::catalogue::yaml::{Node, Value};

pub(super) const HOSTS: &str = "inventory/hosts.yml";
const KNOWN_HOSTS: &str = "inventory/known_hosts";
/// What the machine is called on which Ansible runs.
const LOCAL: &str = "local";
/// How all its names are written where SSH is what reaches it.
const LOOPBACK: &str = "localhost";

/// A host that is reached over SSH and has no pinned key yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinned {
    /// The host.
    pub host: HostName,
    /// Where its key is to be asked for.
    pub address: String,
    /// The SSH port.
    pub port: u16,
}

impl Inventory {
    /// `inventory/hosts.yml` and `inventory/known_hosts` for exactly these hosts. The order in which they
    /// are named makes no difference.
    ///
    /// # Errors
    /// 5102 for a host that is not in the inventory, 5109 for an address that cannot be read.
    pub fn resolve(&self, hosts: &[HostName]) -> Result<Bundle, Problem> {
        let hosts = self.chosen(hosts)?;
        let mut keys = BTreeSet::new();
        for host in &hosts {
            if let Some(address) = host.address()? {
                keys.extend(self.keys.lines_of(&address));
            }
        }
        let known_hosts: String = keys.into_iter().map(|line| line + "\n").collect();
        let mut bundle = Bundle::default();
        for (path, text) in [(HOSTS, hosts_file(&hosts)), (KNOWN_HOSTS, known_hosts)] {
            let file = BundleFile {
                executable: false,
                content: text.into_bytes(),
            };
            bundle.insert(path, file).map_err(|error| {
                Problem::new(ErrorCode::Internal, error.to_string(), "please report this")
            })?;
        }
        Ok(bundle)
    }

    /// Those of the hosts that are reached over SSH without a pinned key.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn unpinned(&self, hosts: &[HostName]) -> Result<Vec<Unpinned>, Problem> {
        let mut unpinned = Vec::new();
        for host in self.chosen(hosts)? {
            unpinned.extend(self.unpinned_one(host)?);
        }
        Ok(unpinned)
    }

    /// The same for one host, so that a host whose address cannot be known spoils no list of all hosts.
    ///
    /// # Errors
    /// 5109 for an address that cannot be read, such as a template.
    pub fn unpinned_one(&self, host: &Host) -> Result<Option<Unpinned>, Problem> {
        let address = host.address()?.filter(|address| !self.keys.has(address));
        Ok(address.map(|address| Unpinned {
            host: host.name.clone(),
            address: address.name,
            port: address.port,
        }))
    }

    /// The problem of a host that nobody knows, with the nearest one.
    pub fn unknown_host(&self, name: &str) -> Problem {
        let shown = chiffon_common::visible(&name.chars().take(80).collect::<String>());
        let mut known: Vec<&str> = self.hosts.keys().map(HostName::as_str).collect();
        known.sort_by(|a, b| {
            strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name))
        });
        let more = if known.len() > 8 { ", ..." } else { "" };
        known.truncate(8);
        let known = match known.as_slice() {
            [] => "the inventory has none".to_owned(),
            known => format!("known are {}{more}", known.join(", ")),
        };
        let detail = format!("there is no host {shown:?}; {known}");
        let todo = "name a known host, or add it to inventory/hosts.yml";
        Problem::new(ErrorCode::UnknownHost, detail, todo)
    }

    /// The machine behind a name, so that two names of one machine count as one: this one for every local
    /// host, else the address and port, else what the connection calls it. Nothing where the address cannot be
    /// known, such as a template.
    pub fn machine(&self, host: &Host) -> Option<String> {
        if host.is_local() {
            return Some(LOCAL.to_owned());
        }
        if let Some(address) = host.address().ok()? {
            let name = folded(&address.name);
            let name = name.trim_start_matches('[').trim_end_matches(']');
            // One address has several spellings, and this machine has many.
            let name = match name.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
                Ok(ip) if ip.is_loopback() => LOOPBACK.to_owned(),
                Ok(ip) => ip.to_string(),
                Err(_) if self.is_own_name(name) => LOOPBACK.to_owned(),
                Err(_) => name.to_owned(),
            };
            // Behind another port a container or a tunnel may answer.
            return Some(match (name.as_str(), address.port) {
                (LOOPBACK, 22) => LOCAL.to_owned(),
                (name, port) => format!("{name}:{port}"),
            });
        }
        let connection = host.var("ansible_connection").unwrap_or("ssh");
        let name = match host.vars.get("ansible_host") {
            None => host.name.as_str().to_owned(),
            Some(node) => literal(node)?,
        };
        Some(format!("{connection}:{name}"))
    }

    fn is_own_name(&self, name: &str) -> bool {
        name == LOOPBACK
            || name.ends_with(".localhost")
            || (!name.is_empty() && name == self.own_name)
    }

    /// Each once, by name.
    fn chosen(&self, hosts: &[HostName]) -> Result<Vec<&Host>, Problem> {
        let names: BTreeSet<&HostName> = hosts.iter().collect();
        let find = |name: &HostName| {
            self.hosts
                .get(name)
                .ok_or_else(|| self.unknown_host(name.as_str()))
        };
        names.into_iter().map(find).collect()
    }
}

impl Host {
    /// Whether Ansible runs on this very machine for it.
    pub fn is_local(&self) -> bool {
        match self.var("ansible_connection") {
            Some(connection) => connection == "local",
            None => self.name.as_str() == "localhost" && !self.vars.contains_key("ansible_host"),
        }
    }

    /// Where SSH reaches it; nothing where it is not reached by SSH.
    pub(super) fn address(&self) -> Result<Option<Address>, Problem> {
        let connection = self.var("ansible_connection").unwrap_or("ssh");
        let is_ssh = [
            "ssh",
            "smart",
            "paramiko",
            "paramiko_ssh",
            "ansible.builtin.ssh",
        ]
        .contains(&connection);
        if self.is_local() || !is_ssh {
            return Ok(None);
        }
        let name = match self
            .vars
            .get("ansible_host")
            .or_else(|| self.vars.get("ansible_ssh_host"))
        {
            None => self.name.as_str().to_owned(),
            Some(node) => literal(node).ok_or_else(|| self.unclear("ansible_host"))?,
        };
        if name.starts_with('-') {
            let reason = "begins with \"-\", which ssh would take for an option";
            return Err(self.unreachable("ansible_host", reason));
        }
        if is_short_ipv4(&name) {
            let reason = "is a number that ssh would write out as another address, so its pinned key would never be found";
            return Err(self.unreachable("ansible_host", reason));
        }
        let port = match self
            .vars
            .get("ansible_port")
            .or_else(|| self.vars.get("ansible_ssh_port"))
        {
            None => Some(22),
            Some(node) => literal(node).and_then(|text| text.parse().ok()),
        };
        let port = port.ok_or_else(|| self.unclear("ansible_port"))?;
        Ok(Some(Address { name, port }))
    }

    fn unclear(&self, name: &str) -> Problem {
        let reason = "is no plain value, so its pinned key cannot be chosen";
        self.unreachable(name, reason)
    }

    fn unreachable(&self, name: &str, reason: &str) -> Problem {
        let detail = format!("{name} of {} {reason}", self.name);
        let todo = "write the address and the port out in inventory/hosts.yml";
        Problem::new(ErrorCode::InventoryBroken, detail, todo)
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).and_then(Node::text)
    }

    /// The variables as they are sent: a local host runs with the Python that Ansible itself runs on, since
    /// what interpreter discovery finds there may be a version manager's shim that does not work.
    fn sent(&self) -> BTreeMap<&str, Node> {
        let mut vars: BTreeMap<&str, Node> = self
            .vars
            .iter()
            .map(|(name, node)| (name.as_str(), node.clone()))
            .collect();
        if self.is_local() {
            let defaults = [
                ("ansible_connection", "local"),
                (
                    "ansible_python_interpreter",
                    "{{ ansible_playbook_python }}",
                ),
            ];
            for (name, value) in defaults {
                vars.entry(name).or_insert_with(|| Node {
                    line: 0,
                    tag: None,
                    value: Value::Text(value.to_owned()),
                });
            }
        }
        vars
    }
}

/// A name of a machine in its one form.
pub(super) fn folded(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// `127.1`, `0x7f.1`, `2130706433`: what ends in a number is no name, and ssh writes it out in four parts.
fn is_short_ipv4(name: &str) -> bool {
    let last = name.rsplit('.').find(|part| !part.is_empty()).unwrap_or("");
    let hex = last.strip_prefix("0x").or(last.strip_prefix("0X"));
    let is_number = match hex {
        Some(hex) => hex.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|digit| digit.is_ascii_digit()),
    };
    is_number && name.parse::<Ipv4Addr>().is_err()
}

fn literal(node: &Node) -> Option<String> {
    let text = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_plain = node.tag.is_none()
        && !text.contains(|c: char| c.is_whitespace() || "{}[]*?!|,#".contains(c));
    (is_plain && !text.is_empty()).then_some(text)
}

fn hosts_file(hosts: &[&Host]) -> String {
    let mut to = "---\nall:\n  hosts:\n".to_owned();
    for host in hosts {
        to.push_str("    ");
        emit::text(host.name.as_str(), &mut to);
        let vars = host.sent();
        to.push_str(if vars.is_empty() { ": {}\n" } else { ":\n" });
        for (name, node) in vars {
            to.push_str("      ");
            emit::text(name, &mut to);
            to.push_str(": ");
            emit::node(&node, &mut to);
            to.push('\n');
        }
    }
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        for group in &host.groups {
            groups.entry(group).or_default().push(host.name.as_str());
        }
    }
    if !groups.is_empty() {
        to.push_str("  children:\n");
    }
    for (group, hosts) in groups {
        to.push_str("    ");
        emit::text(group, &mut to);
        to.push_str(":\n      hosts:\n");
        for host in hosts {
            to.push_str("        ");
            emit::text(host, &mut to);
            to.push_str(": {}\n");
        }
    }
    to
}
