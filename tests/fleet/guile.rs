//! Somebody is clever: git is made to show another history than the one that lies there, a row is made old so that
//! retention takes it, the ledger is cut back while nothing runs. Plain edits are left to `proof`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    WRITE,
    proof::{self, Past, faults, git, opened},
    restored::told_once,
    schedules::records,
    world::{Act, Clock, PATIENCE, World},
};

fn recorded(request: &Value) -> bool {
    request["ledger_commit"].is_string()
}

/// Asks, approves and waits for the commit.
pub(super) async fn done(world: &World, text: &str) -> String {
    let id = world.ask(text).await;
    world.approve(&id).await;
    world.until_it(&id, "its ledger commit", recorded).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lets_git_log_tell_another_history_is_named() {
    let world = World::plain(Act::Complete).await;
    done(&world, WRITE).await;
    done(&world, "write_file path=/tmp/x content=hello on tower").await;
    assert_eq!(faults(&world, &[]).await, "");
    let folder = world.home.path().join("ledger");

    git(&world, &["branch", "other", "main^"]);
    let found = faults(&world, &[]).await;
    assert!(found.contains("refs/heads/other is none of"), "{found}");
    git(&world, &["symbolic-ref", "HEAD", "refs/heads/other"]);
    let found = faults(&world, &[]).await;
    assert!(found.contains("HEAD is at refs/heads/other"), "{found}");
    assert!(
        found.contains("symbolic-ref HEAD refs/heads/main"),
        "{found}"
    );
    git(&world, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    git(&world, &["pack-refs", "--all"]);
    let found = faults(&world, &[]).await;
    assert!(found.contains("refs/heads/other"), "packed: {found}");
    git(&world, &["branch", "-D", "other"]);
    assert_eq!(faults(&world, &[]).await, "");

    git(&world, &["tag", "v1", "main"]);
    let found = faults(&world, &[]).await;
    assert!(found.contains("refs/tags/v1"), "{found}");
    git(&world, &["tag", "-d", "v1"]);

    let elsewhere = world.home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let head = git(&world, &["rev-parse", "main"]);
    for (file, content) in [
        ("shallow", head.clone()),
        ("info/grafts", head.clone()),
        ("objects/info/alternates", elsewhere.display().to_string()),
    ] {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content + "\n").unwrap();
        let found = faults(&world, &[]).await;
        assert!(found.contains(&format!("the file {file} ")), "{found}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(faults(&world, &[]).await, "", "{file}");
    }

    let (one, other) = (head.clone(), git(&world, &["rev-parse", "main^"]));
    git(&world, &["replace", "-f", &one, &other]);
    assert_eq!(
        git(&world, &["log", "-1", "--format=%s", "main"]),
        git(&world, &["log", "-1", "--format=%s", &other]),
        "git shows the one for the other"
    );
    // What is written now stands on what lies there, not on what git would show.
    done(&world, WRITE).await;
    let found = faults(&world, &[]).await;
    let lines: Vec<_> = found.lines().collect();
    assert_eq!(lines.len(), 1, "{found}");
    assert!(found.contains(&format!("refs/replace/{one}")), "{found}");
    git(&world, &["replace", "-d", &one]);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_made_old_or_does_not_fit_is_not_forgotten_but_named() {
    let past = Past::made().await;
    let [altered, old] = &past.requests;
    let hands = Arc::new(Clock::default());
    let days = SignedDuration::from_hours(24 * 11);
    hands.seconds.store(days.as_secs(), Ordering::Relaxed);
    let mut world = past.copied("");
    world.clock = hands;
    world.start_orchestrator().await;
    let young = taken_back(&world).await;
    world.holds_together().await;
    world.crash_orchestrator().await;
    world.store = Arc::new(chiffon_store::Sqlite::in_memory().unwrap());
    let path = world.home.path().join("edited.db");
    proof::edit(
        &path,
        &format!(
            "UPDATE requests SET updated_at = 0 WHERE request_id = '{young}';
             UPDATE requests SET doc = json_set(doc, '$.text', 'Say hello') WHERE request_id = '{altered}'"
        ),
    );
    world.store = opened(&path);
    world.history_days = 10;
    world.start_orchestrator().await;
    // One that may go shows that it was gone through all of them.
    let gone = async {
        while world.get(&format!("/request/{old}")).await.0 != 410 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    for kept in [&young, altered] {
        assert_eq!(world.get(&format!("/request/{kept}")).await.0, 200);
        assert_eq!(records(&world, kept, "history.forgotten").await.len(), 0);
    }
    let found = faults(&world, &[]).await;
    assert!(
        found.contains(&format!(
            "request {young} has 1970-01-01T00:00:00Z in its column updated_at"
        )),
        "{found}"
    );
    assert!(
        found.contains(&format!("the rows of request {altered} were changed")),
        "{found}"
    );
    assert!(!found.contains(old.as_str()), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_listed_as_ended_or_open_and_is_not_is_named() {
    let past = Past::made().await;
    let [first, _] = &past.requests;
    let sql = format!("UPDATE requests SET ended = 0 WHERE request_id = '{first}'");
    let world = past.edited(&sql).await;
    let found = faults(&world, &[]).await;
    let words =
        format!("request {first} has false in its column ended, where its document says true");
    assert!(found.contains(&words), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_says_something_else_than_its_document_is_named() {
    let past = Past::made().await;
    let [first, second] = &past.requests;
    let digest = format!("'sha256:{}'", "0".repeat(64));
    for (table, column, value) in [
        ("requests", "room_id", "'elsewhere'"),
        ("requests", "project_id", "'other'"),
        ("requests", "created_at", "created_at - 3600000000"),
        ("requests", "state", "'failed'"),
        ("tasks", "agent_id", "'eve'"),
        ("tasks", "attempt", "7"),
        ("tasks", "ended", "0"),
        ("tasks", "created_at", "created_at + 1"),
        ("decisions", "created_at", "created_at - 1"),
        ("decisions", "deadline", "deadline + 1"),
        ("decisions", "state", "'timed_out'"),
        ("plans", "digest", digest.as_str()),
    ] {
        let sql = format!("UPDATE {table} SET {column} = {value} WHERE request_id = '{first}'");
        let world = past.edited(&sql).await;
        let found = faults(&world, &[]).await;
        let named = format!("in its column {column}, where its document says");
        assert!(found.contains(&named), "{sql}\nfound: {found}");
        let kind = table.trim_end_matches('s');
        let of_it = found.contains(kind) && found.contains(&format!("request {first}"));
        assert!(
            of_it && !found.contains(second.as_str()),
            "{sql}\nfound: {found}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_that_no_record_led_to_is_named() {
    let past = Past::made().await;
    let world = past
        .edited("INSERT INTO freezes (tenant_id, version, frozen_by, since, reason) VALUES ('default', 1, 'local:eve', 0, 'x')")
        .await;
    let found = faults(&world, &[]).await;
    assert!(
        found.contains("freeze is known to no audit record"),
        "{found}"
    );

    for (edit, is_frozen) in [
        ("", true),
        (
            "UPDATE freezes SET frozen_by = NULL, since = NULL, reason = NULL",
            false,
        ),
        ("UPDATE freezes SET reason = 'another'", true),
        ("UPDATE freezes SET version = 9", true),
        ("DELETE FROM freezes", false),
    ] {
        let mut world = past.edited("").await;
        for _twice in 0..2 {
            world.freeze("backup").await;
            world.thaw().await;
        }
        world.freeze("backup").await;
        assert_eq!(faults(&world, &[]).await, "");
        world.crash_orchestrator().await;
        world.store = Arc::new(chiffon_store::Sqlite::in_memory().unwrap());
        let path = world.home.path().join("edited.db");
        proof::edit(&path, edit);
        world.store = opened(&path);
        world.start_orchestrator().await;
        let found = faults(&world, &[]).await;
        let named = found.contains("whether the fleet is frozen was changed");
        assert_eq!(named, !edit.is_empty(), "{edit}: {found}");
        let (_, freeze) = world.get("/api/v1/freeze").await;
        assert_eq!(freeze["frozen"].is_object(), is_frozen, "{edit}: {freeze}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_was_cut_back_while_nothing_ran_is_put_back_with_a_record() {
    let past = Past::made().await;
    for is_gone in [false, true] {
        let mut world = past.copied("");
        let (main, before) = (
            git(&world, &["rev-parse", "main"]),
            git(&world, &["rev-parse", "main^"]),
        );
        match is_gone {
            true => git(&world, &["update-ref", "-d", "refs/heads/main"]),
            false => git(&world, &["update-ref", "refs/heads/main", &before]),
        };
        world.start_orchestrator().await;
        let told = async {
            loop {
                let found = records(&world, "main", "ledger.restored").await;
                if let Some(record) = found.into_iter().next() {
                    break record;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let record = tokio::time::timeout(PATIENCE, told).await.unwrap();
        let data = &record["record"]["entry"]["data"];
        let from = match is_gone {
            true => Value::Null,
            false => json!(before),
        };
        assert_eq!(
            (&data["from"], &data["to"]),
            (&from, &json!(main)),
            "{data}"
        );
        assert_eq!(git(&world, &["rev-parse", "main"]), main);
        told_once(&world).await;
        // It was told once, and nothing is told where nothing was put back.
        world.crash_orchestrator().await;
        world.start_orchestrator().await;
        taken_back(&world).await;
        let found = records(&world, "main", "ledger.restored").await;
        assert_eq!(found.len(), 1, "{found:#?}");
    }
}

/// A request that no agent is there for, taken back: recorded, so that the scribe was at work.
pub(super) async fn taken_back(world: &World) -> String {
    let id = world.ask("ping nas").await;
    world.until(&id, &["running"]).await;
    world.post(&format!("/cancel/{id}"), json!({})).await;
    world.until_it(&id, "its ledger commit", recorded).await;
    id
}
