//! Whoever asks for another try after a backup was put back hears that the agent had made it already; and what an ending
//! leaves open stands in the ledger's sentence, whoever ended it.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::sync::Arc;

use chiffon_bus::MemoryBus;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    crew::{Crew, How},
    proof::{copy, git, opened},
    world::{Act, World},
};

const CHANGE: &str = "write_file path=/a content=x on nas";

/// An entry that does this when it is cut off; the database lies in `now.db`.
async fn fleet(on_interrupt: &str) -> (World, Arc<Crew>) {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let home = world.home.path();
    let entry = home.join("catalogue/playbooks/write_file.chiffon.yml");
    let text = std::fs::read_to_string(&entry).unwrap();
    let others = text
        .lines()
        .filter(|line| !line.starts_with("on_interrupt:"));
    let text: String = others.map(|line| format!("{line}\n")).collect();
    std::fs::write(&entry, format!("{text}on_interrupt: {on_interrupt}\n")).unwrap();
    world.store = opened(&home.join("now.db"));
    world.start_orchestrator().await;
    let crew = Crew::new();
    world.start_agent_of(crew.clone()).await;
    (world, crew)
}

fn task(request: &Value) -> &Value {
    let tasks = request["tasks"].as_array().unwrap();
    tasks.iter().find(|task| task["mode"] == "apply").unwrap()
}

async fn cut_off(world: &mut World, crew: &Arc<Crew>) -> String {
    let id = world.begin_change(crew, CHANGE).await;
    world.crash_agent().await;
    world.start_agent_of(crew.clone()).await;
    id
}

async fn resolve(world: &World, id: &str, choice: &str) {
    let request = world.show(id).await;
    let task = task(&request)["task_id"].as_str().unwrap();
    let path = format!("/api/v1/tasks/{task}/resolve");
    let (status, said) = world.post(&path, json!({ "choice": choice })).await;
    assert_eq!(status, 200, "{said}");
}

async fn recorded(world: &World, id: &str) -> (Value, String) {
    let is_recorded = |request: &Value| request["ledger_commit"].is_string();
    let request = world.until_it(id, "its ledger commit", is_recorded).await;
    let told = git(world, &["log", "-1", "--format=%B", "main"]);
    world.holds_together().await;
    (request, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_the_agent_knows_from_before_a_restored_backup_is_told_as_such_and_not_run() {
    let (mut world, crew) = fleet("ask").await;
    let id = cut_off(&mut world, &crew).await;
    let asks = |request: &Value| task(request)["state"] == "interrupted";
    world.until_it(&id, "the question", asks).await;
    // The backup: database and ledger, but not the agent's journal.
    world.crash_agent().await;
    world.crash_orchestrator().await;
    let home = world.home.path().to_owned();
    let conn = Connection::open(home.join("now.db")).unwrap();
    let backup = home.join("backup.db");
    conn.execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    drop(conn);
    copy(&home.join("ledger"), &home.join("ledger-backup"));
    world.start_orchestrator().await;
    world.start_agent_of(crew.clone()).await;
    crew.end("/a", How::done());
    resolve(&world, &id, "retry").await;
    let (request, told) = recorded(&world, &id).await;
    assert_eq!(request["state"], "completed", "{request:#}");
    assert!(task(&request)["done_before"].is_null(), "{request:#}");
    assert!(!told.contains("Done-Before"), "{told}");
    assert_eq!(crew.names(), ["/a", "/a"]);
    // It is put back, and the same is asked for again.
    world.crash_agent().await;
    world.crash_orchestrator().await;
    std::fs::remove_dir_all(home.join("ledger")).unwrap();
    std::fs::rename(home.join("ledger-backup"), home.join("ledger")).unwrap();
    world.store = opened(&backup);
    world.bus = Arc::new(MemoryBus::new());
    world.start_orchestrator().await;
    world.start_agent_of(crew.clone()).await;
    resolve(&world, &id, "retry").await;
    let (request, told) = recorded(&world, &id).await;
    assert_eq!(request["state"], "completed", "{request:#}");
    assert_eq!(crew.names(), ["/a", "/a"], "it ran again");
    let task = task(&request);
    assert_eq!(task["attempt"], 2, "{request:#}");
    assert!(task["done_before"].is_string(), "{request:#}");
    let because = task["because"].as_str().unwrap();
    assert!(
        because.contains("had done this attempt before"),
        "{because}"
    );
    assert!(told.contains("\nDone-Before: 20"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_says_that_nobody_knows_what_a_change_did_that_was_cut_off_and_failed() {
    for (on_interrupt, word) in [("fail", None), ("ask", Some("failed"))] {
        let (mut world, crew) = fleet(on_interrupt).await;
        let id = cut_off(&mut world, &crew).await;
        if let Some(word) = word {
            let asks = |request: &Value| task(request)["state"] == "interrupted";
            world.until_it(&id, "the question", asks).await;
            resolve(&world, &id, word).await;
        }
        let (request, told) = recorded(&world, &id).await;
        assert_eq!(request["state"], "failed", "{request:#}");
        let ended = "It ended as failed, and it is not known what it changed: ";
        assert!(told.contains(ended), "{on_interrupt}: {told}");
    }
}
