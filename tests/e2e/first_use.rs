//! From nothing to an answer: the README's first command on an empty data folder.

use std::process::Command;

use chiffon_tests::{Chiffon, Home};

use crate::fresh::{Fresh, LIMIT};

#[test]
fn one_command_sets_everything_up_and_answers() {
    let home = Home::new();
    let chiffon = Chiffon::new(&home).limit(LIMIT);
    let first = chiffon
        .run(&["run", "How full are the disks on this machine?"])
        .expect_code(0);
    assert!(
        first.stdout.contains("% full"),
        "no answer about disks:\n{}",
        first.stdout
    );
    for step in ["data folder", "Ansible", "inventory"] {
        assert!(
            first.stderr.contains(step),
            "set-up was not seen ({step}):\n{}",
            first.stderr
        );
    }
    let commit = first
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("ledger"))
        .expect("the ledger's commit")
        .trim();
    let log = Command::new("git")
        .arg("-C")
        .arg(home.path().join("ledger"))
        .args(["log", "--format=%H %s"])
        .output()
        .unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(log.starts_with(commit) && log.contains(" infra("), "{log}");
    chiffon.run(&["audit", "verify"]).expect_code(0);
    let doctor = chiffon.run(&["doctor"]);
    assert!(!doctor.stdout.contains("fail"), "{}", doctor.stdout);
}

#[test]
fn without_python_the_package_to_install_is_named() {
    let home = Home::new();
    let git = Command::new("which").arg("git").output().unwrap();
    let git = String::from_utf8(git.stdout).unwrap();
    let tools = home.scratch().join("bin");
    std::fs::create_dir_all(&tools).unwrap();
    std::os::unix::fs::symlink(git.trim(), tools.join("git")).unwrap();
    let refused = Chiffon::new(&home)
        .env("PATH", tools)
        .limit(LIMIT)
        .run(&["run", "ping localhost"]);
    assert_ne!(refused.code(), Some(0));
    assert!(
        refused.stderr.contains("python3") && refused.stderr.contains("apt"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_questions_of_the_readme_are_understood() {
    let fresh = Fresh::with_hosts("    nas:\n      ansible_connection: local\n");
    let alive = fresh.run(&["run", "is nas alive?"]).expect_code(0);
    assert!(alive.stdout.contains("nas"), "{}", alive.stdout);
    let waiting = fresh
        .run(&["run", "Deploy Uptime Kuma to the NAS", "--no-input"])
        .expect_code(6);
    assert!(
        waiting.stderr.contains("Deploy Uptime Kuma"),
        "no plan is shown:\n{}\n{}",
        waiting.stdout,
        waiting.stderr
    );
    let unsure = fresh
        .run(&["run", "Feed the cat at the NAS", "--no-input"])
        .expect_code(6);
    assert!(
        unsure.stderr.contains("needs input")
            || unsure.stdout.contains("needs_input")
            || unsure.stdout.contains("needs input"),
        "{}\n{}",
        unsure.stdout,
        unsure.stderr
    );
}
