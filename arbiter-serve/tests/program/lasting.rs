//! What lasts: answers over kills and restarts with every store, the lock of a room, the audit, and its replay.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    http,
    run::{OPEN, Place, Served, action_done, action_of, event, generation},
};

const STORES: [&str; 2] = ["memory", "sqlite"];

fn with(store: &str) -> Place {
    Place::new(&format!("{OPEN}\nstore: {{type: {store}}}\n"))
}

#[test]
fn the_same_event_gets_the_same_bytes_over_kills() {
    for store in STORES {
        let place = with(store);
        let sent = event("t", "e-1", "room").to_string();
        let served = place.serve();
        let (status, first) = served.post_bytes("/v0/events", sent.as_bytes());
        assert_eq!(status, 200, "{store}: {first}");
        served.kill();
        let served = place.serve();
        let (_, again) = served.post_bytes("/v0/events", sent.as_bytes());
        assert_eq!(again, first, "{store}");
        // Another spelling of the same event is the same event.
        let value: Value = serde_json::from_str(&sent).unwrap();
        let spelt = serde_json::to_string_pretty(&value).unwrap();
        let headers = [("content-type", "application/json")];
        let (head, spelt) = http::whole(
            served.address(),
            "POST",
            "/v0/events",
            &headers,
            spelt.as_bytes(),
        );
        assert_eq!(spelt, first, "{store}");
        assert!(head.contains("idempotency-replayed: true"), "{head}");
        // Another event under the same id is a conflict, with a code of its own.
        let other = event("t", "e-1", "elsewhere");
        let (status, problem) = served.post("/v0/events", &other);
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!(5020)),
            "{store}: {problem}"
        );
        assert_eq!(problem["reason_code"], "id_conflict");
        // The same id of another tenant is another event.
        let (status, plan) = served.post("/v0/events", &event("u", "e-1", "room"));
        assert_eq!(status, 200);
        assert_ne!(plan["plan_id"], value["plan_id"]);
        served.kill();
        place.done(&["audit", "verify", "audit"]);
    }
}

#[test]
fn a_room_is_locked_until_its_result_over_kills() {
    for store in STORES {
        let place = with(store);
        let served = place.serve();
        let (_, plan) = served.post("/v0/events", &event("t", "e-1", "room"));
        assert_eq!(action_of(&plan), "request_generation", "{store}");
        served.kill();
        let served = place.serve();
        let (_, shut) = served.post("/v0/events", &event("t", "e-2", "room"));
        assert_eq!(
            (action_of(&shut), &shut["reason_code"]),
            ("do_nothing", &json!("generating_lock"))
        );
        let (_, elsewhere) = served.post("/v0/events", &event("t", "e-3", "another"));
        assert_eq!(action_of(&elsewhere), "request_generation");
        // A stranger's result, and one for a plan that asked for nothing.
        let mut stranger = generation(&plan, "hi");
        stranger["tenant_id"] = json!("u");
        let (status, problem) = served.post("/v0/generations", &stranger);
        assert_eq!(
            (status, &problem["reason_code"]),
            (404, &json!("unknown_plan"))
        );
        let (status, problem) = served.post("/v0/generations", &generation(&shut, "hi"));
        assert_eq!(
            (status, &problem["reason_code"]),
            (409, &json!("not_generating"))
        );
        // The result that is waited for.
        let (status, said) = served.post("/v0/generations", &generation(&plan, "hello!"));
        assert_eq!((status, action_of(&said)), (200, "send_reply"), "{said}");
        assert_eq!(said["actions"][0]["text"], "hello!");
        served.kill();
        let served = place.serve();
        let (_, again) = served.post("/v0/generations", &generation(&plan, "hello!"));
        assert_eq!(again, said, "{store}: a second one gets the stored answer");
        let (status, _) = served.post("/v0/generations", &generation(&plan, "other"));
        assert_eq!(status, 409);
        let (status, receipt) = served.post("/v0/action-results", &action_done(&said));
        assert_eq!(
            (status, &receipt["reason_code"]),
            (200, &json!("action_done")),
            "{receipt}"
        );
        let (status, again) = served.post("/v0/action-results", &action_done(&said));
        assert_eq!((status, &again), (200, &receipt));
        let mut nobody = action_done(&said);
        nobody["action_id"] = json!("0199e2f4-77a1-7c40-8000-000000000001");
        let (status, problem) = served.post("/v0/action-results", &nobody);
        assert_eq!(
            (status, &problem["reason_code"]),
            (404, &json!("unknown_action"))
        );
        let (_, free) = served.post("/v0/events", &event("t", "e-4", "room"));
        assert_eq!(
            action_of(&free),
            "request_generation",
            "{store}: the room is free again"
        );
        served.kill();
        place.done(&["replay", "audit"]);
    }
}

