//! `chiffon schedule` with the real program: made, looked at, changed and removed by hand, refused in words, run at once,
//! and asking by itself while `chiffon up` runs, a kill -9 between included.

use chiffon_tests::wait_for;
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, json, up};

fn schedule(fresh: &Fresh, id: &str) -> Value {
    json(
        &fresh
            .run(&["schedule", "show", id, "--json"])
            .expect_code(0)
            .stdout,
    )
}

fn add(fresh: &Fresh, rest: &[&str]) -> String {
    let made = fresh.run(&[&["schedule", "add"], rest, &["--json"]].concat());
    let made = json(&made.expect_code(0).stdout);
    made["schedule_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_schedule_is_made_looked_at_changed_and_removed_by_hand() {
    let fresh = Fresh::new();
    let text = "How full are the disks on this machine?";
    let id = add(
        &fresh,
        &[
            text,
            "--cron",
            "0 7 * * *",
            "--zone",
            "Europe/Berlin",
            "--title",
            "Disks",
        ],
    );
    let listed = fresh.run(&["schedule", "list"]).expect_code(0).stdout;
    assert!(
        listed.contains(&id) && listed.contains("0 7 * * * Europe/Berlin"),
        "{listed}"
    );
    assert!(listed.contains("Disks: How full are"), "no title: {listed}");
    let shown = fresh.run(&["schedule", "show", &id]).expect_code(0).stdout;
    for wanted in [
        "Disks",
        text,
        "active",
        "once",
        "request list --room schedule:",
    ] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    let nothing = fresh.run(&["schedule", "edit", &id]).expect_code(2);
    assert!(
        nothing.stderr.contains("nothing to change"),
        "{}",
        nothing.stderr
    );
    for unknown in [
        "nightly",
        "ffffffff",
        "0199e2f4-77a1-7c40-8000-000000000009",
    ] {
        let gone = fresh.run(&["schedule", "show", unknown]).expect_code(3);
        assert!(gone.stderr.contains("schedule list"), "{}", gone.stderr);
    }
    fresh
        .run(&[
            "schedule", "edit", &id, "--cron", "@hourly", "--missed", "skip",
        ])
        .expect_code(0);
    let now = schedule(&fresh, &id);
    assert_eq!(
        (&now["cron"], &now["missed"]),
        (&"@hourly".into(), &"skip".into())
    );
    assert_eq!(
        (&now["title"], &now["text"]),
        (&"Disks".into(), &text.into())
    );
    let next = fresh
        .run(&["schedule", "next", &id, "-n", "3"])
        .expect_code(0)
        .stdout;
    assert_eq!(next.lines().count(), 3, "{next}");
    let paused = fresh.run(&["schedule", "pause", &id]).expect_code(0).stdout;
    assert!(paused.contains("paused"), "{paused}");
    fresh.run(&["schedule", "resume", &id]).expect_code(0);
    fresh
        .run(&["schedule", "run", &id, "--timeout", "170"])
        .expect_code(0);
    let room = format!("schedule:{id}");
    let history = fresh
        .run(&["request", "list", "--room", &room, "--json"])
        .expect_code(0);
    let history = json(&history.stdout);
    assert_eq!(history["items"][0]["state"], "completed", "{history:#}");
    fresh.run(&["schedule", "remove", &id]).expect_code(0);
    let gone = fresh.run(&["schedule", "show", &id]).expect_code(3);
    assert!(gone.stderr.contains("schedule list"), "{}", gone.stderr);
}

#[test]
fn one_time_is_shown_in_the_zone_that_it_was_given_in() {
    let fresh = Fresh::new();
    let ping = "ping localhost";
    let berlin = ["--at", "2040-05-01T03:00", "--zone", "Europe/Berlin"];
    let at_it = ["--at", "2040-05-01T03:00[Europe/Berlin]"];
    let words = "Tue 2040-05-01 03:00 +02:00 Europe/Berlin (2040-05-01 01:00:00 UTC)";
    for at in [&berlin[..], &at_it] {
        let id = add(&fresh, &[&[ping], at].concat());
        for args in [&["schedule", "show", &id][..], &["schedule", "list"]] {
            let shown = fresh.run(args).expect_code(0).stdout;
            assert!(shown.contains(words), "{args:?}: {shown}");
        }
        // Another time without a zone is of the same one; one with an offset brings its own.
        let edit = |at: &str| {
            fresh
                .run(&["schedule", "edit", &id, "--at", at])
                .expect_code(0)
                .stdout
        };
        let shown = edit("2040-06-01T03:00");
        assert!(shown.contains("03:00 +02:00 Europe/Berlin"), "{shown}");
        let shown = edit("2040-06-01T03:00-05:00");
        assert!(
            shown.contains("Fri 2040-06-01 03:00 -05:00 (2040-06-01 08:00:00 UTC)"),
            "{shown}"
        );
        fresh.run(&["schedule", "remove", &id]).expect_code(0);
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason_and_stores_nothing() {
    let fresh = Fresh::new();
    for (rest, code, words) in [
        (
            &["ping localhost", "--cron", "61 * * * *"][..],
            2,
            "the field minute (\"61\")",
        ),
        (
            &["ping localhost", "--cron", "0 0 30 2 *"],
            2,
            "never comes",
        ),
        (
            &[
                "ping localhost",
                "--cron",
                "@daily",
                "--zone",
                "Europe/Berln",
            ],
            2,
            "Europe/Berlin?",
        ),
        (
            &["ping localhost", "--at", "2020-01-01T00:00"],
            2,
            "has passed",
        ),
        (&["ping localhost"], 2, "--cron"),
        (&["--cron", "@daily"], 2, "Neither a sentence nor --entry"),
        (&[], 2, "Neither a sentence nor --entry"),
        (&["make me a sandwich", "--cron", "@daily"], 2, ""),
        (
            &["--entry", "ping", "--on", "mars", "--cron", "@daily"],
            2,
            "mars",
        ),
        (
            &[
                "ping localhost",
                "--cron",
                "@daily",
                "--at",
                "2040-01-01T00:00",
            ],
            2,
            "--at",
        ),
    ] {
        let refused = fresh
            .run(&[&["schedule", "add"], rest].concat())
            .expect_code(code);
        assert!(
            refused.stderr.contains(words),
            "{words}: {}",
            refused.stderr
        );
    }
    let none = fresh.run(&["schedule", "list"]).expect_code(0).stdout;
    assert!(none.contains("no such schedules"), "{none}");
    let tried = fresh.run(&[
        "schedule",
        "next",
        "--cron",
        "30 3 * * MON",
        "--zone",
        "Europe/Berlin",
    ]);
    assert_eq!(tried.expect_code(0).stdout.lines().count(), 5);
    fresh
        .run(&["schedule", "next", "--cron", "30 3 * *"])
        .expect_code(2);
    let neither = fresh.run(&["schedule", "next"]).expect_code(2);
    assert!(neither.stderr.contains("nor --cron"), "{}", neither.stderr);
    fresh.run(&["schedule", "pause", "abc"]).expect_code(2);
    fresh
        .run(&["schedule", "pause", "abcdef123"])
        .expect_code(3);
    let folder = tempfile::tempdir().unwrap();
    let path = format!("path={}", folder.path().join("x").display());
    let change = [
        "--entry",
        "write_file",
        "--on",
        "localhost",
        "--parameter",
        &path,
        "--parameter",
        "content=y",
        "--cron",
        "@daily",
    ];
    let id = add(&fresh, &change);
    let unread = fresh
        .run(&["schedule", "approve", &id, "--no-input"])
        .expect_code(2);
    assert!(
        unread.stderr.contains("--digest sha256:"),
        "{}",
        unread.stderr
    );
    let wrong = format!("sha256:{}", "0".repeat(64));
    fresh
        .run(&["schedule", "approve", &id, "--digest", &wrong])
        .expect_code(5);
    assert_eq!(schedule(&fresh, &id).get("standing"), None);
    // The right one holds, also for a run by hand: it is seen through, and nobody is asked.
    let digest = unread.stderr.split("--digest ").nth(1).unwrap();
    let digest = digest.split_whitespace().next().unwrap();
    let digest = digest.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
    fresh
        .run(&["schedule", "approve", &id, "--digest", digest])
        .expect_code(0);
    let ran = fresh
        .run(&["schedule", "run", &id, "--no-input", "--timeout", "170"])
        .expect_code(0);
    assert!(!ran.stderr.contains("waits for approval"), "{}", ran.stderr);
    // What no standing approval is for is said before a command is shown.
    let grave = [
        "--entry",
        "reboot_host",
        "--on",
        "localhost",
        "--cron",
        "@daily",
    ];
    let grave = add(&fresh, &grave);
    let refused = fresh.run(&["schedule", "approve", &grave]).expect_code(5);
    assert!(refused.stderr.contains("of tier 2"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--digest"), "{}", refused.stderr);
}

/// A schedule for a time that comes in so many seconds, unless they were too few.
fn soon(fresh: &Fresh, seconds: i64) -> Option<(String, jiff::Timestamp)> {
    let due = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let at = due.to_string();
    let made = fresh.run(&["schedule", "add", "ping localhost", "--at", &at, "--json"]);
    let id = (made.code() == Some(0)).then(|| json(&made.stdout)["schedule_id"].clone())?;
    Some((id.as_str()?.to_owned(), due))
}

#[test]
fn a_schedule_asks_by_itself_while_the_fleet_is_up_and_only_once_whoever_dies() {
    let fresh = Fresh::new();
    fresh.run(&["schedule", "list"]).expect_code(0);
    // On a busy machine the near time has passed before it is heard.
    let (id, due) = [4, 20, 60]
        .into_iter()
        .find_map(|seconds| soon(&fresh, seconds))
        .expect("a time that is yet to come");
    // A command that comes and goes begins nothing.
    wait_for("its time", LIMIT, || {
        (jiff::Timestamp::now() > due).then_some(())
    });
    assert_eq!(schedule(&fresh, &id)["state"], "active");
    let mut killed = up(&fresh);
    wait_for("its request", LIMIT, || {
        schedule(&fresh, &id)["last_request"]
            .is_string()
            .then_some(())
    });
    killed.kill_9();
    let mut up = up(&fresh);
    wait_for("its end", LIMIT, || {
        (schedule(&fresh, &id)["last_is_open"] == false).then_some(())
    });
    let room = format!("schedule:{id}");
    let history = fresh
        .run(&["request", "list", "--room", &room, "--json"])
        .expect_code(0);
    let history = json(&history.stdout);
    assert_eq!(history["items"].as_array().unwrap().len(), 1, "{history:#}");
    assert_eq!(history["items"][0]["schedule"]["schedule_id"], id.as_str());
    assert_eq!(schedule(&fresh, &id)["state"], "ended");
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
}
