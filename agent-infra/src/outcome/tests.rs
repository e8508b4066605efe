//! An account is fed with events as the plugin writes them.

use chiffon_common::ErrorCode;
use serde_json::json;

use super::*;

fn account(secrets: &[&str]) -> Account {
    let hosts: Vec<HostName> = ["nas", "web"]
        .iter()
        .map(|host| host.parse().unwrap())
        .collect();
    Account::new(Redactor::new(secrets), &hosts)
}

fn feed(account: &mut Account, events: &[Value]) {
    for event in events {
        account.event(event.to_string().as_bytes());
    }
}

/// A run that is stopped, or whose Ansible dies, is in the middle of a task that no event tells of.
#[test]
fn without_the_last_count_no_host_is_said_to_be_done() {
    let mut account = account(&[]);
    feed(
        &mut account,
        &[
            json!({"event": "start", "total": 4}),
            json!({"event": "host", "host": "nas", "status": "ok", "task": "Look"}),
            json!({"event": "host", "host": "web", "status": "changed", "task": "Look"}),
            json!({"event": "host", "host": "db", "status": "failed", "task": "Look"}),
        ],
    );
    let (hosts, _, _) = account.into_parts();
    let said = ["nas", "web", "db"].map(|host| (hosts[host].outcome, hosts[host].changed));
    assert_eq!(
        said,
        [
            (HostOutcome::CutOff, 0),
            (HostOutcome::CutOff, 1),
            (HostOutcome::Failed, 0)
        ]
    );
}

#[test]
fn a_good_run_tells_lines_steps_and_answers() {
    let mut account = account(&["swordfish"]);
    feed(
        &mut account,
        &[
            json!({"event": "start", "total": 4}),
            json!({"event": "task", "number": 3, "name": "Report the disks"}),
            json!({"event": "host", "host": "nas", "status": "ok", "task": "Report the disks"}),
            json!({"event": "answer", "host": "nas", "values": {"chiffon_answer": "42 % of swordfish",
                "chiffon_data": {"swordfish": ["swordfish"]}}}),
            json!({"event": "end", "hosts": {"nas": {"ok": 1, "changed": 0}}}),
        ],
    );
    let progress = account.take_progress();
    assert_eq!(
        progress,
        [
            Progress::Step {
                percent: 50,
                message: "Report the disks".to_owned()
            },
            Progress::Lines(vec!["nas: ok  Report the disks".to_owned()]),
        ]
    );
    assert_eq!(account.problem(Some(0), None), None);
    let (hosts, output, diff) = account.into_parts();
    assert_eq!(hosts["nas"].outcome, HostOutcome::Ok);
    assert_eq!(hosts["nas"].answer.as_deref(), Some("42 % of [redacted]"));
    assert_eq!(
        Value::Object(hosts["nas"].data.clone()),
        json!({"[redacted]": ["[redacted]"]})
    );
    assert_eq!(hosts["web"].outcome, HostOutcome::NotReached);
    assert_eq!(
        (output.as_str(), diff),
        ("nas: ok  Report the disks\n", None)
    );
}

#[test]
fn the_worst_failure_stands_for_all_and_a_rescued_one_for_nothing() {
    let mut account = account(&[]);
    feed(
        &mut account,
        &[
            json!({"event": "host", "host": "web", "status": "unreachable", "task": "a",
                "message": "Failed to connect to the host via ssh: Host key verification failed."}),
            json!({"event": "host", "host": "nas", "status": "failed", "task": "Install it",
                "message": "non-zero return code", "stderr": "first\nno space left\n"}),
        ],
    );
    let problem = account.problem(Some(4), None).unwrap();
    assert_eq!(problem.code, ErrorCode::HostKeyUnknown);
    assert!(
        problem.todo.contains("chiffon inventory trust web"),
        "{problem:?}"
    );
    feed(
        &mut account,
        &[json!({"event": "end", "hosts": {"web": {"ok": 1}, "nas": {"failures": 1}}})],
    );
    let problem = account.problem(Some(2), None).unwrap();
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    assert!(
        problem
            .detail
            .contains("\"Install it\" failed on nas: non-zero return code no space left")
    );
}

#[test]
fn a_syntax_error_is_told_from_what_ansible_printed() {
    let mut account = account(&[]);
    account.printed(vec![
        "[WARNING]: x".into(),
        "[ERROR]: no action".into(),
        "Origin: a.yml:3".into(),
    ]);
    let problem = account.problem(Some(4), None).unwrap();
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    assert!(
        problem
            .detail
            .contains("exit code 4: [ERROR]: no action Origin: a.yml:3"),
        "{problem}"
    );
}

