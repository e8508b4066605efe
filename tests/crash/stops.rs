//! F3, F12, F22: stopped for longer than contact may be lost, the database held by another process, and asked to end
//! under load.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    cell::Cell,
    check::Demands,
    dice::{Dice, seeds},
    history::now,
    load::Parts,
    program::Surroundings,
};

/// Longer than the minute of silence after which contact with an agent counts as lost.
const LONG: Duration = Duration::from_secs(65);
/// Longer than the first wait for an acknowledgement.
const SHORT: Duration = Duration::from_secs(4);
/// More than the thirty seconds that runs get to end by themselves.
const GRACE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_for_longer_than_contact_may_be_lost_it_goes_on_and_runs_nothing_twice() {
    for seed in seeds() {
        let with = Surroundings::default();
        let mut cell = Cell::begin("stops", seed, &with).await;
        cell.begin_load(Parts::CHEAP).await;
        for pause in [SHORT, LONG] {
            cell.until_ok(250, Duration::from_secs(60)).await;
            let at = now();
            let program = cell.program.as_mut().unwrap();
            program.signal(Signal::STOP);
            let is_stopped = program.wait_until_stopped().await;
            tokio::time::sleep(pause).await;
            cell.history
                .fault(&format!("SIGSTOP for {pause:?}"), at, is_stopped);
            cell.program.as_mut().unwrap().signal(Signal::CONT);
        }
        cell.until_ok(250, Duration::from_secs(60)).await;
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds("stops", seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_under_load_it_ends_in_good_order_and_goes_on_with_the_next_start() {
    for seed in seeds() {
        let with = Surroundings::default();
        let mut dice = Dice::of(seed, 1);
        let mut cell = Cell::begin("terms", seed, &with).await;
        cell.begin_load(Parts::USUAL).await;
        for _life in 0..3 {
            let more = usize::try_from(120 + dice.up_to(60)).unwrap();
            cell.until_ok(more, Duration::from_secs(60)).await;
            let ended = cell.terminate(GRACE).await;
            let ended = ended
                .unwrap_or_else(|| panic!("CHIFFON_SEED={seed}: it still runs after {GRACE:?}"));
            assert_eq!(ended.code(), Some(0), "CHIFFON_SEED={seed}: {ended:?}");
            let streams = cell.ends_of_streams();
            assert_eq!(
                streams.last().map(String::as_str),
                Some("ended"),
                "CHIFFON_SEED={seed}: {streams:?}"
            );
            cell.start(&with).await.expect("it starts again");
        }
        cell.until_ok(120, Duration::from_secs(60)).await;
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds("terms", seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_process_holds_the_database_nothing_is_lost_and_afterwards_it_goes_on() {
    for seed in seeds() {
        let with = Surroundings::default();
        let mut dice = Dice::of(seed, 1);
        let mut cell = Cell::begin("locked", seed, &with).await;
        cell.begin_load(Parts::CHEAP).await;
        for held in [1, 4, 8] {
            cell.until_ok(150, Duration::from_secs(60)).await;
            let held = Duration::from_millis(held * 1_000 + dice.up_to(900));
            let path = cell.yard.home.path().join("chiffon.db");
            let at = now();
            let locked = tokio::task::spawn_blocking(move || hold(&path, held))
                .await
                .unwrap();
            cell.history
                .fault(&format!("the database is held for {held:?}"), at, locked);
        }
        cell.until_ok(150, Duration::from_secs(60)).await;
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds("locked", seed);
    }
}

/// Holds the write lock; whether it was got. This test is another process to the program.
fn hold(path: &std::path::Path, held: Duration) -> bool {
    let mut other = rusqlite::Connection::open(path).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let Ok(locked) = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
    else {
        return false;
    };
    std::thread::sleep(held);
    locked.rollback().is_ok()
}
