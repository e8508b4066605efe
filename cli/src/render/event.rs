//! Events of the stream, one line each.

use chiffon_common::api::{EventView, ResetReason};
use serde_json::Value;

use super::words::{self, one_line, state};
use crate::terminal::Paint;

/// Ids in the order in which people look for them. What they are the id of stands in front.
const IDS: [(&str, &str); 6] = [
    ("project_id", "project"),
    ("request_id", "request"),
    ("task_id", "task"),
    ("decision_id", "decision"),
    ("plan_id", "plan"),
    ("agent_id", "agent"),
];

/// Longest text of an event on its line.
const MOST: usize = 500;

/// When, which, what, about what, and why.
pub fn event(paint: Paint, event: &EventView) -> String {
    let mut parts = vec![
        paint.dim(&words::time(event.timestamp)),
        paint.dim(&one_line(&event.id, 40)),
        paint.bold(&one_line(&event.kind, 64)),
    ];
    for (field, name) in IDS {
        if let Some(id) = text(event, field) {
            parts.push(format!("{name} {}", one_line(id, 200)));
        }
    }
    if let Some(to) = text(event, "state").or_else(|| text(event, "result")) {
        parts.push(state(paint, &one_line(to, 40)));
    }
    let mut line = parts.join(" ");
    let why = text(event, "because").or_else(|| text(event, "message"));
    let why = why.or_else(|| text(event, "actor").filter(|_| text(event, "state").is_none()));
    if let Some(why) = why.filter(|why| !why.is_empty()) {
        line += &format!(": {}", one_line(why, MOST));
    }
    line
}

fn text<'e>(event: &'e EventView, field: &str) -> Option<&'e str> {
    event.data.get(field).and_then(Value::as_str)
}

/// That a place in the stream is lost, in words. Reasons of a later version are told as they are.
pub fn reset(paint: Paint, event: &EventView) -> String {
    let reason = event.data.get("reason").cloned().unwrap_or_default();
    let why = match serde_json::from_value(reason.clone()) {
        Ok(ResetReason::TooOld) => "they lie further back than is told again".to_owned(),
        Ok(ResetReason::TooSlow) => "they came faster than they were read".to_owned(),
        Ok(ResetReason::FromTheFuture) => {
            "the number to go on from has not come yet, as after a restored backup".to_owned()
        }
        Err(_) => words::value(&reason),
    };
    let id = one_line(&event.id, 40);
    paint.warn(&format!(
        "Events are missing: {}. It goes on after {id}; look anew at what matters.",
        one_line(&why, 200)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn view(kind: &str, data: Value) -> EventView {
        let data: Map<String, Value> = serde_json::from_value(data).unwrap();
        EventView {
            id: "evt-7".to_owned(),
            kind: kind.to_owned(),
            timestamp: "2026-01-02T03:04:05Z".parse().unwrap(),
            data,
        }
    }

    #[test]
    fn an_event_is_one_line_that_obeys_nothing() {
        let moved = view(
            "bead.status_change",
            json!({"request_id": "r", "task_id": "t", "bead_id": "t", "state": "running", "because": "it\nruns"}),
        );
        assert_eq!(
            event(Paint::PLAIN, &moved),
            "2026-01-02 03:04:05 UTC evt-7 bead.status_change request r task t running: it runs"
        );
        let said = view("log.message", json!({"message": "\u{1b}[2Jx\ny"}));
        let line = event(Paint::PLAIN, &said);
        assert!(line.ends_with("log.message: \\u{1b}[2Jx y"), "{line}");
    }

    #[test]
    fn a_lost_place_is_told_with_its_reason() {
        for (reason, words) in [
            ("too_old", "further back"),
            ("too_slow", "faster"),
            ("from_the_future", "backup"),
            ("\u{1b}new", "\\u001bnew"),
        ] {
            let told = reset(Paint::PLAIN, &view("reset", json!({ "reason": reason })));
            assert!(told.contains(words) && told.contains("evt-7"), "{told}");
        }
    }
}
