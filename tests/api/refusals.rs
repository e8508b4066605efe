//! What the control plane of the orchestrator refuses: told as `arbiter serve` tells it, on record, and without a trace in
//! what gates and rooms remember.

use std::sync::Arc;

use chiffon_arbiter::{Authz, Gates, Policy};
use chiffon_bus::MemoryBus;
use serde_json::{Value, json};

use super::{
    client::{places, problem},
    control::{event, plan, send, told},
    world::{Act, World},
};

const ID: &str = "0199e2f4-77a1-7c40-8000-000000000001";

/// The control plane alone, where a text that was asked for holds its room for an hour.
async fn talking() -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.control = Policy {
        gate: Gates {
            generation_timeout_ms: 3_600_000,
            ..Gates::default()
        },
        authz: Authz::open(),
        ..Policy::default()
    };
    world.start_orchestrator().await;
    world
}

/// What a call is refused with: its reason and its place.
async fn refused(
    world: &World,
    path: &str,
    body: &Value,
    (status, code): (u16, u16),
) -> (String, Vec<String>, String) {
    let reply = world.call("POST", path).json(body).send().await;
    let told = problem(world, &reply, status, code, path).await;
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let words = format!("{}; {}", text("detail"), text("todo"));
    (text("reason_code"), places(&told), words)
}

/// The records of an action, oldest first.
async fn records(world: &World, action: &str) -> Vec<Value> {
    let (_, page) = world.get("/api/v1/audit?limit=500").await;
    let items = page["items"].as_array().unwrap().clone();
    let is_it = |item: &Value| item.to_string().contains(&format!("\"{action}\""));
    items.into_iter().filter(is_it).collect()
}

fn result(plan_id: &str, text: &str) -> Value {
    json!({
        "v": 0, "tenant_id": "default", "plan_id": plan_id, "status": "completed", "text": text,
        "ts": "2026-02-13T09:00:01Z",
    })
}

fn report(plan_id: &str, action_id: &str, ts: &str) -> Value {
    json!({
        "v": 0, "tenant_id": "default", "plan_id": plan_id, "action_id": action_id,
        "status": "done", "ts": ts,
    })
}

#[tokio::test]
async fn a_rule_that_refuses_is_named_and_its_place_and_it_is_on_record() {
    let world = talking().await;
    let asked = plan(&world, &event("1", "team", "How are you?", true)).await;
    let plan_id = asked["plan_id"].as_str().unwrap();
    let mut other = event("1", "team", "SECRET words", true);
    other["actor"]["id"] = json!("chat:mallory");
    let (reason, at, words) = refused(&world, "/v0/events", &other, (409, 5020)).await;
    assert_eq!(
        (&*reason, at),
        ("id_conflict", vec!["body /event_id".to_owned()])
    );
    assert!(
        words.contains("this event_id") && words.contains("an id of its own"),
        "{words}"
    );
    let (_, said) = send(&world, "/v0/generations", &result(plan_id, "Well.")).await;
    let action = said["actions"][0]["action_id"].as_str().unwrap();
    let first = "2026-02-13T09:00:02Z";
    let told = send(
        &world,
        "/v0/action-results",
        &report(plan_id, action, first),
    )
    .await;
    assert_eq!(told.0, 404, "the text is of another plan: {}", told.1);
    let said_id = said["plan_id"].as_str().unwrap();
    let (status, _) = send(
        &world,
        "/v0/action-results",
        &report(said_id, action, first),
    )
    .await;
    assert_eq!(status, 200);
    for (path, body, status, code, reason, at) in [
        (
            "/v0/generations",
            result(plan_id, "Other."),
            409,
            5020,
            "id_conflict",
            "/plan_id",
        ),
        (
            "/v0/generations",
            result(ID, "Well."),
            404,
            5021,
            "unknown_plan",
            "/plan_id",
        ),
        (
            "/v0/generations",
            result(said_id, "Well."),
            409,
            5022,
            "not_generating",
            "/plan_id",
        ),
        (
            "/v0/action-results",
            report(said_id, action, "2026-02-13T09:00:03Z"),
            409,
            5020,
            "id_conflict",
            "/action_id",
        ),
        (
            "/v0/action-results",
            report(ID, action, first),
            404,
            5021,
            "unknown_plan",
            "/plan_id",
        ),
        (
            "/v0/action-results",
            report(said_id, ID, first),
            404,
            5024,
            "unknown_action",
            "/action_id",
        ),
        (
            "/v0/events",
            event("2", "team", " ", true),
            422,
            5007,
            "schema_invalid",
            "/content/text",
        ),
        (
            "/v0/events",
            json!({"v": 0}),
            400,
            5001,
            "schema_invalid",
            "",
        ),
    ] {
        let found = refused(&world, path, &body, (status, code)).await;
        assert_eq!(
            (&*found.0, found.1),
            (reason, vec![format!("body {at}")]),
            "{path} {body}"
        );
    }
    // On record, with who it was said to be, and without what was said.
    let refused = records(&world, "event.refused").await;
    assert_eq!(refused.len(), 3, "{refused:#?}");
    let first = refused
        .iter()
        .find(|one| one.to_string().contains("id_conflict"))
        .unwrap()
        .to_string();
    assert!(
        first.contains("chat:mallory") && first.contains(plan_id),
        "{first}"
    );
    assert!(!first.contains("SECRET"), "{first}");
    assert_eq!(records(&world, "generation.refused").await.len(), 3);
    assert_eq!(records(&world, "action.refused").await.len(), 4);
    world.holds_together().await;
}

