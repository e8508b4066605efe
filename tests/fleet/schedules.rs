//! Schedules over time: a clock that the test puts, an orchestrator that comes and goes, and no time that is asked twice
//! or passes without a record. Where the clock is put no agent runs: what is asked waits, and is cancelled.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chiffon_bus::MemoryBus;
use chiffon_common::AuditEntry;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::world::{Act, Clock, PATIENCE, TOKEN, World};

impl Clock {
    pub(super) fn put_to(&self, at: Timestamp) {
        let by = at.duration_since(Timestamp::now());
        self.seconds.store(by.as_secs(), Ordering::Relaxed);
    }
}

/// A fleet whose clock stands at half past some hour of the year 2040, so that nothing of today is near.
pub(super) async fn world() -> (World, Arc<Clock>) {
    let hands = Arc::new(Clock::default());
    hands.put_to(at("2040-06-01T00:30:00Z"));
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.clock = hands.clone();
    world.start_orchestrator().await;
    (world, hands)
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub async fn add(world: &World, body: Value) -> String {
    let (status, made) = world.post("/api/v1/schedules", body).await;
    assert_eq!(status, 201, "{made}");
    made["schedule_id"].as_str().unwrap().to_owned()
}

async fn hourly(world: &World, missed: Value) -> String {
    let mut body = json!({ "cron": "@hourly", "text": "ping nas" });
    let fields = missed.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    add(world, body).await
}

pub(super) async fn schedule(world: &World, id: &str) -> Value {
    let (status, body) = world.get(&format!("/api/v1/schedules/{id}")).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// What it has asked, oldest first.
pub(super) async fn asked(world: &World, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/requests?limit=500&room_id=schedule:{id}");
    let (status, page) = world.get(&path).await;
    assert_eq!(status, 200, "{page}");
    let mut items = page["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

/// The times that it has asked for.
pub(super) async fn due_times(world: &World, id: &str) -> Vec<String> {
    let asked = asked(world, id).await;
    let due = |request: &Value| request["schedule"]["due_at"].as_str().unwrap().to_owned();
    asked.iter().map(due).collect()
}

/// Wakes whoever runs schedules, so that nobody waits for the next look.
pub async fn wake(world: &World, id: &str) {
    for word in ["pause", "resume"] {
        let path = format!("/api/v1/schedules/{id}/{word}");
        let (status, body) = world.post(&path, json!({})).await;
        assert_eq!(status, 200, "{body}");
    }
}

/// Waits until the schedule is as wanted.
pub(super) async fn until(
    world: &World,
    id: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let waiting = async {
        loop {
            let now = schedule(world, id).await;
            if wanted(&now) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(now) => now,
        Err(_) => panic!("{what} was not reached: {:#}", schedule(world, id).await),
    }
}

/// Ends the open run, so that the next may come.
pub(super) async fn end_run(world: &World, id: &str) {
    let open = until(world, id, "an open run", |now| {
        now["last_is_open"] == json!(true)
    })
    .await;
    let request = open["last_request"].as_str().unwrap();
    let (status, body) = world.post(&format!("/cancel/{request}"), json!({})).await;
    assert_eq!(status, 200, "{body}");
    let over =
        |now: &Value| now["last_is_open"] == json!(false) || now["last_request"] != json!(request);
    until(world, id, "the end of its run", over).await;
}

/// Records of this action about the schedule.
pub(super) async fn records(world: &World, id: &str, action: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let (_, page) = world
            .get(&format!("/api/v1/audit?limit=500&after={after}"))
            .await;
        let items = page["items"].as_array().unwrap();
        let Some(last) = items.last() else {
            return found;
        };
        after = last["seq"].as_u64().unwrap();
        let about = |item: &&Value| {
            let text = item.to_string();
            text.contains(&format!("\"{action}\"")) && text.contains(id)
        };
        found.extend(items.iter().filter(about).cloned());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_is_asked_for_once_whenever_the_orchestrator_dies() {
    let (mut world, hands) = world().await;
    let daily =
        json!({ "cron": "0 3 * * *", "zone": "Europe/Berlin", "entry": "ping", "hosts": ["nas"] });
    let id = add(&world, daily).await;
    assert_eq!(
        schedule(&world, &id).await["next_at"],
        "2040-06-01T01:00:00Z"
    );
    for day in 1..=3 {
        // Just before its time; then it dies and comes back while the time comes.
        hands.put_to(at(&format!("2040-06-0{day}T00:59:59Z")));
        for _death in 0..4 {
            world.crash_orchestrator().await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            world.start_orchestrator().await;
        }
        let request = format!("2040-06-0{day}T01:00:00Z");
        until(&world, &id, "the day's run", |now| {
            now["last_is_open"] == json!(true)
        })
        .await;
        assert_eq!(due_times(&world, &id).await.last(), Some(&request));
        end_run(&world, &id).await;
    }
    let due = due_times(&world, &id).await;
    assert_eq!(due.len(), 3, "{due:?}");
    let request = asked(&world, &id).await.remove(0);
    assert_eq!(request["requester"], "local:anna");
    assert_eq!(request["schedule"]["schedule_id"], json!(id));
    let fired = records(&world, &id, "schedule.fired").await;
    assert_eq!(fired.len(), 3, "{fired:#?}");
    assert!(
        fired[0].to_string().contains("local:anna"),
        "delegated: {:#}",
        fired[0]
    );
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_work_is_taken_a_time_passes_with_a_record() {
    let (mut world, hands) = world().await;
    let id = hourly(&world, json!({ "missed": "once" })).await;
    world.crash_orchestrator().await;
    hands.put_to(at("2040-06-01T01:00:30Z"));
    world.control.jobs = false;
    world.start_orchestrator().await;
    let next = |now: &Value| now["next_at"] == "2040-06-01T02:00:00Z";
    until(&world, &id, "its next time", next).await;
    let refused = records(&world, &id, "schedule.refused").await;
    assert_eq!(refused.len(), 1, "{refused:#?}");
    assert!(
        refused[0].to_string().contains("control.jobs"),
        "{refused:#?}"
    );
    let run = format!("/api/v1/schedules/{id}/run");
    let (status, said) = world.post(&run, json!({})).await;
    assert_eq!((status, &said["code"]), (403, &json!(5202)), "{said}");
    assert!(asked(&world, &id).await.is_empty());
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_downtime_each_policy_does_what_it_says_and_nothing_floods() {
    let (mut world, hands) = world().await;
    let skip = hourly(&world, json!({ "missed": "skip" })).await;
    let once = hourly(&world, json!({ "missed": "once" })).await;
    let within = json!({ "missed": "all", "missed_within_seconds": 3 * 3600 });
    let all = hourly(&world, within).await;
    world.crash_orchestrator().await;
    // A week and half an hour of nothing.
    hands.put_to(at("2040-06-08T00:30:00Z"));
    world.start_orchestrator().await;
    for id in [&once, &all] {
        until(&world, id, "a run", |now| {
            now["last_is_open"] == json!(true)
        })
        .await;
    }
    assert_eq!(due_times(&world, &once).await, ["2040-06-08T00:00:00Z"]);
    // One after the other: the next is asked when the one before has ended.
    let hours = [
        "2040-06-07T22:00:00Z",
        "2040-06-07T23:00:00Z",
        "2040-06-08T00:00:00Z",
    ];
    for number in 1..=hours.len() {
        let latest = hours[number - 1];
        let come = |now: &Value| now["last_is_open"] == json!(true);
        until(&world, &all, latest, come).await;
        assert_eq!(due_times(&world, &all).await, hours[..number]);
        end_run(&world, &all).await;
    }
    end_run(&world, &once).await;
    let missed = until(&world, &skip, "what it missed", |now| {
        now["missed_count"] != 0
    })
    .await;
    assert_eq!(missed["missed_count"], 7 * 24);
    assert_eq!(missed["next_at"], "2040-06-08T01:00:00Z");
    assert_eq!(asked(&world, &skip).await.len(), 0);
    assert_eq!(schedule(&world, &once).await["missed_count"], 7 * 24 - 1);
    assert_eq!(schedule(&world, &all).await["missed_count"], 7 * 24 - 3);
    for id in [&skip, &once, &all] {
        assert_eq!(records(&world, id, "schedule.missed").await.len(), 1);
        assert_eq!(
            asked(&world, id).await.len(),
            due_times(&world, id).await.len()
        );
    }
    assert_eq!(asked(&world, &all).await.len(), 3);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_put_forward_and_back_doubles_and_loses_nothing() {
    let (world, hands) = world().await;
    let id = hourly(&world, json!({ "missed": "once" })).await;
    let dummy = add(&world, json!({ "cron": "@yearly", "text": "ping nas" })).await;
    hands.put_to(at("2040-06-01T03:00:30Z"));
    wake(&world, &dummy).await;
    end_run(&world, &id).await;
    assert_eq!(due_times(&world, &id).await, ["2040-06-01T03:00:00Z"]);
    // It was a mistake: back to where it was.
    hands.put_to(at("2040-06-01T00:40:00Z"));
    wake(&world, &dummy).await;
    let back = |now: &Value| now["next_at"] == "2040-06-01T01:00:00Z";
    until(&world, &id, "its times come again", back).await;
    assert_eq!(
        records(&world, &id, "schedule.clock_went_back").await.len(),
        1
    );
    for (hour, asks) in [(1, true), (2, true), (3, false), (4, true)] {
        hands.put_to(at(&format!("2040-06-01T0{hour}:00:10Z")));
        wake(&world, &dummy).await;
        if asks {
            end_run(&world, &id).await;
        }
        let next = format!("2040-06-01T0{}:00:00Z", hour + 1);
        until(&world, &id, &next, |now| now["next_at"] == json!(next)).await;
    }
    let due = due_times(&world, &id).await;
    let hours = [3, 1, 2, 4].map(|hour| format!("2040-06-01T0{hour}:00:00Z"));
    let mut sorted = due.clone();
    sorted.sort();
    let mut expected = hours.to_vec();
    expected.sort();
    assert_eq!(sorted, expected, "{due:?}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_time_is_asked_for_once_and_then_it_has_ended() {
    let (world, hands) = world().await;
    let body = json!({ "at": "2040-06-01T05:00", "zone": "Europe/Berlin", "text": "ping nas" });
    let id = add(&world, body).await;
    assert_eq!(
        schedule(&world, &id).await["next_at"],
        "2040-06-01T03:00:00Z"
    );
    hands.put_to(at("2040-06-02T00:00:00Z"));
    let dummy = add(&world, json!({ "cron": "@yearly", "text": "ping nas" })).await;
    wake(&world, &dummy).await;
    let ended = until(&world, &id, "its end", |now| now["state"] == "ended").await;
    assert_eq!(ended.get("next_at"), None);
    end_run(&world, &id).await;
    assert_eq!(due_times(&world, &id).await, ["2040-06-01T03:00:00Z"]);
    let (status, problem) = world
        .post(&format!("/api/v1/schedules/{id}/pause"), json!({}))
        .await;
    assert_eq!(status, 409, "{problem}");
    let (status, problem) = world
        .post(&format!("/api/v1/schedules/{id}/resume"), json!({}))
        .await;
    assert_eq!((status, &problem["code"]), (422, &json!(5126)), "{problem}");
}

pub async fn standing(
    world: &World,
    id: &str,
    method: reqwest::Method,
    body: Value,
) -> (u16, Value) {
    let path = world.url(&format!("/api/v1/schedules/{id}/standing"));
    let call = world.client.request(method, path).bearer_auth(TOKEN);
    let call = if body.is_null() {
        call
    } else {
        call.json(&body)
    };
    let sent = call.send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

/// Has it ask at once.
pub async fn run(world: &World, id: &str) -> String {
    let free = |now: &Value| now["last_is_open"] == json!(false);
    until(world, id, "the end of its last run", free).await;
    let (status, body) = world
        .post(&format!("/api/v1/schedules/{id}/run"), json!({}))
        .await;
    assert_eq!(status, 202, "{body}");
    body["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_approval_is_good_for_exactly_the_plan_that_was_read() {
    let world = World::plain(Act::Complete).await;
    let id = add(&world, writes_yearly()).await;
    let first = run(&world, &id).await;
    world.until(&first, &["awaiting_approval"]).await;
    let (status, problem) = world
        .post(&format!("/api/v1/schedules/{id}/run"), json!({}))
        .await;
    assert_eq!(status, 409, "two runs at once: {problem}");
    let (_, plan) = world.get(&format!("/api/v1/schedules/{id}/plan")).await;
    let digest = plan["standing_digest"].clone();
    let until_then = (Timestamp::now() + SignedDuration::from_hours(24)).to_string();
    let put = reqwest::Method::PUT;
    for (digest, until, code) in [
        (
            json!(format!("sha256:{}", "0".repeat(64))),
            until_then.clone(),
            5129,
        ),
        (digest.clone(), "2020-01-01T00:00:00Z".to_owned(), 5129),
        (digest.clone(), "2999-01-01T00:00:00Z".to_owned(), 5129),
    ] {
        let body = json!({ "digest": digest, "until": until });
        let (status, problem) = standing(&world, &id, put.clone(), body).await;
        assert_eq!((status, &problem["code"]), (409, &json!(code)), "{problem}");
    }
    let body = json!({ "digest": digest, "until": until_then });
    let (status, shown) = standing(&world, &id, put, body).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["standing"]["approver"], "local:anna");
    // It answers what waits, and from now on nobody is asked.
    world.until(&first, &["completed"]).await;
    let second = run(&world, &id).await;
    // Nor is anybody told meanwhile that it waited for a person.
    let done = async {
        loop {
            let now = world.show(&second).await;
            assert_eq!(now["waits_for_person"], false, "{now:#}");
            if now["ended"] == true {
                break now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, done).await.unwrap();
    assert_eq!(done["state"], "completed", "{done:#}");
    let answered = &done["decisions"][0];
    assert_eq!(answered["resolved_by"], "local:anna");
    let said = answered["comment"].as_str().unwrap();
    assert!(said.contains("standing approval"), "{said}");
    assert!(records(&world, &second, "standing_approval").await.len() == 1);

    // Another playbook is another plan: a person is asked.
    let tasks = world
        .home
        .path()
        .join("catalogue/roles/write_file/tasks/main.yml");
    let text = std::fs::read_to_string(&tasks).unwrap();
    std::fs::write(&tasks, format!("{text}\n# edited\n")).unwrap();
    let third = run(&world, &id).await;
    let told = |request: &Value| {
        let because = request["because"].as_str().unwrap_or_default();
        because.contains("is not used, because the plan is another one")
    };
    let asks = world.until_it(&third, "why a person is asked", told).await;
    assert_eq!(asks["state"], "awaiting_approval");
    assert_eq!(asks["waits_for_person"], true, "{asks:#}");
    // As it was, it is the plan that was read again.
    world.post(&format!("/cancel/{third}"), json!({})).await;
    std::fs::write(&tasks, text).unwrap();
    let fourth = run(&world, &id).await;
    world.until(&fourth, &["completed"]).await;
    let (status, shown) = standing(&world, &id, reqwest::Method::DELETE, Value::Null).await;
    assert_eq!((status, shown.get("standing")), (200, None), "{shown}");
    let fifth = run(&world, &id).await;
    world.until(&fifth, &["awaiting_approval"]).await;
    assert_eq!(world.worker.starts().len(), 3);
    world.holds_together().await;
}

pub fn writes_yearly() -> Value {
    json!({
        "cron": "@yearly", "entry": "write_file", "hosts": ["nas"],
        "parameters": { "path": "/tmp/x", "content": "hello" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_ended_long_ago_are_forgotten_with_a_record() {
    let hands = Arc::new(Clock::default());
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.clock = hands.clone();
    world.history_days = 10;
    let mut world = world.start().await;
    let keyed = json!({ "text": "ping nas", "idempotency_key": "k1" });
    let (status, taken) = world.post("/request", keyed.clone()).await;
    assert_eq!(status, 202, "{taken}");
    let old = taken["request_id"].as_str().unwrap().to_owned();
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&old, "its ledger commit", recorded).await;
    let (_, again) = world.post("/request", keyed.clone()).await;
    assert_eq!(again["request_id"], json!(old), "{again}");
    let waits = world
        .ask("write_file path=/tmp/x content=hello on nas")
        .await;
    world.until(&waits, &["awaiting_approval"]).await;
    world.crash_agent().await;
    world.crash_orchestrator().await;
    hands.put_to(Timestamp::now() + SignedDuration::from_hours(24 * 11));
    world.start_orchestrator().await;
    let gone = async {
        while world.get(&format!("/request/{old}")).await.0 != 410 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let record = records(&world, &old, "history.forgotten").await;
    assert_eq!(record.len(), 1, "{record:#?}");
    // Whoever asks for it is told what is still known, wherever they ask.
    let number = format!("audit record {})", record[0]["seq"]);
    for path in [
        format!("/request/{old}"),
        format!("/api/v1/requests/{old}/plan"),
    ] {
        let (status, told) = world.get(&path).await;
        assert_eq!((status, &told["code"]), (410, &json!(5318)), "{told}");
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains("was forgotten with age on"), "{told}");
        assert!(detail.contains(&number), "{number}: {told}");
        assert!(detail.contains("request.completed"), "{told}");
        assert!(
            told["todo"].as_str().unwrap().contains("of the ledger"),
            "{told}"
        );
    }
    let (status, told) = world
        .post(&format!("/api/v1/requests/{old}/replay"), json!({}))
        .await;
    assert_eq!((status, &told["code"]), (410, &json!(5318)), "{told}");
    let stranger = "0199e2f4-77a1-7c40-8000-000000000009";
    let (status, told) = world.get(&format!("/request/{stranger}")).await;
    assert_eq!((status, &told["code"]), (404, &json!(5004)), "{told}");
    // Its key went with it, also for another question.
    let other = json!({ "text": "ping tower", "idempotency_key": "k1" });
    let (status, anew) = world.post("/request", other).await;
    assert_eq!(status, 202, "{anew}");
    assert_ne!(anew["request_id"], json!(old), "{anew}");
    let (status, used) = world.post("/request", keyed).await;
    assert_eq!((status, &used["code"]), (422, &json!(5010)), "{used}");
    let entry: AuditEntry = serde_json::from_value(record[0]["record"]["entry"].clone()).unwrap();
    let named: Vec<_> = entry
        .forgotten_requests()
        .map(|id| id.to_string())
        .collect();
    assert_eq!(named, std::slice::from_ref(&old));
    // What was open when the time came is not among it, whatever became of it since.
    assert!(
        records(&world, &waits, "history.forgotten")
            .await
            .is_empty()
    );
    assert_eq!(world.show(&waits).await["request_id"], json!(waits));
    let (_, ledger) = world.get("/api/v1/ledger").await;
    assert!(ledger["items"].to_string().contains(&old), "{ledger}");
    world.holds_together().await;
}
