//! The control plane's addresses in the orchestrator (RFC-ARB-0001, section 13): the loop from an event to what was said,
//! gates that are remembered over a restart, and everything an adapter may get wrong.

use std::sync::Arc;

use chiffon_arbiter::{Authz, Gates, Grant, Pattern, Policy, Rate};
use chiffon_bus::MemoryBus;
use chiffon_common::Permission;
use serde_json::{Value, json};

use super::{
    client::{places, problem},
    world::{Act, World},
};

pub(super) fn event(id: &str, room: &str, text: &str, mentioned: bool) -> Value {
    json!({
        "v": 0, "event_id": id, "tenant_id": "default", "source": "chat", "room_id": room,
        "actor": {"id": "chat:anna", "kind": "person"},
        "content": {"type": "text", "text": text, "mentions_chiffon": mentioned},
        "ts": "2026-02-13T09:00:00Z",
    })
}

pub(super) async fn send(world: &World, path: &str, body: &Value) -> (u16, Value) {
    let reply = world.call("POST", path).json(body).send().await;
    (reply.status, reply.json())
}

pub(super) async fn plan(world: &World, event: &Value) -> Value {
    let (status, plan) = send(world, "/v0/events", event).await;
    assert_eq!(status, 200, "{plan}");
    plan
}

/// The control plane alone, as `arbiter serve` is: no work is started, texts are asked for.
async fn talking(gate: Gates) -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.control = Policy {
        gate,
        authz: Authz::open(),
        ..Policy::default()
    };
    world.start_orchestrator().await;
    world
}

#[tokio::test]
async fn a_text_goes_around_the_loop_once() {
    let world = talking(Gates {
        generation_timeout_ms: 3_600_000,
        cooldown_ms: 3_600_000,
        ..Gates::default()
    })
    .await;
    let asked = plan(&world, &event("1", "team", "How are you?", true)).await;
    assert_eq!(asked["actions"][0]["type"], "request_generation", "{asked}");
    let held = plan(&world, &event("2", "team", "And now?", true)).await;
    assert_eq!(held["actions"][0]["reason_code"], "generating_lock");
    let result = json!({
        "v": 0, "tenant_id": "default", "plan_id": asked["plan_id"], "status": "completed",
        "text": "Well.", "ts": "2026-02-13T09:00:01Z",
    });
    let (status, said) = send(&world, "/v0/generations", &result).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["actions"][0]["type"], "send_reply");
    assert_eq!(said["actions"][0]["text"], "Well.");
    assert_eq!(
        send(&world, "/v0/generations", &result).await,
        (200, said.clone())
    );
    let rests = plan(&world, &event("3", "team", "And now?", true)).await;
    assert_eq!(rests["actions"][0]["reason_code"], "cooldown");
    let report = json!({
        "v": 0, "tenant_id": "default", "plan_id": said["plan_id"],
        "action_id": said["actions"][0]["action_id"], "status": "done",
        "ts": "2026-02-13T09:00:02Z",
    });
    let (status, receipt) = send(&world, "/v0/action-results", &report).await;
    assert_eq!(
        (status, &receipt["reason_code"]),
        (200, &json!("action_done"))
    );
    assert_eq!(
        send(&world, "/v0/action-results", &report).await,
        (200, receipt)
    );
    // Another answer under an id that has one.
    for (path, mut other) in [("/v0/generations", result), ("/v0/action-results", report)] {
        other["status"] = json!("failed");
        other.as_object_mut().unwrap().remove("text");
        let reply = world.call("POST", path).json(&other).send().await;
        problem(&world, &reply, 409, 5020, path).await;
    }
    let (_, audit) = world.get("/api/v1/audit?limit=100").await;
    let codes = audit.to_string();
    for code in ["generating_lock", "generated", "action_done", "cooldown"] {
        assert!(codes.contains(code), "{code} is not in the record");
    }
    world.holds_together().await;
}

