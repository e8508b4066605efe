//! The fleet: health, agents, hosts, and the lines of the ledger.

use chiffon_common::api::{AgentView, Health, LedgerLine};
use serde_json::Value;

use super::{
    table::table,
    words::{self, one_line, short_id, state},
};
use crate::terminal::Paint;

/// Overall, then by component.
pub fn health(paint: Paint, health: &Health) -> String {
    let mut text = format!(
        "{} (chiffon {})",
        state(paint, &health.status),
        one_line(&health.version, 40)
    );
    for (component, word) in &health.components {
        let word = match word.as_str() {
            "ok" => paint.good("ok"),
            other => paint.warn(&one_line(other, 300)),
        };
        text += &format!("\n  {:<16} {word}", one_line(component, 40));
    }
    text
}

/// One agent a row.
pub fn agents(paint: Paint, agents: &[AgentView]) -> String {
    let row = |agent: &AgentView| {
        let can: Vec<String> = agent
            .capabilities
            .iter()
            .map(|(name, version)| format!("{} {}", one_line(name, 30), one_line(version, 60)))
            .collect();
        vec![
            agent.agent_id.to_string(),
            state(paint, &agent.state),
            one_line(&agent.version, 20),
            words::time(agent.last_seen),
            can.join(", "),
        ]
    };
    let rows: Vec<_> = agents.iter().map(row).collect();
    table(
        paint,
        &["AGENT", "STATE", "VERSION", "LAST SEEN", "CAN"],
        &rows,
    )
}

/// One host a row.
pub fn inventory(paint: Paint, inventory: &Value) -> String {
    let hosts = inventory["hosts"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |value: &Value| one_line(value.as_str().unwrap_or("-"), 60);
    let list = |value: &Value| {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        let items: Vec<String> = items.iter().map(text).collect();
        items.join(", ")
    };
    let row = |host: &Value| {
        let key = match (host["pinned"].as_bool(), host["connection"].as_str()) {
            (Some(true), _) => paint.good("pinned"),
            (_, Some("local")) => "-".to_owned(),
            _ => paint.warn("not pinned"),
        };
        vec![
            text(&host["name"]),
            text(&host["connection"]),
            text(&host["address"]),
            key,
            list(&host["groups"]),
            list(&host["aliases"]),
        ]
    };
    let rows: Vec<_> = hosts.iter().map(row).collect();
    let heading = ["HOST", "BY", "ADDRESS", "SSH KEY", "GROUPS", "ALSO CALLED"];
    table(paint, &heading, &rows)
}

/// Newest first, like `git log --oneline`.
pub fn ledger(paint: Paint, lines: &[LedgerLine]) -> String {
    if lines.is_empty() {
        return "The ledger is empty: nothing has ended yet.".to_owned();
    }
    let shown = |line: &LedgerLine| {
        let commit: String = line.commit.chars().take(10).collect();
        let requests: Vec<String> = line.requests.iter().map(short_id).collect();
        let of = match requests.is_empty() {
            true => String::new(),
            false => paint.dim(&format!(" (request {})", requests.join(", "))),
        };
        format!(
            "{} {} {}{of}",
            paint.warn(&one_line(&commit, 10)),
            words::time(line.time),
            one_line(&line.subject, 120),
        )
    };
    let lines: Vec<String> = lines.iter().map(shown).collect();
    lines.join("\n")
}
