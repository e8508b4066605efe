//! An external authoriser in a whole fleet: what falls due while it is silent, and who may approve in a room.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use std::{sync::Arc, time::Duration};

use chiffon_arbiter::{Authz, AuthzMode};
use chiffon_bus::MemoryBus;
use chiffon_tests::authorizer::{Authorizer, Word};
use serde_json::{Value, json};

use super::{
    WRITE,
    requests::audit,
    schedules::{add, asked, at, due_times, end_run, records, schedule, until},
    world::{Act, Clock, PATIENCE, World},
};

/// A fleet of which nothing runs yet, where this one says who may.
fn judged_by(authorizer: &Authorizer) -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.control.authz = Authz {
        mode: AuthzMode::ExternalHttp,
        ..Authz::default()
    };
    world.authorizer = Some(chiffon_orchestrator::Authorizer {
        endpoint: authorizer.url().parse().unwrap(),
        ca_file: None,
        token: None,
        timeout: PATIENCE,
        in_flight: 8,
        cached: 0,
    });
    world
}

fn silent() -> Word {
    Word::Says(503, "<html>later</html>".to_owned())
}

fn garbage() -> Word {
    Word::Says(200, "<html>welcome</html>".to_owned())
}

async fn waits_for(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(waited.is_ok(), "{what}");
}

/// How often it was asked about a schedule.
fn asked_about(authorizer: &Authorizer, schedule: &str) -> usize {
    let room = format!("schedule:{schedule}");
    let asked = authorizer.asked();
    let about = asked.iter().filter(|one| one["room_id"] == room.as_str());
    about.count()
}

/// An answer that does not come holds up the schedule that it is about, and no other one; and what waited is not used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_waits_for_its_answer_holds_up_no_other() {
    let authorizer = Authorizer::start(Word::allows());
    let hands = Arc::new(Clock::default());
    hands.put_to(at("2040-06-01T00:30:00Z"));
    let mut world = judged_by(&authorizer);
    // Longer than all of this takes.
    world.authorizer.as_mut().unwrap().timeout = 10 * PATIENCE;
    world.clock = hands.clone();
    world.start_orchestrator().await;
    let hourly = || json!({"cron": "@hourly", "text": "ping nas", "missed": "once"});
    let slow = add(&world, hourly()).await;
    let others = [add(&world, hourly()).await, add(&world, hourly()).await];
    authorizer.says(Word::SilentTo(format!("schedule:{slow}")));
    let before = asked_about(&authorizer, &slow);
    hands.put_to(at("2040-06-01T01:00:05Z"));
    waits_for("it is asked about", || {
        asked_about(&authorizer, &slow) > before
    })
    .await;
    for id in &others {
        until(&world, id, "its run", |now| now["last_is_open"] == true).await;
        assert_eq!(due_times(&world, id).await, ["2040-06-01T01:00:00Z"]);
    }
    // All the time it waited for the same answer.
    assert_eq!(asked_about(&authorizer, &slow), before + 1);
    assert_eq!(asked(&world, &slow).await, Vec::<Value>::new());
    assert_eq!(schedule(&world, &slow).await["missed_count"], 0);
    authorizer.says(Word::allows());
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    until(&world, &slow, "its run", |now| now["last_is_open"] == true).await;
    assert_eq!(due_times(&world, &slow).await, ["2040-06-01T01:00:00Z"]);
}

/// Nobody has decided, so nothing is used up: it is asked for once somebody decides, or passes as the schedule says. A
/// denial is a decision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_falls_due_while_nobody_decides_is_neither_used_up_nor_forgotten() {
    let authorizer = Authorizer::start(Word::allows());
    let hands = Arc::new(Clock::default());
    hands.put_to(at("2040-06-01T00:30:00Z"));
    let mut world = judged_by(&authorizer);
    world.clock = hands.clone();
    world.start_orchestrator().await;
    let hourly = |missed: &str| json!({"cron": "@hourly", "text": "ping nas", "missed": missed});
    let once = add(&world, hourly("once")).await;
    let skip = add(&world, hourly("skip")).await;
    // Both are asked about, and again, whether it says nothing or nothing that can be read.
    let about = |id: &str| asked_about(&authorizer, id);
    let [before_once, before_skip] = [about(&once), about(&skip)];
    for (word, times) in [(silent(), 1), (garbage(), 3)] {
        authorizer.says(word);
        // It has come just now, however long all of this takes.
        hands.put_to(at("2040-06-01T01:00:05Z"));
        waits_for("both are asked about again and again", || {
            about(&once) >= before_once + times && about(&skip) >= before_skip + times
        })
        .await;
    }
    for id in [&once, &skip] {
        assert_eq!(asked(&world, id).await, Vec::<Value>::new());
        assert_eq!(schedule(&world, id).await["missed_count"], 0);
    }
    assert!(audit(&world, "event.judged").await.is_empty());
    // Its time is over for the one that makes up for nothing, and that is told.
    hands.put_to(at("2040-06-01T01:02:00Z"));
    until(&world, &skip, "what it missed", |now| {
        now["missed_count"] == 1
    })
    .await;
    assert_eq!(records(&world, &skip, "schedule.missed").await.len(), 1);
    authorizer.says(Word::allows());
    until(&world, &once, "its run", |now| now["last_is_open"] == true).await;
    assert_eq!(due_times(&world, &once).await, ["2040-06-01T01:00:00Z"]);
    assert_eq!(asked(&world, &skip).await, Vec::<Value>::new());
    end_run(&world, &once).await;
    // A denial uses its time up, with the reason on record.
    authorizer.says(Word::denies());
    hands.put_to(at("2040-06-01T02:00:05Z"));
    until(&world, &once, "the next hour", |now| {
        now["next_at"] == "2040-06-01T03:00:00Z"
    })
    .await;
    let refused = records(&world, &once, "schedule.refused").await;
    let [record] = refused.as_slice() else {
        panic!("refused once: {refused:#?}");
    };
    assert!(record.to_string().contains("authz_denied"), "{record:#}");
    authorizer.says(Word::allows());
    hands.put_to(at("2040-06-01T03:00:05Z"));
    until(&world, &once, "its run", |now| now["last_is_open"] == true).await;
    let hours = ["2040-06-01T01:00:00Z", "2040-06-01T03:00:00Z"];
    assert_eq!(due_times(&world, &once).await, hours);
    world.holds_together().await;
}

