//! Somebody damages the ledger, or restores an older database: whoever verifies hears of it once, whether it was healed
//! before or not, and from then on as a note. What is foreign stays an alarm, and is left to `ledger` and `guile`.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chiffon_bus::MemoryBus;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    WRITE,
    proof::{Past, faults, git, opened},
    schedules::records,
    world::{Act, PATIENCE, World},
};

/// What a verification says: what does not fit, and what is only told.
pub(super) async fn verified(world: &World) -> (Vec<String>, Vec<String>) {
    let (status, report) = world.post("/api/v1/audit/verify", json!({})).await;
    assert_eq!(status, 200, "{report}");
    let lines = |name: &str| {
        let lines = report[name].as_array().unwrap().iter();
        lines
            .map(|line| line.as_str().unwrap().to_owned())
            .collect()
    };
    (lines("faults"), lines("notes"))
}

/// The next verification tells that the ledger was put back, and nothing else; the one after it notes that.
pub(super) async fn told_once(world: &World) {
    let (found, _) = verified(world).await;
    assert!(!found.is_empty(), "nobody was told that it was put back");
    for line in &found {
        assert!(
            line.contains("was put back from the database"),
            "{found:#?}"
        );
    }
    world.holds_together().await;
    let (_, notes) = verified(world).await;
    let noted = notes.iter().filter(|line| line.contains("by record"));
    assert_eq!(noted.count(), found.len(), "{notes:#?}");
    assert!(notes[0].contains("was told by record"), "{notes:#?}");
}

fn damaged(folder: &Path, how: &str, world: &World) {
    match how {
        "cut back" => {
            let before = git(world, &["rev-parse", "main^"]);
            git(world, &["update-ref", "refs/heads/main", &before]);
        }
        "rotten" => drop(chiffon_tests::rot(folder, "main").unwrap()),
        "deleted" => std::fs::remove_dir_all(folder).unwrap(),
        "moved away" => std::fs::rename(folder, folder.with_file_name("elsewhere")).unwrap(),
        "emptied" => spoiled(folder, "pack", |bytes| bytes.clear()),
        "of another kind" => spoiled(folder, "pack", |bytes| bytes[0] = b'X'),
        "cut off" => spoiled(folder, "pack", |bytes| bytes.truncate(bytes.len() - 7)),
        "flipped" => spoiled(folder, "idx", |bytes| {
            let end = bytes.len() - 30;
            bytes[end] ^= 1;
        }),
        other => panic!("{other}"),
    }
}

