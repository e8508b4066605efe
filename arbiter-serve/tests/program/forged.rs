//! Audits by a forger who knows the form: numbers and hashes fit, and a record, a plan or the beginning does not.

use std::fs;

use chiffon_common::Digest;
use serde_json::{Value, json};

use crate::run::{OPEN, Place, action_done, event, generation};

/// Lines with numbers and hashes that fit, from their records.
pub fn chained(records: &[String]) -> String {
    let mut prev = Digest::of_bytes(b"");
    let mut text = String::new();
    for (n, record) in records.iter().enumerate() {
        let begin = record.find("\"prev\":\"").expect("a prev") + 8;
        let end = record.rfind(",\"hash\":\"").expect("a hash");
        let line = format!(
            "{{\"seq\":{},\"prev\":\"{prev}{}",
            n + 1,
            &record[begin + prev.to_string().len()..end]
        );
        prev = Digest::of_bytes(line.as_bytes());
        text += &format!("{line},\"hash\":\"{prev}\"}}\n");
    }
    text
}

#[test]
fn a_record_that_says_other_things_than_its_decision_proves_nothing() {
    let place = Place::new(OPEN);
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("t", "e-1", "room"));
    let (_, said) = served.post("/v0/generations", &generation(&plan, "hi"));
    served.post("/v0/action-results", &action_done(&said));
    served.kill();
    let file = place.audit().join("audit-00000000000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(chained(&lines), text, "the forger knows the form");
    let plan_id = plan["plan_id"].as_str().unwrap();
    let other_id = "0199e2f4-77a1-7c40-8000-000000000001";
    let id = |id: &str| format!("\"correlation_id\":\"{id}\"");
    for line in 1..4 {
        let record: Value = serde_json::from_str(&lines[line]).unwrap();
        let named = |key: &str| format!("\"{key}\":{}", record[key]);
        for (field, then, now) in [
            (
                "action",
                named("action"),
                "\"action\":\"do_nothing\"".to_owned(),
            ),
            (
                "reason_code",
                named("reason_code"),
                "\"reason_code\":\"reply_policy\"".to_owned(),
            ),
            (
                "tenant_id",
                named("tenant_id"),
                "\"tenant_id\":\"evil\"".to_owned(),
            ),
            (
                "room_id",
                named("room_id"),
                "\"room_id\":\"elsewhere\"".to_owned(),
            ),
            ("correlation_id", id(plan_id), id(other_id)),
            (
                "result",
                named("result"),
                "\"result\":\"refused\"".to_owned(),
            ),
        ] {
            let mut forged = lines.clone();
            // The record's own field stands before what it was judged by.
            forged[line] = forged[line].replacen(&then, &now, 1);
            assert_ne!(forged[line], lines[line], "{field} of line {line}");
            fs::write(&file, chained(&forged)).unwrap();
            place.done(&["audit", "verify", "audit"]);
            let said = place.refused(&["replay", "audit"]);
            let at = format!("line {}", line + 1);
            assert!(said.contains(&at) && said.contains(field), "{said}");
            let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
            assert!(said.contains("5508") && said.contains(field), "{said}");
        }
    }
    fs::write(&file, &text).unwrap();
    place.done(&["replay", "audit"]);
}

#[test]
fn replay_by_another_policy_names_other_plans_and_counts_other_states() {
    let place = Place::new(OPEN);
    let served = place.serve();
    served.post("/v0/events", &event("t", "e-1", "room"));
    served.kill();
    place.configure(&OPEN.replace("gate: {", "gate: {tenant_rate: {events: 5}, "));
    let said = place.done(&["replay", "audit", "--config", "config.yaml"]);
    assert!(said.contains("1 of them have the same plan"), "{said}");
    let said = place.done(&["replay", "audit"]);
    assert!(!said.contains("of them"), "{said}");
}

/// A record by another version, and another policy: what has changed is what the plan would not have changed without.
#[test]
fn the_cause_that_replay_names_is_the_one_that_changed_the_plan() {
    let place = Place::new(OPEN);
    let served = place.serve();
    served.post("/v0/events", &event("t", "e-1", "room"));
    served.kill();
    let file = place.audit().join("audit-00000000000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let own: Vec<String> = text.lines().map(str::to_owned).collect();
    let program = format!("\"program\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let mut older = own.clone();
    older[0] = older[0].replacen(&program, "\"program\":\"0.0.0\"", 1);
    assert_ne!(older[0], own[0]);
    // What that version did in another way.
    let otherwise = |lines: &[String]| {
        let mut lines = lines.to_vec();
        let then = lines[1].clone();
        lines[1] = then.replacen("\"intent\":\"REPLY\"", "\"intent\":\"MESSAGE\"", 1);
        assert_ne!(lines[1], then);
        lines
    };
    let never = OPEN.replace("always", "never");
    for (lines, config, cause) in [
        (older.clone(), never.as_str(), "The policy has changed"),
        (otherwise(&older), never.as_str(), "The version has changed"),
        (otherwise(&older), OPEN, "The version has changed"),
        (otherwise(&own), never.as_str(), "please report"),
        (otherwise(&own), OPEN, "please report"),
    ] {
        fs::write(&file, chained(&lines)).unwrap();
        place.configure(config);
        let said = place.refused(&["replay", "audit", "--config", "config.yaml"]);
        assert!(said.contains(cause), "{cause}: {said}");
    }
    fs::write(&file, chained(&otherwise(&older))).unwrap();
    let said = place.refused(&["replay", "audit"]);
    assert!(said.contains("The version has changed"), "{said}");
}

#[test]
fn a_beginning_that_nothing_of_ours_removed_is_missed() {
    let rotating = format!("{OPEN}\naudit: {{rotate_bytes: 65536}}\n");
    let place = Place::new(&rotating);
    let served = place.serve();
    for n in 0..60 {
        let mut long = event("t", &format!("e-{n}"), &format!("room-{n}"));
        long["content"]["text"] = json!("x".repeat(3_000));
        assert_eq!(served.post("/v0/events", &long).0, 200);
    }
    served.kill();
    let first = place.audit().join("audit-00000000000000000001.jsonl");
    fs::remove_file(&first).expect("the first file");
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(
        said.contains("5508") && said.contains("begins at"),
        "{said}"
    );
    let verify = ["audit", "verify", "audit", "--config", "config.yaml"];
    for refused in [
        &verify[..3],
        &verify,
        &["audit", "verify", "audit", "--whole"],
    ] {
        let said = place.refused(refused);
        assert!(said.contains("begins at record"), "{said}");
    }
    // Where old files go by right, it starts.
    place.configure(&rotating.replace("65536", "65536, keep: 1000"));
    let said = place.done(&verify);
    assert!(said.contains("begins at record"), "{said}");
    drop(place.serve());
}
