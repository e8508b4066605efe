//! Honest ends: kill -9 in mid-run, cancellation, time-out, flood, secrets. Nothing runs on, nothing runs twice.

use std::{fs, path::PathBuf, time::Duration};

use chiffon_tests::{Chiffon, wait_for};

use crate::fresh::{Fresh, LIMIT, metadata};

/// How long the processes of these tests would stay, in seconds. The fraction is of this data folder, so that
/// the tests that run beside each other never take a process of another for their own.
fn nap(fresh: &Fresh) -> String {
    let path = fresh.home.scratch().as_os_str().as_encoded_bytes();
    let number = path.iter().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    });
    format!("600.{number}")
}

/// An entry that leaves a line in a file when it starts and then runs for long, with a child that tries to escape.
fn slow(fresh: &Fresh, on_interrupt: &str) -> PathBuf {
    let marker = fresh.home.scratch().join("starts");
    let tasks = format!(
        "- name: Start and stay\n  ansible.builtin.shell: |\n    echo started >> {marker}\n    setsid sh -c 'sleep {nap} & sleep {nap}' >/dev/null 2>&1 &\n    sleep {nap}\n  changed_when: true\n",
        marker = marker.display(),
        nap = nap(fresh)
    );
    fresh.entry("stay", &metadata(900, on_interrupt), &tasks);
    marker
}

fn starts(marker: &PathBuf) -> usize {
    fs::read_to_string(marker)
        .unwrap_or_default()
        .lines()
        .count()
}

/// Processes of any run of this data folder.
fn leftovers(fresh: &Fresh) -> Vec<String> {
    let home = fresh.home.scratch().display().to_string();
    let nap = nap(fresh);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let cmdline = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        let of_a_run = String::from_utf8_lossy(&environ).contains("CHIFFON_RUN=");
        if of_a_run && (text.contains(&nap) || text.contains(&home)) {
            found.push(text);
        }
    }
    found
}

fn waiting_request(chiffon: &Chiffon) -> String {
    let list = chiffon.run(&["request", "list", "--json"]).expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    list["items"][0]["request_id"]
        .as_str()
        .or(list[0]["request_id"].as_str())
        .unwrap()
        .to_owned()
}

#[test]
fn a_command_begins_nobody_elses_change_which_would_be_cut_off_with_it() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, "ask");
    let chiffon = fresh.chiffon();
    let mut up = chiffon.spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let first = "stay on localhost";
    let _first = chiffon.spawn(&["run", first, "--yes=2", "--confirm", "localhost"]);
    wait_for("the start", LIMIT, || (starts(&marker) == 1).then_some(()));
    let target = fresh.home.scratch().join("second");
    let change = format!(
        "write_file path={} content=x on localhost",
        target.display()
    );
    let mut second = chiffon.spawn(&["run", &change, "--yes=2"]);
    second.wait_for_line("waits for localhost", LIMIT);
    up.kill_9();

    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    let list = chiffon.run(&["request", "list", "--json"]).expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let items = list["items"].as_array().or(list.as_array()).unwrap();
    let found = items.iter().find(|item| item["text"] == change.as_str());
    let found = found.unwrap();
    assert_eq!(found["state"], "running", "{found:#}");
    assert!(!target.exists(), "it was begun by another command");

    // Whoever waits for it has it begun.
    let id = found["request_id"].as_str().unwrap();
    chiffon.run(&["watch", id]).expect_code(0);
    assert!(target.exists());
}

#[test]
fn kill_9_in_mid_run_leaves_no_process_no_lease_and_no_second_run() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, "ask");
    let mut running = fresh.chiffon().spawn(&[
        "run",
        "stay on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LIMIT, || (starts(&marker) == 1).then_some(()));
    running.kill_9();
    wait_for(
        "the end of every process of the run",
        Duration::from_secs(30),
        || leftovers(&fresh).is_empty().then_some(()),
    );

    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let chiffon = fresh.chiffon();
    let id = waiting_request(&chiffon);
    let shown = wait_for("an honest state", LIMIT, || {
        let shown = chiffon
            .run(&["request", "show", &id, "--json"])
            .expect_code(0);
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        let asks = shown["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|d| d["state"] == "pending");
        (asks || shown["ended"] == serde_json::json!(true)).then_some(shown)
    });
    assert_eq!(
        shown["decisions"].as_array().unwrap().last().unwrap()["kind"],
        "interrupted",
        "{shown:#}"
    );
    assert_eq!(starts(&marker), 1, "it ran twice unasked");

    let target = fresh.home.scratch().join("free");
    let change = format!(
        "write_file path={} content=x on localhost",
        target.display()
    );
    chiffon.run(&["run", &change, "--yes"]).expect_code(0);
    assert!(target.exists(), "a lease stayed");
    chiffon.run(&["request", "cancel", &id]).expect_code(0);
    assert_eq!(starts(&marker), 1);
    chiffon.run(&["audit", "verify"]).expect_code(0);
    up.interrupt();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}

#[test]
fn kill_9_of_every_chiffon_process_is_swept_at_the_next_start() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, "fail");
    let mut running = fresh.chiffon().spawn(&[
        "run",
        "stay on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LIMIT, || (starts(&marker) == 1).then_some(()));
    // The supervisor first, so that nobody is left to end the run.
    for child in chiffon_tests::children_of(running.pid()) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.pid).unwrap()).unwrap();
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    running.kill_9();
    let id = waiting_request(&fresh.chiffon());
    let shown = fresh.run(&["watch", &id, "--no-input"]);
    assert_eq!(shown.code(), Some(1), "{}{}", shown.stdout, shown.stderr);
    assert!(
        leftovers(&fresh).is_empty(),
        "left behind: {:?}",
        leftovers(&fresh)
    );
    assert_eq!(starts(&marker), 1, "it ran twice unasked");
}

