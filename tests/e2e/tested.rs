//! `chiffon catalogue check` of entries that nobody has accepted: what is tested, and that no code of theirs runs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::{
    fresh::{Fresh, json},
    repository::repository,
};

/// Outcome of one test of an entry.
fn outcome<'v>(tested: &'v Value, entry: &str, test: &str) -> (&'v str, String) {
    let one = tested
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["entry"] == entry);
    let one = one.unwrap_or_else(|| panic!("{entry}: {tested}"));
    let found = one["tests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["test"] == test);
    let found = found.unwrap_or_else(|| panic!("{test}: {tested}"));
    (
        found["outcome"].as_str().unwrap(),
        found["said"].to_string(),
    )
}

#[test]
fn an_entry_is_tested_before_it_counts() {
    let fresh = Fresh::new();
    fresh.run(&["catalogue", "new", "say_it"]).expect_code(0);
    let check = ["catalogue", "check", "say_it", "--json"];
    let tested = json(&fresh.run(&check).expect_code(0).stdout);
    for test in ["loads", "specs", "examples", "check_run"] {
        let (outcome, said) = outcome(&tested, "say_it", test);
        assert_eq!(outcome, "passed", "{test}: {said}");
    }
    let own = fresh.home.path().join("catalogue/own");
    let metadata = own.join("playbooks/say_it.chiffon.yml");
    let was = fs::read_to_string(&metadata).unwrap();
    let greedy = was.replace("examples:\n", "examples:\n  - Restart the service {name}\n");
    assert_ne!(greedy, was);
    fs::write(&metadata, greedy).unwrap();
    let tasks = own.join("roles/say_it/tasks/main.yml");
    fs::write(
        &tasks,
        "- name: Fail\n  ansible.builtin.assert:\n    that: name == 'good'\n    fail_msg: it is bad\n",
    )
    .unwrap();
    let tested = json(&fresh.run(&check).expect_code(1).stdout);
    let (examples, said) = outcome(&tested, "say_it", "examples");
    assert_eq!(examples, "failed", "{said}");
    assert!(said.contains("service_restart"), "{said}");
    let (run, said) = outcome(&tested, "say_it", "check_run");
    assert_eq!(run, "failed", "{said}");
    assert!(
        said.contains("it is bad") && said.contains("guessed"),
        "{said}"
    );
    let value = ["catalogue", "check", "say_it", "name=good", "--json"];
    let tested = json(&fresh.run(&value).expect_code(1).stdout);
    assert_eq!(outcome(&tested, "say_it", "check_run").0, "passed");
    let none = fresh.run(&["request", "list", "--json"]).expect_code(0);
    assert_eq!(
        json(&none.stdout)["items"],
        serde_json::json!([]),
        "tests leave no record"
    );
}

#[test]
fn a_folder_is_tested_as_the_repository_it_would_be() {
    let fresh = Fresh::new();
    let from = repository(&fresh);
    let tested = fresh
        .run(&[
            "catalogue",
            "check",
            &from,
            "motd_path=/tmp/chiffon-never",
            "--json",
        ])
        .expect_code(1);
    let tested = json(&tested.stdout);
    let (specs, said) = outcome(&tested, "homelab_motd", "specs");
    assert_eq!(specs, "not_run", "{said}");
    assert!(said.contains("motd_path"), "{said}");
    assert!(
        tested
            .to_string()
            .contains("the role \\\"absent\\\" is not"),
        "{tested}"
    );
    let listed = fresh.run(&["catalogue", "list", "--json"]).expect_code(0);
    assert!(!listed.stdout.contains("homelab"), "nothing was added");
    fresh.run(&["catalogue", "check", "no_such"]).expect_code(3);
    fresh.run(&["catalogue", "check", "name=x"]).expect_code(2);
}

