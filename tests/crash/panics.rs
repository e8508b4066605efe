//! Panics in every part of an agent: it ends as a whole, is started again beside a program that lives on, and what it had
//! begun comes to an honest end. And in the orchestrator's jobs: each is begun again, and none stays away.

use std::{collections::BTreeSet, fs, time::Duration};

use super::{
    cell::Cell,
    check::Demands,
    dice::{Dice, seeds},
    history::now,
    load::Parts,
    program::Surroundings,
};

/// Where a part of the agent panics, and from about which hit on: in its loop, what writes its journal, what publishes,
/// the bundle cache, and the worker.
const PARTS: [(&str, u64); 9] = [
    ("agent.journal.arrived", 20),
    ("agent.journal.after", 60),
    ("agent.bundle.before", 1),
    ("agent.start.before", 20),
    ("agent.spawn.before", 25),
    ("agent.run.during", 30),
    ("agent.end.before", 35),
    ("agent.publish.before", 40),
    ("agent.confirm.before", 45),
];

/// The same of the orchestrator's jobs, and of the lanes by which it hears agents.
const JOBS: [(&str, u64); 7] = [
    ("planning.commit.before", 5),
    ("dispatch.commit.before", 15),
    ("relay.publish.before", 30),
    ("inbound.commit.before", 60),
    ("timers.commit.before", 1),
    ("scribe.write.before", 10),
    ("heartbeat.commit.before", 2),
];

/// How long the load may need to reach all of them.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_agent_that_panics_leaves_nothing_running_and_does_nothing_twice() {
    all_panic("panics", &PARTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_the_orchestrator_that_panics_is_begun_again_and_nothing_is_lost_or_done_twice() {
    all_panic("jobs", &JOBS).await;
}

/// Under load each of these places panics once; the program lives on, and all holds that must.
async fn all_panic(name: &str, parts: &[(&str, u64)]) {
    for seed in seeds() {
        let mut dice = Dice::of(seed, 1);
        let orders: Vec<_> = parts
            .iter()
            .map(|(name, from)| match from {
                1 => format!("{name}=panic"),
                from => format!("{name}=panic@{}", from + dice.up_to(10)),
            })
            .collect();
        let mut cell = Cell::begin(name, seed, &Surroundings::armed("")).await;
        cell.begin_load(Parts::CHEAP).await;
        cell.until_ok(60, PATIENCE).await;
        cell.kill();
        let log = cell.yard.home.scratch().join("failpoints");
        let with = Surroundings::armed(&orders.join(";"))
            .env("CHIFFON_FAILPOINT_LOG", log.to_str().unwrap())
            // Naming the frames of one would take more memory than the fleet has, and keep it.
            .env("RUST_BACKTRACE", "0");
        cell.start(&with).await.expect("it starts again");
        let at = now();
        let panicked = || -> BTreeSet<String> {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let all: BTreeSet<_> = parts.iter().map(|(name, _)| (*name).to_owned()).collect();
        let until = std::time::Instant::now() + PATIENCE;
        while panicked() != all && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let seen = panicked();
        println!("panicked: {seen:?}");
        cell.history.fault("panics of its parts", at, seen == all);
        cell.until_ok(200, PATIENCE).await;
        let program = cell.program.as_mut().unwrap();
        assert!(program.ended().is_none(), "the program died of it");
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds(name, seed);
    }
}