#[test]
fn a_run_on_no_host_did_not_complete() {
    assert!(account(&[]).problem(Some(0), None).is_some());
}

#[test]
fn floods_stay_within_bounds() {
    let mut account = account(&[]);
    for number in 0..20_000 {
        account.printed(vec![format!("{number} {}", "x".repeat(500))]);
        feed(
            &mut account,
            &[json!({"event": "diff", "host": "nas", "task": "t", "diff": "+y\n".repeat(50)})],
        );
    }
    let Progress::Lines(lines) = account.take_progress().remove(0) else {
        panic!("lines");
    };
    assert_eq!(lines.len(), MAX_WAITING + 1);
    assert_eq!(lines[MAX_WAITING], "(18000 lines left out here)");
    let (_, output, diff) = account.into_parts();
    assert!(output.len() <= 256 * 1024);
    let diff = diff.unwrap();
    assert!(diff.len() < 128 * 1024 + 100);
    assert!(diff.contains("more differences are left out, "), "{diff}");
}

#[test]
fn one_large_difference_hides_no_other_and_says_how_much_of_it_is_missing() {
    let mut account = account(&[]);
    feed(
        &mut account,
        &[
            json!({"event": "diff", "host": "nas", "task": "large", "diff": "+y\n".repeat(20_000),
                "left_out": 100 * 1024 * 1024}),
            json!({"event": "diff", "host": "nas", "task": "small", "diff": "-a\n+b\n"}),
        ],
    );
    let diff = account.into_parts().2.unwrap();
    let (large, small) = diff.split_once("# nas: small\n").unwrap();
    assert!(large.len() < 33 * 1024, "{}", large.len());
    assert!(
        large.ends_with("(of this difference, 100.0 MiB are left out)\n"),
        "{large}"
    );
    assert_eq!(small, "-a\n+b\n");
}

/// Where the plugin cut a difference, a secret may have been cut with it, and half of one is no form of it.
#[test]
fn no_half_of_a_secret_is_left_at_the_end_of_a_cut_difference() {
    let mut account = account(&["correct-horse-battery"]);
    feed(
        &mut account,
        &[
            json!({"event": "diff", "host": "nas", "task": "t", "diff": "+a correct-horse-battery b correct-horse-ba",
                "left_out": 7}),
            json!({"event": "diff", "host": "nas", "task": "t", "diff": "+correct-ho"}),
        ],
    );
    let diff = account.into_parts().2.unwrap();
    assert!(diff.contains("+a [redacted]"), "{diff}");
    assert!(!diff.contains("horse-b"), "{diff}");
    // Nothing was cut here, so this is only a word.
    assert!(diff.ends_with("+correct-ho\n"), "{diff}");
}

#[test]
fn a_missing_sudo_is_said_in_plain_words() {
    let mut account = account(&[]);
    let message = "Task failed: Premature end of stream waiting for become success.\n/bin/sh: 1: sudo: not found";
    feed(
        &mut account,
        &[
            json!({"event": "start", "total": 1}),
            json!({"event": "host", "host": "nas", "status": "failed", "task": "Write", "message": message}),
        ],
    );
    let problem = account.problem(Some(2), None).expect("a problem");
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    assert!(problem.detail.contains("become root on nas"), "{problem}");
}

#[test]
fn a_locked_package_manager_is_told_apart_and_gives_way_to_real_failures() {
    let locked = "Failed to lock apt for exclusive operation: E:Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)";
    let failed = |host: &str, message: &str| json!({"event": "host", "host": host, "status": "failed", "task": "Install", "message": message});
    let mut one = account(&[]);
    feed(&mut one, &[failed("nas", locked)]);
    let problem = one.problem(Some(2), None).unwrap();
    assert_eq!(problem.code, ErrorCode::PackagesLocked);
    assert!(
        problem.detail.contains("nas") && problem.detail.contains("812"),
        "{problem:?}"
    );
    feed(
        &mut one,
        &[failed("web", "No package matching 'x' is available")],
    );
    let problem = one.problem(Some(2), None).unwrap();
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    // What merely speaks of locks is none.
    let mut other = account(&[]);
    feed(&mut other, &[failed("nas", "the door has a lock")]);
    assert_eq!(
        other.problem(Some(2), None).unwrap().code,
        ErrorCode::PlaybookFailed
    );
}
