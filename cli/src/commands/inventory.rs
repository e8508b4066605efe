//! `chiffon inventory show|check|clear`.

use std::collections::BTreeSet;

use chiffon_common::{
    ErrorCode, HostName, Problem,
    api::{HostView, InventoryView},
    visible,
};
use serde::Serialize;

use super::{Context, read};
use crate::{args::Clear, exit::Exit, failure::Failure, output, render, terminal::Paint};

pub async fn show(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let inventory = read(context, async |client| client.inventory().await).await?;
    let terminal = context.terminal;
    output::list(terminal, &inventory.hosts, &inventory, || {
        render::inventory(terminal.out, &inventory.hosts)
    });
    match inventory.problem {
        Some(problem) => Err(Failure {
            exit: Exit::Failure,
            ..Failure::from(problem)
        }),
        None => Ok(Exit::Ok),
    }
}

/// Said twice is said once.
pub async fn clear(context: &mut Context<'_>, args: &Clear) -> Result<Exit, Failure> {
    let host = read(context, async |client| client.clear(&args.host).await).await?;
    output::one(context.terminal, &host, || {
        format!("{} needs no look any more.", host.name)
    });
    Ok(Exit::Ok)
}

/// Everything that stands in the way of a run.
#[derive(Debug, Serialize)]
struct Checked {
    hosts: usize,
    valid: bool,
    faults: Vec<Fault>,
    /// What stands in the way of nothing, and should be known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Fault {
    /// Absent where the whole inventory is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostName>,
    #[serde(flatten)]
    problem: Problem,
}

pub async fn check(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let inventory = read(context, async |client| client.inventory().await).await?;
    let checked = checked(inventory);
    let terminal = context.terminal;
    output::list(terminal, &checked.faults, &checked, || {
        text(terminal.out, &checked)
    });
    match checked.valid {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Failure),
    }
}

fn checked(inventory: InventoryView) -> Checked {
    let hosts = inventory.hosts.len();
    let whole = inventory.problem.map(|problem| Fault {
        host: None,
        problem,
    });
    let warnings = one_key(&inventory.hosts);
    let faults: Vec<Fault> = whole
        .into_iter()
        .chain(inventory.hosts.into_iter().filter_map(fault_of))
        .collect();
    Checked {
        hosts,
        valid: faults.is_empty(),
        faults,
        warnings,
    }
}

/// Hosts with one key, each group of them once.
fn one_key(hosts: &[HostView]) -> Vec<String> {
    let mut told: BTreeSet<&HostName> = BTreeSet::new();
    let mut warnings = Vec::new();
    for host in hosts.iter().filter(|host| !host.shares_key_with.is_empty()) {
        let all: Vec<&HostName> = std::iter::once(&host.name)
            .chain(&host.shares_key_with)
            .collect();
        if all.iter().all(|name| told.contains(name)) {
            continue;
        }
        let names: Vec<&str> = all.iter().map(|name| name.as_str()).collect();
        warnings.push(format!(
            "{} have one SSH host key and different addresses. If they are one machine, give them one address (ansible_host and \
             ansible_port): until then changes may run there at the same time. If they are copies of one machine, let each \
             make a key of its own.",
            names.join(", ")
        ));
        told.extend(all);
    }
    warnings
}

fn fault_of(host: HostView) -> Option<Fault> {
    let problem = match host.problem {
        Some(problem) => problem,
        None if host.pinned => return None,
        None => not_pinned(&host.name),
    };
    Some(Fault {
        host: Some(host.name),
        problem,
    })
}

fn not_pinned(host: &HostName) -> Problem {
    Problem::new(
        ErrorCode::HostKeyUnknown,
        format!("The SSH key of {host} is not pinned, so nothing runs there."),
        format!("Pin it: chiffon inventory trust {host}"),
    )
}

fn text(paint: Paint, checked: &Checked) -> String {
    let told = checked.warnings.iter();
    let told = told.map(|warning| format!("\n{} {}", paint.warn("Warning:"), visible(warning)));
    let told: String = told.collect();
    if checked.valid {
        let hosts = match checked.hosts {
            1 => "its one host".to_owned(),
            count => format!("its {count} hosts"),
        };
        let good = paint.good("Nothing is wrong");
        return format!("{good} with the inventory and {hosts}.{told}");
    }
    let shown = |fault: &Fault| render::failure(paint, &fault.problem.clone().into());
    let mut lines: Vec<String> = checked.faults.iter().map(shown).collect();
    lines.push(match lines.len() {
        1 => "1 fault.".to_owned(),
        several => format!("{several} faults."),
    });
    lines.join("\n") + &told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_host_that_nothing_can_run_on_is_named_once() {
        let host = |name: &str, pinned: bool, problem: Option<&str>| {
            let mut value = json!({
                "name": name, "aliases": [], "groups": [], "local": false, "pinned": pinned,
            });
            if let Some(detail) = problem {
                value["problem"] = json!({"code": 5802, "detail": detail, "todo": ""});
            }
            value
        };
        let hosts = [
            host("a", true, None),
            host("b", false, None),
            host("c", false, Some("its address is a template")),
        ];
        let inventory = serde_json::from_value(json!({ "hosts": hosts })).unwrap();
        let found = checked(inventory);
        let named: Vec<_> = found.faults.iter().map(|one| one.host.clone()).collect();
        assert_eq!(named, ["b", "c"].map(|name| name.parse().ok()));
        let shown = text(Paint::PLAIN, &found);
        assert!(shown.contains("chiffon inventory trust b"), "{shown}");
        assert!(shown.ends_with("2 faults."), "{shown}");

        let mut twins = hosts[..1].to_vec();
        twins.push(twins[0].clone());
        (twins[0]["shares_key_with"], twins[1]["name"]) = (json!(["d"]), json!("d"));
        twins[1]["shares_key_with"] = json!(["a"]);
        let twins = checked(serde_json::from_value(json!({ "hosts": twins })).unwrap());
        assert!(twins.valid, "it stands in the way of nothing");
        assert_eq!(twins.warnings.len(), 1, "{:?}", twins.warnings);
        let shown = text(Paint::PLAIN, &twins);
        assert!(
            shown.contains("\nWarning: a, d have one SSH host key"),
            "{shown}"
        );

        let broken = json!({"hosts": [], "problem": {"code": 5802, "detail": "x", "todo": "y"}});
        let broken = checked(serde_json::from_value(broken).unwrap());
        assert!(!broken.valid && broken.faults[0].host.is_none());
    }
}
