//! Merging variables as Ansible does: `all` lowest, parents before children, within one depth by
//! `ansible_group_priority` and then by name, the host's own last.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::HostName;

use super::read::Written;
use crate::catalogue::yaml::{Fault, Node};

/// Variables and groups by host, hosts by group.
pub(super) struct Merged {
    pub(super) hosts: BTreeMap<HostName, (BTreeMap<String, Node>, Vec<String>)>,
    pub(super) groups: BTreeMap<String, Vec<HostName>>,
}

pub(super) fn merge(written: &Written) -> Result<Merged, Fault> {
    let depths = depths(written)?;
    let mut order: Vec<&String> = written.groups.keys().collect();
    order.sort_by_key(|name| {
        (
            depths.get(*name).copied().unwrap_or(1),
            priority(written, name),
            *name,
        )
    });
    let members = members(written, &order);
    let mut hosts: BTreeMap<HostName, (BTreeMap<String, Node>, Vec<String>)> = written
        .hosts
        .keys()
        .map(|host| (host.clone(), Default::default()))
        .collect();
    for name in order {
        let Some(group) = written.groups.get(name) else {
            continue;
        };
        for host in members.get(name).into_iter().flatten() {
            if let Some((vars, groups)) = hosts.get_mut(host) {
                vars.extend(group.vars.clone());
                groups.push(name.clone());
            }
        }
    }
    for (host, (vars, groups)) in &mut hosts {
        vars.extend(written.hosts.get(host).cloned().unwrap_or_default());
        vars.remove("ansible_group_priority");
        groups.retain(|name| name != "all");
        groups.sort();
    }
    let groups = members.into_iter().filter(|(name, _)| name != "all");
    Ok(Merged {
        hosts,
        groups: groups
            .map(|(name, hosts)| (name, hosts.into_iter().collect()))
            .collect(),
    })
}

/// Longest way from `all` to each group.
fn depths(written: &Written) -> Result<BTreeMap<String, usize>, Fault> {
    let mut depths: BTreeMap<String, usize> = BTreeMap::from([("all".to_owned(), 0)]);
    // Without a circle, a way has fewer steps than there are groups.
    for round in 0..=written.groups.len() {
        let mut changed = None;
        for (name, group) in &written.groups {
            let depth = depths.get(name).copied().unwrap_or(1);
            for child in &group.children {
                if depths.get(child).is_none_or(|known| *known < depth + 1) {
                    depths.insert(child.clone(), depth + 1);
                    changed = Some(child);
                }
            }
        }
        match changed {
            None => return Ok(depths),
            Some(child) if round == written.groups.len() => {
                let reason = format!("the group {child:?} holds itself through its children");
                return Err(Fault::whole(reason));
            }
            Some(_) => {}
        }
    }
    Ok(depths)
}

fn priority(written: &Written, name: &str) -> i64 {
    let group = written.groups.get(name);
    let node = group.and_then(|group| group.vars.get("ansible_group_priority"));
    node.and_then(|node| node.to_json().as_i64()).unwrap_or(1)
}

/// All hosts of each group; deeper groups are done first, so each hands its own upwards once.
fn members(written: &Written, order: &[&String]) -> BTreeMap<String, BTreeSet<HostName>> {
    let mut members: BTreeMap<String, BTreeSet<HostName>> = BTreeMap::new();
    for name in order.iter().rev() {
        let Some(group) = written.groups.get(*name) else {
            continue;
        };
        let mut hosts = group.hosts.clone();
        for child in &group.children {
            hosts.extend(members.get(child).into_iter().flatten().cloned());
        }
        members.insert((*name).clone(), hosts);
    }
    members.insert("all".to_owned(), written.hosts.keys().cloned().collect());
    members
}
