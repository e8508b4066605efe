//! Renderings of fixed values, with and without colours, held against snapshots.

use chiffon_common::{
    ErrorCode, FieldError, Problem,
    api::{AgentView, BrokenFile, CatalogueView, Health, HostView, LedgerLine, RequestView},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

mod decisions;
mod plans;

use super::*;
use crate::{exit::Exit, failure::Failure, terminal::Paint};

const ID: &str = "0199e2f4-77a1-7c40-8000-000000000001";
const TASK: &str = "0199e2f4-77a1-7c40-8000-000000000002";
const DIGEST: &str = "sha256:6f1c000000000000000000000000000000000000000000000000000000000001";

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The same text in colours, with the escape character made visible.
fn painted(render: impl Fn(Paint) -> String) -> String {
    render(Paint::new(true)).replace('\u{1b}', "␛")
}

fn step(no: u32, tier: u8) -> Value {
    json!({
        "no": no, "entry": "write_file", "title": "Write /etc/motd on nas and web", "hosts": ["nas", "web"],
        "parameters": {"path": "/etc/motd", "content": "{{ lookup('pipe', 'id') }}\n\u{1b}[31m", "key": "hunter2"},
        "depends_on": if no == 0 { json!([]) } else { json!([no - 1]) },
        "tier": tier, "fidelity": "simulated", "fidelity_because": "an earlier step has not happened yet",
        "bundle": DIGEST, "timeout_seconds": 300, "on_interrupt": "ask", "resources": {},
        "undo": {"entry": {"entry": "write_file_undo", "parameters": {
            "path": "/etc/motd", "run_id": "{chiffon_run_id}",
        }}},
        "secret_parameters": ["key"],
    })
}

fn summary(outcome: &str) -> Value {
    json!({"outcome": outcome, "ok": 3, "changed": 1, "failed": 0, "skipped": 2})
}

fn task(mode: &str, state: &str) -> Value {
    json!({
        "task_id": TASK, "request_id": ID, "created_at": "2026-01-02T03:04:05Z", "step": 0, "title": "Write /etc/motd on nas and web", "entry": "write_file",
        "mode": mode, "state": state, "bead_state": "closed", "because": "it is done", "attempt": 1,
        "agent": "infrastructure", "progress": 100,
        "hosts": {"nas": summary("changed"), "web": summary("unreachable")},
        "diff": "--- before\n+++ after: /etc/motd\n@@ -1 +1 @@\n-old\n+new\u{202e}\n",
        "duration_seconds": 2.5, "resource_usage": {"cpu_hours": 0.0005, "memory_peak_gb": 0.1},
        "isolation": "none beyond process limits",
    })
}

fn base(state: &str, ended: bool) -> Value {
    json!({
        "request_id": ID, "project_id": "default", "room_id": "api", "requester": "local:ada",
        "text": "Write\nsomething to /etc/motd on nas and web", "state": state, "ended": ended,
        "because": "a person is asked", "waits_for_person": !ended, "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:09Z",
    })
}

fn waiting(tier: u8) -> RequestView {
    let mut value = base("awaiting_approval", false);
    value["plan"] = json!({
        "plan_id": ID, "request_id": ID, "steps": [step(0, 1), step(1, tier)], "tier": tier,
        "cost": {"provider_usd": 0.0, "at_most_seconds": 600}, "confidence": 92,
        "because": "\"write\" fits write_file",
        "tier_because": "write_file of the shipped catalogue", "expires_at": "2026-01-04T03:04:05Z",
        "good_for_seconds": 3600, "digest": DIGEST,
    });
    value["tasks"] = json!([task("check", "completed")]);
    value["decisions"] = json!([{
        "decision_id": TASK, "request_id": ID, "kind": "approval", "state": "pending",
        "requester": "local:ada", "created_at": "2026-01-02T03:04:05Z",
        "question": "Run this plan?", "options": ["approve", "reject"], "digest": DIGEST, "tier": tier,
        "deadline": "2026-01-04T03:04:05Z",
    }]);
    of(value)
}

fn failed() -> RequestView {
    let mut value = base("failed", true);
    value["because"] = json!("a step failed");
    let mut task = task("apply", "failed");
    task["hosts"]["nas"]["answer"] = json!("motd was written\nby chiffon");
    task["hosts"]["web"]["message"] = json!("no route to host\u{1b}]0;x\u{7}");
    value["tasks"] = json!([task]);
    value["problem"] =
        json!({"code": 5407, "detail": "web did not answer.", "todo": "Look at web."});
    value["ledger_commit"] = json!("f8a89cd7a3377e5e730d856f311c3c6af1937b23");
    value["decisions"] = json!([{
        "decision_id": TASK, "request_id": ID, "kind": "approval", "state": "resolved",
        "requester": "local:ada", "created_at": "2026-01-02T03:04:05Z",
        "question": "Run this plan?", "options": ["approve", "reject"], "choice": "approve",
        "resolved_by": "local:ada", "comment": "agreed with Bob", "deadline": "2026-01-04T03:04:05Z",
    }]);
    of(value)
}

fn asking_back() -> RequestView {
    let mut value = base("needs_input", false);
    let nearest = json!([
        {"entry": "ping", "title": "Check that a host answers", "example": "Ping \"nas\""},
    ]);
    value["nearest"] = nearest.clone();
    value["decisions"] = json!([{
        "decision_id": TASK, "request_id": ID, "kind": "question", "state": "pending",
        "requester": "local:ada", "created_at": "2026-01-02T03:04:05Z", "question": "what should be done?",
        "context": "Write\nsomething", "options": ["Ping \"nas\""], "takes_text": true, "nearest": nearest,
        "deadline": "2026-01-04T03:04:05Z",
    }]);
    of(value)
}

#[test]
fn after_the_run_the_undo_is_a_command() {
    let text = |parameters: Value| {
        let mut request = waiting(1);
        request.tasks = of(json!([task("apply", "completed")]));
        let undo = json!({"entry": {"entry": "write_file_undo", "parameters": parameters}});
        request.plan.as_mut().unwrap().steps[0].undo = of(undo);
        plan(Paint::PLAIN, &request, Extent::Screen).unwrap()
    };
    let shown = text(json!({"path": "/etc/it's", "run_id": TASK}));
    let command = format!(
        "undo       chiffon run 'write_file_undo path:=\"/etc/it'\\''s\" run_id={TASK} on nas,web'"
    );
    assert!(shown.contains(&command), "{shown}");
    for unknown in ["[redacted]", "{chiffon_run_id}", "a\u{202e}b"] {
        let shown = text(json!({"path": unknown}));
        assert!(!shown.contains("undo       chiffon run"), "{shown}");
    }
}

#[test]
fn who_waits_for_a_person_is_told_with_what_to_type() {
    let mut asks = waiting(1);
    asks.state = "running".to_owned();
    asks.because = "waits for an answer: what became of it?".to_owned();
    let question = &mut asks.decisions[0];
    question.kind = "unknown_outcome".to_owned();
    question.options = ["done", "again", "give_up"].map(str::to_owned).to_vec();
    question.question = "What became of it?".to_owned();
    insta::assert_snapshot!("requests_waiting", requests(Paint::PLAIN, &[asks.clone()]));
    let all = [waiting(1), asks, asking_back()];
    insta::assert_snapshot!("waiting", super::waiting(Paint::PLAIN, &all));
}

#[test]
fn the_plan_on_one_screen() {
    let request = waiting(2);
    insta::assert_snapshot!(
        "plan",
        plan(Paint::PLAIN, &request, Extent::Screen).unwrap()
    );
    insta::assert_snapshot!(
        "plan_painted",
        painted(|paint| plan(paint, &request, Extent::Screen).unwrap())
    );
    assert!(plan(Paint::PLAIN, &failed(), Extent::Screen).is_none());
}

#[test]
fn no_secret_and_no_escape_code_is_on_the_screen() {
    let text = plan(Paint::PLAIN, &waiting(1), Extent::Screen).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let all = [
        text,
        request(Paint::PLAIN, &failed()),
        outcome(Paint::PLAIN, &failed()),
    ];
    for text in all {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn a_request_in_full() {
    insta::assert_snapshot!("request_waiting", request(Paint::PLAIN, &waiting(1)));
    insta::assert_snapshot!("request_failed", request(Paint::PLAIN, &failed()));
    insta::assert_snapshot!(
        "request_failed_painted",
        painted(|paint| request(paint, &failed()))
    );
    insta::assert_snapshot!("request_asks_back", request(Paint::PLAIN, &asking_back()));
}

#[test]
fn how_it_ended() {
    insta::assert_snapshot!("outcome", outcome(Paint::PLAIN, &failed()));
    let task = &failed().tasks[0];
    let title = Some(task.title.as_str());
    insta::assert_snapshot!("task_ended", task_ended(Paint::PLAIN, task, title));
    assert!(task_ended(Paint::PLAIN, task, None).starts_with("Step 1: failed\n"));
}

#[test]
fn lists() {
    let list = [waiting(1), failed()];
    insta::assert_snapshot!("requests", requests(Paint::PLAIN, &list));
    insta::assert_snapshot!("requests_painted", painted(|paint| requests(paint, &list)));
    insta::assert_snapshot!("requests_none", requests(Paint::PLAIN, &[]));
    let line: LedgerLine = of(json!({
        "commit": "f8a89cd7a3377e5e730d856f311c3c6af1937b23", "time": "2026-01-02T03:04:05Z",
        "subject": "infra(0199): Write /etc/motd on nas", "requests": [ID],
    }));
    insta::assert_snapshot!("ledger", ledger(Paint::PLAIN, &[line]));
}

#[test]
fn the_fleet() {
    let well: Health = of(json!({
        "status": "degraded", "version": "0.1.0",
        "components": {"store": "ok", "bus": "queue is missing"}, "agents": {"idle": 1},
    }));
    insta::assert_snapshot!("health", health(Paint::PLAIN, &well));
    let frozen: Health = of(json!({
        "status": "ok", "version": "0.1.0", "components": {"store": "ok"}, "agents": {},
        "frozen": {"by": "local:anna", "since": "2026-01-02T03:04:05Z", "reason": "back\nup"},
    }));
    insta::assert_snapshot!("health_frozen", health(Paint::PLAIN, &frozen));
    let agent: AgentView = of(json!({
        "agent_id": "infrastructure", "kind": "infrastructure", "state": "idle", "status": "active", "version": "0.1.0",
        "last_seen": "2026-01-02T03:04:05Z", "capabilities": {"ansible-core": "2.19.14"},
    }));
    insta::assert_snapshot!("agents", agents(Paint::PLAIN, &[agent]));
    let hosts: Vec<HostView> = of(json!([
        {"name": "localhost", "aliases": [], "groups": [], "local": true, "pinned": true},
        {"name": "nas", "aliases": ["the box"], "groups": ["media"], "local": false, "pinned": false},
    ]));
    insta::assert_snapshot!("inventory", inventory(Paint::PLAIN, &hosts));
}

#[test]
fn the_catalogue() {
    let view: CatalogueView = of(json!({
        "entries": [{
            "id": "write_file", "title": "Write a text file", "description": "Writes text into a file.",
            "examples": ["Write {content} to {path}"], "tier": 1, "preview": "exact", "undo": "by write_file_undo",
            "timeout_seconds": 120, "origin": "shipped", "playbook": "playbooks/write_file.yml",
            "digest": DIGEST, "accepted": true, "parameters": [
                {"name": "path", "type": "path", "required": true, "description": "Where."},
                {"name": "mode", "type": "str", "required": false, "description": "Rights.",
                 "default": "0644", "choices": ["0644", "0600"]},
            ],
        }],
        "broken": [],
    }));
    insta::assert_snapshot!("entries", entries(Paint::PLAIN, &view));
    insta::assert_snapshot!("entry", entry(Paint::PLAIN, &view.entries[0]));
    let file = BrokenFile {
        file: "mine: playbooks/x.yml".to_owned(),
        line: Some(3),
        reason: "this is no list of plays".to_owned(),
    };
    insta::assert_snapshot!("broken", broken(Paint::PLAIN, &[file]));
}

#[test]
fn errors_say_what_why_and_what_next() {
    let problem = Problem::new(
        ErrorCode::PortInUse,
        "127.0.0.1:8420 is in use.",
        "Choose another port.\nOr stop the other program.",
    );
    let in_use = Failure::from(problem);
    let with_page = failure_with_page(Paint::PLAIN, &in_use);
    insta::assert_snapshot!("failure_with_page", with_page);
    insta::assert_snapshot!("failure", failure(Paint::PLAIN, &in_use));
    insta::assert_snapshot!("failure_painted", painted(|paint| failure(paint, &in_use)));
    let waits = Failure::plain(Exit::Waiting, "The plan waits.", "Approve it.");
    insta::assert_snapshot!("failure_waiting", failure(Paint::PLAIN, &waits));
    let places = Problem::new(
        ErrorCode::ParameterInvalid,
        "\"path\" of write_file: it must be text",
        "See the entry.",
    )
    .at(FieldError::body(
        "/parameters/path",
        "\"path\" of write_file: it must be text",
    ));
    let one = failure(Paint::PLAIN, &Failure::from(places.clone()));
    assert!(!one.contains("/parameters"), "it is said already: {one}");
    let other = FieldError::body("/parameters/\u{1b}[2J", "unknown");
    let two = Failure::from(places.at(other));
    insta::assert_snapshot!("failure_places", failure(Paint::PLAIN, &two));
}

#[test]
fn long_texts_are_cut_where_there_is_one_line() {
    assert_eq!(one_line("a\nb\tc", 10), "a b c");
    assert_eq!(one_line("abcdef", 4), "abc…");
}