/// What is remembered outlasts the files that are kept and the answers that are: the memory store has nothing but them.
#[test]
fn a_generation_under_way_outlives_rotation_and_the_answers_that_are_remembered() {
    let place = Place::new(&format!(
        "{OPEN}\nstore: {{type: memory, remembered_plans: 5}}\naudit: {{rotate_bytes: 65536, keep: 2}}\n"
    ));
    let files = || {
        let folder = fs::read_dir(place.audit()).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_str().is_some_and(|name| name.ends_with(".jsonl")))
            .count()
    };
    let served = place.serve();
    let (_, held) = served.post("/v0/events", &event("t", "held", "held"));
    assert_eq!(action_of(&held), "request_generation");
    let (_, other) = served.post("/v0/events", &event("t", "other", "other"));
    let mut sent = 0;
    let mut talk = |served: &Served, until: &dyn Fn() -> bool| {
        // Far more than the files hold; an event that nothing is done about is about 1 KB.
        for _ in 0..2_000 {
            sent += 1;
            let id = format!("e-{sent}");
            let (status, plan) = served.post("/v0/events", &event("t", &id, "other"));
            assert_eq!(status, 200, "{plan}");
            if until() {
                return;
            }
        }
        panic!("the files do not become so: {} of them", files());
    };
    talk(&served, &|| files() >= 5);
    served.kill();
    let served = place.serve();
    let (_, shut) = served.post("/v0/events", &event("t", "late", "held"));
    assert_eq!(shut["reason_code"], "generating_lock", "{shut}");
    let (status, said) = served.post("/v0/generations", &generation(&held, "hello!"));
    assert_eq!((status, action_of(&said)), (200, "send_reply"), "{said}");
    let again = served.post("/v0/generations", &generation(&held, "hello!"));
    assert_eq!(again, (200, said));
    // Nothing holds the old files any more.
    let (status, _) = served.post("/v0/generations", &generation(&other, "and you"));
    assert_eq!(status, 200);
    talk(&served, &|| files() <= 3);
    served.kill();
    let records = place.records();
    assert!(records[0]["seq"].as_u64().unwrap() > 1, "{}", records[0]);
    place.done(&["audit", "verify", "audit", "--config", "config.yaml"]);
    place.done(&["replay", "audit"]);
    let _it_starts = place.serve();
}

#[test]
fn a_lock_is_over_after_its_time() {
    let place = Place::new(&OPEN.replace("3600000", "1500"));
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("t", "e-0", "room"));
    assert_eq!(action_of(&plan), "request_generation");
    let begun = Instant::now();
    for n in 1.. {
        let (_, next) = served.post("/v0/events", &event("t", &format!("e-{n}"), "room"));
        if action_of(&next) == "request_generation" {
            break;
        }
        assert_eq!(next["reason_code"], "generating_lock");
        assert!(begun.elapsed() < Duration::from_secs(60), "it never ends");
        thread::sleep(Duration::from_millis(50));
    }
    let (status, late) = served.post("/v0/generations", &generation(&plan, "late"));
    assert_eq!(
        (status, &late["reason_code"]),
        (409, &json!("generation_late"))
    );
}

