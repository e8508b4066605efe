//! The remote of the ledger: how it is, what somebody took back or forged there, and what it has lost.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use chiffon_bus::MemoryBus;
use serde_json::{Value, json};

use super::{
    WRITE,
    guile::{done, taken_back},
    proof::{copy, git},
    schedules::records,
    world::{Act, PATIENCE, World},
};

/// A fleet whose ledger was pushed to a remote in its home, twice, so that `main` there can be moved back.
async fn pushed() -> (World, PathBuf) {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let remote = world.home.path().join("remote.git");
    in_remote(&remote, &["init", "--quiet", "--bare", "."]);
    world.remote = Some(remote.display().to_string());
    let mut world = world.start().await;
    done(&world, WRITE).await;
    let main = git(&world, &["rev-parse", "main"]);
    until_pushed(&world, &remote, &main).await;
    done(&world, WRITE).await;
    // A push is made every half minute; the next start makes one at once.
    world.crash_agent().await;
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    taken_back(&world).await;
    let main = git(&world, &["rev-parse", "main"]);
    until_pushed(&world, &remote, &main).await;
    (world, remote)
}

/// Waits until `main` there is at this commit, or past it, and that is noted here.
async fn until_pushed(world: &World, remote: &Path, commit: &str) {
    let noted = async {
        loop {
            let refs = git(world, &["for-each-ref", "refs/chiffon/pushed"]);
            if refs.contains(commit) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let noted = tokio::time::timeout(3 * PATIENCE, noted).await;
    let there = in_remote(remote, &["for-each-ref"]);
    assert!(noted.is_ok(), "{commit} was not pushed: {there}");
}

fn in_remote(remote: &Path, arguments: &[&str]) -> String {
    std::fs::create_dir_all(remote).unwrap();
    let done = Command::new("git")
        .arg("-C")
        .arg(remote)
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "git {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Every object a file of its own.
fn unpack(remote: &Path) {
    let packs = remote.join("objects/pack");
    let aside = remote.join("aside");
    std::fs::rename(&packs, &aside).unwrap();
    std::fs::create_dir(&packs).unwrap();
    for one in std::fs::read_dir(&aside).unwrap() {
        let path = one.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            let pack = std::fs::File::open(path).unwrap();
            let done = Command::new("git")
                .arg("-C")
                .arg(remote)
                .args(["unpack-objects", "-q"])
                .stdin(pack)
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
        }
    }
}

async fn held(world: &World) -> String {
    let (status, report) = world
        .post("/api/v1/audit/verify", json!({ "remote": true }))
        .await;
    assert_eq!(status, 200, "{report}");
    let faults = report["faults"].as_array().unwrap();
    let faults = faults.iter().map(|fault| fault.as_str().unwrap());
    faults.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_the_remote_is_is_told_from_the_start_and_never_before_anybody_knows() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.remote = Some(world.home.path().join("nowhere.git").display().to_string());
    let mut world = world.start().await;
    let told = async |world: &World| {
        let (_, health) = world.get("/health").await;
        health["components"]["ledger_remote"].clone()
    };
    assert_ne!(told(&world).await, "ok", "nothing was pushed yet");
    done(&world, WRITE).await;
    let fault = async {
        loop {
            match told(&world).await {
                Value::Null => tokio::time::sleep(Duration::from_millis(50)).await,
                told => break told,
            }
        }
    };
    let fault = tokio::time::timeout(PATIENCE, fault).await.unwrap();
    assert_ne!(fault, "ok");
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let now = told(&world).await;
    let now = now.as_str().unwrap();
    assert!(now.starts_with(fault.as_str().unwrap()), "{now}");
    assert_eq!(
        records(&world, "remote", "ledger.remote_fault").await.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_that_was_emptied_moved_back_or_forged_is_named() {
    let (mut world, remote) = pushed().await;
    assert_eq!(held(&world).await, "");
    // Nothing that is pushed from now on is taken, so that nothing mends what is done there.
    world.crash_orchestrator().await;
    let scratch = world.home.path().join("scratch.git");
    let [whole, empty] = ["whole.git", "empty.git"].map(|name| world.home.path().join(name));
    in_remote(&empty, &["init", "--quiet", "--bare", "."]);
    copy(&remote, &whole);
    for one in [&whole, &empty] {
        let hook = one.join("hooks/pre-receive");
        std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let put = |other: &Path| {
        copy(other, &scratch);
        std::fs::remove_dir_all(&remote).unwrap();
        std::fs::rename(&scratch, &remote).unwrap();
    };
    let restore = || put(&whole);
    restore();
    world.start_orchestrator().await;
    assert_eq!(held(&world).await, "");

    let main = in_remote(&remote, &["rev-parse", "main"]);
    let earlier = in_remote(&remote, &["rev-parse", "main~2"]);
    let anchor = in_remote(
        &remote,
        &[
            "for-each-ref",
            "--format=%(refname)",
            "refs/chiffon/anchors",
        ],
    );
    let anchor = anchor.lines().last().unwrap().to_owned();

    in_remote(&remote, &["update-ref", "refs/heads/main", &earlier]);
    let found = held(&world).await;
    assert!(
        found.contains(&format!("its main is at {earlier}")),
        "{found}"
    );
    restore();
    in_remote(&remote, &["update-ref", "-d", "refs/heads/main"]);
    let found = held(&world).await;
    assert!(
        found.contains("it holds no main") && found.contains(&main),
        "{found}"
    );
    restore();
    in_remote(&remote, &["update-ref", "-d", &anchor]);
    let found = held(&world).await;
    assert!(
        found.contains(&format!("the anchor {anchor} was pushed")),
        "{found}"
    );
    restore();
    std::fs::write(remote.join("forged"), "{}").unwrap();
    let forged = in_remote(&remote, &["hash-object", "-w", "forged"]);
    in_remote(&remote, &["update-ref", &anchor, &forged]);
    let found = held(&world).await;
    assert!(
        found.contains(&format!("the anchor {anchor} is none that")),
        "{found}"
    );
    restore();
    assert_eq!(held(&world).await, "");
    // The day's anchor of the same seal, with the commit before.
    let text = in_remote(&remote, &["cat-file", "blob", &anchor]);
    std::fs::write(remote.join("forged"), text.replace(&main, &earlier)).unwrap();
    let forged = in_remote(&remote, &["hash-object", "-w", "forged"]);
    in_remote(&remote, &["update-ref", &anchor, &forged]);
    let found = held(&world).await;
    assert!(
        found.contains(&format!(
            "the anchor {anchor} is not the one that was pushed"
        )),
        "{found}"
    );
    restore();
    // What it names is here, and there it is gone.
    let tree = in_remote(&remote, &["rev-parse", "main~1^{tree}"]);
    in_remote(&remote, &["repack", "-a", "-d", "-q"]);
    unpack(&remote);
    let (folder, file) = tree.split_at(2);
    std::fs::remove_file(remote.join("objects").join(folder).join(file)).unwrap();
    let found = held(&world).await;
    assert!(
        found.contains("the history of its main cannot be had"),
        "{found}"
    );
    restore();
    assert_eq!(held(&world).await, "");

    put(&empty);
    let found = held(&world).await;
    assert!(
        found.contains("it holds no main") && found.contains(&main),
        "{found}"
    );
    assert!(found.contains(&anchor), "{found}");
    // Also where nothing is remembered here of what was pushed.
    let refs = git(
        &world,
        &["for-each-ref", "--format=%(refname)", "refs/chiffon/pushed"],
    );
    for one in refs.lines() {
        git(&world, &["update-ref", "-d", one]);
    }
    let found = held(&world).await;
    assert!(found.contains("it holds no main"), "{found}");
    assert!(found.contains("it holds no anchor"), "{found}");
    restore();
    in_remote(&remote, &["update-ref", "refs/heads/main", &earlier]);
    let found = held(&world).await;
    assert!(
        found.contains(&format!("its main is at {earlier}")),
        "{found}"
    );
}