#[tokio::test]
async fn gates_hold_over_a_restart_and_for_each_tenant() {
    let mut world = talking(Gates {
        generation_timeout_ms: 3_600_000,
        max_queue: 2,
        tenant_rate: Some(Rate {
            events: 1,
            per_ms: 86_400_000,
            burst: 3,
        }),
        ..Gates::default()
    })
    .await;
    let first = plan(&world, &event("1", "a", "Hello", true)).await;
    plan(&world, &event("2", "b", "Hello", true)).await;
    let full = plan(&world, &event("3", "c", "Hello", true)).await;
    assert_eq!(full["reason_code"], "backpressure");
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    assert_eq!(plan(&world, &event("1", "a", "Hello", true)).await, first);
    let held = plan(&world, &event("4", "a", "Hello", true)).await;
    assert_eq!(held["reason_code"], "generating_lock");
    let failed = json!({
        "v": 0, "tenant_id": "default", "plan_id": first["plan_id"], "status": "failed",
        "error": "out of memory", "ts": "2026-02-13T09:00:01Z",
    });
    let (status, said) = send(&world, "/v0/generations", &failed).await;
    assert_eq!(
        (status, &said["reason_code"]),
        (200, &json!("generation_failed"))
    );
    assert_eq!(
        plan(&world, &event("5", "c", "Hello", true)).await["reason_code"],
        "mentioned"
    );
    // Three have passed in a day.
    assert_eq!(
        plan(&world, &event("6", "d", "Hello", false)).await["reason_code"],
        "backpressure"
    );
    let (_, said) = send(
        &world,
        "/v0/generations",
        &json!({
            "v": 0, "tenant_id": "default", "plan_id": "6ad46490-d77f-5e13-859c-7b652b385a83",
            "status": "refused", "ts": "2026-02-13T09:00:01Z",
        }),
    )
    .await;
    assert_eq!(said["code"], 5021);
    world.holds_together().await;
}

