//! What only the orchestrator knows: the database, the ledger, the catalogue, the hosts, the agents. Where
//! none runs, one without agents is started for the look.

use chiffon_common::api::{BrokenFile, CatalogueView};
use chiffon_orchestrator::ledger::{MOVED, Parting};

use super::{Context, Finding};
use crate::{
    commands::with_what_lies_here,
    failure::Failure,
    session::{Need, Session},
};

pub(super) async fn look(context: &mut Context<'_>) -> Vec<Finding> {
    let session = match Session::open(context, Need::Records).await {
        Ok(session) => session,
        Err(failure) => return vec![Finding::failed("fleet", failure)],
    };
    let mut findings = Vec::new();
    findings.extend(section("fleet", components(context, &session).await));
    findings.extend(section("catalogue", catalogue(&session).await));
    findings.extend(section("inventory", inventory(&session).await));
    if session.has_agents() {
        findings.extend(section("agents", agents(&session).await));
    } else {
        let found = "no fleet runs; `chiffon up` starts it";
        findings.push(Finding::ok("agents", found));
    }
    session.close().await;
    findings
}

fn section(what: &'static str, found: Result<Vec<Finding>, Failure>) -> Vec<Finding> {
    found.unwrap_or_else(|failure| vec![Finding::failed(what, failure)])
}

async fn components(context: &Context<'_>, session: &Session) -> Result<Vec<Finding>, Failure> {
    let health = with_what_lies_here(context, session.client.close_health().await?);
    let found = health.components.iter().map(|(name, word)| {
        let what = match name.as_str() {
            "store" => "database",
            "ledger" => "ledger",
            "bus" => "bus",
            agent if agent.starts_with("agent ") => "agents",
            _ => "component",
        };
        let found = match what {
            "component" | "agents" => format!("{name}: {word}"),
            "database" if word == "ok" => {
                "ok; whether its records still fit each other says `chiffon audit verify`"
                    .to_owned()
            }
            _ => word.clone(),
        };
        match word.as_str() {
            "ok" => Finding::ok(what, found),
            _ => Finding::fail(what, found, todo_of(what, word)),
        }
    });
    let notices = health.notices.iter().map(|notice| {
        let (what, todo) = match notice.contains("the journal of agent") {
            true => ("agents", "`chiffon explain 5509` tells more."),
            false => ("ledger", "`chiffon explain 5120` tells more."),
        };
        Finding::warn(what, notice.clone(), todo)
    });
    let mut findings: Vec<Finding> = found.chain(notices).collect();
    if let Some(frozen) = &health.frozen {
        let todo = "Nothing is started until it is ended: chiffon thaw";
        findings.push(Finding::warn("freeze", frozen.words(), todo));
    }
    Ok(findings)
}

fn todo_of(component: &str, word: &str) -> &'static str {
    match component {
        "ledger" if word.contains("explain 5511") => {
            "Put the old keys/ledger.key back from a backup and start again; if it is lost for good: chiffon audit accept-key FINGERPRINT --because WORDS"
        }
        "ledger" if Parting::ALL.iter().any(|how| word.contains(how.words())) => {
            "Put back the database and the ledger that belong together; or, to go on with this database, stop Chiffon and move the folder `ledger` of the data folder away. Until then no change is started: chiffon explain 5507"
        }
        "ledger" if word.contains(MOVED) => {
            "Only Chiffon moves refs/heads/main of the ledger, and somebody else did. Find out who, keep what you want of it, then put it back with `git update-ref`, or move the folder `ledger` away, and it is made anew: chiffon explain 5507"
        }
        "ledger" => {
            "Make the folder `ledger` of the data folder writable and see that there is room; nothing is lost, and what is missing is written then."
        }
        "database" if word.contains("damaged") => {
            "Restore a backup of the data folder, and keep the damaged file for inspection: chiffon explain 5505"
        }
        "database" => {
            "Make room on the disk of the data folder, or make it writable; Chiffon goes on by itself, and nothing that was taken is lost."
        }
        "agents" => {
            "Make room on the disk of the folder `agents`, or make it writable; the agent goes on by itself, and what it had begun is told."
        }
        _ => "The log tells more: chiffon up -v",
    }
}

async fn catalogue(session: &Session) -> Result<Vec<Finding>, Failure> {
    let CatalogueView { entries, broken } = session.client.catalogue().await?;
    let mut findings = vec![Finding::ok(
        "catalogue",
        format!("{} entries", entries.len()),
    )];
    findings.extend(broken.into_iter().map(|file| {
        let BrokenFile { file, line, reason } = file;
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let todo = "Correct the file; the other entries work.";
        Finding::warn("catalogue", format!("{file}{line}: {reason}"), todo)
    }));
    Ok(findings)
}

async fn inventory(session: &Session) -> Result<Vec<Finding>, Failure> {
    let inventory = session.client.inventory().await?;
    if let Some(problem) = inventory.problem {
        return Ok(vec![Finding::failed("inventory", problem)]);
    }
    let count = format!("{} hosts", inventory.hosts.len());
    let mut findings = vec![Finding::ok("inventory", count)];
    for host in inventory.hosts.iter().filter(|host| !host.pinned) {
        let name = &host.name;
        findings.push(Finding::warn(
            "inventory",
            format!("the SSH key of {name} is not pinned, so nothing runs there"),
            format!("chiffon inventory trust {name}"),
        ));
    }
    Ok(findings)
}

async fn agents(session: &Session) -> Result<Vec<Finding>, Failure> {
    let agents = session.client.agents().await?.items;
    let found = agents.iter().map(|agent| {
        let found = format!("{} is {}", agent.agent_id, agent.state);
        match agent.state.as_str() {
            "idle" | "working" | "spawned" => Finding::ok("agents", found),
            "shutdown" => Finding::warn("agents", found, ""),
            _ => Finding::fail(
                "agents",
                found,
                "Start `chiffon up` again; its log tells why.",
            ),
        }
    });
    let found: Vec<Finding> = found.collect();
    match found.is_empty() {
        true => Ok(vec![Finding::warn("agents", "none has reported yet", "")]),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use chiffon_orchestrator::ledger::LedgerError;

    use super::*;

    #[test]
    fn a_ledger_that_somebody_moved_is_no_matter_of_permissions() {
        let moved = LedgerError::Foreign("history was rewritten".to_owned()).to_string();
        assert!(todo_of("ledger", &moved).contains("moves refs/heads/main"));
        assert!(todo_of("ledger", "no space left on device").contains("room"));
    }

    #[test]
    fn a_damaged_database_needs_a_backup_and_no_room() {
        let damaged = chiffon_store::Error::Corrupt("x".to_owned()).to_string();
        assert!(todo_of("database", &damaged).contains("backup"));
        assert!(todo_of("database", "the disk is full").contains("room"));
    }
}
