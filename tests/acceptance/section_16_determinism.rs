//! Section 16: the same Event, RoomState, Policy and AuthZDecision give the same ResponsePlan, byte by byte.

use std::{fs, sync::Arc};

use chiffon_tests::Chiffon;
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};

use crate::{
    authorizer::{Authorizer, Word},
    target::{Target, action_of, fresh, run, with},
};

const POLICY: &str = "
policy: {roles: {speaker: [request_generation]}, grants: [{role: speaker, actor: 'local:*'}]}
gate: {generation_timeout_ms: 3600000, max_queue: 12, tenant_rate: {events: 1, per_ms: 86400000, burst: 25}}
planner: {reply_policy: mention_first, reply_probability: 0.3}
";

/// A day in a few rooms: questions, chatter, strangers, repetitions and results, as a function of nothing.
async fn day(target: &Target) -> Vec<String> {
    let mut told = Vec::new();
    let mut open: Vec<Value> = Vec::new();
    for number in 0..70_u32 {
        let room = format!("room-{}", number % 9);
        let event = target.event(&room, number % 4 == 0);
        let event = with(&event, "/tenant_id", Some(json!("acceptance-day")));
        let event = with(
            &event,
            "/event_id",
            Some(json!(format!("event-{}", number % 61))),
        );
        let event = match number % 13 {
            5 => with(&event, "/actor/id", Some(json!("oidc:x:eve"))),
            _ => event,
        };
        let reply = target.post("/v0/events", &event).await;
        told.push(reply.text.clone());
        let plan: Value = reply.json();
        if plan["actions"][0]["type"] == "request_generation" && reply.replayed != Some(true) {
            open.push(plan);
        }
        if number % 5 == 4 && !open.is_empty() {
            let result = target.generated(&open.remove(0));
            let result = with(&result, "/tenant_id", Some(json!("acceptance-day")));
            told.push(target.post("/v0/generations", &result).await.text);
        }
    }
    told
}

/// Problems carry the trace of their request, which is new each time.
fn comparable(told: Vec<String>) -> Vec<String> {
    let plain = told
        .into_iter()
        .map(|text| match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.get("trace_id").is_some() => {
                with(&value, "/trace_id", None).to_string()
            }
            _ => text,
        });
    plain.collect()
}

/// Two processes, one in memory and one in SQLite, give the same bytes.
#[tokio::test]
async fn two_arbiters_give_the_same_bytes() {
    let Some(first) = Target::own("two arbiters", POLICY).await else {
        return;
    };
    let config = format!("{POLICY}store: {{type: sqlite, path: arbiter.db}}\n");
    let Some(second) = Target::own("two arbiters", &config).await else {
        return;
    };
    let (one, other) = (
        comparable(day(&first).await),
        comparable(day(&second).await),
    );
    assert_eq!(one, other);
    for kind in [
        "request_generation",
        "do_nothing",
        "generating_lock",
        "unauthorized",
        "send_reply",
        "rate_limited",
    ] {
        assert!(
            one.iter().any(|text| text.contains(kind)),
            "no {kind} in the day"
        );
    }
}

/// `arbiter replay` judges the recorded day again, and every plan comes out identical; under other rules it names the first
/// that does not.
#[tokio::test]
async fn a_recorded_day_is_judged_again() {
    let authorizer = Authorizer::start(Word::allows());
    let config = format!(
        "{}gate: {{generation_timeout_ms: 3600000}}\n",
        authorizer.config("")
    );
    for config in [POLICY, &config] {
        let Some(target) = Target::own("a recorded day", config).await else {
            return;
        };
        day(&target).await;
        let home = target.ended().await;
        let folder = home.scratch().join("audit").display().to_string();
        let (home, output) = run(home, &["replay", &folder]).await;
        let output = output.expect_code(0);
        assert!(output.stdout.contains("identical"), "{}", output.stdout);
        let other = home.scratch().join("other.yaml");
        std::fs::write(&other, "planner: {reply_policy: never}\n").expect("a file can be written");
        let other = other.display().to_string();
        let (_home, output) = run(home, &["replay", &folder, "--config", &other]).await;
        let output = output.expect_code(1);
        assert!(!output.stderr.is_empty());
    }
}

/// The order in which things arrive at once changes nothing of what each room gets: per room the storm gives what one after
/// the other gives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_gives_what_a_serial_run_gives() {
    let config = "