#[test]
fn cancelling_a_run_ends_all_of_it() {
    let fresh = Fresh::new();
    let marker = slow(&fresh, "ask");
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    let chiffon = fresh.chiffon();
    let running = chiffon.spawn(&[
        "run",
        "stay on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("the start", LIMIT, || (starts(&marker) == 1).then_some(()));
    let id = waiting_request(&chiffon);
    chiffon.run(&["request", "cancel", &id]).expect_code(0);
    let ended = running.wait(LIMIT);
    assert_ne!(ended.code(), Some(0));
    let shown = chiffon
        .run(&["request", "show", &id, "--json"])
        .expect_code(0);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["state"], "cancelled", "{shown:#}");
    assert!(
        leftovers(&fresh).is_empty(),
        "left behind: {:?}",
        leftovers(&fresh)
    );
    // Asked for twice is asked for once; what has ended by itself can no longer be cancelled.
    chiffon.run(&["request", "cancel", &id]).expect_code(0);
    let done = chiffon.run(&["run", "ping localhost", "--json"]);
    let done: serde_json::Value = serde_json::from_str(&done.expect_code(0).stdout).unwrap();
    let done = done["request_id"].as_str().unwrap();
    let late = chiffon.run(&["request", "cancel", done]).expect_code(5);
    assert!(late.stderr.contains("5304"), "{}", late.stderr);
    up.terminate();
    assert_eq!(up.wait(LIMIT).code(), Some(0));
}

#[test]
fn a_run_that_hangs_is_ended_by_its_time_out() {
    let fresh = Fresh::new();
    let tasks = format!(
        "- name: Hang\n  ansible.builtin.command: sleep {}\n  changed_when: true\n",
        nap(&fresh)
    );
    fresh.entry("hang", &metadata(3, "ask"), &tasks);
    let hung = fresh.run(&[
        "run",
        "hang on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    let said = format!("{}{}", hung.stdout, hung.stderr);
    assert!(
        matches!(hung.code(), Some(1 | 8)) && said.contains("5411"),
        "{said}"
    );
    assert!(
        leftovers(&fresh).is_empty(),
        "left behind: {:?}",
        leftovers(&fresh)
    );
}

#[test]
fn a_flood_is_bounded_and_the_run_still_ends() {
    let fresh = Fresh::new();
    let tasks = "- name: Flood\n  ansible.builtin.command: seq 1 3000000\n  changed_when: true\n- name: Say much\n  ansible.builtin.debug:\n    msg: \"{{ 'x' * 3000000 }}\"\n";
    fresh.entry("flood", &metadata(300, "ask"), tasks);
    let flooded = fresh
        .run(&[
            "run",
            "flood on localhost",
            "--yes=2",
            "--confirm",
            "localhost",
        ])
        .expect_code(0);
    assert!(
        flooded.stdout.len() + flooded.stderr.len() < 4 * 1024 * 1024,
        "the flood came through"
    );
}

#[test]
fn a_secret_that_a_playbook_prints_reaches_nobody() {
    let fresh = Fresh::new();
    const CANARY: &str = "s3cr3t-canary-0815";
    let tasks = "- name: Print it\n  ansible.builtin.debug:\n    msg: \"the password is {{ password }}, in base64 {{ password | b64encode }}\"\n";
    let with_secret = format!(
        "{}parameters: {{password: {{secret: true}}}}\n",
        metadata(60, "ask")
    );
    fresh.entry("tell", &with_secret, tasks);
    let specs = "argument_specs:\n  main:\n    short_description: A test\n    options:\n      password:\n        type: str\n        required: true\n        description: A secret\n";
    fs::write(
        fresh
            .own_catalogue()
            .join("roles/tell/meta/argument_specs.yml"),
        specs,
    )
    .unwrap();
    let told = fresh
        .run(&[
            "run",
            &format!("tell password={CANARY} on localhost"),
            "--yes=2",
            "--confirm",
            "localhost",
        ])
        .expect_code(0);
    // The sentence itself is the person's own; everything that comes back is not.
    let shown = fresh.run(&["request", "list", "--json"]).expect_code(0);
    let log = fresh.run(&["log"]).expect_code(0);
    for (what, text) in [
        ("stdout", &told.stdout),
        ("stderr", &told.stderr),
        ("log", &log.stdout),
    ] {
        assert!(!text.contains(CANARY), "the secret is in {what}:\n{text}");
        assert!(
            !text.contains("czNjcjN0LWNhbmFyeS0wODE1"),
            "the secret is in {what} as base64:\n{text}"
        );
    }
    let ledger = std::process::Command::new("git")
        .arg("-C")
        .arg(fresh.home.path().join("ledger"))
        .args(["log", "-p", "main"])
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&ledger.stdout).contains(CANARY),
        "the secret is in the ledger"
    );
    assert!(shown.stdout.contains("tell"), "{}", shown.stdout);
}
