//! The fleet: health, agents, hosts, and the lines of the ledger.

use chiffon_common::{
    AgentKind, DiskMetrics, ResourceMetrics,
    api::{AgentView, Health, HostView, LedgerLine},
};

use super::{
    table::table,
    words::{self, one_line, state},
};
use crate::terminal::Paint;

/// Overall, then by component, then whether anything is started at all.
pub fn health(paint: Paint, health: &Health) -> String {
    let mut text = format!(
        "{} (chiffon {})",
        state(paint, &health.status),
        one_line(&health.version, 40)
    );
    let width = health.components.keys().map(|name| name.chars().count());
    let width = width.max().unwrap_or_default().clamp(16, 40);
    for (component, word) in &health.components {
        let word = match word.as_str() {
            "ok" => paint.good("ok"),
            other => format!("{} {}", paint.bad("FAIL"), one_line(other, 800)),
        };
        text += &format!("\n  {:<width$} {word}", one_line(component, 40));
    }
    for notice in &health.notices {
        let words = paint.warn(&one_line(notice, 800));
        text += &format!("\n  {:<width$} {words}", "notice");
    }
    if let Some(frozen) = &health.frozen {
        let words = one_line(&frozen.words(), 600);
        let words = paint.warn(&format!(
            "{words}. Nothing is started; `chiffon thaw` ends it."
        ));
        text += &format!("\n  {:<width$} {words}", "freeze");
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
pub fn inventory(paint: Paint, hosts: &[HostView]) -> String {
    let row = |host: &HostView| {
        let (by, key) = match (host.local, host.pinned) {
            (true, _) => ("local", "-".to_owned()),
            (false, true) => ("ssh", paint.good("pinned")),
            (false, false) => ("ssh", paint.warn("not pinned")),
        };
        vec![
            host.name.to_string(),
            by.to_owned(),
            key,
            one_line(&host.groups.join(", "), 60),
            one_line(&host.aliases.join(", "), 60),
        ]
    };
    let rows: Vec<_> = hosts.iter().map(row).collect();
    let heading = ["HOST", "BY", "SSH KEY", "GROUPS", "ALSO CALLED"];
    let table = table(paint, &heading, &rows);
    match looks(paint, hosts) {
        Some(looks) => format!("{table}\n\n{looks}"),
        None => table,
    }
}

/// The hosts that need a look, each with the reason and what to say afterwards; nothing where there is none.
pub fn looks(paint: Paint, hosts: &[HostView]) -> Option<String> {
    let line = |host: &HostView| {
        let look = host.needs_look.as_ref()?;
        let words = paint.warn(&one_line(&look.words(&host.name), 400));
        let then = match look.asked {
            Some(request) => format!("chiffon request resolve {request} completed|failed|retry"),
            None => format!("chiffon inventory clear {}", host.name),
        };
        Some(format!("{words}\n  when you have looked: {then}"))
    };
    let lines: Vec<String> = hosts.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Newest first, like `git log --oneline`.
pub fn ledger(paint: Paint, lines: &[LedgerLine]) -> String {
    if lines.is_empty() {
        return "The ledger is empty: nothing has ended yet.".to_owned();
    }
    let shown = |line: &LedgerLine| {
        let commit: String = line.commit.chars().take(10).collect();
        let requests: Vec<String> = line.requests.iter().map(ToString::to_string).collect();
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

/// One agent a row, with the figures of its host.
pub fn fleet(paint: Paint, agents: &[AgentView]) -> String {
    let row = |agent: &AgentView| {
        let status = match agent.status.as_str() {
            "active" => paint.good("active"),
            other => paint.warn(&one_line(other, 20)),
        };
        let mut cells = vec![
            agent.agent_id.to_string(),
            kind(agent.kind).to_owned(),
            state(paint, &agent.state),
            status,
            one_line(&agent.version, 20),
            words::time(agent.last_seen),
        ];
        cells.extend(figures(agent.resources.as_ref()));
        cells
    };
    let rows: Vec<_> = agents.iter().map(row).collect();
    let heading = [
        "AGENT",
        "KIND",
        "STATE",
        "STATUS",
        "VERSION",
        "LAST SEEN",
        "CPU",
        "MEMORY",
        "DISKS",
    ];
    table(paint, &heading, &rows)
}

fn kind(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::Infrastructure => "infrastructure",
        AgentKind::Desktop => "desktop",
        AgentKind::Code => "code",
        AgentKind::Llm => "llm",
    }
}

/// Processor, memory and disks; of an agent that reports none, nothing is known.
fn figures(host: Option<&ResourceMetrics>) -> [String; 3] {
    let Some(host) = host else {
        return ["-", "-", "-"].map(str::to_owned);
    };
    let used = host.memory_total.saturating_sub(host.memory_available);
    let disk = |disk: &DiskMetrics| {
        let used = disk.total.saturating_sub(disk.available);
        let full = words::per_cent(used, disk.total);
        format!(
            "{} {full} of {}",
            one_line(&disk.mount, 40),
            words::bytes(disk.total)
        )
    };
    let disks: Vec<String> = host.disks.iter().map(disk).collect();
    [
        format!("{:.0} % of {} cores", host.cpu_percent, host.cpu_cores),
        format!(
            "{} of {}",
            words::bytes(used),
            words::bytes(host.memory_total)
        ),
        disks.join(", "),
    ]
}
