//! Words in a room and the questions that they answer: a yes is bound to one question, an answer and its event are stored
//! together or not at all, and what a word cannot answer is told to whoever said it. The way of a usual answer is left to
//! `control`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chiffon_arbiter::{Gates, Grant, Pattern, Rate};
use chiffon_bus::MemoryBus;
use chiffon_common::Permission;
use chiffon_store::{Options, Sqlite};
use serde_json::{Value, json};

use super::{
    client::problem,
    control::{event, plan, send, told},
    world::{Act, World},
};

/// A change of tier 1 in a file of its own.
fn wish(file: &str) -> String {
    format!("write_file path=/tmp/{file} content=hello on nas")
}

/// A fleet of which nothing runs yet, where chat:anna and chat:bob may approve in the room of the team, and all may ask.
fn team(gate: Gates) -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let may = [Permission::Approve].into();
    world.control.gate = gate;
    let roles = &mut world.control.authz.roles;
    roles.insert("approver".to_owned(), may);
    for actor in ["chat:anna", "chat:bob"] {
        world.control.authz.grants.push(Grant {
            role: "approver".to_owned(),
            actor: Pattern(actor.to_owned()),
            room: Pattern("team".to_owned()),
            ..Grant::default()
        });
    }
    world
}

fn by(who: &str, id: &str, text: &str) -> Value {
    let mut event = event(id, "team", text, false);
    event["actor"]["id"] = json!(who);
    event
}

/// The same, said to Chiffon.
fn to_chiffon(who: &str, id: &str, text: &str) -> Value {
    let mut event = by(who, id, text);
    event["content"]["mentions_chiffon"] = json!(true);
    event
}

/// A wish of somebody, and the message that asks whether it may be done.
async fn asks(world: &World, who: &str, file: &str, after: u64) -> Value {
    let asked = to_chiffon(who, &format!("wish-{file}"), &wish(file));
    assert_eq!(plan(world, &asked).await["reason_code"], "accepted");
    question(world, after).await
}

/// The next question that the room is told.
async fn question(world: &World, mut after: u64) -> Value {
    loop {
        for item in told(world, "team", after).await {
            after = item["number"].as_u64().unwrap();
            if item["action"]["type"] == "request_approval" {
                return item;
            }
        }
    }
}

fn number(item: &Value) -> u64 {
    item["number"].as_u64().unwrap()
}

async fn state(world: &World, question: &Value) -> Value {
    let id = question["request_id"].as_str().unwrap();
    world.show(id).await["state"].clone()
}

