//! Commands that hand in, change and export: what they do, and what they refuse.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use chiffon_tests::wait_for;
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, id_of, json, newest, up, waiting_change};

#[test]
fn ask_comes_back_at_once_and_what_is_kept_goes_on_later() {
    let fresh = Fresh::new();
    let kept = fresh.run(&["ask", "ping localhost", "--room", "kitchen", "--json"]);
    let kept = kept.expect_code(0);
    assert!(kept.stderr.contains("is kept"), "{}", kept.stderr);
    let id = id_of(&json(&kept.stdout));
    assert_eq!(json(&kept.stdout)["state"], "received");
    let asked = newest(&fresh);
    assert_eq!(
        (&asked["room_id"], &asked["ended"]),
        (&"kitchen".into(), &false.into())
    );
    fresh.run(&["watch", &id]).expect_code(0);

    let mut up = up(&fresh);
    let mut from_input = fresh
        .chiffon()
        .command(&["ask", "-", "--idempotency-key", "k1"]);
    let mut child = from_input.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"ping localhost\n")
        .unwrap();
    let first = child.wait_with_output().unwrap();
    let first = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(first.contains("Watch it: chiffon watch"), "{first}");
    let again = fresh.run(&["ask", "ping localhost", "--idempotency-key", "k1", "--json"]);
    let again = again.expect_code(0);
    assert!(!again.stderr.contains("kept"), "{}", again.stderr);
    let id = id_of(&json(&again.stdout));
    assert!(first.contains(&id), "another request: {first}");
    let other = fresh.run(&["ask", "ping nowhere", "--idempotency-key", "k1"]);
    assert!(other.expect_code(2).stderr.contains("chiffon explain"));
    wait_for("its end", LIMIT, || {
        let shown = fresh.run(&["request", "show", &id, "--json"]).stdout;
        (json(&shown)["state"] == "completed").then_some(())
    });
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
    fresh.run(&["ask", "", "--room", "a b"]).expect_code(2);
}

#[test]
fn an_entry_is_started_with_parameters_from_the_line_and_from_a_file() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("from-file");
    let file = fresh.home.scratch().join("parameters.yml");
    let text = format!("path: {}\ncontent: of the file\n", target.display());
    fs::write(&file, text).unwrap();
    let run = |rest: &[&str]| {
        let base = [
            "catalogue",
            "run",
            "write_file",
            "--on",
            "localhost",
            "--parameters",
        ];
        fresh.run(&[&base[..], &[file.to_str().unwrap()], rest].concat())
    };
    // A dry run is closed, whatever is agreed to beforehand, and changes nothing.
    let planned = run(&["--dry-run", "--yes"]).expect_code(0);
    assert!(
        planned.stdout.contains("+of the file"),
        "{}",
        planned.stdout
    );
    assert!(
        planned.stderr.contains("nothing was changed"),
        "{}",
        planned.stderr
    );
    let closed = newest(&fresh);
    assert_eq!(closed["state"], "rejected");
    let shown = fresh
        .run(&["request", "show", &id_of(&closed)])
        .expect_code(0);
    assert!(shown.stdout.contains("a dry run"), "{}", shown.stdout);
    assert!(!target.exists(), "the dry run changed something");

    let done = run(&["content=of the line", "--yes", "--project", "lab"]).expect_code(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "of the line");
    assert!(done.stdout.contains("ledger"), "{}", done.stdout);
    let request = newest(&fresh);
    assert_eq!(request["project_id"], "lab");

    // The same again is another request, with its own plan: there is nothing left to do.
    let again = fresh
        .run(&["request", "retry", &id_of(&request), "--yes"])
        .expect_code(0);
    assert!(again.stdout.contains("completed"), "{}", again.stdout);
    assert_eq!(newest(&fresh)["retry_of"], request["request_id"]);
    let open = waiting_change(&fresh);
    let refused = fresh.run(&["request", "retry", &open]).expect_code(5);
    assert!(
        refused.stderr.contains("has not ended"),
        "{}",
        refused.stderr
    );

    let bad = run(&["mode=rwx", "owner:=[1]", "colour=blue"]).expect_code(2);
    for wanted in [
        "/parameters/owner",
        "/parameters/colour",
        "catalogue show write_file",
    ] {
        assert!(bad.stderr.contains(wanted), "{wanted}: {}", bad.stderr);
    }
    for (arguments, code, said) in [
        (&["catalogue", "run", "pingg"][..], 3, "did you mean ping?"),
        (
            &["catalogue", "run", "ping", "--on", "nowhere"],
            2,
            "nowhere",
        ),
        (&["catalogue", "run", "ping", "colour"], 2, "NAME=TEXT"),
        (
            &["catalogue", "run", "ping", "--parameters", "/none.yml"],
            2,
            "/none.yml",
        ),
        (&["catalogue", "run", "\u{1b}[2J"], 3, "\\u{1b}[2J"),
    ] {
        let refused = fresh.run(arguments).expect_code(code);
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        assert!(!refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
    }
}