#[test]
fn what_is_in_hand_at_the_end_is_answered_and_recorded() {
    for store in STORES {
        let place = with(store);
        let served = place.serve();
        let address = served.address().to_owned();
        let send = move |thread: u32| {
            let mut answered = Vec::new();
            for n in 0..200 {
                let id = format!("e-{thread}-{n}");
                let body = event("t", &id, &id).to_string();
                let sent = std::panic::catch_unwind(|| {
                    let headers = [("content-type", "application/json")];
                    http::call(&address, "POST", "/v0/events", &headers, body.as_bytes())
                });
                // Once it has ended, nobody listens.
                match sent {
                    Ok((200, plan)) => answered.push((body, plan)),
                    _ => break,
                }
            }
            answered
        };
        let senders: Vec<_> = (0..4)
            .map(|n| {
                let send = send.clone();
                thread::spawn(move || send(n))
            })
            .collect();
        let begun = Instant::now();
        while place.records().len() < 10 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "events are recorded"
            );
            thread::sleep(Duration::from_millis(5));
        }
        let status = served.terminate();
        assert!(status.success(), "{store}: {status} {}", place.log());
        let answered: Vec<_> = senders
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect();
        place.done(&["audit", "verify", "audit"]);
        // Every answer that left has its record, and is the same after a start.
        let served = place.serve();
        for (body, plan) in answered.iter().rev().take(40) {
            let (_, again) = served.post_bytes("/v0/events", body.as_bytes());
            assert_eq!(again, *plan, "{store}");
        }
        drop(served);
        let recorded = place.records();
        let decided = recorded
            .iter()
            .filter(|it| it["result"] == "decided")
            .count();
        assert!(
            decided >= answered.len(),
            "{store}: {decided} of {}",
            answered.len()
        );
    }
}

#[test]
fn a_storm_with_a_kill_loses_no_answer_and_decides_nothing_twice() {
    for store in STORES {
        let place = with(store);
        let served = place.serve();
        let address = served.address().to_owned();
        let senders: Vec<_> = (0..4_u32)
            .map(|thread| {
                let address = address.clone();
                thread::spawn(move || {
                    let mut answered = Vec::new();
                    // The same hundred events from all of them, each beginning elsewhere.
                    for n in 0..100 {
                        let id = format!("e-{}", (n + thread * 25) % 100);
                        let body = event("t", &id, &id).to_string();
                        let sent = std::panic::catch_unwind(|| {
                            let headers = [("content-type", "application/json")];
                            http::call(&address, "POST", "/v0/events", &headers, body.as_bytes())
                        });
                        match sent {
                            Ok((200, plan)) => answered.push((body, plan)),
                            _ => break,
                        }
                    }
                    answered
                })
            })
            .collect();
        let begun = Instant::now();
        while place.records().len() < 50 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "events are recorded"
            );
            thread::sleep(Duration::from_millis(5));
        }
        served.kill();
        let answered: Vec<_> = senders
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect();
        let served = place.serve();
        for (body, plan) in &answered {
            let (_, again) = served.post_bytes("/v0/events", body.as_bytes());
            assert_eq!(again, *plan, "{store}: what was answered stands");
        }
        served.kill();
        let mut decided: Vec<String> = place
            .records()
            .iter()
            .filter(|it| it["result"] == "decided")
            .map(|it| it["judged"]["event"]["event"]["event_id"].to_string())
            .collect();
        let all = decided.len();
        decided.sort();
        decided.dedup();
        assert_eq!(decided.len(), all, "{store}: one decision for each event");
        place.done(&["replay", "audit"]);
    }
}

#[test]
fn every_record_has_the_fields_of_section_12_and_the_stages_in_order() {
    let place = with("memory");
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("t", "e-1", "room"));
    served.post("/v0/events", &event("t", "e-1", "room"));
    served.post("/v0/events", &event("t", "e-1", "other"));
    served.post_bytes("/v0/events", b"{");
    served.post("/v0/generations", &generation(&plan, "hi"));
    drop(served);
    let records = place.records();
    let results: Vec<&str> = records
        .iter()
        .map(|it| it["result"].as_str().unwrap())
        .collect();
    assert_eq!(
        results,
        [
            "noted", "decided", "repeated", "refused", "refused", "decided"
        ]
    );
    for record in &records {
        for field in [
            "audit_id",
            "correlation_id",
            "action",
            "result",
            "reason_code",
            "ts",
        ] {
            assert!(record[field].is_string(), "{field} of {record}");
        }
        assert!(record.get("tenant_id").is_some());
    }
    let stages = records[1]["stages"].as_array().unwrap();
    let stages: Vec<&str> = stages
        .iter()
        .map(|it| it["stage"].as_str().unwrap())
        .collect();
    let order = [
        "schema",
        "idempotency",
        "room_state",
        "gate",
        "authorisation",
        "intent",
        "response_plan",
    ];
    assert_eq!(stages, order);
    for record in [1, 2, 3, 5] {
        // All that follows from one event is found by one id, where the event itself is known.
        if record != 3 {
            assert_eq!(
                records[record]["correlation_id"], plan["plan_id"],
                "{record}"
            );
        }
    }
    // Nothing that a body held which could not be read.
    assert_eq!(records[4]["tenant_id"], Value::Null);
}

