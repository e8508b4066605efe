//! Somebody edits the record: each edit of rows, events, chain or ledger is found and named, and what was not edited
//! holds. The database is a file here, so that it can be edited behind the back of everything that guards it.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{path::Path, process::Command, sync::Arc};

use chiffon_bus::MemoryBus;
use chiffon_common::SshSigner;
use chiffon_store::{Options, Sqlite};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    WRITE,
    world::{Act, World},
};

/// A database with two requests that are done, in a file, with nobody at it.
pub(super) struct Past {
    folder: TempDir,
    pub(super) requests: [String; 2],
    head: Value,
}

impl Past {
    pub(super) async fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
        world.store = opened(&folder.path().join("past.db"));
        world = world.start().await;
        let mut requests = Vec::new();
        for host in ["nas", "tower"] {
            let id = world
                .ask(&format!("write_file path=/tmp/x content=hello on {host}"))
                .await;
            world.approve(&id).await;
            let written = |request: &Value| request["ledger_commit"].is_string();
            world.until_it(&id, "its ledger commit", written).await;
            requests.push(id);
        }
        world.holds_together().await;
        let (status, head) = world.get("/api/v1/audit/head").await;
        assert_eq!(status, 200, "{head}");
        world.crash_orchestrator().await;
        copy(
            &world.home.path().join("ledger"),
            &folder.path().join("ledger"),
        );
        Self {
            folder,
            requests: requests.try_into().unwrap(),
            head,
        }
    }

    /// The same database after these edits, with an orchestrator over it.
    pub(super) async fn edited(&self, sql: &str) -> World {
        let mut world = self.copied(sql);
        world.start_orchestrator().await;
        world
    }

    /// The same, and nothing runs yet. The database is `edited.db` of the world's home.
    pub(super) fn copied(&self, sql: &str) -> World {
        let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
        let path = world.home.path().join("edited.db");
        let conn = Connection::open(self.folder.path().join("past.db")).unwrap();
        conn.execute("VACUUM INTO ?1", [path.to_str().unwrap()])
            .unwrap();
        edit(&path, sql);
        world.store = opened(&path);
        copy(
            &self.folder.path().join("ledger"),
            &world.home.path().join("ledger"),
        );
        world
    }
}

pub(super) fn opened(path: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(path, Options::default()).unwrap())
}

