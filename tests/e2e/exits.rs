//! Every exit code, reached by a command of a real person with a real fleet. Scripts rely on these numbers.

use std::{fs, path::PathBuf, time::Duration};

use chiffon_tests::wait_for;
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, id_of, metadata, newest};

const NOBODY: &str = "0199e2f4-77a1-7c40-8000-000000000001";

/// An entry that leaves a file when it has begun, and then stays for this long.
fn slow(fresh: &Fresh, seconds: u32) -> PathBuf {
    let marker = fresh.home.scratch().join("begun");
    let tasks = format!(
        "- name: Begin and stay\n  ansible.builtin.shell: echo begun >> {} && sleep {seconds}\n  changed_when: true\n",
        marker.display()
    );
    fresh.entry("stay", &metadata(900, "ask"), &tasks);
    marker
}

const STAY: [&str; 3] = ["run", "stay on localhost", "--yes=2"];

fn first_id(fresh: &Fresh) -> String {
    id_of(&newest(fresh))
}

#[test]
fn done_failed_not_permitted_not_found_denied_conflict_and_waiting() {
    let fresh = Fresh::new();
    let tasks = "- name: Fail\n  ansible.builtin.fail:\n    msg: it is broken\n";
    fresh.entry("broken", &metadata(60, "ask"), tasks);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let failed = fresh.run(&["run", "broken on localhost", "--yes=2"]);
    let failed = failed.expect_code(1);
    assert!(
        failed.stdout.contains("More: chiffon explain 5"),
        "{}",
        failed.stdout
    );
    fresh.run(&["run", ""]).expect_code(2);
    fresh.run(&["run", "x", "--bogus"]).expect_code(2);
    fresh.run(&["request", "show", NOBODY]).expect_code(3);

    let target = fresh.home.scratch().join("never");
    let change = format!(
        "write_file path={} content=x on localhost",
        target.display()
    );
    let waits = fresh.run(&["run", &change, "--no-input"]).expect_code(6);
    assert!(waits.stderr.contains("--yes"), "{}", waits.stderr);
    let id = first_id(&fresh);
    fresh.run(&["reject", &id]).expect_code(0);
    let denied = fresh.run(&["watch", &id]).expect_code(4);
    assert!(denied.stdout.contains("rejected"), "{}", denied.stdout);
    let closed = fresh.run(&["reject", &id]).expect_code(5);
    assert!(
        closed.stderr.contains("waits for no answer"),
        "{}",
        closed.stderr
    );
    assert!(!target.exists());
}

#[test]
fn unknown_is_what_nobody_can_say_when_the_fleet_is_killed_under_a_command() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, 600);
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let running = fresh.chiffon().spawn(&STAY);
    wait_for("the start", LIMIT, || marker.exists().then_some(()));
    up.kill_9();
    let ended = running.wait(LIMIT).expect_code(7);
    assert!(
        ended.stderr.contains("chiffon watch") && !ended.stderr.contains("chiffon run"),
        "{}",
        ended.stderr
    );
}

#[test]
fn too_late_by_the_time_limit_of_the_entry_and_by_that_of_the_command() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, 600);
    let tasks = "- name: Hang\n  ansible.builtin.command: sleep 600\n  changed_when: true\n";
    fresh.entry("hang", &metadata(3, "ask"), tasks);
    let hung = fresh
        .run(&["run", "hang on localhost", "--yes=2"])
        .expect_code(8);
    assert!(hung.stdout.contains("5411"), "{}", hung.stdout);

    // With a fleet of its own the request ends with the command.
    let late = fresh
        .run(&[&STAY[..], &["--timeout", "4"]].concat())
        .expect_code(8);
    assert!(late.stderr.contains("within 4 s"), "{}", late.stderr);
    let why = "cancelled by the command of ";
    assert!(late.stdout.contains(why), "{}", late.stdout);
    let limit = ", whose time limit of 4 s was over";
    assert!(late.stdout.contains(limit), "{}", late.stdout);
    let log = chiffon_tests::git(
        &fresh.home.path().join("ledger"),
        &["log", "-1", "--format=%B", "main"],
    );
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(log.contains("\nTime-Limit: 4 s\n"), "{log}");
    let _was_begun = fs::remove_file(&marker);

    // With a running one it goes on there.
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let late = fresh.run(&[&STAY[..], &["--timeout", "4", "--json"]].concat());
    let late = late.expect_code(8);
    let shown: Value = serde_json::from_str(&late.stdout).unwrap();
    assert_eq!(shown["ended"], false, "{shown:#}");
    assert!(late.stderr.contains("chiffon watch"), "{}", late.stderr);
    let id = shown["request_id"].as_str().unwrap();
    let watched = fresh.run(&["watch", id, "--timeout", "1"]).expect_code(8);
    assert!(watched.stderr.contains("within 1 s"), "{}", watched.stderr);
    let shown = fresh.run(&["request", "show", id, "--json"]).expect_code(0);
    assert!(
        shown.stdout.contains("\"ended\": false"),
        "{}",
        shown.stdout
    );
    fresh.run(&["request", "cancel", id]).expect_code(0);
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
}

#[test]
fn ctrl_c_cancels_what_is_ours_and_leaves_what_is_not() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, 600);
    let mut running = fresh.chiffon().spawn(&STAY);
    wait_for("the start", LIMIT, || marker.exists().then_some(()));
    running.interrupt();
    let ended = running.wait(LIMIT).expect_code(130);
    assert!(ended.stdout.contains("cancelled"), "{}", ended.stdout);
    fs::remove_file(&marker).unwrap();

    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let mut running = fresh.chiffon().spawn(&STAY);
    wait_for("the start", LIMIT, || marker.exists().then_some(()));
    running.terminate();
    let ended = running.wait(LIMIT).expect_code(130);
    assert!(
        ended.stderr.contains("goes on without you"),
        "{}",
        ended.stderr
    );
    let mut watching = fresh.chiffon().spawn(&["watch", "--after", "0"]);
    watching.wait_for_line("request.created", LIMIT);
    watching.interrupt();
    watching.wait(Duration::from_secs(30)).expect_code(130);
    fresh
        .run(&["request", "cancel", &first_id(&fresh)])
        .expect_code(0);
}