#[tokio::test]
async fn names_that_chiffon_keeps_for_itself_are_told_as_that() {
    let world = talking().await;
    for (field, name, rule) in [
        (
            "event_id",
            "result:abc",
            "event_id may not begin with `result:`",
        ),
        (
            "room_id",
            "chiffon:tenant",
            "room_id may not be `chiffon:tenant`",
        ),
    ] {
        let mut body = event("1", "team", "Hello", true);
        body[field] = json!(name);
        let (_, at, words) = refused(&world, "/v0/events", &body, (400, 5001)).await;
        assert_eq!(at, [format!("body /{field}")]);
        assert!(words.starts_with(rule), "{words}");
    }
}

#[tokio::test]
async fn an_id_has_one_form_and_a_number_one_value() {
    let world = World::plain(Act::Complete).await;
    let bare = ID.replace('-', "");
    for id in [format!("urn:uuid:{ID}"), format!("{{{ID}}}"), bare] {
        let mut answer = event("1", "team", "yes", true);
        answer["content"]["answers"] = json!(id);
        for (path, body) in [
            ("/v0/generations", result(&id, "Well.")),
            (
                "/v0/action-results",
                report(ID, &id, "2026-02-13T09:00:03Z"),
            ),
            ("/v0/events", answer),
        ] {
            let (reason, _, words) = refused(&world, path, &body, (400, 5001)).await;
            assert_eq!(reason, "schema_invalid");
            assert!(words.contains("a UUID such as"), "{words}");
        }
    }
    let body = |number: &str| {
        let call = format!(
            "{{\"entry\":\"ping\",\"hosts\":[\"nas\"],\"parameters\":{{\"n\":[{number}]}}}}"
        );
        let mut event = event("n", "team", "ping nas", true);
        event["content"]["call"] = serde_json::from_str(&call).unwrap();
        event
    };
    for number in [
        "9007199254740993",
        "18446744073709551615",
        "12345678901234567890123",
    ] {
        let (_, at, _) = refused(&world, "/v0/events", &body(number), (400, 5001)).await;
        assert_eq!(at, ["body /content/call/parameters"], "{number}");
    }
    assert_eq!(
        plan(&world, &body("9007199254740992")).await["reason_code"],
        "accepted"
    );
}

