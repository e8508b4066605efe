//! `chiffon inventory show|check|clear`.

use chiffon_common::{
    ErrorCode, HostName, Problem,
    api::{HostView, InventoryView},
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
    let faults: Vec<Fault> = whole
        .into_iter()
        .chain(inventory.hosts.into_iter().filter_map(fault_of))
        .collect();
    Checked {
        hosts,
        valid: faults.is_empty(),
        faults,
    }
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
    if checked.valid {
        let hosts = match checked.hosts {
            1 => "its one host".to_owned(),
            count => format!("its {count} hosts"),
        };
        let good = paint.good("Nothing is wrong");
        return format!("{good} with the inventory and {hosts}.");
    }
    let shown = |fault: &Fault| render::failure(paint, &fault.problem.clone().into());
    let mut lines: Vec<String> = checked.faults.iter().map(shown).collect();
    lines.push(match lines.len() {
        1 => "1 fault.".to_owned(),
        several => format!("{several} faults."),
    });
    lines.join("\n")
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

        let broken = json!({"hosts": [], "problem": {"code": 5802, "detail": "x", "todo": "y"}});
        let broken = checked(serde_json::from_value(broken).unwrap());
        assert!(!broken.valid && broken.faults[0].host.is_none());
    }
}
