//! The freeze: nothing starts, what runs goes on, and the thaw lets go by itself; whoever looks is told.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::sync::{Arc, atomic::Ordering};

use chiffon_bus::MemoryBus;
use chiffon_common::Mode;
use jiff::SignedDuration;
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{
    WRITE,
    edits::{Gagged, waits_for_the_thaw},
    world::{Act, TOKEN, World},
};

impl World {
    /// One call to the freeze: status, tag and body.
    async fn call_freeze(
        &self,
        method: Method,
        tag: &str,
        body: Option<Value>,
    ) -> (u16, String, Value) {
        let call = self.client.request(method, self.url("/api/v1/freeze"));
        let call = call.bearer_auth(TOKEN).header(header::IF_MATCH, tag);
        let call = match body {
            Some(body) => call.json(&body),
            None => call,
        };
        let answer = call.send().await.unwrap();
        let tag = answer.headers().get(header::ETAG);
        let tag = tag.map_or("", |tag| tag.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), tag, answer.json().await.unwrap())
    }

    pub async fn freeze(&self, reason: &str) {
        let body = json!({ "reason": reason });
        let (status, _, body) = self.call_freeze(Method::PUT, "*", Some(body)).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["frozen"]["reason"], reason);
    }

    pub async fn thaw(&self) {
        let (status, _, body) = self.call_freeze(Method::DELETE, "*", None).await;
        assert_eq!((status, &body["frozen"]), (200, &Value::Null), "{body}");
    }

    /// Every run that began, check runs too.
    fn all_starts(&self) -> usize {
        self.worker.starts.lock().unwrap().len()
    }

    /// All audit records, oldest first.
    async fn audit(&self) -> Vec<Value> {
        let (status, body) = self.get("/api/v1/audit?limit=500").await;
        assert_eq!(status, 200, "{body}");
        let items = body["items"].as_array().unwrap().iter();
        items.map(|item| item["record"]["entry"].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_until_the_thaw_and_then_it_goes_on_by_itself() {
    let mut world = World::plain(Act::Hold).await;
    let running = world.ask("ping on tower").await;
    world
        .wait_for("the start", || world.worker.starts().len() == 1)
        .await;
    let previewed = world.ask(WRITE).await;
    world.until(&previewed, &["awaiting_approval"]).await;
    world.freeze("backup").await;
    let starts = world.all_starts();
    // A reading, a check run, and a change that is approved now.
    let reading = world.ask("ping on nas").await;
    let checked = world.ask("write_file path=/tmp/y content=x on tower").await;
    world.approve(&previewed).await;
    let waiting = [&reading, &checked, &previewed];
    for id in waiting {
        let request = world
            .until_it(id, "its wait for the thaw", waits_for_the_thaw)
            .await;
        let task = request["tasks"].as_array().unwrap().iter();
        let because: Vec<_> = task.map(|task| task["because"].to_string()).collect();
        assert!(
            because.iter().any(|one| one.contains(": backup")),
            "{because:?}"
        );
    }
    // What runs goes on.
    world.worker.let_go();
    world.until(&running, &["completed"]).await;
    let (_, health) = world.get("/health").await;
    assert_eq!(health["frozen"]["by"], "local:anna", "{health}");
    assert_eq!(health["status"], "ok", "{health}");
    // Neither a crash nor a new agent starts anything.
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let late = world.ask("ping on localhost").await;
    world
        .until_it(&late, "its wait for the thaw", waits_for_the_thaw)
        .await;
    assert_eq!(world.all_starts(), starts, "something was started");
    world.thaw().await;
    for id in [&reading, &previewed, &late] {
        world.until(id, &["completed"]).await;
    }
    world.until(&checked, &["awaiting_approval"]).await;
    let records = world.audit().await;
    let of = |action: &str| {
        let found = records.iter().find(|one| one["action"] == action);
        found.unwrap_or_else(|| panic!("no record of {action}: {records:#?}"))
    };
    for (action, words) in [("fleet.frozen", "backup"), ("fleet.thawed", "backup")] {
        let record = of(action);
        assert_eq!(record["actor"]["id"], "local:anna");
        let because = record["data"]["because"].as_str().unwrap();
        assert!(because.contains(words), "{because}");
    }
    let (_, events) = world.get("/api/v1/events?type=fleet.frozen").await;
    let event = &events["items"][0];
    assert!(
        event["data"]["because"]
            .as_str()
            .unwrap()
            .contains("backup"),
        "{events:#}"
    );
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_has_a_reason_and_one_person_who_says_so() {
    let world = World::plain(Act::Complete).await;
    let put = |tag: &'static str, reason: &str| {
        world.call_freeze(Method::PUT, tag, Some(json!({ "reason": reason })))
    };
    for reason in ["", " \n ", "a\u{7}b", &"x".repeat(501)] {
        let (status, _, problem) = put("*", reason).await;
        assert_eq!((status, &problem["code"]), (400, &json!(5001)), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], "/reason", "{problem}");
    }
    let (status, tag, body) = world.call_freeze(Method::GET, "*", None).await;
    assert_eq!(
        (status, tag.as_str(), &body["frozen"]),
        (200, "\"0\"", &Value::Null)
    );
    let sent = world
        .client
        .put(world.url("/api/v1/freeze"))
        .bearer_auth(TOKEN);
    let sent = sent.json(&json!({ "reason": "x" })).send().await.unwrap();
    assert_eq!(sent.status(), 428);
    let (status, first, body) = put("\"0\"", " backup ").await;
    assert_eq!(
        (status, &body["frozen"]["reason"]),
        (200, &json!("backup")),
        "{body}"
    );
    // The same again is the same; another reason meets the one that stands.
    let (status, again, _) = put("\"0\"", "backup").await;
    assert_eq!((status, &again), (200, &first));
    let (status, _, problem) = put("*", "another").await;
    assert_eq!((status, &problem["code"]), (409, &json!(5306)), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("frozen by local:anna since") && detail.contains("backup"),
        "{detail}"
    );
    let (status, _, problem) = world.call_freeze(Method::DELETE, "\"0\"", None).await;
    assert_eq!((status, &problem["code"]), (412, &json!(5012)), "{problem}");
    let (status, thawed, body) = world.call_freeze(Method::DELETE, &first, None).await;
    assert_eq!((status, &body["frozen"]), (200, &Value::Null), "{body}");
    assert_ne!(thawed, first);
    // Nothing to thaw: it says how it stands, and nothing is recorded.
    let (status, tag, body) = world.call_freeze(Method::DELETE, "*", None).await;
    assert_eq!(
        (status, &tag, &body["frozen"]),
        (200, &thawed, &Value::Null)
    );
    let records = world.audit().await;
    let of = |action: &str| {
        let records = records.iter().filter(|one| one["action"] == action);
        records.count()
    };
    assert_eq!((of("fleet.frozen"), of("fleet.thawed")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_frozen_fleet_nothing_is_sent_again_either() {
    let bus = Gagged::new();
    let mut world = World::at_rest(bus.clone(), Act::Complete);
    world.lifecycles.ack = SignedDuration::from_millis(100);
    let world = world.start().await;
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    bus.gagged.store(true, Ordering::SeqCst);
    world.approve(&id).await;
    let sent = || bus.lost("work_request").len();
    world.wait_for("the first send", || sent() >= 1).await;
    world.freeze("backup").await;
    // What the freeze found in the outbox may still leave; after the next questions nothing more does.
    let asked = || bus.lost("work_query").len();
    world.wait_for("a question", || asked() >= 1).await;
    let before = sent();
    world.wait_for("the next question", || asked() >= 3).await;
    assert_eq!(sent(), before, "it was sent again in a frozen fleet");
    world.thaw().await;
    world
        .wait_for("the send after the thaw", || sent() > before)
        .await;
    bus.gagged.store(false, Ordering::SeqCst);
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
}

/// A start in the same moment as a freeze is committed before it or not at all: the audit tells in which order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_and_a_freeze_in_the_same_moment_have_an_order() {
    let world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete)
        .start()
        .await;
    let mut ids = Vec::new();
    for round in 0..12 {
        let asking = async {
            let one = world.ask("ping on nas").await;
            [one, world.ask("ping on tower").await]
        };
        let freezing = async {
            tokio::time::sleep(std::time::Duration::from_millis(round)).await;
            world.freeze("race").await;
        };
        let (asked, ()) = tokio::join!(asking, freezing);
        ids.extend(asked);
        world.thaw().await;
    }
    for id in &ids {
        world.until(id, &["completed"]).await;
    }
    let mut frozen = false;
    let mut dispatched = 0;
    for record in world.audit().await {
        match record["action"].as_str().unwrap() {
            "fleet.frozen" => frozen = true,
            "fleet.thawed" => frozen = false,
            _ => {}
        }
        let moves = record["moves"].as_array().unwrap().iter();
        let starts = moves.filter(|one| one["to"] == "dispatched").count();
        dispatched += starts;
        assert!(
            !frozen || starts == 0,
            "started in a frozen fleet: {record:#}"
        );
    }
    assert!(dispatched >= ids.len(), "{dispatched} of {}", ids.len());
    let starts = world.worker.starts.lock().unwrap();
    assert!(starts.iter().all(|(_, mode)| *mode == Mode::Apply));
}
