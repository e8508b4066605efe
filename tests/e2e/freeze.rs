//! `chiffon freeze` and `chiffon thaw` as people and scripts meet them.

use crate::fresh::{Fresh, id_of, json, newest, up};

#[test]
fn a_frozen_fleet_says_so_everywhere_and_goes_on_after_the_thaw() {
    let fresh = Fresh::new();
    let _up = up(&fresh);
    let target = fresh.home.scratch().join("frozen");
    let change = format!(
        "write_file path={} content=x on localhost",
        target.display()
    );
    fresh.run(&["run", &change, "--no-input"]).expect_code(6);
    let change = id_of(&newest(&fresh));
    let frozen = fresh.run(&["freeze", "backup until noon"]).expect_code(0);
    assert!(
        frozen.stdout.contains("frozen by local:") && frozen.stdout.contains("backup until noon"),
        "{}",
        frozen.stdout
    );
    let again = fresh.run(&["freeze", "another reason"]).expect_code(5);
    assert!(
        again.stderr.contains("5306") && again.stderr.contains("backup until noon"),
        "{}",
        again.stderr
    );
    let empty = fresh.run(&["freeze", "  "]);
    assert_ne!(empty.code(), Some(0));
    assert!(empty.stderr.contains("reason"), "{}", empty.stderr);
    for command in [&["status"][..], &["doctor"]] {
        let told = fresh.run(command);
        assert!(
            told.stdout.contains("backup until noon") && told.stdout.contains("chiffon thaw"),
            "{command:?}: {}",
            told.stdout
        );
    }
    let late = fresh
        .run(&["run", "ping localhost", "--no-input", "--timeout", "5"])
        .expect_code(8);
    assert!(
        late.stderr.contains("waits: frozen by local:"),
        "{}",
        late.stderr
    );
    let id = id_of(&newest(&fresh));
    let shown = fresh.run(&["request", "show", &id]).expect_code(0);
    assert!(
        shown.stdout.contains("waits: frozen by local:"),
        "{}",
        shown.stdout
    );
    let asked = fresh
        .run(&["request", "show", &change, "--json"])
        .expect_code(0);
    let asked = json(&asked.stdout);
    let digest = asked["plan"]["digest"].as_str().unwrap();
    let approved = fresh
        .run(&["approve", &change, "--digest", digest])
        .expect_code(0);
    assert!(
        approved.stderr.contains("It waits: frozen by local:"),
        "{}",
        approved.stderr
    );
    let thawed = fresh.run(&["thaw"]).expect_code(0);
    assert!(
        thawed.stdout.contains("backup until noon"),
        "{}",
        thawed.stdout
    );
    // By itself: nobody asks for it again.
    fresh.run(&["watch", &id]).expect_code(0);
    let shown = fresh.run(&["request", "show", &id, "--json"]);
    assert_eq!(json(&shown.expect_code(0).stdout)["state"], "completed");
    fresh.run(&["watch", &change]).expect_code(0);
    assert!(target.exists(), "approved, and never begun");
    let nothing = fresh.run(&["thaw"]).expect_code(0);
    assert!(nothing.stdout.contains("not frozen"), "{}", nothing.stdout);
    let events = fresh.run(&[
        "watch",
        "--after",
        "0",
        "--type",
        "fleet.",
        "--timeout",
        "3",
        "-o",
        "ndjson",
    ]);
    for told in ["fleet.frozen", "fleet.thawed", "backup until noon"] {
        assert!(events.stdout.contains(told), "{}", events.stdout);
    }
}