#[test]
fn a_dry_run_of_a_sentence_plans_only_and_what_only_reads_runs() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("never");
    let change = format!("write \"x\" to {} on this machine", target.display());
    let planned = fresh
        .run(&["run", &change, "--dry-run", "--json"])
        .expect_code(0);
    let planned = json(&planned.stdout);
    assert_eq!(planned["state"], "rejected");
    assert!(planned["plan"]["digest"].is_string(), "{planned:#}");
    assert!(!target.exists());
    let read = fresh
        .run(&["run", "ping localhost", "--dry-run"])
        .expect_code(0);
    assert!(read.stdout.contains("localhost answers"), "{}", read.stdout);
}

#[test]
fn an_export_holds_every_record_and_writes_over_nothing() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let file = fresh.home.scratch().join("audit.ndjson");
    let export = ["audit", "export", "--out", file.to_str().unwrap()];
    let told = fresh.run(&export).expect_code(0);
    let verified = fresh.run(&["audit", "verify", "--json"]).expect_code(0);
    let count = json(&verified.stdout)["records"].as_u64().unwrap();
    let records: Vec<Value> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(json)
        .collect();
    let numbers: Vec<u64> = records
        .iter()
        .map(|one| one["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<u64>>());
    let wanted = format!("{count} records, the last is number {count}.");
    assert!(told.stderr.contains(&wanted), "{}", told.stderr);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&file).unwrap();
    fresh.run(&export).expect_code(5);
    assert_eq!(fs::read(&file).unwrap(), before);

    let after = (count - 3).to_string();
    let tail = fresh
        .run(&["audit", "export", "--after", &after])
        .expect_code(0);
    assert_eq!(tail.stdout.lines().count(), 3);
    let none = fresh
        .run(&["audit", "export", "--after", "999999"])
        .expect_code(0);
    assert!(
        none.stdout.is_empty() && none.stderr.contains("No records"),
        "{none:?}"
    );
    let nowhere = fresh.home.scratch().join("none/x");
    let nowhere = ["audit", "export", "--out", nowhere.to_str().unwrap()];
    fresh.run(&nowhere).expect_code(1);
}

#[test]
fn anchors_hold_what_was_noted_and_a_request_is_told_again() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let file = fresh.home.scratch().join("anchors");
    let file = file.to_str().unwrap();
    fresh
        .run(&["audit", "verify", "--anchors", file])
        .expect_code(2);
    fresh.run(&["audit", "anchor", "--to", file]).expect_code(0);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    fresh.run(&["audit", "anchor", "--to", file]).expect_code(0);
    let held = fresh
        .run(&["audit", "verify", "--anchors", file])
        .expect_code(0);
    assert!(held.stdout.contains("2 anchors"), "{}", held.stdout);
    let shown = fresh.run(&["audit", "anchor", "--json"]).expect_code(0);
    let mut forged = json(&shown.stdout);
    forged["root"] = format!("sha256:{}", "0".repeat(64)).into();
    fs::write(file, format!("{forged}\n")).unwrap();
    let found = fresh
        .run(&["audit", "verify", "--anchors", file])
        .expect_code(1);
    assert!(found.stdout.contains("anchored"), "{}", found.stdout);
    fs::write(file, "no anchor\n").unwrap();
    let refused = fresh
        .run(&["audit", "verify", "--anchors", file])
        .expect_code(2);
    assert!(refused.stderr.contains("Line 1"), "{}", refused.stderr);
    fresh.run(&["audit", "verify", "--remote"]).expect_code(3);

    let id = newest(&fresh)["request_id"].as_str().unwrap().to_owned();
    let told = fresh.run(&["replay", &id]).expect_code(0);
    assert!(told.stdout.contains("same:"), "{}", told.stdout);
    assert!(told.stdout.contains("task new -> open"), "{}", told.stdout);
    let told = json(&fresh.run(&["replay", &id, "--json"]).expect_code(0).stdout);
    assert_eq!(told["same"], true, "{told:#}");
    fresh.run(&["replay", "0199e2f4-0000"]).expect_code(3);
}

