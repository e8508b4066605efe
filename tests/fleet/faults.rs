//! What only this suite does to a world: the worker's mind changes, the agent dies, the bus is wiped, another program
//! holds the database.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{sync::Arc, time::Duration};

use chiffon_bus::MemoryBus;
use chiffon_common::Digest;
use chiffon_store::{Commit, IdempotencyClaim, Options, Sqlite, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    crew::Crew,
    world::{Act, Double, World},
};

impl Double {
    pub fn act(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }
}

impl World {
    /// The agent is gone in the middle of whatever it does.
    pub async fn crash_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.abort().await;
        }
    }

    /// The agent is gone, and its journal with it.
    pub async fn crash_agent_and_its_journal(&mut self) {
        self.crash_agent().await;
        std::fs::remove_dir_all(self.home.path().join("agents/infrastructure")).unwrap();
    }

    /// A change is asked for and approved, and runs under this crew.
    pub async fn begin_change(&self, crew: &Crew, words: &str) -> String {
        let before = crew.names().len();
        let id = self.ask(words).await;
        self.approve(&id).await;
        self.wait_for("the start", || crew.names().len() == before + 1)
            .await;
        id
    }

    /// A change runs, and the agent that has it comes back without its journal.
    pub async fn lose_change(&mut self, crew: &Arc<Crew>, words: &str) -> String {
        let id = self.begin_change(crew, words).await;
        self.crash_agent_and_its_journal().await;
        self.start_agent_of(crew.clone()).await;
        let lost = |request: &Value| {
            let tasks = request["tasks"].as_array().unwrap();
            tasks.iter().any(|task| task["state"] == "unknown")
        };
        self.until_it(&id, "lost contact", lost).await;
        id
    }

    /// The bus is gone with everything in it, and a new empty one is there.
    pub async fn replace_bus(&mut self) {
        self.crash_orchestrator().await;
        self.crash_agent().await;
        self.bus = Arc::new(MemoryBus::new());
        self.start_orchestrator().await;
        self.start_agent().await;
    }
}

/// A transaction that begins by reading could not write after somebody else has: SQLite refuses it at once (R9).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_another_program_at_the_same_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Arc::new(Sqlite::open(&path, Options::default()).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    for round in 0..5 {
        let write = format!("BEGIN IMMEDIATE; CREATE TABLE of_another_program_{round} (x)");
        other.execute_batch(&write).unwrap();
        let claim = IdempotencyClaim {
            key: format!("k{round}"),
            body: Digest::of_bytes(b"body"),
            answer: json!({}),
            at: Timestamp::now(),
        };
        let commit = Commit {
            tenant_id: "default".parse().unwrap(),
            idempotency: Some(claim),
            ..Commit::default()
        };
        let store = Arc::clone(&store);
        let waiting = tokio::spawn(async move { store.commit(commit).await });
        // Long enough for it to stand before the lock; if it came later, it would only wait less.
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute_batch("COMMIT").unwrap();
        waiting.await.unwrap().unwrap();
    }
}