/// Changes a file of the pack with the first commit, which nothing that is written needs.
fn spoiled(folder: &Path, ending: &str, how: fn(&mut Vec<u8>)) {
    let said = |args: &[&str]| {
        let done = chiffon_tests::git(folder, args);
        assert!(done.status.success(), "{args:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    let first = said(&["rev-list", "--max-parents=0", "main"]);
    let files = std::fs::read_dir(folder.join("objects/pack")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut packs = paths.filter(|path| path.extension() == Some("idx".as_ref()));
    let holds = |index: &PathBuf| {
        said(&["verify-pack", "-v", index.to_str().unwrap()]).contains(first.trim())
    };
    let file = packs.find(holds).unwrap().with_extension(ending);
    let mut bytes = std::fs::read(&file).unwrap();
    how(&mut bytes);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_was_done_while_nothing_ran_is_told_once_at_the_first_verification() {
    let past = Past::made().await;
    for how in [
        "cut back",
        "rotten",
        "deleted",
        "moved away",
        "emptied",
        "of another kind",
        "cut off",
    ] {
        let mut world = past.copied("");
        let main = git(&world, &["rev-parse", "main"]);
        damaged(&world.home.path().join("ledger"), how, &world);
        world.start_orchestrator().await;
        told_once(&world).await;
        assert_eq!(git(&world, &["rev-parse", "main"]), main, "{how}");
        let restored = records(&world, "main", "ledger.restored").await;
        assert_eq!(restored.len(), 1, "{how}: {restored:#?}");
        let told = records(&world, "main", "ledger.restoration_told").await;
        assert_eq!(told.len(), 1, "{how}: {told:#?}");
        assert_eq!(told[0]["record"]["entry"]["actor"]["id"], "local:anna");
        // It is not told again by another life.
        world.crash_orchestrator().await;
        world.start_orchestrator().await;
        world.holds_together().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_was_healed_long_before_is_told_once_all_the_same() {
    let past = Past::made().await;
    let mut world = past.copied("");
    damaged(&world.home.path().join("ledger"), "deleted", &world);
    for _life in 0..2 {
        world.start_orchestrator().await;
        let healed = async {
            while records(&world, "main", "ledger.restored").await.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, healed).await.unwrap();
        world.crash_orchestrator().await;
    }
    world.start_orchestrator().await;
    told_once(&world).await;
}

/// By the verification itself, or by the scribe that came first: told it is, and once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_is_done_while_it_runs_is_told_once_whoever_comes_upon_it_first() {
    let past = Past::made().await;
    for how in [
        "rotten",
        "deleted",
        "moved away",
        "emptied",
        "of another kind",
        "cut off",
        "flipped",
    ] {
        let world = past.edited("").await;
        world.holds_together().await;
        let main = git(&world, &["rev-parse", "main"]);
        damaged(&world.home.path().join("ledger"), how, &world);
        let found = faults(&world, &[]).await;
        let is_told = found.contains("made anew") || found.contains("was put back");
        assert!(is_told, "{how}: {found}");
        world.holds_together().await;
        assert_eq!(git(&world, &["rev-parse", "main"]), main, "{how}");
        let (_, notes) = verified(&world).await;
        let noted = notes.iter().filter(|line| line.contains("by record"));
        assert_eq!(noted.count(), 1, "{how}: {notes:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_is_named_as_one_and_not_as_a_stranger() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let now = world.home.path().join("now.db");
    world.store = opened(&now);
    world = world.start().await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    let done = async |world: &World| {
        let id = world.ask(WRITE).await;
        world.approve(&id).await;
        world.until_it(&id, "its ledger commit", recorded).await
    };
    done(&world).await;
    world.crash_agent().await;
    world.crash_orchestrator().await;
    let backup = world.home.path().join("backup.db");
    let into = backup.to_str().unwrap();
    let conn = Connection::open(&now).unwrap();
    conn.execute("VACUUM INTO ?1", [into]).unwrap();
    drop(conn);
    world = world.start().await;
    for _ in 0..2 {
        done(&world).await;
    }
    world.holds_together().await;
    world.crash_agent().await;
    world.crash_orchestrator().await;
    let main = git(&world, &["rev-parse", "main"]);
    world.store = opened(&backup);
    world.start_orchestrator().await;
    let found = faults(&world, &[]).await;
    for words in [
        "the database is older than the ledger",
        "2 commits",
        &main,
        "Put back the database",
    ] {
        assert!(found.contains(words), "{words}: {found}");
    }
    assert!(!found.contains("foreign commit"), "{found}");
    // What was taken back since the backup is not in it, so no change is started; readings are.
    world.start_agent().await;
    let reading = world.ask("ping nas").await;
    world.until(&reading, &["completed"]).await;
    let begun = world.worker.starts().len();
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let waits = |request: &Value| {
        request
            .to_string()
            .contains("the database is older than the ledger, and what was")
    };
    world.until_it(&id, "to wait for a person", waits).await;
    assert_eq!(world.worker.starts().len(), begun, "it was started");
    world.crash_agent().await;
    // At the next start whoever asks first hears it, too.
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let (_, health) = world.get("/health").await;
    assert!(
        health.to_string().contains("older than the ledger"),
        "{health:#}"
    );
    assert_eq!(git(&world, &["rev-parse", "main"]), main, "it was touched");
    // With a stranger on top it is the stranger who is named.
    let who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
    let slip = ["commit-tree", "-p", "main", "-m", "slip in", "main^{tree}"];
    let foreign = git(&world, &[&who[..], &slip[..]].concat());
    git(&world, &["update-ref", "refs/heads/main", &foreign]);
    let found = faults(&world, &[]).await;
    assert!(
        found.contains(&format!("foreign commit {foreign} by Mallory")),
        "{found}"
    );
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let (_, health) = world.get("/health").await;
    assert!(health.to_string().contains(&foreign), "{health:#}");
    // Moved away, it is made anew from what the database knows, and that is told.
    world.crash_orchestrator().await;
    damaged(&world.home.path().join("ledger"), "moved away", &world);
    world.start_orchestrator().await;
    told_once(&world).await;
}