/// Nobody makes a text for who asks for work, so nothing may hold the room for it.
#[tokio::test]
async fn where_no_work_is_taken_a_wish_leaves_nothing_behind() {
    let world = talking().await;
    for _ in 0..2 {
        let wish = json!({"text": "ping nas", "room_id": "team"});
        let (_, _, words) = refused(&world, "/request", &wish, (403, 5202)).await;
        assert!(words.contains("control.jobs"), "{words}");
    }
    assert!(records(&world, "event.judged").await.is_empty());
    let asked = plan(&world, &event("1", "team", "How are you?", true)).await;
    assert_eq!(asked["reason_code"], "mentioned", "the room is free");
    // And no question waits: a yes is a text like any other, also one that names a question.
    let mut yes = event("2", "lobby", "yes", true);
    yes["content"]["answers"] = json!(ID);
    assert_eq!(plan(&world, &yes).await["reason_code"], "mentioned");
}

#[tokio::test]
async fn a_yes_that_is_said_where_work_is_asked_for_is_no_work() {
    let world = World::plain(Act::Complete).await;
    let id = world
        .ask("write_file path=/tmp/x content=hello on nas")
        .await;
    world.until(&id, &["awaiting_approval"]).await;
    for text in ["yes", "No!", "approve", "ok", "yes please"] {
        let (reason, _, words) =
            refused(&world, "/request", &json!({"text": text}), (422, 5101)).await;
        assert_eq!(reason, "nothing_asked", "{text}");
        assert!(words.contains("chiffon approve"), "{words}");
    }
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(world.show(&id).await["state"], "awaiting_approval");
    // With anything beside it, it is a sentence.
    let more = world.ask("yes, ping nas").await;
    world.until(&more, &["completed", "needs_input"]).await;
    world.holds_together().await;
}

/// Whoever follows one conversation through the records follows one id.
#[tokio::test]
async fn all_records_of_a_conversation_bear_the_id_of_its_plan() {
    let world = World::plain(Act::Complete).await;
    let taken = plan(&world, &event("msg-1", "team", "ping nas", true)).await;
    let (_, all) = world.get("/api/v1/requests").await;
    let id = all["items"][0]["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    let (_, page) = world.get("/api/v1/audit?limit=500").await;
    let items = page["items"].as_array().unwrap();
    let entries = items.iter().map(|item| &item["record"]["entry"]);
    let of_it: Vec<&Value> = entries.filter(|entry| entry["request_id"] == id).collect();
    assert!(of_it.len() > 2, "{page}");
    for entry in of_it {
        assert_eq!(entry["correlation_id"], taken["plan_id"], "{entry}");
    }
}

#[tokio::test]
async fn nothing_in_a_question_hides_or_turns_round_what_stands_beside_it() {
    let world = World::plain(Act::Complete).await;
    let wish = "write_file path=/tmp/x content=\"\u{202e}txt.evil\u{2066} \u{200b}\u{2028}x (nas). Reply yes\" on nas";
    plan(&world, &event("1", "team", wish, true)).await;
    let asked = told(&world, "team", 0).await.remove(0);
    let text = asked["action"]["text"].as_str().unwrap();
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("content = \"\\u{202e}txt.evil"), "{text}");
    assert!(text.contains("tier 1") && text.contains(" UTC;"), "{text}");
    // What asks for more than a yes ends its sentence before it says how.
    plan(&world, &event("2", "lobby", "write_file", true)).await;
    let asked = told(&world, "lobby", 0).await.remove(0);
    let text = asked["action"]["text"].as_str().unwrap();
    let before = text.split_once(" Answer with `chiffon answer").unwrap().0;
    assert!(before.ends_with(['.', '?']), "{text}");
    // An adapter that knows a later number than there is hears where to go on.
    let page = world
        .call("GET", "/v0/rooms/team/messages?after=1000000")
        .send()
        .await
        .expect(200);
    assert_eq!(page["reset"], "from_the_future", "{page}");
    assert!(page["next_after"].as_u64().unwrap() < 1_000_000, "{page}");
}
