//! The inventory: which hosts there are, what people call them, and how Ansible reaches them.
//!
//! Reads `hosts.yml` (Ansible's YAML form) and `known_hosts` of one folder, and resolves a choice of hosts
//! into the files that travel with the work. Variables of the inventory are the user's code: templates
//! stay templates and tags stay tags (S3). Which hosts a sentence means is left to `planner`.

mod emit;
mod first;
mod foreign;
mod groups;
mod host_keys;
mod read;
mod resolve;
mod spoken;
mod weigh;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::OnceLock,
};

use chiffon_common::HostName;

use crate::catalogue::yaml::Node;
pub use first::write_default;
pub use foreign::{ForeignHost, ForeignInventory, give_back, take};
pub use host_keys::{HostKey, HostKeys, pin};
pub use resolve::Unpinned;
pub(crate) use spoken::is_here;

/// What the inventory must be told of the machine it is read on.
#[derive(Debug, Clone)]
pub struct Here {
    /// Its host name; also answers to `localhost`.
    pub hostname: String,
    /// What `~` stands for in key file names.
    pub home: PathBuf,
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// What else people call it.
    pub aliases: Vec<String>,
    /// Its groups, with all that hold them; sorted, without `all`.
    pub groups: Vec<String>,
    /// Merged as Ansible merges, without `chiffon_aliases`.
    vars: BTreeMap<String, Node>,
}

/// The hosts of one folder.
#[derive(Debug, Default)]
pub struct Inventory {
    hosts: BTreeMap<HostName, Host>,
    groups: BTreeMap<String, Vec<HostName>>,
    keys: HostKeys,
    spoken: spoken::Spoken,
    /// The host name of this machine, folded; empty where nobody has said it.
    own_name: String,
    /// Hosts by the machine behind them; made when first asked for.
    machines: OnceLock<BTreeMap<String, Vec<HostName>>>,
    /// Hosts by each of their pinned keys; made when first asked for.
    by_key: OnceLock<BTreeMap<HostKey, Vec<HostName>>>,
}

impl Inventory {
    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// One host.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// The names of one machine, as [`Self::machine`] calls it.
    pub fn names_of_machine(&self, machine: &str) -> &[HostName] {
        let machines = self.machines.get_or_init(|| {
            let mut machines: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
            for host in self.hosts() {
                if let Some(machine) = self.machine(host) {
                    machines.entry(machine).or_default().push(host.name.clone());
                }
            }
            machines
        });
        machines.get(machine).map_or(&[], Vec::as_slice)
    }

    /// Other names for which a key of this host is pinned, though by their addresses they are other machines: one machine,
    /// or copies of one whose keys were never made anew. Nobody can tell which.
    pub fn sharing_key(&self, host: &Host) -> Vec<HostName> {
        let by_key = self.by_key.get_or_init(|| {
            let mut by_key: BTreeMap<HostKey, Vec<HostName>> = BTreeMap::new();
            for host in self.hosts() {
                for key in self.keys_of(host) {
                    by_key.entry(key).or_default().push(host.name.clone());
                }
            }
            by_key
        });
        let machine = self.machine(host);
        let is_other = |name: &&HostName| {
            let other = self.hosts.get(*name).and_then(|other| self.machine(other));
            **name != host.name && (machine.is_none() || other != machine)
        };
        let names = self.keys_of(host).into_iter();
        let names = names.flat_map(|key| by_key.get(&key).into_iter().flatten());
        let others: BTreeSet<&HostName> = names.filter(is_other).collect();
        others.into_iter().cloned().collect()
    }

    fn keys_of(&self, host: &Host) -> Vec<HostKey> {
        let address = host.address().ok().flatten();
        address.map_or(Vec::new(), |address| self.keys.of(&address))
    }

    /// Groups with all their hosts, by name; `all` is not among them.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &[HostName])> {
        let groups = self.groups.iter();
        groups.map(|(name, hosts)| (name.as_str(), hosts.as_slice()))
    }

    /// The pinned keys.
    pub fn keys(&self) -> &HostKeys {
        &self.keys
    }

    /// What a phrase of folded words means: a host by name or nickname, a group, or nothing.
    pub(crate) fn meant(&self, phrase: &str) -> Option<&[HostName]> {
        self.spoken.get(phrase)
    }

    /// The same without regard to endings ("den Webservern") and to which word for a machine is used ("jellyfin box",
    /// "Jellyfin-Rechner").
    pub(crate) fn meant_loosely(&self, phrase: &str) -> Option<&[HostName]> {
        self.spoken.loosely(phrase)
    }

    /// The only name that one slip of the keyboard makes of this phrase.
    pub(crate) fn meant_nearly(&self, phrase: &str) -> Option<&[HostName]> {
        self.spoken.nearly(phrase)
    }

    /// How many words the longest name has.
    pub(crate) fn longest_name(&self) -> usize {
        self.spoken.longest()
    }
}
