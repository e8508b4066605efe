//! What is tried again, by a timer or at a person's word; how an unknown outcome is resolved; and hosts that need a
//! look until somebody had one.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::sync::Arc;

use chiffon_bus::MemoryBus;
use chiffon_common::{ErrorCode, HostOutcome};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    crew::{Crew, How},
    world::{Act, World},
};

const CHANGE: &str = "write_file path=/a content=x on nas";

async fn fleet(with: impl FnOnce(&mut World)) -> (World, Arc<Crew>) {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.lifecycles.retry_change = SignedDuration::from_secs(1);
    with(&mut world);
    world.start_orchestrator().await;
    let crew = Crew::new();
    world.start_agent_of(crew.clone()).await;
    (world, crew)
}

/// The task that does the change.
fn task(request: &Value) -> &Value {
    let tasks = request["tasks"].as_array().unwrap();
    let apply = tasks.iter().find(|task| task["mode"] == "apply");
    apply.unwrap_or_else(|| panic!("no task: {request:#}"))
}

fn unreachable() -> How {
    How::failed(ErrorCode::HostUnreachable, HostOutcome::Unreachable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_by_itself_is_tried_again_by_a_timer_within_the_same_approval() {
    let (world, crew) = fleet(|_| {}).await;
    for how in [
        unreachable(),
        How::failed(ErrorCode::PackagesLocked, HostOutcome::Failed),
        How::done(),
    ] {
        crew.end("/a", how);
    }
    let id = world.ask(CHANGE).await;
    world.approve(&id).await;
    let request = world.until(&id, &["completed", "failed"]).await;
    assert_eq!(request["state"], "completed", "{request:#}");
    let attempts: Vec<_> = crew.begun().iter().map(|(run, _)| run.attempt).collect();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(
        attempts
            .iter()
            .all(|one| one.task_id == attempts[0].task_id)
    );
    let asked = request["decisions"].as_array().unwrap();
    assert_eq!(asked.len(), 1, "asked again: {asked:#?}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_tries_at_once_or_ends_what_waits_and_a_failed_playbook_never_waits() {
    let (world, crew) = fleet(|world| {
        world.lifecycles.retry_change = SignedDuration::from_mins(2);
    })
    .await;
    let waits = |request: &Value| {
        let words = task(request)["because"].as_str().unwrap_or_default();
        words.starts_with("tries again at ")
            && words.ends_with(": nas did not answer; attempt 2 of 3")
    };
    crew.end("/a", unreachable());
    let id = world.ask(CHANGE).await;
    world.approve(&id).await;
    let request = world.until_it(&id, "its next try", waits).await;
    assert!(task(&request)["tries_again_at"].is_string(), "{request:#}");
    let path = format!(
        "/api/v1/tasks/{}/retry",
        task(&request)["task_id"].as_str().unwrap()
    );
    // It holds nothing up meanwhile.
    crew.end("/b", How::done());
    let other = world.ask("write_file path=/b content=x on nas").await;
    world.approve(&other).await;
    world.until(&other, &["completed"]).await;
    crew.end("/a", How::done());
    let (status, body) = world.post_bare(&path).await;
    assert_eq!(status, 200, "{body}");
    world.until(&id, &["completed"]).await;
    let (status, problem) = world.post_bare(&path).await;
    assert_eq!(status, 409, "{problem}");

    crew.end("/a", unreachable());
    let id = world.ask(CHANGE).await;
    world.approve(&id).await;
    let request = world.until_it(&id, "its next try", waits).await;
    let path = format!(
        "/api/v1/tasks/{}/retry",
        task(&request)["task_id"].as_str().unwrap()
    );
    world.post(&format!("/cancel/{id}"), json!({})).await;
    world.until(&id, &["cancelled"]).await;
    let (status, problem) = world.post_bare(&path).await;
    assert_eq!(status, 409, "{problem}");

    crew.end(
        "/a",
        How::failed(ErrorCode::PlaybookFailed, HostOutcome::Failed),
    );
    let id = world.ask(CHANGE).await;
    world.approve(&id).await;
    let request = world.until(&id, &["failed"]).await;
    assert_eq!(task(&request)["attempt"], 1, "{request:#}");
    let starts = crew.names().iter().filter(|name| *name == "/a").count();
    assert_eq!(starts, 4);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_gives_unknown_and_one_word_of_a_person_resolves_it() {
    let (mut world, crew) = fleet(|_| {}).await;
    let id = world.lose_change(&crew, CHANGE).await;
    let (_, host) = world.get("/api/v1/inventory/nas").await;
    assert_eq!(host["needs_look"]["request_id"], id, "{host:#}");
    // Another change there waits behind it, and its plan warns.
    let other = world.ask("write_file path=/b content=x on nas,tower").await;
    let request = world.until(&other, &["awaiting_approval"]).await;
    let warning = request["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("nas needs a look since") && warning.contains(&id),
        "{warning}"
    );
    assert_eq!(crew.names(), ["/a"], "it ran twice unasked");

    let request = world.show(&id).await;
    let path = format!(
        "/api/v1/tasks/{}/resolve",
        task(&request)["task_id"].as_str().unwrap()
    );
    let (status, problem) = world.post(&path, json!({ "choice": "perhaps" })).await;
    assert_eq!((status, &problem["code"]), (422, &json!(5207)), "{problem}");
    let said = json!({ "choice": "completed", "comment": "the file is there" });
    let (first, second) = tokio::join!(
        world.post(&path, said.clone()),
        world.post(&path, said.clone())
    );
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    let request = world.until(&id, &["completed"]).await;
    let said: Vec<_> = request["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "unknown_outcome" && one["resolved_by"] == "local:anna")
        .map(|one| (&one["choice"], &one["comment"]))
        .collect();
    assert_eq!(said, [(&json!("completed"), &json!("the file is there"))]);
    let (_, host) = world.get("/api/v1/inventory/nas").await;
    assert!(host["needs_look"].is_null(), "{host:#}");
    assert_eq!(crew.names(), ["/a"]);
    // The ledger tells a person's word from what was seen.
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
    let told = super::proof::git(&world, &["log", "--format=%B", "main"]);
    assert!(
        told.contains("Resolved-By: local:anna said completed: the file is there"),
        "{told}"
    );
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_say_the_check_of_the_entry_says_once_nothing_can_run_there_any_more() {
    let (mut world, crew) = fleet(|world| {
        // Together the time after which no agent can still run it.
        let limits = &mut world.lifecycles;
        limits.not_after = SignedDuration::from_secs(8);
        limits.skew = SignedDuration::from_secs(1);
        limits.grace = SignedDuration::from_secs(3);
        let entry = world
            .home
            .path()
            .join("catalogue/playbooks/write_file.chiffon.yml");
        let text = std::fs::read_to_string(&entry).unwrap();
        let text = text.replace("timeout_seconds: 120", "timeout_seconds: 2");
        std::fs::write(&entry, text + "verify: ping\n").unwrap();
    })
    .await;
    let id = world.lose_change(&crew, CHANGE).await;
    let request = world.until(&id, &["completed", "failed"]).await;
    assert_eq!(request["state"], "completed", "{request:#}");
    assert_eq!(crew.names(), ["/a"], "it ran twice unasked");
    let tasks = request["tasks"].as_array().unwrap();
    let probes: Vec<_> = tasks
        .iter()
        .filter(|task| task["probes"].is_string())
        .collect();
    assert_eq!(probes.len(), 1, "{request:#}");
    assert_eq!(probes[0]["probes"], task(&request)["task_id"]);
    let title = probes[0]["title"].as_str().unwrap();
    assert!(title.ends_with("(looks how step 1 ended)"), "{title}");
    let because = task(&request)["because"].as_str().unwrap();
    assert!(because.contains("as its check found"), "{because}");
    let (_, host) = world.get("/api/v1/inventory/nas").await;
    assert!(host["needs_look"].is_null(), "{host:#}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_answers_leaves_a_host_that_needs_a_look_until_somebody_had_one() {
    let (mut world, crew) = fleet(|world| {
        world.lifecycles.unknown = SignedDuration::from_secs(1);
    })
    .await;
    // Only the question about the outcome is short: the approval was asked for before.
    let id = world.begin_change(&crew, CHANGE).await;
    world.crash_orchestrator().await;
    world.crash_agent_and_its_journal().await;
    world.lifecycles.question = SignedDuration::from_secs(1);
    world.start_orchestrator().await;
    world.start_agent_of(crew.clone()).await;
    let request = world.until(&id, &["failed"]).await;
    assert_eq!(request["problem"]["code"], 5413, "{request:#}");
    assert_eq!(crew.names(), ["/a"], "it ran twice unasked");
    let (_, all) = world.get("/api/v1/inventory").await;
    let open: Vec<_> = all["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|host| host["needs_look"].is_object())
        .map(|host| host["name"].as_str().unwrap())
        .collect();
    // All of them are this machine.
    assert_eq!(open, ["localhost", "nas", "tower"]);
    for _said_twice_is_said_once in 0..2 {
        let (status, host) = world.post_bare("/api/v1/inventory/nas/clear").await;
        assert_eq!(status, 200, "{host}");
        assert!(host["needs_look"].is_null(), "{host}");
    }
    let (_, records) = world.get("/api/v1/audit?limit=500").await;
    let cleared = records.to_string().matches("\"host.edited\"").count();
    assert_eq!(cleared, 1, "not recorded once");
    world.holds_together().await;
}

impl World {
    pub(super) async fn post_bare(&self, path: &str) -> (u16, Value) {
        let sent = self
            .client
            .post(self.url(path))
            .bearer_auth(super::world::TOKEN);
        let answer = sent.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}
