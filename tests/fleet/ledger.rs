//! The ledger's folder deleted, damaged and moved by strangers while the orchestrator is down.

use chiffon_common::{SshSigner, TenantId};
use chiffon_orchestrator::ledger::{Batch, Ledger};
use chiffon_store::{Commit, LedgerBatchRow, LedgerEntryRow, Write};
use serde_json::{Value, json};

use super::{
    WRITE,
    restored::told_once,
    world::{Act, PATIENCE, World},
};

/// One folder with everything in it would be written anew with every commit (R38).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_lies_in_the_folders_of_its_hour_and_its_shard() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask("ping nas").await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
    let list = std::process::Command::new("git")
        .arg("-C")
        .arg(world.home.path().join("ledger"))
        .args(["ls-tree", "-r", "--name-only", "main", "records"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let parts: Vec<&str> = list.trim().split('/').collect();
    assert_eq!(parts.len(), 8, "records/YYYY/MM/DD/HH/xx/yy/ID.yml: {list}");
    assert_eq!(parts.last().copied(), Some(format!("{id}.yml").as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_ledger_is_filled_in_from_the_database_and_an_edited_one_is_found() {
    let mut world = World::plain(Act::Complete).await;
    for host in ["nas", "tower"] {
        let id = world
            .ask(&format!("write_file path=/tmp/x content=hello on {host}"))
            .await;
        world.approve(&id).await;
        world
            .until_it(&id, "its ledger commit", |request| {
                request["ledger_commit"].is_string()
            })
            .await;
    }
    let (_, before) = world.get("/api/v1/ledger").await;
    world.crash_orchestrator().await;
    let folder = world.home.path().join("ledger");
    std::fs::remove_dir_all(&folder).unwrap();
    world.start_orchestrator().await;
    let head = || {
        let log = std::process::Command::new("git")
            .arg("-C")
            .arg(&folder)
            .args(["rev-parse", "main"])
            .output()
            .unwrap();
        String::from_utf8(log.stdout).unwrap().trim().to_owned()
    };
    let expected = before["items"][0]["commit"].as_str().unwrap().to_owned();
    world
        .wait_for("the refilled ledger", || head() == expected)
        .await;
    told_once(&world).await;

    let tree = format!("{expected}^{{tree}}");
    let foreign = std::process::Command::new("git")
        .arg("-C")
        .arg(&folder)
        .args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@x",
            "commit-tree",
            "-m",
            "foreign",
            "-p",
            &expected,
            &tree,
        ])
        .output()
        .unwrap();
    let foreign = String::from_utf8(foreign.stdout).unwrap().trim().to_owned();
    let moved = std::process::Command::new("git")
        .arg("-C")
        .arg(&folder)
        .args(["update-ref", "refs/heads/main", &foreign])
        .status()
        .unwrap();
    assert!(moved.success());
    let (_, report) = world.post("/api/v1/audit/verify", json!({})).await;
    let faults = report["faults"].to_string();
    assert!(
        faults.contains("ledger") && faults.contains(&foreign[..7]),
        "{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_a_loss_of_power_damaged_is_made_anew_and_goes_on() {
    let mut world = World::plain(Act::Complete).await;
    let recorded = async |world: &World| {
        let id = world.ask(WRITE).await;
        world.approve(&id).await;
        let with_commit = |request: &Value| request["ledger_commit"].is_string();
        world.until_it(&id, "its ledger commit", with_commit).await
    };
    let first = recorded(&world).await;
    world.crash_orchestrator().await;
    let folder = world.home.path().join("ledger");
    let mut emptied = 0;
    for shard in std::fs::read_dir(folder.join("objects")).unwrap() {
        for object in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            let object = object.unwrap().path();
            std::fs::remove_file(&object).unwrap();
            std::fs::write(&object, "").unwrap();
            emptied += 1;
        }
    }
    assert!(emptied > 1, "only {emptied} files were there to damage");
    world.start_orchestrator().await;
    let second = recorded(&world).await;
    assert_ne!(first["ledger_commit"], second["ledger_commit"]);
    let (_, ledger) = world.get("/api/v1/ledger").await;
    assert_eq!(ledger["items"][0]["commit"], second["ledger_commit"]);
    assert_eq!(ledger["items"][1]["commit"], first["ledger_commit"]);
    told_once(&world).await;
    let aside = world.home.path().join("ledger.damaged-1");
    assert!(aside.join("HEAD").is_file(), "the damaged one is gone");
    let left = world.home.path().join("ledger.rebuilt-1");
    assert!(!left.exists(), "the rebuilt one is not in its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_that_somebody_else_moved_is_not_healed_over() {
    let mut world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let with_commit = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", with_commit).await;
    world.crash_orchestrator().await;
    let folder = world.home.path().join("ledger");
    let foreign = "0123456789".repeat(4);
    std::fs::write(folder.join("refs/heads/main"), &foreign).unwrap();
    std::fs::remove_dir_all(folder.join("objects")).unwrap();
    world.start_orchestrator().await;
    let told = async {
        loop {
            let (_, health) = world.get("/health").await;
            if health.to_string().contains(&foreign) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), told).await;
    assert!(
        told.is_ok(),
        "nobody told: {:?}",
        world.get("/health").await
    );
    assert!(!world.home.path().join("ledger.damaged-1").exists());
    let main = std::fs::read_to_string(folder.join("refs/heads/main")).unwrap();
    assert_eq!(main, foreign);
}

/// What a crash leaves of a burst: decided and not written; written and not stored as such; the folder gone as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_that_a_crash_broke_off_is_written_as_it_was_decided() {
    for (is_written, is_deleted) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::plain(Act::Complete).await;
        let id = world.ask(WRITE).await;
        world.approve(&id).await;
        let with_commit = |request: &Value| request["ledger_commit"].is_string();
        world.until_it(&id, "its ledger commit", with_commit).await;
        world.crash_orchestrator().await;
        let folder = world.home.path().join("ledger");
        let commits = broken_off(&world, &folder, is_written).await;
        if is_deleted {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        world.start_orchestrator().await;
        let caught_up = async {
            loop {
                let (_, ledger) = world.get("/api/v1/ledger").await;
                let newest = ledger["items"].as_array().unwrap().iter().take(3);
                let newest: Vec<_> = newest.map(|item| item["commit"].clone()).collect();
                if newest == commits {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let caught_up = tokio::time::timeout(PATIENCE, caught_up).await;
        let ledger = world.get("/api/v1/ledger").await;
        assert!(
            caught_up.is_ok(),
            "{is_written} {is_deleted}: {commits:?} are not the newest of {ledger:?}"
        );
        match is_deleted {
            true => told_once(&world).await,
            false => world.holds_together().await,
        }
    }
}

/// Decides three more batches, as the scribe does, and writes them or not; their commits, newest first.
#[expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]
async fn broken_off(world: &World, folder: &std::path::Path, is_written: bool) -> Vec<Value> {
    let tenant = TenantId::default();
    let first = world.store.ledger_entries(&tenant, 0, 1).await.unwrap();
    let mut last = world
        .store
        .last_ledger_batch(&tenant)
        .await
        .unwrap()
        .unwrap();
    let mut batches: Vec<Batch> = Vec::new();
    for _ in 0..3 {
        last = LedgerBatchRow {
            batch_no: last.batch_no + 1,
            first_entry: last.last_entry + 1,
            last_entry: last.last_entry + 1,
            parent: last.commit.take(),
            ..last
        };
        let entry = LedgerEntryRow {
            entry_no: last.first_entry,
            ..first[0].clone()
        };
        batches.push((last.clone(), vec![entry]));
    }
    let entries = batches
        .iter()
        .map(|(_, entries)| Write::LedgerEntry(entries[0].clone()));
    let commit = |writes| Commit {
        tenant_id: tenant.clone(),
        writes,
        ..Commit::default()
    };
    world.store.commit(commit(entries.collect())).await.unwrap();
    let key = Some(SshSigner::from_secret([7; 32]));
    let ledger = Ledger::open(folder).unwrap().with_key(key);
    let commits = ledger.chain(&mut batches.clone()).unwrap();
    let burst = ledger.begin(&mut batches).unwrap();
    let rows = batches
        .iter()
        .map(|(batch, _)| Write::LedgerBatch(batch.clone()));
    world.store.commit(commit(rows.collect())).await.unwrap();
    if is_written {
        assert_eq!(burst.write().unwrap(), commits);
    }
    let newest = commits.iter().rev();
    newest.map(|commit| json!(commit.to_string())).collect()
}