#[tokio::test]
async fn work_asked_for_in_a_room_becomes_a_request_once() {
    let world = World::plain(Act::Complete).await;
    let asked = event("msg-1", "team", "ping nas", true);
    let taken = plan(&world, &asked).await;
    assert_eq!(taken["actions"][0]["type"], "start_agent_job", "{taken}");
    assert_eq!(taken["intent"], "REPLY");
    assert_eq!(plan(&world, &asked).await, taken);
    let ignored = plan(&world, &event("msg-2", "team", "nice weather", false)).await;
    assert_eq!(ignored["actions"][0]["reason_code"], "reply_policy");
    let mut agent = event("msg-3", "team", "ping nas", true);
    agent["actor"]["kind"] = json!("agent");
    assert_eq!(plan(&world, &agent).await["reason_code"], "unauthorized");
    let (_, all) = world.get("/api/v1/requests").await;
    let all = all["items"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    let id = all[0]["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    let mut other = asked.clone();
    other["content"]["text"] = json!("ping tower");
    let reply = world.call("POST", "/v0/events").json(&other).send().await;
    problem(&world, &reply, 409, 5020, "/v0/events").await;
    world.holds_together().await;
}

#[tokio::test]
async fn what_an_adapter_gets_wrong_is_told_and_takes_nothing() {
    let world = talking(Gates::default()).await;
    let whole = event("1", "team", "Hello", true);
    let with = |pointer: &str, value: Value| {
        let mut event = whole.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string().into_bytes()
    };
    let without = |field: &str| {
        let mut event = whole.clone();
        event.as_object_mut().unwrap().remove(field);
        event.to_string().into_bytes()
    };
    let mut wrong: Vec<(Vec<u8>, u16, u16)> = vec![
        (with("/v", json!(1)), 400, 5002),
        (with("/event_id", json!("a\u{0}b")), 400, 5001),
        (with("/event_id", json!("result:1")), 400, 5001),
        (with("/room_id", json!("chiffon:tenant")), 400, 5001),
        (with("/actor/id", json!("a\nb")), 400, 5001),
        (with("/content/text", json!(" ")), 422, 5007),
        (with("/content/text", json!("x".repeat(8_001))), 422, 5009),
        (with("/content/text", json!("a\u{1}")), 422, 5008),
        (with("/tenant_id", json!("other")), 403, 5202),
        (with("/ts", json!("yesterday")), 400, 5001),
        (b"{\"v\":0,\"event_id\":\"\xff\"}".to_vec(), 400, 5001),
        ("[".repeat(10_000).into_bytes(), 400, 5001),
        (
            format!("{{\"v\":{}", "[".repeat(10_000)).into_bytes(),
            400,
            5001,
        ),
        (vec![b' '; 10 * 1024 * 1024], 413, 5003),
        (b"[]".to_vec(), 400, 5001),
    ];
    for field in [
        "event_id",
        "tenant_id",
        "source",
        "room_id",
        "actor",
        "content",
        "ts",
        "v",
    ] {
        wrong.push((without(field), 400, 5001));
    }
    for (body, status, code) in wrong {
        let reply = world.call("POST", "/v0/events").raw(body).send().await;
        problem(&world, &reply, status, code, "/v0/events").await;
    }
    // The place of what does not fit is named.
    for (pointer, value) in [
        ("/v", json!(1)),
        ("/ts", json!("9999-12-31T23:59:59Z")),
        ("/room_id", json!("a b")),
        ("/actor/kind", json!(7)),
        ("/content/text", json!([])),
        ("/content/text", json!(" ")),
        ("/content/mentions_chiffon", json!("yes")),
    ] {
        let body = with(pointer, value);
        let reply = world.call("POST", "/v0/events").raw(body).send().await;
        let named = [format!("body {pointer}")];
        assert_eq!(places(&reply.json()), named, "{:#}", reply.json());
    }
    // Nothing of it was taken: the id is free.
    assert_eq!(plan(&world, &whole).await["reason_code"], "mentioned");
    for ts in ["1912-06-23T00:00:00Z", "2099-12-31T23:59:59Z"] {
        let mut far = event(ts, "team", "Hello", true);
        far["ts"] = json!(ts);
        assert_eq!(plan(&world, &far).await["reason_code"], "mentioned", "{ts}");
    }
}

#[tokio::test]
async fn the_contracts_are_told_and_health_needs_no_token() {
    let world = talking(Gates::default()).await;
    let spoken = world.call("GET", "/v0/contracts").send().await.expect(200);
    assert_eq!(spoken["versions"], json!([0]));
    assert_eq!(
        spoken["actions"]["reserved"],
        json!(["start_agent_job", "request_approval"])
    );
    assert!(spoken["schemas"]["event"]["properties"]["event_id"].is_object());
    let health = world
        .call("GET", "/v0/healthz")
        .without_token()
        .send()
        .await;
    assert_eq!(health.expect(200)["status"], "ok");
    for (method, path) in [
        ("GET", "/v0/contracts"),
        ("POST", "/v0/events"),
        ("POST", "/v0/healthz"),
    ] {
        let reply = world
            .call(method, path)
            .without_token()
            .raw("{}")
            .send()
            .await;
        problem(&world, &reply, 401, 5201, path).await;
    }
}

/// What a room was told after a number, once there is anything.
pub(super) async fn told(world: &World, room: &str, after: u64) -> Vec<Value> {
    let path = format!("/v0/rooms/{room}/messages?after={after}");
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let page = world.call("GET", &path).send().await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        if !items.is_empty() {
            return items;
        }
        assert!(tokio::time::Instant::now() < until, "nothing was told");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A fleet where chat:bob may approve in the rooms of the team.
pub(super) async fn chatting() -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let entry = world
        .home
        .path()
        .join("catalogue/playbooks/service_restart.chiffon.yml");
    let text = std::fs::read_to_string(&entry).unwrap();
    assert!(text.contains("tier: 1"));
    std::fs::write(&entry, text.replace("tier: 1", "tier: 2")).unwrap();
    let approver = "approver".to_owned();
    let may = [Permission::Approve].into();
    world.control.authz.roles.insert(approver.clone(), may);
    world.control.authz.grants.push(Grant {
        role: approver,
        actor: Pattern("chat:bob".to_owned()),
        room: Pattern("team*".to_owned()),
        ..Grant::default()
    });
    world.start().await
}

#[tokio::test]
async fn a_room_asks_is_asked_answers_and_is_told() {
    let world = chatting().await;
    let wish = "write_file path=/tmp/x content=hello on nas";
    let taken = plan(&world, &event("1", "team", wish, true)).await;
    assert_eq!(taken["reason_code"], "accepted");
    let asked = told(&world, "team", 0).await.remove(0);
    let action = &asked["action"];
    assert_eq!(action["type"], "request_approval", "{asked}");
    let id = asked["request_id"].as_str().unwrap();
    // Who may not, another room, and what is no answer.
    assert_eq!(
        plan(&world, &event("2", "team", "yes", false)).await["reason_code"],
        "unauthorized"
    );
    let mut bob = event("3", "team", "Yes!", false);
    bob["actor"]["id"] = json!("chat:bob");
    let mut elsewhere = bob.clone();
    elsewhere["room_id"] = json!("lobby");
    elsewhere["event_id"] = json!("4");
    assert_eq!(
        plan(&world, &elsewhere).await["reason_code"],
        "reply_policy"
    );
    let mut chatter = bob.clone();
    chatter["content"]["text"] = json!("yes, but later");
    chatter["event_id"] = json!("5");
    assert_eq!(plan(&world, &chatter).await["reason_code"], "reply_policy");
    assert_eq!(world.show(id).await["state"], "awaiting_approval");
    // What another has asked for takes more than a mere yes: the question is named.
    bob["content"]["answers"] = action["decision_id"].clone();
    let said = plan(&world, &bob).await;
    assert_eq!(said["reason_code"], "approved", "{said}");
    assert_eq!(plan(&world, &bob).await, said, "the same again");
    world.until(id, &["completed"]).await;
    let number = asked["number"].as_u64().unwrap();
    let end = told(&world, "team", number).await.remove(0);
    assert_eq!(end["action"]["type"], "send_reply", "{end}");
    assert_eq!(end["action"]["reply_to"], "1");
    assert!(
        end["action"]["text"]
            .as_str()
            .unwrap()
            .starts_with("completed"),
        "{end}"
    );
    world.holds_together().await;
}

#[tokio::test]
async fn a_room_says_no_and_never_approves_tier_two() {
    let world = chatting().await;
    let wish = "write_file path=/tmp/x content=hello on nas";
    let bob = |id: &str, text: &str| {
        let mut event = event(id, "team", text, false);
        event["actor"]["id"] = json!("chat:bob");
        event
    };
    plan(&world, &event("1", "team", wish, true)).await;
    let asked = told(&world, "team", 0).await.remove(0);
    // A no permits nothing, so it may be mere.
    assert_eq!(
        plan(&world, &bob("2", "no")).await["reason_code"],
        "rejected"
    );
    world
        .until(asked["request_id"].as_str().unwrap(), &["rejected"])
        .await;
    let number = asked["number"].as_u64().unwrap();
    let end = told(&world, "team", number).await.remove(0);
    plan(
        &world,
        &event("3", "team", "service_restart name=cron on nas", true),
    )
    .await;
    let asked = told(&world, "team", end["number"].as_u64().unwrap())
        .await
        .remove(0);
    let id = asked["request_id"].as_str().unwrap();
    let question = asked["action"]["text"].as_str().unwrap();
    assert!(!question.contains("yes or no"), "{question}");
    let said = plan(&world, &bob("4", "approve")).await;
    assert_eq!(said["reason_code"], "approval_by_link", "{said}");
    // Both say what can be done, and by whom: there is no page to go to.
    let answer = said["actions"][0]["text"].as_str().unwrap();
    for text in [question, answer] {
        for word in [&format!("`chiffon approve {id}`"), "(nas)", "Who has none"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("/api/"), "{text}");
    }
    assert_eq!(world.show(id).await["state"], "awaiting_approval");
    // An adapter's word for who asked is no other person: the one who approves types the host name.
    let (status, refused) = world.approve(id).await;
    assert_eq!((status, &refused["code"]), (403, &json!(5206)), "{refused}");
    assert_eq!(
        plan(&world, &bob("5", "no")).await["reason_code"],
        "rejected"
    );
    // And so it is done, as the command does it.
    let number = asked["number"].as_u64().unwrap();
    let end = told(&world, "team", number).await.remove(0);
    let again = event("6", "team", "service_restart name=cron on nas", true);
    plan(&world, &again).await;
    let asked = told(&world, "team", end["number"].as_u64().unwrap())
        .await
        .remove(0);
    let id = asked["request_id"].as_str().unwrap();
    let digest = world.show(id).await["plan"]["digest"].clone();
    let yes = json!({ "request_id": id, "digest": digest, "confirm": "nas" });
    let (status, said) = world.post("/approve", yes).await;
    assert_eq!(status, 200, "{said}");
    world.until(id, &["completed"]).await;
    world.holds_together().await;
}
