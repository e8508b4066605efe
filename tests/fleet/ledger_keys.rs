//! The key that signs the ledger is another one than before: nothing is signed by it, and it is named, until a person says
//! that it takes the place of the other. What the other signed stays good.

use std::time::Duration;

use chiffon_common::SshSigner;
use serde_json::{Value, json};

use super::{
    proof::{Past, faults, git},
    restored::verified,
    schedules::records,
    world::{PATIENCE, World},
};

fn fingerprint(secret: u8) -> String {
    SshSigner::from_secret([secret; 32]).fingerprint()
}

async fn told(world: &World, words: &str) {
    let told = async {
        loop {
            let (_, health) = world.get("/health").await;
            if health["components"]["ledger"].to_string().contains(words) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    assert!(told.is_ok(), "{words}: {:?}", world.get("/health").await);
}

async fn accept(world: &World, key: &str) -> (u16, Value) {
    let asked = json!({ "key": key, "because": "the disk was lost" });
    world.post("/api/v1/audit/key", asked).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_key_signs_nothing_until_a_person_says_that_it_may() {
    let (old, new) = (fingerprint(7), fingerprint(9));
    let past = Past::made().await;
    let mut world = past.copied("");
    let before = git(&world, &["rev-parse", "main"]);
    world.ledger_secret = [9; 32];
    world = world.start().await;
    told(&world, "explain 5511").await;
    let named = async |world: &World| {
        let found = faults(world, &[]).await;
        let lines: Vec<_> = found.lines().collect();
        assert_eq!(lines.len(), 1, "{found}");
        assert!(found.contains(&old) && found.contains(&new), "{found}");
    };
    named(&world).await;
    // Everything else goes on, and nothing is lost.
    let id = world.ask("How full are the disks on this machine?").await;
    world.until(&id, &["completed"]).await;
    named(&world).await;
    assert_eq!(git(&world, &["rev-parse", "main"]), before);

    let (status, problem) = accept(&world, &fingerprint(8)).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5511)), "{problem}");
    named(&world).await;
    let (status, answer) = accept(&world, &new).await;
    assert_eq!(
        (status, &answer["replaced"]),
        (200, &json!(old)),
        "{answer}"
    );
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
    told(&world, "ok").await;
    world.holds_together().await;
    let (_, notes) = verified(&world).await;
    let words = format!("{old} was replaced by {new}");
    assert!(
        notes[0].contains(&words) && notes[0].contains("the disk was lost"),
        "{notes:#?}"
    );
    let record = records(&world, "key", "ledger.key_replaced").await;
    assert_eq!(record[0]["seq"], answer["record"], "{record:#?}");
    assert_eq!(record[0]["record"]["entry"]["actor"]["id"], "local:anna");
    // Said twice it is no second record.
    let (status, answer) = accept(&world, &new).await;
    assert_eq!(
        (status, &answer["replaced"]),
        (200, &Value::Null),
        "{answer}"
    );

    // Made anew, what the old key signed is taken from the damaged one.
    let main = git(&world, &["rev-parse", "main"]);
    chiffon_tests::rot(&world.home.path().join("ledger"), "main").unwrap();
    let found = faults(&world, &[]).await;
    assert!(found.contains("made anew"), "{found}");
    world.holds_together().await;
    assert_eq!(git(&world, &["rev-parse", "main"]), main);

    // The old one, put back after that, is one that nobody put in force.
    world.crash_orchestrator().await;
    world.ledger_secret = [7; 32];
    world.start_orchestrator().await;
    told(&world, "explain 5511").await;
    named(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_key_signed_and_nobody_has_any_more_is_said() {
    let past = Past::made().await;
    let mut world = past.copied("");
    world.ledger_secret = [9; 32];
    world.start_orchestrator().await;
    let (status, _) = accept(&world, &fingerprint(9)).await;
    assert_eq!(status, 200);
    world.start_agent().await;
    let id = world.ask("How full are the disks on this machine?").await;
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world
        .until_it(&id, "a commit by the new key", recorded)
        .await;
    let main = git(&world, &["rev-parse", "main"]);
    world.crash_orchestrator().await;
    let kept = world.home.path().join("kept");
    let ledger = world.home.path().join("ledger");
    std::fs::rename(&ledger, &kept).unwrap();
    world.start_orchestrator().await;
    told(&world, "put it back from a clone").await;
    let found = faults(&world, &[]).await;
    assert!(!found.is_empty());
    // Each key signs its own again, the old one for one start.
    for (secret, words) in [(7, "put it back from a clone"), (9, "ok")] {
        world.crash_orchestrator().await;
        world.ledger_secret = [secret; 32];
        world.start_orchestrator().await;
        told(&world, words).await;
    }
    assert_eq!(git(&world, &["rev-parse", "main"]), main);
    // From a clone it goes on.
    world.crash_orchestrator().await;
    if ledger.exists() {
        std::fs::remove_dir_all(&ledger).unwrap();
    }
    std::fs::rename(&kept, &ledger).unwrap();
    world.start_orchestrator().await;
    told(&world, "ok").await;
}
