//! The whole fleet in one process, over a plain bus and over one that does everything a bus may do wrong;
//! orchestrator, agent and bus dying at any point. The worker is a double; Ansible has suites of its own.

#[path = "fleet/again.rs"]
mod again;
#[path = "fleet/approval.rs"]
mod approval;
#[path = "fleet/authorised.rs"]
mod authorised;
#[path = "fleet/columns.rs"]
mod columns;
#[path = "fleet/crew.rs"]
mod crew;
#[path = "fleet/edits.rs"]
mod edits;
#[path = "fleet/faults.rs"]
mod faults;
#[path = "fleet/freeze.rs"]
mod freeze;
#[path = "fleet/frozen_schedules.rs"]
mod frozen_schedules;
#[path = "fleet/guile.rs"]
mod guile;
#[path = "fleet/killed.rs"]
mod killed;
#[path = "fleet/laundered.rs"]
mod laundered;
#[path = "fleet/ledger.rs"]
mod ledger;
#[path = "fleet/ledger_keys.rs"]
mod ledger_keys;
#[path = "fleet/line.rs"]
mod line;
#[path = "fleet/looks.rs"]
mod looks;
#[path = "fleet/parted.rs"]
mod parted;
#[path = "fleet/proof.rs"]
mod proof;
#[path = "fleet/proposals.rs"]
mod proposals;
#[path = "fleet/remote.rs"]
mod remote;
#[path = "fleet/requests.rs"]
mod requests;
#[path = "fleet/restored.rs"]
mod restored;
#[path = "fleet/retold.rs"]
mod retold;
#[path = "fleet/schedules.rs"]
mod schedules;
#[path = "fleet/spoiled.rs"]
mod spoiled;
#[path = "fleet/undo.rs"]
mod undo;
#[path = "fleet/unseen.rs"]
mod unseen;
#[path = "fleet/words.rs"]
mod words;
#[path = "world.rs"]
mod world;

use std::sync::{Arc, atomic::Ordering};

use chiffon_bus::{
    MemoryBus,
    chaos::{ChaosBus, Rates},
};
use serde_json::{Value, json};
use world::{Act, World};