/// Said by a person in the room of the team, to Chiffon.
fn said(id: &str, who: &str, text: &str) -> Value {
    json!({
        "v": 0, "event_id": id, "tenant_id": "default", "source": "chat", "room_id": "team",
        "actor": {"id": who, "kind": "person"},
        "content": {"type": "text", "text": text, "mentions_chiffon": true},
        "ts": "2026-02-13T09:00:00Z",
    })
}

async fn reason(world: &World, event: &Value) -> Value {
    let (status, plan) = world.post("/v0/events", event.clone()).await;
    assert_eq!(status, 200, "{plan}");
    plan["reason_code"].clone()
}

/// The question that the room is told.
async fn question(world: &World, request: &str) -> Value {
    let shown = world.until(request, &["awaiting_approval"]).await;
    let (status, page) = world.get("/v0/rooms/team/messages?after=0").await;
    assert_eq!(status, 200, "{page}");
    let asked = page["items"].as_array().unwrap().iter().find(|item| {
        let is_ours = item["request_id"] == request;
        is_ours && item["action"]["type"] == "request_approval"
    });
    let asked = asked.unwrap_or_else(|| panic!("nobody is asked: {shown:#} {page:#}"));
    asked["action"]["decision_id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_approves_in_a_room_is_for_the_authoriser_to_say() {
    let authorizer = Authorizer::start(Word::allows());
    let world = judged_by(&authorizer).start().await;
    assert_eq!(
        reason(&world, &said("1", "chat:anna", WRITE)).await,
        "accepted"
    );
    let (_, page) = world.get("/api/v1/requests").await;
    let id = page["items"][0]["request_id"].as_str().unwrap().to_owned();
    let decision = question(&world, &id).await;
    let yes = |id: &str| {
        let mut yes = said(id, "chat:bob", "yes");
        yes["content"]["answers"] = decision.clone();
        yes
    };
    // No word of it, no approval; and no stored word is taken back later.
    for (id, word, told) in [
        ("2", Word::denies(), "authz_denied"),
        ("3", silent(), "authz_unavailable"),
        ("4", garbage(), "authz_unreadable"),
    ] {
        authorizer.says(word);
        assert_eq!(reason(&world, &yes(id)).await, told);
        authorizer.says(Word::allows());
        assert_eq!(reason(&world, &yes(id)).await, told, "decided is decided");
    }
    // A service approves nothing, whoever would permit it, so nobody is asked about it.
    let before = authorizer.asked().len();
    let mut service = yes("5");
    service["actor"]["kind"] = json!("service");
    assert_eq!(reason(&world, &service).await, "unauthorized");
    assert_eq!(authorizer.asked().len(), before);
    assert_eq!(world.show(&id).await["state"], "awaiting_approval");
    assert!(world.worker.starts().is_empty());
    assert_eq!(reason(&world, &yes("6")).await, "approved");
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    let asked = authorizer.asked();
    let (first, last) = (asked.first().unwrap(), asked.last().unwrap());
    assert_eq!(first["action"], "start_agent_job", "{first}");
    assert_eq!(first["actor"]["id"], "chat:anna", "{first}");
    for (field, value) in [
        ("/action", "approve"),
        ("/actor/id", "chat:bob"),
        ("/room_id", "team"),
        ("/event_id", "6"),
    ] {
        assert_eq!(last.pointer(field), Some(&json!(value)), "{last}");
    }
    world.holds_together().await;
}