pub(super) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// What a person with the file can do: no trigger, key or check holds them back, and none shows that it was gone.
pub(super) fn edit(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    let guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let guards: Vec<(String, String)> = conn
        .prepare(guards)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (name, _) in &guards {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    conn.execute_batch(sql).unwrap();
    for (_, guard) in &guards {
        conn.execute_batch(guard).unwrap();
    }
}

pub(super) async fn faults(world: &World, anchors: &[&Value]) -> String {
    let asked = json!({ "anchors": anchors });
    let (status, report) = world.post("/api/v1/audit/verify", asked).await;
    assert_eq!(status, 200, "{report}");
    let faults = report["faults"].as_array().unwrap();
    let faults = faults.iter().map(|fault| fault.as_str().unwrap());
    faults.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_edit_of_a_row_is_found_and_the_request_is_named() {
    let past = Past::made().await;
    let [first, second] = &past.requests;
    let world = past.edited("").await;
    assert_eq!(
        faults(&world, &[&past.head]).await,
        "",
        "nothing was edited"
    );
    world.holds_together().await;

    let of = |table: &str| {
        format!(
            "WHERE request_id = '{first}' AND rowid IN (SELECT min(rowid) FROM {table} WHERE request_id = '{first}')"
        )
    };
    let edits = [
        format!(
            "UPDATE requests SET doc = json_set(doc, '$.requester.id', 'local:eve') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE requests SET doc = json_set(doc, '$.approval.approver', 'local:eve') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE requests SET doc = json_set(doc, '$.text', 'Say hello') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE plans SET doc = json_set(doc, '$.steps[0].parameters.content', 'other') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE plans SET doc = json_set(doc, '$.digest', 'sha256:{}') WHERE request_id = '{first}'",
            "0".repeat(64)
        ),
        format!(
            "UPDATE tasks SET doc = json_set(doc, '$.outcome.output', 'all is well') {}",
            of("tasks")
        ),
        format!(
            "UPDATE tasks SET doc = json_set(doc, '$.attempt', 7) {}",
            of("tasks")
        ),
        format!(
            "UPDATE decisions SET doc = json_set(doc, '$.state.by', 'local:eve') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE requests SET doc = json_set(doc, '$.because', 'nothing was changed') WHERE request_id = '{first}'"
        ),
        format!(
            "UPDATE tasks SET doc = json_set(doc, '$.because', 'nothing was changed') {}",
            of("tasks")
        ),
        format!(
            "UPDATE tasks SET doc = json_set(doc, '$.started_at', '2020-01-01T00:00:00Z') {}",
            of("tasks")
        ),
        format!("DELETE FROM tasks {}", of("tasks")),
        format!("DELETE FROM decisions WHERE request_id = '{first}'"),
        format!("UPDATE requests SET state = 'failed' WHERE request_id = '{first}'"),
        format!("DELETE FROM requests WHERE request_id = '{first}'"),
    ];
    for edit in &edits {
        let world = past.edited(edit).await;
        let found = faults(&world, &[]).await;
        assert!(found.contains(first.as_str()), "{edit}\nfound: {found}");
        assert!(!found.contains(second.as_str()), "{edit}\nfound: {found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_slipped_in_is_known_to_no_record() {
    let past = Past::made().await;
    let stranger = "0199e2f4-77a1-7c40-8000-000000000001";
    let sql = format!(
        "INSERT INTO requests (request_id, tenant_id, project_id, room_id, state, ended, version, created_at, updated_at, doc)
         SELECT '{stranger}', tenant_id, project_id, room_id, state, ended, version, created_at, updated_at,
                json_set(doc, '$.request_id', '{stranger}')
         FROM requests LIMIT 1"
    );
    let world = past.edited(&sql).await;
    let found = faults(&world, &[]).await;
    assert!(found.contains(stranger), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_off_at_the_end_is_found_by_an_anchor_alone() {
    let past = Past::made().await;
    let [_, second] = &past.requests;
    // Everything of the second request, as if it had never been: chain, seals, numbers, rows, ledger.
    let begin = format!(
        "SELECT min(n.seq) FROM audit_numbers n JOIN audit_log l ON l.audit_id = n.audit_id WHERE l.stream = 'request:{second}'"
    );
    let sql = format!(
        "CREATE TEMP TABLE cut AS SELECT (SELECT coalesce(max(last_seq), 0) FROM audit_seals WHERE last_seq < ({begin})) AS seq;
         CREATE TEMP TABLE gone AS SELECT audit_id FROM audit_numbers WHERE seq > (SELECT seq FROM cut);
         DELETE FROM event_numbers WHERE audit_id IN (SELECT audit_id FROM gone) OR request_id = '{second}';
         DELETE FROM audit_numbers WHERE seq > (SELECT seq FROM cut);
         DELETE FROM audit_log WHERE audit_id IN (SELECT audit_id FROM gone);
         DELETE FROM audit_seals WHERE last_seq > (SELECT seq FROM cut);
         DELETE FROM audit_streams WHERE stream NOT IN (SELECT stream FROM audit_log);
         UPDATE audit_streams SET (position, hash) =
             (SELECT position, hash FROM audit_log l WHERE l.stream = audit_streams.stream ORDER BY position DESC LIMIT 1);
         DELETE FROM run_events WHERE request_id = '{second}';
         DELETE FROM execution_logs WHERE request_id = '{second}';
         DELETE FROM events WHERE request_id = '{second}';
         DELETE FROM ledger_entries WHERE request_id = '{second}';
         DELETE FROM ledger_batches WHERE batch_no = 2;
         DELETE FROM timers WHERE slice = 'request:{second}';
         DELETE FROM decisions WHERE request_id = '{second}'; DELETE FROM tasks WHERE request_id = '{second}';
         DELETE FROM plans WHERE request_id = '{second}'; DELETE FROM requests WHERE request_id = '{second}';"
    );
    let world = past.edited(&sql).await;
    let parent = git(&world, &["rev-parse", "main^"]);
    git(&world, &["update-ref", "refs/heads/main", &parent]);
    let without = faults(&world, &[]).await;
    assert_eq!(
        without, "",
        "a whole end that was cut off shows nowhere else"
    );
    let found = faults(&world, &[&past.head]).await;
    let seal = format!("anchored seal {} is missing", past.head["seal_no"]);
    assert!(found.contains(&seal), "{found}");
    let commit = past.head["ledger_commit"].as_str().unwrap();
    assert!(found.contains(commit), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_told_again_names_the_event_that_was_edited() {
    let past = Past::made().await;
    let [first, second] = &past.requests;
    let edits = [
        (
            format!(
                "UPDATE run_events SET doc = json_set(doc, '$.event.by.id', 'local:eve') WHERE request_id = '{first}' AND doc ->> '$.event.event' = 'answered'"
            ),
            "moves otherwise",
        ),
        (
            format!("DELETE FROM run_events WHERE request_id = '{first}' AND version = 3"),
            "event 3 is missing",
        ),
        (
            format!(
                "DELETE FROM run_events WHERE request_id = '{first}' AND version >= (SELECT max(version) FROM run_events WHERE request_id = '{first}')"
            ),
            "follows from no event",
        ),
        (
            format!("DELETE FROM run_events WHERE request_id = '{first}'"),
            "nothing was kept",
        ),
        (
            format!(
                "UPDATE tasks SET doc = json_set(doc, '$.attempt', 7) WHERE request_id = '{first}'"
            ),
            "the stored rows are not what these events lead to",
        ),
        (
            "UPDATE run_policies SET doc = json_set(doc, '$.attempts', 9)".to_owned(),
            "gone or changed",
        ),
    ];
    for (edit, words) in &edits {
        let world = past.edited(edit).await;
        let told = world.replay(first).await;
        assert_eq!(told["same"], false, "{edit}\n{told:#}");
        if edit.contains("DELETE FROM run_events") {
            let found = faults(&world, &[]).await;
            assert!(
                found.contains("of request") && found.contains(first.as_str()),
                "{edit}\n{found}"
            );
        }
        let said = told["faults"].to_string();
        assert!(said.contains(words), "{edit}\n{said}");
        if !edit.contains("run_policies") {
            let other = world.replay(second).await;
            assert_eq!(other["same"], true, "{edit}\n{other:#}");
        }
    }
    let world = past.edited("").await;
    let (status, _) = world
        .post(
            "/api/v1/requests/0199e2f4-77a1-7c40-8000-000000000009/replay",
            json!({}),
        )
        .await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_itself_verifies_the_signature_of_every_commit() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let written = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", written).await;
    let signers = world.home.path().join("signers");
    let by = |secret| {
        let public = SshSigner::from_secret(secret).public();
        std::fs::write(&signers, format!("chiffon@localhost {public}\n")).unwrap();
        let verified = Command::new("git")
            .arg("-C")
            .arg(world.home.path().join("ledger"))
            .args(["-c", "gpg.format=ssh", "-c"])
            .arg(format!("gpg.ssh.allowedSignersFile={}", signers.display()))
            .args(["verify-commit", "main"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        (verified.status.success(), said)
    };
    let (good, said) = by([7; 32]);
    assert!(good, "{said}");
    assert!(said.contains("Good \"git\" signature"), "{said}");
    let (good, said) = by([8; 32]);
    assert!(!good, "by a key that did not sign: {said}");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_keeps_what_somebody_takes_back_here() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let remote = world.home.path().join("remote.git");
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(&remote)
        .status();
    assert!(made.unwrap().success());
    world.remote = Some(remote.to_str().unwrap().to_owned());
    world = world.start().await;
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let written = |request: &Value| request["ledger_commit"].is_string();
    let request = world.until_it(&id, "its ledger commit", written).await;
    let commit = request["ledger_commit"].as_str().unwrap();
    let main = remote.join("refs/heads/main");
    let pushed = || std::fs::read_to_string(&main).is_ok_and(|at| at.trim() == commit);
    world.wait_for("the push", pushed).await;
    let asked = json!({ "remote": true });
    let (status, report) = world.post("/api/v1/audit/verify", asked.clone()).await;
    assert_eq!((status, &report["anchors"]), (200, &json!(1)), "{report}");
    assert_eq!(report["faults"], json!([]), "{report}");

    // The same machine with another past: nothing of the one that the remote knows.
    let mut other = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    other.remote.clone_from(&world.remote);
    other = other.start().await;
    let id = other.ask("How full are the disks on this machine?").await;
    other.until_it(&id, "its ledger commit", written).await;
    let (_, report) = other.post("/api/v1/audit/verify", asked.clone()).await;
    let faults = report["faults"].to_string();
    assert!(
        faults.contains("anchored") && faults.contains(commit),
        "{faults}"
    );
    // What it would push does not follow from what is there, and is not forced.
    let told = async {
        loop {
            let (_, health) = other.get("/health").await;
            if health["components"]["ledger_remote"] != "ok" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(60), told).await;
    assert!(told.is_ok(), "nobody told");
    assert!(pushed(), "the remote was overwritten");
    let (_, report) = other.post("/api/v1/audit/verify", asked.clone()).await;
    let faults = report["faults"].to_string();
    assert!(
        faults.contains("anchored"),
        "the anchor was moved: {faults}"
    );

    let nowhere = World::plain(Act::Complete).await;
    let (status, problem) = nowhere.post("/api/v1/audit/verify", asked).await;
    assert_eq!((status, &problem["code"]), (404, &json!(5004)), "{problem}");
}

pub(super) fn git(world: &World, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .arg("-C")
        .arg(world.home.path().join("ledger"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "git {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}
