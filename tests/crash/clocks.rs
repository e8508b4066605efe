//! F17: the wall clock jumps an hour forward and back, under a running program and over a restart. The clocks that
//! count from the boot are left alone, as they are when somebody sets the time.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use chiffon_tests::not_run;

use super::{
    cell::Cell,
    check::Demands,
    dice::{Dice, seeds},
    history::now,
    load::Parts,
    program::Surroundings,
};

/// The library that lies about the time, where Debian's package puts it.
fn liar() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    places.find(|place| place.is_file())
}

/// Says what the time is to be, as an offset from the real one. Renamed into place, so that no half of it is read.
fn set(clock: &Path, hours: i64) {
    let draft = clock.with_extension("new");
    fs::write(&draft, format!("{:+}\n", hours * 3_600)).unwrap();
    fs::rename(&draft, clock).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_an_hour_ends_nothing_early_and_runs_nothing_twice() {
    let Some(liar) = liar() else {
        return not_run(
            "crash: the clock jumps (F17)",
            "libfaketime is not installed (Debian: faketime)",
        );
    };
    for seed in seeds() {
        let mut dice = Dice::of(seed, 1);
        let folder = tempfile::tempdir().unwrap();
        let clock = folder.path().join("clock");
        set(&clock, 0);
        let with = Surroundings::default()
            .env("LD_PRELOAD", liar.to_str().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        let mut cell = Cell::begin("clocks", seed, &with).await;
        cell.begin_load(Parts::CHEAP).await;
        let mut jumps = vec![1, 0, -1, 0];
        if dice.percent(50) {
            jumps = vec![-1, 0, 1, 0];
        }
        for (at, hours) in jumps.into_iter().enumerate() {
            cell.until_ok(120, Duration::from_secs(60)).await;
            // Every other time while it is down.
            if at % 2 == 0 {
                let moment = now();
                set(&clock, hours);
                let seen = cell.sees_the_time(hours).await;
                cell.history
                    .fault(&format!("the clock jumps to {hours:+} h"), moment, seen);
            } else {
                cell.kill();
                set(&clock, hours);
                cell.start(&with).await.expect("it starts again");
            }
        }
        cell.until_ok(120, Duration::from_secs(60)).await;
        cell.finish(&with, Demands::USUAL)
            .await
            .assert_holds("clocks", seed);
    }
}

impl Cell {
    /// Whether the program plans from a time so many hours away from ours.
    async fn sees_the_time(&self, hours: i64) -> bool {
        let target = self.calls.target().unwrap();
        for _look in 0..200 {
            // The next full minute, as it has it.
            let answer = reqwest::Client::new()
                .post(format!("{}/api/v1/schedules/next", target.url))
                .bearer_auth(&target.token)
                .json(&serde_json::json!({ "cron": "* * * * *", "count": 1 }))
                .send()
                .await;
            let next: Option<jiff::Timestamp> = match answer {
                Ok(answer) => {
                    let body: serde_json::Value = answer.json().await.unwrap_or_default();
                    body["times"][0].as_str().and_then(|time| time.parse().ok())
                }
                Err(_) => None,
            };
            if let Some(next) = next {
                let ahead = next.as_second() - jiff::Timestamp::now().as_second();
                if (ahead - hours * 3_600).abs() < 300 {
                    return true;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}