async fn reason(world: &World, event: &Value) -> Value {
    plan(world, event).await["reason_code"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_slips_under_a_yes_that_was_meant_for_another() {
    let world = team(Gates::default()).start().await;
    let first = asks(&world, "chat:anna", "a", 0).await;
    let id = first["request_id"].as_str().unwrap();
    let (status, _) = world.post(&format!("/cancel/{id}"), json!({})).await;
    assert_eq!(status, 200);
    let evil = asks(&world, "chat:eve", "evil", number(&first)).await;
    // Anna means what she has asked for herself.
    let mere = to_chiffon("chat:anna", "1", "yes");
    let said = plan(&world, &mere).await;
    assert_eq!(said["reason_code"], "approval_by_link", "{said}");
    let mut named = by("chat:anna", "2", "yes");
    named["content"]["answers"] = first["action"]["decision_id"].clone();
    assert_eq!(reason(&world, &named).await, "approval_by_link");
    assert_eq!(state(&world, &evil).await, "awaiting_approval");
    assert_eq!(plan(&world, &mere).await, said, "the same again");
    // Who names it means it. Of two that wait, too.
    let own = asks(&world, "chat:anna", "b", number(&evil)).await;
    let bare = to_chiffon("chat:anna", "3", "yes");
    assert_eq!(reason(&world, &bare).await, "approval_by_link");
    let mut named = by("chat:anna", "4", "yes");
    named["content"]["answers"] = evil["action"]["decision_id"].clone();
    assert_eq!(reason(&world, &named).await, "approved");
    assert_eq!(state(&world, &own).await, "awaiting_approval");
    // The only one that waits, and her own.
    let alone = to_chiffon("chat:anna", "5", "yes");
    assert_eq!(reason(&world, &alone).await, "approved");
    for asked in [&evil, &own] {
        let id = asked["request_id"].as_str().unwrap();
        world.until(id, &["completed"]).await;
    }
    // Another room's question is not answered from here, and a name that names nothing answers nothing.
    let last = asks(&world, "chat:anna", "c", number(&own)).await;
    let mut strange = by("chat:anna", "6", "yes");
    strange["content"]["answers"] = json!("0199e2f4-77a1-7c40-8000-000000000001");
    assert_eq!(reason(&world, &strange).await, "approval_by_link");
    assert_eq!(state(&world, &last).await, "awaiting_approval");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mere_word_is_guessed_for_no_question_where_one_of_another_kind_waits() {
    let world = team(Gates::default()).start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    let unclear = to_chiffon("chat:anna", "what", "package_install on mars");
    assert_eq!(reason(&world, &unclear).await, "accepted");
    let item = told(&world, "team", number(&asked)).await.remove(0);
    let unclear = item["request_id"].as_str().unwrap();
    world.until(unclear, &["needs_input"]).await;
    for (id, word) in [("1", "yes"), ("2", "no")] {
        let said = plan(&world, &to_chiffon("chat:anna", id, word)).await;
        assert_eq!(said["reason_code"], "approval_by_link", "{said}");
        let text = said["actions"][0]["text"].as_str().unwrap();
        assert!(text.contains("Several questions wait"), "{text}");
        assert_eq!(state(&world, &asked).await, "awaiting_approval");
    }
    // Alone again, it is meant.
    let (status, _) = world.post(&format!("/cancel/{unclear}"), json!({})).await;
    assert_eq!(status, 200);
    world.until(unclear, &["cancelled"]).await;
    let yes = to_chiffon("chat:anna", "3", "yes");
    assert_eq!(reason(&world, &yes).await, "approved");
    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_means_yes_approves_nothing_and_is_no_wish() {
    let world = team(Gates::default()).start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    for (id, text) in [("1", "yes please"), ("2", "Ok, do it!"), ("3", "no thanks")] {
        let said = plan(&world, &to_chiffon("chat:anna", id, text)).await;
        assert_eq!(said["reason_code"], "approval_by_link", "{said}");
        let told = said["actions"][0]["text"].as_str().unwrap();
        assert!(told.contains("neither yes nor no"), "{told}");
    }
    // Said to each other, it is nobody's business.
    let aside = by("chat:anna", "4", "ok sure");
    assert_eq!(reason(&world, &aside).await, "reply_policy");
    let mut named = by("chat:anna", "5", "yes please");
    named["content"]["answers"] = asked["action"]["decision_id"].clone();
    assert_eq!(reason(&world, &named).await, "approval_by_link");
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_say_to_each_other_approves_nothing() {
    let world = team(Gates::default()).start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    for (id, word) in [("1", "yes"), ("2", "Approve!")] {
        let said = plan(&world, &by("chat:anna", id, word)).await;
        assert_eq!(said["reason_code"], "approval_by_link", "{said}");
        let text = said["actions"][0]["text"].as_str().unwrap();
        assert!(text.contains("not said to Chiffon"), "{text}");
    }
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    // A reply to the question is meant for it, with or without the name.
    let mut named = by("chat:bob", "3", "yes");
    named["content"]["answers"] = asked["action"]["decision_id"].clone();
    assert_eq!(reason(&world, &named).await, "approved");
    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    // A no permits nothing, so it need not be said to anybody.
    let asked = asks(&world, "chat:anna", "b", number(&asked)).await;
    let no = by("chat:anna", "4", "no");
    assert_eq!(reason(&world, &no).await, "rejected");
    assert_eq!(state(&world, &asked).await, "rejected");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_word_that_comes_many_times_at_once_has_one_answer() {
    let world = team(Gates::default()).start().await;
    let mut after = 0;
    for round in 0..3 {
        let asked = asks(&world, "chat:anna", &format!("r{round}"), after).await;
        after = number(&asked);
        let yes = to_chiffon("chat:anna", &format!("yes-{round}"), "yes");
        let (a, b, c, d, e, f) = tokio::join!(
            send(&world, "/v0/events", &yes),
            send(&world, "/v0/events", &yes),
            send(&world, "/v0/events", &yes),
            send(&world, "/v0/events", &yes),
            send(&world, "/v0/events", &yes),
            send(&world, "/v0/events", &yes),
        );
        assert_eq!((a.0, &a.1["reason_code"]), (200, &json!("approved")));
        for other in [b, c, d, e, f] {
            assert_eq!(other, a);
        }
        let id = asked["request_id"].as_str().unwrap();
        world.until(id, &["completed"]).await;
    }
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_and_its_event_are_stored_together_or_not_at_all() {
    let mut world = team(Gates::default());
    let path = world.home.path().join("together.db");
    world.store = Arc::new(Sqlite::open(&path, Options::default()).unwrap());
    let world = world.start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    let trigger =
        "CREATE TRIGGER refuses BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(trigger).unwrap();
    let yes = to_chiffon("chat:anna", "1", "yes");
    let (status, refused) = send(&world, "/v0/events", &yes).await;
    assert_ne!(status, 200, "{refused}");
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    other.execute_batch("DROP TRIGGER refuses").unwrap();
    assert_eq!(reason(&world, &yes).await, "approved");
    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_that_answers_nothing_is_no_wish_and_a_service_approves_nothing() {
    let world = team(Gates::default()).start().await;
    for (id, word) in [("1", "yes"), ("2", "No!")] {
        let stray = plan(&world, &event(id, "team", word, true)).await;
        assert_eq!(stray["reason_code"], "nothing_asked", "{stray}");
        assert_eq!(stray["actions"][0]["type"], "send_reply");
    }
    assert_eq!(
        reason(&world, &by("chat:anna", "3", "yes")).await,
        "reply_policy"
    );
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(all["items"], json!([]));
    let asked = asks(&world, "chat:anna", "a", 0).await;
    for kind in ["service", "agent"] {
        let mut word = by("chat:anna", kind, "yes");
        word["actor"]["kind"] = json!(kind);
        assert_eq!(reason(&world, &word).await, "unauthorized");
    }
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    let (_, audit) = world.get("/api/v1/audit?limit=100").await;
    assert!(audit.to_string().contains("unauthorized"), "{audit}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_rests_may_answer_what_it_is_asked() {
    let world = team(Gates {
        cooldown_ms: 3_600_000,
        ..Gates::default()
    })
    .start()
    .await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    let talk = to_chiffon("chat:anna", "1", "and now?");
    assert_eq!(reason(&world, &talk).await, "cooldown");
    let yes = to_chiffon("chat:anna", "2", "yes");
    assert_eq!(reason(&world, &yes).await, "approved");
    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_under_other_rules_is_told_so_instead_of_approved() {
    let mut world = team(Gates::default()).start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    world.crash_orchestrator().await;
    world.control.gate.cooldown_ms = 1;
    world.start_orchestrator().await;
    let said = plan(&world, &to_chiffon("chat:anna", "1", "yes")).await;
    assert_eq!(said["reason_code"], "approval_by_link", "{said}");
    let text = said["actions"][0]["text"].as_str().unwrap();
    assert!(text.contains("rules have changed"), "{text}");
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    // Over HTTP too it is said at once, and not after an "approved".
    let id = asked["request_id"].as_str().unwrap();
    let reply = world.approve(id).await;
    assert_eq!(
        (reply.0, &reply.1["code"]),
        (409, &json!(5209)),
        "{}",
        reply.1
    );
    assert_eq!(state(&world, &asked).await, "awaiting_approval");
    let no = by("chat:anna", "2", "no");
    assert_eq!(reason(&world, &no).await, "rejected");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_room_is_told_can_be_reported_and_reads_the_same_later() {
    let world = team(Gates::default()).start().await;
    let asked = asks(&world, "chat:anna", "a", 0).await;
    let report = |item: &Value, status: &str| {
        json!({
            "v": 0, "tenant_id": "default", "plan_id": item["plan_id"],
            "action_id": item["action"]["action_id"], "status": status,
            "ts": "2026-02-13T09:00:02Z",
        })
    };
    plan(&world, &to_chiffon("chat:anna", "1", "yes")).await;
    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    let end = told(&world, "team", number(&asked)).await.remove(0);
    assert_eq!(end["action"]["type"], "send_reply", "{end}");
    for item in [&asked, &end] {
        let (status, receipt) = send(&world, "/v0/action-results", &report(item, "done")).await;
        assert_eq!(status, 200, "{receipt}");
        assert_eq!(receipt["reason_code"], "action_done");
        let again = send(&world, "/v0/action-results", &report(item, "done")).await;
        assert_eq!(again, (200, receipt));
    }
    assert_eq!(question(&world, 0).await, asked, "what was said stays said");
    let mut stranger = report(&end, "done");
    stranger["action_id"] = json!("0199e2f4-77a1-7c40-8000-000000000001");
    let (status, refused) = send(&world, "/v0/action-results", &stranger).await;
    assert_eq!((status, &refused["code"]), (404, &json!(5024)), "{refused}");
    for after in ["9223372036854775808", "18446744073709551615"] {
        let path = format!("/v0/rooms/team/messages?after={after}");
        let reply = world.call("GET", &path).send().await;
        problem(&world, &reply, 400, 5001, "/v0/rooms/team/messages").await;
    }
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_a_word_cannot_answer_asks_for_none_and_stays_as_it_was() {
    let world = team(Gates::default()).start().await;
    let asked = to_chiffon("chat:anna", "1", "package_install on mars");
    assert_eq!(reason(&world, &asked).await, "accepted");
    let item = told(&world, "team", 0).await.remove(0);
    let text = item["action"]["text"].as_str().unwrap();
    assert_eq!(item["action"]["type"], "send_reply", "{item}");
    assert!(text.contains("chiffon answer"), "{text}");
    let word = to_chiffon("chat:anna", "2", "yes");
    assert_eq!(reason(&world, &word).await, "nothing_asked");
    let id = item["request_id"].as_str().unwrap();
    let (status, _) = world.post(&format!("/cancel/{id}"), json!({})).await;
    assert_eq!(status, 200);
    world.until(id, &["cancelled"]).await;
    assert_eq!(told(&world, "team", 0).await.remove(0), item);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_is_shut_to_a_caller_opens_again_under_the_same_key() {
    let world = team(Gates {
        tenant_rate: Some(Rate {
            events: 1,
            per_ms: 3_600_000,
            burst: 1,
        }),
        ..Gates::default()
    })
    .start()
    .await;
    world.ask(&wish("a")).await;
    let ask = || {
        let call = world.call("POST", "/api/v1/requests");
        let call = call.header("idempotency-key", "once");
        call.json(&json!({ "text": wish("b") }))
    };
    for _ in 0..2 {
        let reply = ask().send().await;
        assert_eq!(reply.status, 429, "{}", reply.json());
        let refused = reply.json();
        assert_eq!(refused["code"], 5014, "{refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("control.rate"), "{detail}");
        assert!(reply.header("retry-after").is_some());
    }
    world.clock.seconds.fetch_add(7_200, Ordering::Relaxed);
    let taken = ask().send().await.expect(202);
    assert_eq!(ask().send().await.expect(202), taken);
}
