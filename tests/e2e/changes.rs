//! Changes: previewed, approved, applied once, verbatim, recorded.

use std::{fs, process::Command};

use serde_json::Value;

use crate::fresh::Fresh;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_change_is_previewed_approved_applied_and_blamed() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("motd");
    let sentence = format!("write \"hello\" to {} on this machine", target.display());
    let waiting = fresh.run(&["run", &sentence, "--no-input"]).expect_code(6);
    assert!(!target.exists(), "it was written before it was approved");
    assert!(
        waiting.stderr.contains("+hello"),
        "the plan shows no diff:\n{}",
        waiting.stderr
    );

    let list = json(
        &fresh
            .run(&["request", "list", "--json"])
            .expect_code(0)
            .stdout,
    );
    let id = list["items"][0]["request_id"]
        .as_str()
        .or(list[0]["request_id"].as_str())
        .unwrap()
        .to_owned();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let refused = fresh
        .run(&["approve", &id, "--digest", &wrong])
        .expect_code(5);
    assert!(refused.stderr.contains("5203"), "{}", refused.stderr);
    let shown = json(
        &fresh
            .run(&["request", "show", &id, "--json"])
            .expect_code(0)
            .stdout,
    );
    let digest = shown["plan"]["digest"].as_str().unwrap();
    fresh
        .run(&["approve", &id, "--digest", digest])
        .expect_code(0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "hello");
    let again = fresh
        .run(&["approve", &id, "--digest", digest])
        .expect_code(5);
    assert!(again.stderr.contains("completed"), "{}", again.stderr);

    let ledger = fresh.home.path().join("ledger");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(&ledger)
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let files = git(&["ls-tree", "-r", "--name-only", "main", "hosts/"]);
    let file = files
        .lines()
        .find(|file| file.ends_with("/localhost/write_file.yml"))
        .expect("the host's file");
    let blame = git(&["blame", "-s", file]);
    assert!(
        blame.contains("hello") && blame.contains("approver"),
        "{blame}"
    );
    assert!(
        git(&["log", "-1", "--format=%B"]).contains("Approver: local:"),
        "the log names no approver"
    );

    let done = fresh.run(&["run", &sentence, "--no-input"]).expect_code(0);
    assert!(
        done.stdout.contains("already") || done.stderr.contains("already"),
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    fresh.run(&["audit", "verify"]).expect_code(0);
}

#[test]
fn a_rejected_plan_never_runs() {
    let fresh = Fresh::new();
    let target = fresh.home.scratch().join("never");
    fresh
        .run(&[
            "run",
            &format!(
                "write_file path={} content=x on localhost",
                target.display()
            ),
            "--no-input",
        ])
        .expect_code(6);
    let list = json(&fresh.run(&["request", "list", "--json"]).stdout);
    let id = list["items"][0]["request_id"]
        .as_str()
        .or(list[0]["request_id"].as_str())
        .unwrap()
        .to_owned();
    fresh
        .run(&["reject", &id, "--comment", "not today"])
        .expect_code(0);
    fresh.run(&["approve", &id]).expect_code(5);
    assert!(!target.exists());
}

/// The sharpest edge: values that Ansible would run if it took them for templates (S1). Verbatim or refused, by
/// every way in, and run nowhere.
#[test]
fn templates_in_values_arrive_verbatim_and_run_nowhere() {
    let fresh = Fresh::new();
    let canary = fresh.home.scratch().join("PWNED");
    let payloads = [
        format!("{{{{ lookup('pipe', 'touch {}') }}}}", canary.display()),
        format!(
            "{{% for x in [1] %}}{{{{ lookup('file', '{}') }}}}{{% endfor %}}",
            canary.display()
        ),
        "{{ 7 * 7 }} ${HOME} $(id) `id`".to_owned(),
    ];
    for (n, payload) in payloads.iter().enumerate() {
        let target = fresh.home.scratch().join(format!("verbatim-{n}"));
        let quoted = serde_json::to_string(payload).unwrap();
        let explicit = format!(
            "write_file path={} content={quoted} on localhost",
            target.display()
        );
        fresh.run(&["run", &explicit, "--yes"]).expect_code(0);
        assert_eq!(
            &fs::read_to_string(&target).unwrap(),
            payload,
            "explicit form"
        );
        let spoken_target = fresh.home.scratch().join(format!("spoken-{n}"));
        let spoken = format!(
            "write {quoted} to {} on this machine",
            spoken_target.display()
        );
        let outcome = fresh.run(&["run", &spoken, "--yes"]);
        if outcome.code() == Some(0) {
            assert_eq!(
                &fs::read_to_string(&spoken_target).unwrap(),
                payload,
                "spoken form"
            );
        }
    }
    for elsewhere in [
        "package_install name=\"{{ lookup('pipe','touch PWNED') }}\"",
        "service_restart name=\"{{ 1 }}\"",
        "host_report section=\"{{ 1 }}\"",
    ] {
        let refused = fresh.run(&["run", &format!("{elsewhere} on localhost"), "--yes"]);
        assert_ne!(
            refused.code(),
            Some(0),
            "{elsewhere} was run: {}",
            refused.stdout
        );
    }
    assert!(!canary.exists(), "a template was run");
}

#[test]
fn names_that_ansible_obeys_are_refused() {
    let fresh = Fresh::new();
    for name in [
        "ansible_python_interpreter",
        "ansible_connection",
        "hostvars",
        "__ansible_unsafe",
        "chiffon_run_id",
    ] {
        let refused = fresh.run(&[
            "run",
            &format!("ping {name}=/x/evil on localhost"),
            "--no-input",
        ]);
        assert_ne!(refused.code(), Some(0), "{name} was taken");
        assert!(
            refused.stderr.contains("5107") || refused.stderr.contains("5106"),
            "{name}: {}",
            refused.stderr
        );
    }
}
