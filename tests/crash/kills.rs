//! F1, F2: SIGKILL at moments that nobody chose.

use std::time::Duration;

use super::{
    cell::{Cell, short},
    check::Demands,
    dice::{Dice, seeds},
    load::Parts,
    program::Surroundings,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    for seed in seeds() {
        let with = Surroundings::default();
        let mut dice = Dice::of(seed, 1);
        let mut cell = Cell::begin("kills", seed, &with).await;
        cell.begin_load(Parts::USUAL).await;
        for _life in 0..5 {
            let more = 60 + dice.up_to(60);
            cell.until_ok(usize::try_from(more).unwrap(), Duration::from_secs(30))
                .await;
            tokio::time::sleep(Duration::from_millis(dice.up_to(400))).await;
            cell.kill();
            cell.start(&with).await.expect("it starts again");
        }
        cell.until_ok(60, Duration::from_secs(30)).await;
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds("kills", seed);
    }
}

/// The control of every known mistake: without one, the program that has them built in is as good as the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mistake_the_short_cell_finds_nothing() {
    for seed in seeds() {
        let with = Surroundings::armed("");
        short("control", seed, &with)
            .await
            .assert_holds("control", seed);
    }
}
