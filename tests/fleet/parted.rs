//! A newer database is put back beside a ledger that went on from an older one: the two have parted. No change stands on
//! that, everybody who asks hears what happened, and each way out that is named works.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use chiffon_bus::MemoryBus;
use rusqlite::Connection;
use serde_json::Value;

use super::{
    WRITE,
    proof::{copy, faults, git, opened},
    restored::told_once,
    world::{Act, World},
};

const APART: &str = "the database and the ledger have gone separate ways";

fn ledger(world: &World) -> PathBuf {
    world.home.path().join("ledger")
}

/// A copy of the database, as a backup makes it.
fn backup(from: &Path, to: &Path) {
    let conn = Connection::open(from).unwrap();
    conn.execute("VACUUM INTO ?1", [to.to_str().unwrap()])
        .unwrap();
}

async fn done(world: &World) {
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
}

async fn stopped(world: &mut World) {
    world.crash_agent().await;
    world.crash_orchestrator().await;
}

/// Its database is `new.db`, which ends with two commits that the ledger lacks; the ledger went on from `old.db` by one.
/// The ledger of `new.db` lies in `ledger-new`.
async fn parted() -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let home = world.home.path().to_owned();
    let [now, old, new] = ["now.db", "old.db", "new.db"].map(|name| home.join(name));
    world.store = opened(&now);
    world = world.start().await;
    done(&world).await;
    stopped(&mut world).await;
    backup(&now, &old);
    world = world.start().await;
    for _ in 0..2 {
        done(&world).await;
    }
    stopped(&mut world).await;
    backup(&now, &new);
    copy(&ledger(&world), &home.join("ledger-new"));
    // The older one is put back, by the way out that is named for it, and work goes on.
    std::fs::remove_dir_all(ledger(&world)).unwrap();
    world.store = opened(&old);
    world = world.start().await;
    done(&world).await;
    told_once(&world).await;
    stopped(&mut world).await;
    world.store = opened(&new);
    world
}

/// It is all of one piece, and changes go on.
async fn is_firm(world: &World) {
    let (_, health) = world.get("/health").await;
    assert_eq!(health["components"]["ledger"], "ok", "{health:#}");
    done(world).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_database_beside_a_ledger_that_went_another_way_starts_no_change() {
    let mut world = parted().await;
    let main = git(&world, &["rev-parse", "main"]);
    world = world.start().await;
    let found = faults(&world, &[]).await;
    for words in [
        APART,
        "after batch 1 of ",
        "one commit of ",
        &main,
        "and 2 commits ",
        "lie in the database and not in the ledger",
        "Put back the database that belongs to this ledger",
    ] {
        assert!(found.contains(words), "{words}: {found}");
    }
    for wrong in ["the damaged one is kept", "foreign", "missing", "not ours"] {
        assert!(!found.contains(wrong), "{wrong}: {found}");
    }
    let (_, health) = world.get("/health").await;
    let said = health["components"]["ledger"].as_str().unwrap();
    assert!(said.starts_with(APART), "{said}");
    let reading = world.ask("ping nas").await;
    world.until(&reading, &["completed"]).await;
    let begun = world.worker.starts().len();
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let waits = |request: &Value| request.to_string().contains(&format!("{APART}, and what"));
    world.until_it(&id, "to wait for a person", waits).await;
    assert_eq!(world.worker.starts().len(), begun, "it was started");
    assert_eq!(git(&world, &["rev-parse", "main"]), main, "it was touched");
    // A stranger on top is named besides, and loosens nothing.
    let who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
    let slip = ["commit-tree", "-p", "main", "-m", "slip in", "main^{tree}"];
    let foreign = git(&world, &[&who[..], &slip[..]].concat());
    git(&world, &["update-ref", "refs/heads/main", &foreign]);
    stopped(&mut world).await;
    world = world.start().await;
    let (_, health) = world.get("/health").await;
    let said = health["components"]["ledger"].as_str().unwrap();
    assert!(said.starts_with(APART), "{said}");
    assert!(
        said.contains(&format!("foreign commit {foreign} by Mallory")),
        "{said}"
    );
    assert_eq!(world.worker.starts().len(), begun, "it was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_out_of_a_parting_works() {
    for way in ["the database", "the ledger", "moved away"] {
        let mut world = parted().await;
        let home = world.home.path().to_owned();
        match way {
            "the database" => world.store = opened(&home.join("old.db")),
            _ => std::fs::rename(ledger(&world), home.join("elsewhere")).unwrap(),
        }
        if way == "the ledger" {
            copy(&home.join("ledger-new"), &ledger(&world));
        }
        world = world.start().await;
        if way == "moved away" {
            told_once(&world).await;
        }
        is_firm(&world).await;
        stopped(&mut world).await;
    }
}

/// A database that was deleted is begun anew, and knows nothing of what the ledger tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_beside_a_ledger_is_an_older_one() {
    let mut world = World::plain(Act::Complete).await;
    done(&world).await;
    stopped(&mut world).await;
    world.store = opened(&world.home.path().join("empty.db"));
    world = world.start().await;
    let older = "the database is older than the ledger";
    let found = faults(&world, &[]).await;
    assert!(
        found.contains(older) && found.contains("one commit of "),
        "{found}"
    );
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let waits = |request: &Value| request.to_string().contains(&format!("{older}, and what"));
    world.until_it(&id, "to wait for a person", waits).await;
    stopped(&mut world).await;
    std::fs::rename(ledger(&world), world.home.path().join("elsewhere")).unwrap();
    world = world.start().await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
    world.holds_together().await;
}