#[test]
fn replay_proves_every_plan_and_names_the_first_that_another_policy_changes() {
    let place = Place::new(&format!("{OPEN}\naudit: {{rotate_bytes: 65536}}\n"));
    let served = place.serve();
    for n in 0..60 {
        let room = format!("room-{}", n % 7);
        let (_, plan) = served.post("/v0/events", &event("t", &format!("e-{n}"), &room));
        if action_of(&plan) == "request_generation" && n % 3 > 0 {
            served.post("/v0/generations", &generation(&plan, &"x".repeat(3_000)));
        }
    }
    served.kill();
    // With other rules from here on: each record is judged by those it was judged by.
    place.configure(&format!(
        "{}\naudit: {{rotate_bytes: 65536}}\n",
        OPEN.replace("always", "never")
    ));
    let served = place.serve();
    served.post("/v0/events", &event("t", "later", "elsewhere"));
    served.kill();
    let said = place.done(&["replay", "audit"]);
    assert!(said.contains("identical"), "{said}");
    assert!(
        fs::read_dir(place.audit()).unwrap().count() > 3,
        "it has rotated"
    );
    let by_other_rules = |place: &Place| {
        let said = place.refused(&["replay", "audit", "--config", "config.yaml"]);
        for part in [
            "event e-0 of tenant t",
            "line 2",
            "The policy has changed: /planner/reply_policy",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    };
    by_other_rules(&place);
    // Of several changes the one that does it, wherever it stands.
    let never = OPEN.replace("always", "never");
    place.configure(&never.replace("gate: {", "gate: {cooldown_ms: 1, "));
    by_other_rules(&place);
}

#[test]
fn an_edited_record_is_named_and_not_served_from() {
    let place = with("memory");
    let served = place.serve();
    for n in 0..5 {
        served.post("/v0/events", &event("t", &format!("e-{n}"), "room"));
    }
    served.kill();
    let file = fs::read_dir(place.audit())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = file
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .min()
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("hello from e-2", "hello from e-9", 1)).unwrap();
    let said = place.refused(&["audit", "verify", "audit"]);
    assert!(said.contains("line 4") && said.contains("edited"), "{said}");
    let said = place.refused(&["replay", "audit"]);
    assert!(said.contains("line 4"), "{said}");
    let said = place.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("5508") && said.contains("line 4"), "{said}");
}

#[test]
fn a_torn_end_is_taken_off_and_told_at_the_next_start() {
    let place = with("memory");
    let served = place.serve();
    let (_, plan) = served.post("/v0/events", &event("t", "e-1", "room"));
    served.kill();
    let file = fs::read_dir(place.audit())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = file
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .min()
        .unwrap();
    let mut open = fs::OpenOptions::new().append(true).open(&file).unwrap();
    open.write_all(b"{\"seq\":3,\"prev\":\"sha256:0").unwrap();
    drop(open);
    let said = place.refused(&["audit", "verify", "audit"]);
    assert!(said.contains("not whole"), "{said}");
    let served = place.serve();
    assert!(place.log().contains("torn"), "{}", place.log());
    let (_, again) = served.post("/v0/events", &event("t", "e-1", "room"));
    assert_eq!(again, plan);
    drop(served);
    assert!(place.records().iter().any(|it| it["kind"] == "repair"));
    place.done(&["audit", "verify", "audit"]);
}
