//! From what was committed to events: which names they have and what they say.
//!
//! The ten names of document 001 are its own; for what it lacks there are `request.created`,
//! `request.status_change`, `request.completed`, and the action of a record that moves nothing, such as
//! `project.edited`.

use chiffon_arbiter::bead_state;
use chiffon_common::{AuditEntry, MoveRecord, ProjectId, api::EventView};
use chiffon_store::{LogRow, StreamRow, StreamSource};
use serde_json::{Map, Value, json};

use super::Event;

/// The events of one place of the stream, in their order.
pub(crate) fn events_of(row: &StreamRow) -> Vec<Event> {
    match &row.source {
        StreamSource::Record(numbered) => {
            let entry = &numbered.record.entry;
            let tell = |number, (kind, data)| {
                let view = view(number, kind, entry.ts, data);
                Event::new(number, entry.project_id.clone(), view)
            };
            let told: Vec<_> = match entry.moves.as_slice() {
                [] => vec![of_record(entry, numbered.seq)],
                moves => moves
                    .iter()
                    .map(|one| of_move(entry, one, numbered.seq))
                    .collect(),
            };
            (row.first..)
                .zip(told)
                .map(|(n, one)| tell(n, one))
                .collect()
        }
        StreamSource::Lines {
            request_id,
            project_id,
            lines,
        } => {
            let ts = lines
                .last()
                .map_or(jiff::Timestamp::UNIX_EPOCH, |line| line.ts);
            let mut data = of_lines(project_id, lines);
            data.insert("request_id".to_owned(), json!(request_id));
            let view = view(row.first, "log.message".to_owned(), ts, data);
            vec![Event::new(row.first, Some(project_id.clone()), view)]
        }
    }
}

fn view(
    number: u64,
    kind: String,
    timestamp: jiff::Timestamp,
    data: Map<String, Value>,
) -> EventView {
    EventView {
        id: format!("evt-{number}"),
        kind,
        timestamp,
        data,
    }
}

/// What every event of a record says.
fn common(entry: &AuditEntry, seq: u64) -> Map<String, Value> {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    put("audit_seq", seq.into());
    put("actor", json!(entry.actor.id));
    put("reason_code", json!(entry.reason_code));
    put("trace_id", json!(entry.trace_id));
    if let Some(project) = &entry.project_id {
        put("project_id", json!(project));
    }
    if let Some(request) = &entry.request_id {
        put("request_id", json!(request));
    }
    data
}

fn of_record(entry: &AuditEntry, seq: u64) -> (String, Map<String, Value>) {
    let mut data = common(entry, seq);
    data.insert(format!("{}_id", entry.target.kind), json!(entry.target.id));
    data.insert("result".to_owned(), json!(entry.result));
    if let Some(because) = entry.data.get("because").filter(|why| why.is_string()) {
        data.insert("because".to_owned(), because.clone());
    }
    (entry.action.clone(), data)
}

fn of_move(entry: &AuditEntry, one: &MoveRecord, seq: u64) -> (String, Map<String, Value>) {
    let mut data = common(entry, seq);
    let kind = one.subject.kind.as_str();
    data.insert(format!("{kind}_id"), json!(one.subject.id));
    if kind == "task" {
        data.insert("bead_id".to_owned(), json!(one.subject.id));
        data.insert("status".to_owned(), json!(bead_state(&one.to)));
        if let Some(agent) = entry.data.get("agent_id") {
            data.insert("agent_id".to_owned(), agent.clone());
        }
    }
    data.insert("from".to_owned(), json!(one.from));
    data.insert("state".to_owned(), json!(one.to));
    data.insert("because".to_owned(), json!(one.because));
    (name_of(one), data)
}

/// Document 001's name for a move where it has one.
fn name_of(one: &MoveRecord) -> String {
    let is_new = one.from.is_none();
    let name = match (one.subject.kind.as_str(), one.to.as_str()) {
        ("agent", "spawned") => "agent.spawned",
        ("agent", "shutdown") => "agent.completed",
        ("agent", _) if is_new => "agent.spawned",
        ("agent", _) => "agent.status_change",
        ("task", _) if is_new => "bead.created",
        ("task", "dispatched") => "bead.assigned",
        ("task", "completed" | "failed" | "cancelled") => "bead.completed",
        ("task", _) => "bead.status_change",
        ("decision", "pending") => "decision.created",
        ("decision", _) => "decision.resolved",
        ("request", _) if is_new => "request.created",
        ("request", "completed" | "failed" | "rejected" | "expired" | "cancelled") => {
            "request.completed"
        }
        ("request", _) => "request.status_change",
        (kind, to) => return format!("{kind}.{to}"),
    };
    name.to_owned()
}

fn of_lines(project: &ProjectId, lines: &[LogRow]) -> Map<String, Value> {
    let mut data = Map::new();
    let texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
    data.insert("project_id".to_owned(), json!(project));
    data.insert("message".to_owned(), json!(texts.join("\n")));
    // Output is forgotten with age; its number stays.
    data.insert("forgotten".to_owned(), json!(lines.is_empty()));
    if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
        data.insert("task_id".to_owned(), json!(first.task_id));
        data.insert("bead_id".to_owned(), json!(first.task_id));
        data.insert("attempt".to_owned(), json!(first.attempt));
        data.insert("first_line".to_owned(), json!(first.id));
        data.insert("last_line".to_owned(), json!(last.id));
    }
    data
}

#[cfg(test)]
mod tests {
    use chiffon_common::Subject;

    use super::*;

    fn name(kind: &str, from: Option<&str>, to: &str) -> String {
        name_of(&MoveRecord {
            subject: Subject {
                kind: kind.to_owned(),
                id: "x".to_owned(),
            },
            from: from.map(str::to_owned),
            to: to.to_owned(),
            because: String::new(),
        })
    }

    #[test]
    fn moves_have_the_names_of_document_001_where_it_has_one() {
        for (kind, from, to, expected) in [
            ("agent", None, "spawned", "agent.spawned"),
            ("agent", Some("spawned"), "idle", "agent.status_change"),
            ("agent", Some("idle"), "shutdown", "agent.completed"),
            ("task", None, "open", "bead.created"),
            ("task", None, "waiting", "bead.created"),
            ("task", Some("waiting"), "dispatched", "bead.assigned"),
            ("task", Some("dispatched"), "running", "bead.status_change"),
            ("task", Some("running"), "failed", "bead.completed"),
            ("decision", None, "pending", "decision.created"),
            (
                "decision",
                Some("pending"),
                "timed_out",
                "decision.resolved",
            ),
            ("request", None, "received", "request.created"),
            (
                "request",
                Some("planning"),
                "running",
                "request.status_change",
            ),
            ("request", Some("running"), "completed", "request.completed"),
        ] {
            assert_eq!(name(kind, from, to), expected);
        }
    }
}