const WRITE: &str = "write_file path=/tmp/x content=hello on nas";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_goes_from_the_sentence_to_the_ledger_by_itself() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask("How full are the disks on this machine?").await;
    let request = world.until(&id, &["completed"]).await;
    assert_eq!(request["plan"]["tier"], 0);
    assert_eq!(request["tasks"][0]["entry"], "host_report");
    let request = world
        .until_it(&id, "its ledger commit", |request| {
            request["ledger_commit"].is_string()
        })
        .await;
    let (_, ledger) = world.get("/api/v1/ledger").await;
    assert_eq!(ledger["items"][0]["commit"], request["ledger_commit"]);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_waits_for_the_approval_of_exactly_this_plan() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    let request = world.until(&id, &["awaiting_approval"]).await;
    assert!(
        world.worker.starts().is_empty(),
        "it ran before it was approved"
    );
    let wrong = json!({ "request_id": id, "digest": format!("sha256:{}", "0".repeat(64)) });
    let (status, problem) = world.post("/approve", wrong).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5203)), "{problem}");
    let (status, problem) = world.post("/approve", json!({ "request_id": id })).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5203)), "{problem}");
    let right = json!({ "request_id": id, "digest": request["plan"]["digest"] });
    let (first, second) = tokio::join!(
        world.post("/approve", right.clone()),
        world.post("/approve", right.clone())
    );
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [200, 409],
        "two approvals at once: {first:?} {second:?}"
    );
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    let (status, problem) = world.post("/approve", right).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5204)), "{problem}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_before_during_and_after_the_run() {
    let world = World::plain(Act::Hold).await;
    let before = world.ask(WRITE).await;
    world.until(&before, &["awaiting_approval"]).await;
    let (status, body) = world.post(&format!("/cancel/{before}"), json!({})).await;
    assert_eq!(
        (status, &body["state"]),
        (200, &json!("cancelled")),
        "{body}"
    );

    let during = world.ask(WRITE).await;
    world.approve(&during).await;
    world
        .wait_for("the start", || world.worker.starts().len() == 1)
        .await;
    let (status, body) = world.post(&format!("/cancel/{during}"), json!({})).await;
    assert_eq!(status, 200, "{body}");
    let ended = world
        .until(&during, &["cancelled", "completed", "failed"])
        .await;
    assert_eq!(ended["state"], "cancelled", "{ended:#}");

    // Asked for twice is asked for once.
    let (status, again) = world.post(&format!("/cancel/{during}"), json!({})).await;
    assert_eq!((status, &again["state"]), (200, &json!("cancelled")));
    world.worker.act(Act::Complete);
    let after = world.ask("ping nas").await;
    world.until(&after, &["completed"]).await;
    let (status, problem) = world.post(&format!("/cancel/{after}"), json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5304)), "{problem}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_changes_never_meet_on_one_host() {
    let world = World::plain(Act::Hold).await;
    let (first, second) = (
        world.ask(WRITE).await,
        world
            .ask("write_file path=/tmp/y content=x on nas,tower")
            .await,
    );
    world.approve(&first).await;
    world
        .wait_for("the first start", || world.worker.starts().len() == 1)
        .await;
    world.approve(&second).await;
    let words = |request: &Value| {
        let both_run = world.worker.starts().len() > 1;
        both_run
            || request["tasks"].as_array().unwrap().iter().any(|task| {
                task["because"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(&format!("waits for nas, held by request {first}"))
            })
    };
    world.until_it(&second, "waiting in words", words).await;
    assert_eq!(world.worker.starts().len(), 1, "both run at once");
    world.worker.let_go();
    world.until(&first, &["completed"]).await;
    world.until(&second, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 2);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_idempotency_key_is_the_same_request() {
    let world = World::plain(Act::Complete).await;
    let body = |text: &str| json!({ "text": text, "idempotency_key": "k-1" });
    let (_, first) = world.post("/request", body("ping nas")).await;
    let (status, again) = world.post("/request", body("ping nas")).await;
    assert_eq!((status, &again["request_id"]), (202, &first["request_id"]));
    let (status, problem) = world.post("/request", body("ping tower")).await;
    assert_eq!((status, &problem["code"]), (422, &json!(5010)), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_in_mid_run_ends_in_a_question_and_never_in_a_second_run() {
    let mut world = World::plain(Act::Hold).await;
    let id = world.ask("service_restart name=cron on nas").await;
    world.approve(&id).await;
    world
        .wait_for("the start", || world.worker.starts().len() == 1)
        .await;
    world.crash_agent().await;
    world.worker.act(Act::Complete);
    world.start_agent().await;
    let request = world
        .until_it(&id, "an honest state", |request| {
            let asked = request["decisions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|d| d["state"] == "pending");
            asked || request["ended"] == json!(true)
        })
        .await;
    assert_eq!(world.worker.starts().len(), 1, "it ran twice unasked");
    let question = request["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["state"] == "pending");
    let question = question.unwrap_or_else(|| panic!("nobody is asked: {request:#}"));
    assert_eq!(question["kind"], "interrupted");
    let answer =
        json!({ "request_id": id, "decision_id": question["decision_id"], "choice": "retry" });
    let (status, body) = world.post("/approve", answer).await;
    assert_eq!(status, 200, "{body}");
    world.until(&id, &["completed"]).await;
    assert_eq!(
        world.worker.starts().len(),
        2,
        "a person asked for the second run"
    );
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_between_the_approval_and_the_result_the_run_happens_once() {
    let mut world = World::plain(Act::Hold).await;
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    world
        .wait_for("the start", || world.worker.starts().len() == 1)
        .await;
    world.crash_orchestrator().await;
    world.worker.let_go();
    world.start_orchestrator().await;
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_bus_loses_nothing() {
    let mut world = World::plain(Act::Complete).await;
    world.crash_agent().await;
    let ids = [world.ask("ping nas").await, world.ask("ping tower").await];
    world.replace_bus().await;
    for id in &ids {
        world.until(id, &["completed"]).await;
    }
    let mut starts = world.worker.starts();
    starts.sort();
    starts.dedup();
    assert_eq!(
        starts.len(),
        world.worker.starts().len(),
        "an attempt ran twice"
    );
    world.holds_together().await;
}

/// F17: what was sent, or put back for another try, an hour ahead of the clock of now does not wait that hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_keeps_nothing_waiting() {
    let world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.clock.seconds.store(3_600, Ordering::Relaxed);
    let mut world = world.start().await;
    // The agent's clock is right, so it refuses this for now, as of another time.
    let skewed = world.ask("ping localhost").await;
    let waits = |request: &Value| request.to_string().contains("tries again at");
    world.until_it(&skewed, "its next try", waits).await;
    world.crash_agent().await;
    let lost = world.ask("ping nas").await;
    let sent = |request: &Value| {
        // On a machine so busy that the agent is missed first, it is given away later.
        let task = &request["tasks"][0];
        let is_missed = task["because"]
            .as_str()
            .is_some_and(|because| because.starts_with("waits for"));
        task["state"] == "dispatched" || is_missed
    };
    world.until_it(&lost, "the dispatch", sent).await;
    world.clock.seconds.store(0, Ordering::Relaxed);
    world.replace_bus().await;
    for id in [&skewed, &lost] {
        world.until(id, &["completed"]).await;
    }
    world.holds_together().await;
}

/// A bus that duplicates, delays, reorders, loses confirms and acks, and ends subscriptions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_does_everything_wrong_changes_no_outcome() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        let chaos = Arc::new(ChaosBus::new(
            Arc::new(MemoryBus::new()),
            seed,
            Rates::default(),
        ));
        let world = World::at_rest(chaos.clone(), Act::Complete).start().await;
        let mut ids = Vec::new();
        for n in 0..12 {
            let host = ["nas", "tower", "localhost"][n % 3];
            ids.push(world.ask(&format!("ping on {host}")).await);
            ids.push(
                world
                    .ask(&format!("write_file path=/tmp/{n} content=x on {host}"))
                    .await,
            );
        }
        for id in &ids {
            let request = world.until(id, &["awaiting_approval", "completed"]).await;
            if request["state"] == "awaiting_approval" {
                let (status, body) = world.approve(id).await;
                assert_eq!(status, 200, "{body}");
            }
        }
        for id in &ids {
            let ended = world
                .until_it(id, "its end", |request| request["ended"] == json!(true))
                .await;
            assert_eq!(ended["state"], "completed", "seed {seed}: {ended:#}");
        }
        let mut starts = world.worker.starts();
        let count = starts.len();
        starts.sort();
        starts.dedup();
        assert_eq!(starts.len(), count, "seed {seed}: an attempt ran twice");
        assert_eq!(count, ids.len(), "seed {seed}: not once for each");
        world.holds_together().await;
        println!("seed {seed}: {:?}", chaos.faults());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_gets_a_reason_and_a_next_step() {
    let world = World::plain(Act::Complete).await;
    for (body, status, code) in [
        (json!({ "text": "" }), 422, 5007),
        (json!({ "text": "a\u{0}b" }), 422, 5008),
        (json!({ "text": "x".repeat(9_000) }), 422, 5009),
        (json!({ "text": "x".repeat(300_000) }), 413, 5003),
        (json!({ "words": "ping" }), 400, 5001),
        (
            json!({ "text": "ping nas", "project_id": "a b" }),
            400,
            5001,
        ),
    ] {
        let (got, problem) = world.post("/request", body).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{problem}");
        assert!(!problem["todo"].as_str().unwrap().is_empty(), "{problem}");
    }
    let (status, problem) = world.get("/request/nonsense").await;
    assert_eq!((status, &problem["code"]), (404, &json!(5004)), "{problem}");
    let (status, problem) = world.get("/nothing/here").await;
    assert_eq!((status, &problem["code"]), (404, &json!(5004)), "{problem}");
    let (status, problem) = world.get("/approve").await;
    assert_eq!((status, &problem["code"]), (405, &json!(5005)), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_playbook_that_changes_after_the_approval_is_not_run() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    let request = world.until(&id, &["awaiting_approval"]).await;
    let tasks = world
        .home
        .path()
        .join("catalogue/roles/write_file/tasks/main.yml");
    let text = std::fs::read_to_string(&tasks).unwrap();
    std::fs::write(&tasks, text + "\n# changed\n").unwrap();
    world
        .post(
            "/approve",
            json!({ "request_id": id, "digest": request["plan"]["digest"] }),
        )
        .await;
    let ended = world.until(&id, &["failed", "completed"]).await;
    assert_eq!(
        (&ended["state"], &ended["problem"]["code"]),
        (&json!("failed"), &json!(5414)),
        "{ended:#}"
    );
    assert!(world.worker.starts().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_is_a_failed_request_with_its_hosts() {
    let world = World::plain(Act::Fail).await;
    let id = world.ask("ping nas").await;
    let ended = world.until(&id, &["failed", "completed"]).await;
    assert_eq!(ended["state"], "failed");
    assert!(
        ended["problem"]["detail"].as_str().unwrap().contains("nas"),
        "{ended:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_a_sentence_is_shown_nowhere_once_it_is_known() {
    let world = World::plain(Act::Complete).await;
    let catalogue = world.home.path().join("catalogue");
    let play = "- name: Tell\n  hosts: all\n  gather_facts: false\n  roles:\n    - tell\n";
    let metadata = "title: Tell\ndescription: Takes a code\nexamples: []\ntier: 1\npreview: blind\ntimeout_seconds: 60\non_interrupt: ask\nundo: {entry: tell, parameters: {code: \"{code}\"}}\nparameters: {code: {secret: true}}\n";
    let specs = "argument_specs:\n  main:\n    short_description: A test\n    options:\n      code:\n        type: str\n        required: true\n        description: A secret\n";
    for (path, text) in [
        ("playbooks/tell.yml", play),
        ("playbooks/tell.chiffon.yml", metadata),
        ("roles/tell/meta/argument_specs.yml", specs),
        (
            "roles/tell/tasks/main.yml",
            "- name: Nothing\n  ansible.builtin.meta: noop\n",
        ),
    ] {
        let path = catalogue.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let id = world.ask("tell code=hunter2secret on nas").await;
    world.until(&id, &["awaiting_approval"]).await;
    let mut said = world.show(&id).await.to_string();
    world.approve(&id).await;
    world.until(&id, &["completed"]).await;
    world
        .until_it(&id, "its ledger commit", |request| {
            request["ledger_commit"].is_string()
        })
        .await;
    for path in [
        "/api/v1/requests",
        "/api/v1/audit?limit=500",
        "/api/v1/ledger",
    ] {
        let (status, body) = world.get(path).await;
        assert_eq!(status, 200, "{body}");
        said += &body.to_string();
    }
    said += &world.show(&id).await.to_string();
    let log = std::process::Command::new("git")
        .arg("-C")
        .arg(world.home.path().join("ledger"))
        .args(["log", "-p", "main"])
        .output()
        .unwrap();
    said += &String::from_utf8_lossy(&log.stdout);
    assert!(said.contains("tell on nas"), "{said}");
    assert!(!said.contains("hunter2secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_an_entry_names_runs_afterwards_and_decides() {
    let world = World::plain(Act::Complete).await;
    let metadata = world
        .home
        .path()
        .join("catalogue/playbooks/service_restart.chiffon.yml");
    let text = std::fs::read_to_string(&metadata).unwrap();
    std::fs::write(&metadata, text + "verify: ping\n").unwrap();
    let id = world.ask("service_restart name=cron on nas").await;
    let request = world.until(&id, &["awaiting_approval"]).await;
    let entries: Vec<_> = request["plan"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["entry"].clone())
        .collect();
    assert_eq!(entries, [json!("service_restart"), json!("ping")]);
    world.approve(&id).await;
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 2);
}
