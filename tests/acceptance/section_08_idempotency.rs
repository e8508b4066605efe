//! Section 8: one tenant and event id, one plan.

use std::{collections::BTreeSet, sync::Arc};

use chiffon_tests::Postgres;
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};

use crate::target::{LONG, OPEN, Target, action_of, fresh, with};

/// The same plan MUST be given, byte by byte, so its action types and targets too.
#[tokio::test]
async fn the_same_event_gets_the_same_plan() {
    let target = Target::any().await;
    let room = fresh("room");
    for mentioned in [true, false] {
        let event = target.event(&room, mentioned);
        let first = target.post("/v0/events", &event).await;
        first.is_new();
        for _ in 0..3 {
            let again = target.post("/v0/events", &event).await;
            assert_eq!(again.text, first.text);
            again.is_repeated();
        }
        // What stands in another order and with other blanks is the same event.
        let pretty = serde_json::to_vec_pretty(&event).expect("JSON");
        assert_eq!(
            target.post_bytes("/v0/events", pretty).await.text,
            first.text
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_all_get_the_same_plan() {
    let target = Arc::new(Target::any().await);
    let event = target.event(&fresh("room"), true);
    let mut sending = JoinSet::new();
    for _ in 0..24 {
        let (target, event) = (target.clone(), event.clone());
        sending.spawn(async move { target.post("/v0/events", &event).await });
    }
    let replies = sending.join_all().await;
    let repeated = replies.iter().filter(|reply| reply.replayed != Some(false));
    assert!(repeated.count() >= 23, "one of them was decided");
    let texts: BTreeSet<&String> = replies.iter().map(|reply| &reply.text).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(action_of(&replies[0].plan()).0, "request_generation");
}

/// Under the same id stands one event: another one is a conflict with a code of its own, and changes nothing.
#[tokio::test]
async fn another_event_under_the_same_id_is_a_conflict() {
    let target = Target::any().await;
    let event = target.event(&fresh("room"), true);
    let first = target.decide(&event).await;
    for (pointer, value) in [
        ("/content/text", json!("Something else")),
        ("/content/mentions_chiffon", json!(false)),
        ("/room_id", json!(fresh("room"))),
        ("/actor/id", json!("local:bob")),
        ("/ts", json!("2026-02-13T08:00:09Z")),
    ] {
        let other = with(&event, pointer, Some(value));
        assert_eq!(
            target.post("/v0/events", &other).await.problem(409),
            5020,
            "{pointer}"
        );
    }
    assert_eq!(target.decide(&event).await, first);
}

/// The key is tenant AND event id.
#[tokio::test]
async fn the_same_id_of_another_tenant_is_another_event() {
    let target = Target::any().await;
    let event = target.event(&fresh("room"), true);
    let first = target.decide(&event).await;
    let theirs = with(&event, "/tenant_id", Some(json!(fresh("acceptance"))));
    let reply = target.post("/v0/events", &theirs).await;
    if reply.status.as_u16() == 403 {
        chiffon_tests::not_run("ids of two tenants", "this control plane knows one tenant");
        return;
    }
    let second = reply.plan();
    reply.is_new();
    assert_ne!(first["plan_id"], second["plan_id"]);
    assert_eq!(second["tenant_id"], theirs["tenant_id"]);
}

/// Results are taken once as well.
#[tokio::test]
async fn the_same_result_gets_the_same_answer() {
    let target = Target::any().await;
    let plan = target.ask(&fresh("room")).await;
    let result = target.generated(&plan);
    let first = target.post("/v0/generations", &result).await;
    let said = first.plan();
    let again = target.post("/v0/generations", &result).await;
    again.is_repeated();
    assert_eq!(again.text, first.text);
    let other = with(&result, "/text", Some(json!("Something else")));
    assert_eq!(
        target.post("/v0/generations", &other).await.problem(409),
        5020
    );
    let done = target.delivered(&said);
    let first = target.post("/v0/action-results", &done).await;
    first.plan();
    let again = target.post("/v0/action-results", &done).await;
    again.is_repeated();
    assert_eq!(again.text, first.text);
    let other = with(&done, "/status", Some(json!("failed")));
    assert_eq!(
        target.post("/v0/action-results", &other).await.problem(409),
        5020
    );
}

async fn survives(store: &str, by_crash: bool) {
    let config = format!("{OPEN}{store}");
    let Some(target) = Target::own("plans over a restart", &config).await else {
        return;
    };
    let room = fresh("room");
    let event = target.event(&room, true);
    let first = target.post("/v0/events", &event).await;
    let plan = first.plan();
    let target = target.restarted(by_crash).await;
    let again = target.post("/v0/events", &event).await;
    again.is_repeated();
    assert_eq!(again.text, first.text);
    let conflict = with(&event, "/content/text", Some(json!("Something else")));
    assert_eq!(
        target.post("/v0/events", &conflict).await.problem(409),
        5020
    );
    // The lock of the room too, and what releases it.
    let held = target.ask(&room).await;
    assert_eq!(
        action_of(&held),
        ("do_nothing", "generating_lock"),
        "{store}"
    );
    target.answer(&plan).await;
    assert_eq!(
        action_of(&target.ask(&room).await).0,
        "request_generation",
        "{store}"
    );
}

#[tokio::test]
async fn a_plan_survives_a_restart_and_a_crash_in_memory() {
    for by_crash in [false, true] {
        survives("store: {type: memory}\n", by_crash).await;
    }
}

#[tokio::test]
async fn a_plan_survives_a_restart_and_a_crash_in_sqlite() {
    for by_crash in [false, true] {
        survives("store: {type: sqlite, path: arbiter.db}\n", by_crash).await;
    }
}

async fn postgres() -> Option<Postgres> {
    let started = spawn_blocking(|| Postgres::start_or_report("replicas on one Postgres")).await;
    started.expect("the fixture does not panic")
}

/// Over replicas as well: two processes on one database decide an event once, hold a room together, and neither a crash of
/// one of them nor the death of the database loses or repeats anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_on_one_database_give_one_plan() {
    let Some(mut server) = postgres().await else {
        return;
    };
    let url = server.database("arbiters");
    let config = format!("{OPEN}store: {{type: postgres, url: \"{url}\"}}\n");
    let what = "replicas";
    let (first, second) = tokio::join!(Target::own(what, &config), Target::own(what, &config));
    let (Some(first), Some(second)) = (first, second) else {
        return;
    };
    let second = second.of_tenant(first.tenant());
    let mut plans = Vec::new();
    for _ in 0..20 {
        let event = first.event(&fresh("room"), true);
        let (one, other) = tokio::join!(
            first.post("/v0/events", &event),
            second.post("/v0/events", &event)
        );
        assert_eq!(one.text, other.text);
        assert_ne!(one.replayed, other.replayed, "one of them was decided");
        plans.push((event, one.plan()));
    }
    // What one holds, the other finds shut, and may open.
    let room = fresh("room");
    let plan = first.ask(&room).await;
    assert_eq!(
        action_of(&second.ask(&room).await),
        ("do_nothing", "generating_lock")
    );
    second.answer(&plan).await;
    assert_eq!(action_of(&first.ask(&room).await).0, "request_generation");
    // The database dies: nobody decides, and says that it passes.
    server.kill();
    let late = first.event(&fresh("room"), true);
    for replica in [&first, &second] {
        let reply = replica.post("/v0/events", &late).await;
        reply.problem(503);
        assert_eq!(reply.json()["retry"], "may_help", "{reply:?}");
    }
    let first = first.killed();
    let server = spawn_blocking(move || {
        server.start();
        server
    });
    let _server = server.await.expect("it starts again");
    let first = first.again().await;
    let began = std::time::Instant::now();
    let plan = loop {
        let reply = second.post("/v0/events", &late).await;
        if reply.status.is_success() {
            break reply.plan();
        }
        assert_eq!(reply.status.as_u16(), 503, "{reply:?}");
        assert!(began.elapsed() < LONG, "it is back: {reply:?}");
    };
    plans.push((late, plan));
    for (event, plan) in &plans {
        for replica in [&first, &second] {
            let again = replica.post("/v0/events", event).await;
            assert_eq!(&again.plan(), plan);
            again.is_repeated();
        }
    }
    // Each was decided once, and stands in the record of whoever decided.
    let records = first.decisions().into_iter().chain(second.decisions());
    let decided = records.filter(|record| record["result"] == "decided");
    let ids: Vec<String> = decided
        .filter_map(|record| {
            Some(
                record["judged"]["event"]["event"]["event_id"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    for (event, _) in &plans {
        let id = event["event_id"].as_str().unwrap_or_default();
        assert_eq!(ids.iter().filter(|one| *one == id).count(), 1, "{id}");
    }
}