policy: {roles: {speaker: [request_generation]}, grants: [{role: speaker}]}
planner: {reply_policy: probability, reply_probability: 0.5}
gate: {generation_timeout_ms: 0}
";
    let (Some(storm), Some(serial)) = (
        Target::own("a storm", config).await,
        Target::own("a storm", config).await,
    ) else {
        return;
    };
    let storm = Arc::new(storm);
    let events: Vec<Value> = (0..60)
        .map(|_| {
            with(
                &storm.event(&fresh("room"), false),
                "/tenant_id",
                Some(json!("acceptance-storm")),
            )
        })
        .collect();
    let mut sending = JoinSet::new();
    for (number, event) in events.iter().chain(events.iter().rev()).enumerate() {
        let (storm, event) = (storm.clone(), event.clone());
        let place = match number < events.len() {
            true => number,
            false => 2 * events.len() - 1 - number,
        };
        sending.spawn(async move { (place, storm.post("/v0/events", &event).await.text) });
    }
    let all = sending.join_all().await;
    for (place, text) in all {
        assert_eq!(serial.post("/v0/events", &events[place]).await.text, text);
    }
}

/// The record of the orchestrator is a table, and what is exported of it is judged again as the files of `arbiter serve`
/// are: every plan comes out identical; by other rules, and after an edit, the first line that does not fit is named.
#[tokio::test]
async fn an_export_of_the_orchestrator_is_judged_again() {
    let authorizer = Authorizer::start(Word::allows());
    let config = authorizer.control(
        ", timeout_ms: 60000",
        "  jobs: false\n  generation_timeout_ms: 3600000\n  cooldown_ms: 1\n  max_queue: 50\n  reply_probability: 0.3\n",
    );
    let Some(target) = Target::orchestrator("an export of the orchestrator", &config).await else {
        return;
    };
    let room = fresh("room");
    let first = target.event(&room, true);
    let asked = target.decide(&first).await;
    target.decide(&target.event(&room, true)).await;
    target.answer(&asked).await;
    for n in 0..6 {
        target.decide(&target.event(&fresh("talk"), n == 0)).await;
    }
    assert_eq!(target.decide(&first).await, asked, "no record of its own");
    authorizer.says(Word::denies());
    target.ask(&fresh("room")).await;
    authorizer.says(Word::Says(500, String::new()));
    target.ask(&fresh("room")).await;
    authorizer.says(Word::allows());
    let failed = target.ask(&fresh("room")).await;
    assert_eq!(action_of(&failed).0, "request_generation");
    let result = with(&target.generated(&failed), "/text", None);
    let result = with(&result, "/status", Some(json!("failed")));
    let result = with(&result, "/error", Some(json!("a secret of the generator")));
    target.post("/v0/generations", &result).await.plan();
    let home = target.ended().await;
    let exported = spawn_blocking(move || {
        let path = home.scratch().join("export.jsonl");
        let args = ["audit", "export", "--out", path.to_str().expect("UTF-8")];
        Chiffon::new(&home).run(&args).expect_code(0);
        (home, path)
    });
    let (home, path) = exported.await.expect("it ends");
    let text = fs::read_to_string(&path).expect("an export");
    for words in ["How are you?", "I am well.", "a secret of the generator"] {
        assert!(!text.contains(words), "no words of others are kept");
    }
    let at = path.to_str().expect("UTF-8");
    let (home, output) = run(home, &["replay", at]).await;
    let output = output.expect_code(0);
    // Eleven events, two results of generators and one of an adapter.
    assert!(
        output.stdout.starts_with("14 decisions in 1 files"),
        "{}",
        output.stdout
    );
    // It has other chains than the files of `arbiter serve`: who verifies those is sent to who can.
    let (home, output) = run(home, &["audit", "verify", at]).await;
    let output = output.expect_code(1);
    assert!(
        output.stderr.contains("`chiffon audit verify`"),
        "{}",
        output.stderr
    );
    let other = home.scratch().join("other.yaml");
    fs::write(&other, "planner: {reply_policy: never}\n").expect("a file can be written");
    let other = other.to_str().expect("UTF-8").to_owned();
    let (home, output) = run(home, &["replay", at, "--config", &other]).await;
    let output = output.expect_code(1);
    assert!(
        output.stderr.contains("The policy has changed"),
        "{}",
        output.stderr
    );
    // One letter of a room, in a record that is judged.
    let edited = text.replacen(&room, &format!("x{}", &room[1..]), 1);
    assert_ne!(edited, text);
    fs::write(&path, edited).expect("a file can be written");
    let (_home, output) = run(home, &["replay", at]).await;
    let output = output.expect_code(1);
    assert!(output.stderr.contains("its hash"), "{}", output.stderr);
}