#[test]
fn a_paused_agent_gets_no_work_until_it_is_resumed() {
    let fresh = Fresh::new();
    let mut up = up(&fresh);
    let status = || {
        let fleet = json(&fresh.run(&["fleet", "--json"]).expect_code(0).stdout);
        let agents = fleet["items"].as_array().unwrap().clone();
        let infra = agents
            .iter()
            .find(|one| one["agent_id"] == "infrastructure");
        infra.map(|one| one["status"].as_str().unwrap().to_owned())
    };
    // Who has just started has not been heard of: it looks first what its machine offers.
    wait_for("the agent", LIMIT, status);
    let status = || status().unwrap();
    assert_eq!(status(), "active");
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    // Said twice is said once.
    fresh
        .run(&["fleet", "pause", "infrastructure"])
        .expect_code(0);
    assert_eq!(status(), "inactive");
    let mut run = fresh.chiffon().spawn(&["run", "ping localhost"]);
    run.wait_for_line("waits for an agent", LIMIT);
    assert!(run.is_running());
    let resumed = fresh
        .run(&["fleet", "resume", "infrastructure"])
        .expect_code(0);
    assert!(resumed.stdout.contains("gets work"), "{}", resumed.stdout);
    run.wait(LIMIT).expect_code(0);
    fresh.run(&["fleet", "pause", "nobody"]).expect_code(3);
    let table = fresh.run(&["fleet"]).expect_code(0).stdout;
    for wanted in [
        "infrastructure",
        "desktop.",
        "CPU",
        "MEMORY",
        "DISKS",
        "GiB",
    ] {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    up.interrupt();
    up.wait(LIMIT).expect_code(0);
    let ended = fresh.run(&["fleet"]).expect_code(0);
    assert!(ended.stderr.contains("No fleet runs"), "{}", ended.stderr);
}

#[test]
fn an_inventory_that_does_not_fit_is_named_with_every_fault() {
    let good = Fresh::new();
    let fine = good.run(&["inventory", "check"]).expect_code(0);
    assert!(fine.stdout.contains("Nothing is wrong"), "{}", fine.stdout);
    let fresh = Fresh::with_hosts(
        "    nas:\n      ansible_host: nas.lan\n    web:\n      ansible_host: \"{{ somewhere }}\"\n",
    );
    let checked = fresh.run(&["inventory", "check"]).expect_code(1);
    for wanted in ["chiffon inventory trust nas", "web", "2 faults."] {
        assert!(
            checked.stdout.contains(wanted),
            "{wanted}: {}",
            checked.stdout
        );
    }
    let told = fresh.run(&["inventory", "check", "--json"]).expect_code(1);
    let told = json(&told.stdout);
    assert_eq!((&told["valid"], &told["hosts"]), (&false.into(), &3.into()));
    assert_eq!(told["faults"][0]["host"], "nas");
    fresh
        .home
        .write_inventory("hosts.yml", "all:\n  hosts: [\n");
    let broken = fresh
        .run(&["inventory", "check", "-o", "ndjson"])
        .expect_code(1);
    let broken = json(broken.stdout.lines().next().unwrap());
    assert!(
        broken["host"].is_null() && broken["code"].is_number(),
        "{broken}"
    );
}
