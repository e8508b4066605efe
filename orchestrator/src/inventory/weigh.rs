//! What the templates in the inventory's variables make of a run. They are the user's code and run where Ansible
//! runs, in a check run too, whatever the playbook holds. Which lookup does what is the catalogue's knowledge
//! (its scan), what follows for a plan is the engine's.

use std::{cmp::Reverse, collections::BTreeSet};

use chiffon_common::{Fidelity, HostName};

use super::{Inventory, resolve::HOSTS};
use crate::catalogue::of_variable;

/// Reasons that are named; the others are counted.
const SHOWN: usize = 3;

/// What the variables of some hosts leave of a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weight {
    /// What it is worth at best.
    pub(crate) fidelity: Fidelity,
    /// Why, in one line that names file, line and variable; nothing where it is `exact`.
    pub(crate) because: Option<String>,
}

impl Inventory {
    /// Weighs the variables of these hosts, those of their groups included. A name that is not in the inventory
    /// weighs nothing: it is refused where the hosts are resolved.
    pub(crate) fn weigh(&self, hosts: &[HostName]) -> Weight {
        let hosts = hosts.iter().filter_map(|name| self.hosts.get(name));
        let vars = hosts.flat_map(|host| &host.vars);
        // A variable of a group is found at each of its hosts, and named once.
        let found: BTreeSet<(Reverse<Fidelity>, String)> = vars
            .flat_map(|(name, value)| of_variable(HOSTS, name, value))
            .map(|(fidelity, because)| (Reverse(fidelity), because))
            .collect();
        let fidelity = found.first().map_or(Fidelity::Exact, |(worst, _)| worst.0);
        let shown = found
            .iter()
            .take(SHOWN)
            .map(|(_, because)| because.as_str());
        let mut shown: Vec<&str> = shown.collect();
        let more = format!("and {} more", found.len().saturating_sub(SHOWN));
        if found.len() > SHOWN {
            shown.push(&more);
        }
        Weight {
            fidelity,
            because: (!shown.is_empty()).then(|| shown.join("; ")),
        }
    }
}
