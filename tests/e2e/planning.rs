//! Sentences with the real program: what `chiffon plan try` says of them without a fleet, bad input to it, and a request with
//! two steps that runs to its end.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::fresh::{Fresh, id_of, json, newest};

/// The documents that it prints for these lines on standard input.
fn tried(mut command: Command, lines: &str) -> Vec<Value> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    // Beside the reader, so that no full pipe holds both up.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(json).collect()
}

#[test]
fn sentences_are_tried_without_a_fleet_and_leave_nothing() {
    let fresh = Fresh::bare();
    let hosts = "all:\n  hosts:\n    nas:\n    tower:\n";
    let path = fresh.home.scratch().join("hosts.yml");
    std::fs::write(&path, hosts).unwrap();
    let inventory = path.to_str().unwrap();
    let one = fresh
        .run(&[
            "plan",
            "try",
            "update nas and then restart jellyfin on it",
            "--inventory",
            inventory,
        ])
        .expect_code(0);
    let one = json(one.stdout.trim());
    assert_eq!(one["kind"], "plan", "{one:#}");
    assert_eq!(one["steps"][0]["entry"], "package_upgrade");
    assert_eq!(one["steps"][1]["entry"], "service_restart");
    assert_eq!(one["steps"][1]["after"], serde_json::json!([0]));
    assert_eq!(one["steps"][1]["hosts"], serde_json::json!(["nas"]));

    let sentences = "is nas up?\n\nrestart nginx\ndon't reboot tower\n";
    let command = fresh
        .chiffon()
        .command(&["plan", "try", "--inventory", inventory]);
    let all = tried(command, sentences);
    let kinds: Vec<&str> = all.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["plan", "ask", "none"], "{all:#?}");
    assert!(
        !fresh.home.path().join("chiffon.db").exists(),
        "a try left a database"
    );
}

#[test]
fn bad_sentences_are_answered_one_by_one() {
    let fresh = Fresh::bare();
    let path = fresh.home.scratch().join("hosts.yml");
    std::fs::write(&path, "all:\n  hosts:\n    nas:\n    tower:\n").unwrap();
    let lines = [
        "word ".repeat(10_000),
        "restart nginx on \u{202e}san\u{202c}".to_owned(),
        "restart nginx on n\u{200b}as\u{200d}".to_owned(),
        "\"\"\"\"".to_owned(),
        "?!".to_owned(),
        "restart nginx on nas".to_owned(),
    ];
    let command = fresh
        .chiffon()
        .command(&["plan", "try", "--inventory", path.to_str().unwrap()]);
    let all = tried(command, &format!("{}\n", lines.join("\n")));
    assert_eq!(all.len(), lines.len(), "{all:#?}");
    assert_eq!(all[0]["kind"], "none");
    assert_eq!(all[5]["kind"], "plan");
    for one in &all {
        let text = one.to_string();
        assert!(
            !text.contains(['\u{202e}', '\u{200b}', '\u{200d}']),
            "{text}"
        );
    }
    // The name that is written backwards is none of ours; what cannot be seen within a name is not part of it.
    assert_ne!(all[1]["kind"], "plan", "{:#}", all[1]);
    if all[2]["kind"] == "plan" {
        assert_eq!(all[2]["steps"][0]["hosts"], serde_json::json!(["nas"]));
    }
}

#[test]
fn the_second_step_of_a_sentence_runs_after_the_first() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("motd");
    let sentence = format!(
        "write \"hello\" to {} on this machine and then show me the disks of this machine",
        target.display()
    );
    fresh.run(&["run", &sentence, "--no-input"]).expect_code(6);
    assert!(!target.exists(), "it was written before it was approved");
    let id = id_of(&newest(&fresh));
    let shown = json(
        &fresh
            .run(&["request", "show", &id, "--json"])
            .expect_code(0)
            .stdout,
    );
    let digest = shown["plan"]["digest"].as_str().unwrap().to_owned();
    fresh
        .run(&["approve", &id, "--digest", &digest])
        .expect_code(0);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "hello");
    let shown = json(
        &fresh
            .run(&["request", "show", &id, "--json"])
            .expect_code(0)
            .stdout,
    );
    assert_eq!(shown["state"], "completed", "{shown:#}");
    let text = shown.to_string();
    assert!(
        text.contains("write_file") && text.contains("host_report"),
        "{shown:#}"
    );
}

/// What cannot be is said before an Ansible is installed for it.
#[test]
fn a_name_that_is_no_entry_and_a_sentence_that_is_too_long_install_nothing() {
    let fresh = Fresh::bare();
    let long = "x".repeat(8_001);
    for (args, code, words) in [
        (&["catalogue", "run", "restart"][..], 3, "service_restart"),
        (&["run", &long], 2, "8000 are permitted"),
    ] {
        let refused = fresh.run(args).expect_code(code);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(!refused.stderr.contains("Ansible"), "{}", refused.stderr);
    }
    assert!(!fresh.home.path().join("ansible").exists());
}
