//! F1, F2: SIGKILL between every two durable steps, one after the other in one history.

use std::{fs, process::Command, time::Duration};

use chiffon_failpoint::ALL;

use super::{
    cell::Cell,
    check::Demands,
    dice::{Dice, seeds},
    load::Parts,
    program::{DiedEarly, Surroundings, was_killed},
};

/// Failpoints that no load of minutes reaches, and where what lies around them is tested instead.
const EXCUSED: [(&str, &str); 1] = [(
    "history.commit.before",
    "rows must be a day old before they are forgotten; store/src/conformance/history.rs cuts that transaction",
)];

/// How long the load may need to reach one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The hit that kills is one of the first so many.
fn hits(name: &str) -> u64 {
    match name {
        "agent.bundle.before"
        | "agent.bundle.after"
        | "ledger.rebuild.before"
        | "ledger.rebuild.between" => 1,
        "store.seal.before" | "store.commit.before" | "store.commit.after" => 50,
        _ if name.starts_with("advance.") || name.starts_with("inbound.") => 15,
        _ if name.starts_with("agent.journal.") || name.starts_with("relay.") => 8,
        _ if name.starts_with("intake.")
            || name.starts_with("planning.")
            || name.starts_with("dispatch.") =>
        {
            6
        }
        "agent.ack.before" | "agent.start.before" | "agent.spawn.before" | "agent.run.during" => 4,
        "agent.end.before" | "agent.publish.before" | "agent.confirm.before" => 4,
        _ if name.starts_with("scribe.") || name.starts_with("ledger.") => 3,
        _ => 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_every_two_durable_steps_it_loses_nothing_and_does_nothing_twice() {
    for seed in seeds() {
        one_after_the_other(seed).await;
    }
}

async fn one_after_the_other(seed: u64) {
    let mut dice = Dice::of(seed, 1);
    let mut cell = Cell::begin("failpoints", seed, &Surroundings::armed("")).await;
    cell.begin_load(Parts::USUAL).await;
    cell.until_ok(100, PATIENCE).await;
    cell.kill();
    let mut names: Vec<_> = ALL
        .iter()
        .copied()
        .filter(|name| EXCUSED.iter().all(|(excused, _)| excused != name))
        .collect();
    for at in (1..names.len()).rev() {
        let other = dice.up_to(u64::try_from(at).unwrap());
        names.swap(at, usize::try_from(other).unwrap());
    }
    let mut missed = Vec::new();
    for name in names {
        let hit = 1 + dice.up_to(hits(name) - 1);
        let begun = std::time::Instant::now();
        let reached = reach(&mut cell, name, hit).await;
        println!(
            "{name}@{hit}: {} after {:.1?}",
            if reached { "killed" } else { "not reached" },
            begun.elapsed()
        );
        if !reached {
            missed.push(name);
        }
    }
    // Once more where the load of that moment did not come by, and then it has to.
    let again = std::mem::take(&mut missed);
    for name in again {
        println!("{name} was not reached at first");
        if !reach(&mut cell, name, 1).await {
            missed.push(name);
        }
    }
    let with = Surroundings::armed("");
    let verdict = cell.finish(&with, Demands::USUAL).await;
    assert!(
        missed.is_empty(),
        "CHIFFON_SEED={seed}: the load never reached {missed:?}\n{}",
        verdict.report
    );
    verdict.assert_holds("failpoints", seed);
}

/// A life that dies at this hit of this failpoint; whether it did.
async fn reach(cell: &mut Cell, name: &str, hit: u64) -> bool {
    let log = cell.yard.home.scratch().join("failpoints");
    let remote = cell.yard.home.scratch().join("remote.git");
    let mut with = Surroundings::armed(&format!("{name}=kill@{hit}"))
        .env("CHIFFON_FAILPOINT_LOG", log.to_str().unwrap());
    if name.starts_with("remote.") {
        let made = Command::new("git")
            .args(["init", "-q", "--bare"])
            .arg(&remote)
            .status();
        assert!(made.unwrap().success());
        with = with.env("CHIFFON_LEDGER__REMOTE", remote.to_str().unwrap());
    }
    if name.starts_with("ledger.rebuild.") && !cell.rot_the_ledger() {
        return false;
    }
    // Only what a run leaves behind is swept.
    if name.starts_with("agent.sweep.") && !Box::pin(reach(cell, "agent.run.during", 1)).await {
        return false;
    }
    let before = passed(&log, name);
    let what = format!("kill at {name}, hit {hit}");
    let ended = match cell.start(&with).await {
        // Nobody could ask it anything yet.
        Err(DiedEarly(status)) => {
            cell.died_early(&what);
            Some(status)
        }
        Ok(()) => {
            let proposal = format!("{}-{}", name.replace('.', "-"), cell.lives());
            match name {
                "proposals.taken" => propose(cell, &proposal).await,
                "proposals.refused" => cell.propose_nonsense(&proposal).await,
                _ => {}
            }
            cell.wait_for_death(&what, PATIENCE).await
        }
    };
    match ended {
        Some(status) => {
            assert!(was_killed(status), "{what}: it ended with {status:?}");
            assert!(passed(&log, name) > before, "{what}: it died elsewhere");
            true
        }
        None => {
            cell.kill();
            false
        }
    }
}

/// How often the log says that this one acted.
fn passed(log: &std::path::Path, name: &str) -> usize {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| *line == name).count()
}

/// Real runs may be cut off or refused on the way; a few tries are enough.
async fn propose(cell: &Cell, name: &str) {
    let mut dice = Dice::of(cell.seed, u64::try_from(cell.lives()).unwrap());
    for again in 0..5 {
        if cell
            .propose_an_undo(&format!("{name}-{again}"), &mut dice)
            .await
        {
            return;
        }
    }
}