/// Playbooks that would write a file by every way in which a folder's code can come to run, and say of themselves that they
/// only read; and a linter that runs what it finds, as the real one loads it.
fn traps(fresh: &Fresh, marker: &str) -> (String, String) {
    let at = fresh.home.scratch().join("traps");
    let plugin = format!("open({marker:?}, 'w').write('x')\n");
    let task = |task: &str| format!("- hosts: all\n  gather_facts: false\n  tasks:\n  - {task}\n");
    let command = format!(
        "ansible.builtin.command: touch {marker}\n    changed_when: false\n    check_mode: false"
    );
    let pipe =
        format!("ansible.builtin.debug: {{msg: \"{{{{ lookup('pipe', 'touch {marker}') }}}}\"}}");
    for (path, text) in [
        ("playbooks/by_command.yml", task(&command)),
        ("playbooks/by_pipe.yml", task(&pipe)),
        (
            "playbooks/by_filter.yml",
            task("ansible.builtin.debug: {msg: \"{{ 'x' | trap }}\"}"),
        ),
        ("playbooks/by_module.yml", task("trap_info: {}")),
        ("playbooks/filter_plugins/trap.py", plugin.clone()),
        ("playbooks/callback_plugins/trap.py", plugin.clone()),
        ("playbooks/action_plugins/debug.py", plugin.clone()),
        (
            "playbooks/library/trap_info.py",
            format!(
                "#!/usr/bin/python3\nDOCUMENTATION = r'''\nattributes: {{check_mode: {{support: full}}}}\n'''\n{plugin}"
            ),
        ),
    ] {
        let path = at.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.to_str().unwrap().contains("/by_") {
            let metadata = path.with_extension("chiffon.yml");
            fs::write(metadata, "tier: 0\npreview: exact\n").unwrap();
        }
        fs::write(path, text).unwrap();
    }
    let programs = fresh.home.scratch().join("programs");
    fs::create_dir_all(&programs).unwrap();
    let linter = programs.join("ansible-lint");
    let script = "#!/bin/sh\nfor file in $(find . -name '*.py'); do python3 $file; done\nexit 0\n";
    fs::write(&linter, script).unwrap();
    fs::set_permissions(&linter, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    (
        at.display().to_string(),
        format!("{}:{path}", programs.display()),
    )
}

#[test]
fn testing_an_entry_runs_no_code_that_nobody_has_accepted() {
    let fresh = Fresh::new();
    let marker = fresh.home.scratch().join("marker");
    let (folder, path) = traps(&fresh, marker.to_str().unwrap());
    let run = |args: &[&str]| fresh.chiffon().env("PATH", &path).run(args);
    let ways = ["command", "pipe", "filter", "module"];
    let not_run = |tested: &Value, prefix: &str| {
        for way in ways {
            let entry = format!("{prefix}by_{way}");
            let (run, said) = outcome(tested, &entry, "check_run");
            assert_eq!(run, "not_run", "{entry}: {said}");
            assert!(said.contains("nobody has accepted it"), "{entry}: {said}");
            assert!(said.contains("--run-code"), "{entry}: {said}");
            let (lint, said) = outcome(tested, &entry, "lint");
            assert!(["passed", "not_run"].contains(&lint), "{entry}: {said}");
        }
        assert!(!marker.exists(), "code of {folder} has run: {tested}");
    };
    let tested = json(
        &run(&["catalogue", "check", &folder, "--json"])
            .expect_code(0)
            .stdout,
    );
    not_run(&tested, "traps_");

    // Added, listed, asked for and planned, but not accepted.
    run(&["catalogue", "add", &folder]).expect_code(0);
    run(&["catalogue", "list"]).expect_code(0);
    run(&["plan", "try", "traps_by_pipe on localhost"]);
    let tested = json(
        &run(&["catalogue", "check", "traps", "--json"])
            .expect_code(0)
            .stdout,
    );
    not_run(&tested, "traps_");
    run(&["catalogue", "remove", "traps"]).expect_code(0);

    // A folder that the settings name.
    fresh
        .home
        .write_config(&format!("catalogue:\n  folders:\n    - {folder}\n"));
    let names = ways.map(|way| format!("by_{way}"));
    let mut check = vec!["catalogue", "check", "--json"];
    check.extend(names.iter().map(String::as_str));
    not_run(&json(&run(&check).expect_code(0).stdout), "");
    let asked = run(&[
        "catalogue",
        "run",
        "by_module",
        "--on",
        "localhost",
        "--dry-run",
    ]);
    assert!(
        !marker.exists(),
        "a preview has run its code: {}",
        asked.stdout
    );

    // By a person's word it runs, so the test sees what it looks for; accepted, what acts is not taken for reading.
    fresh.home.write_config("{}\n");
    run(&["catalogue", "check", &folder, "--run-code", "--json"]);
    assert!(marker.exists(), "nothing has run by --run-code");
    run(&["catalogue", "add", &folder]).expect_code(0);
    run(&["catalogue", "accept", "traps", "--yes"]).expect_code(0);
    for way in ["pipe", "filter"] {
        let id = format!("traps_by_{way}");
        let shown = json(
            &run(&["catalogue", "show", &id, "--json"])
                .expect_code(0)
                .stdout,
        );
        assert_eq!(shown["tier"], 2, "{shown:#}");
        assert_ne!(shown["tier_because"], serde_json::json!([]), "{shown:#}");
    }
}
