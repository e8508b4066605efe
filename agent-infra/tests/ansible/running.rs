//! Runs that end by themselves: what they tell, what they find around them, and how failures are told.

use std::os::unix::fs::PermissionsExt;

use chiffon_agent::{Progress, Worker};
use chiffon_common::{ErrorCode, HostOutcome, Mode, ResultStatus};
use serde_json::json;

use crate::room::{Room, everything, tells, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_tells_how_it_goes_and_what_came_of_it() {
    let mut room = Room::new(
        r#"    - name: Write it
      ansible.builtin.copy: {dest: "{{ target }}", content: "new\n", mode: "0600"}
    - name: Burn a little
      ansible.builtin.command: sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'
      changed_when: false
    - name: Say it
      ansible.builtin.debug: {msg: "hello from {{ inventory_hostname }}"}
    - name: Answer
      ansible.builtin.set_stats:
        per_host: true
        data: {chiffon_answer: "42 % full", chiffon_data: {disks: [{mount: /, used: 42}]}}
"#,
    );
    let target = room.path("target");
    room.parameter("target", target.to_str().unwrap());
    let (ended, told) = room.run_telling().await;
    assert_eq!(ended.error, None, "{}", ended.output);
    assert_eq!(ended.status, ResultStatus::Completed);
    assert_eq!(room.read("target"), "new\n");
    let host = &ended.hosts["localhost"];
    assert_eq!(
        (host.outcome, host.ok, host.changed),
        (HostOutcome::Changed, 4, 1)
    );
    assert_eq!(host.answer.as_deref(), Some("42 % full"));
    assert_eq!(host.data["disks"], json!([{"mount": "/", "used": 42}]));
    assert!(
        ended.output.contains("localhost: changed  Write it\n"),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("hello from localhost"));
    assert!(ended.diff.unwrap().contains("+new"));
    // At least an interpreter's start was burnt, and some of it was resident.
    assert!(
        ended.usage.cpu_hours > 0.2 / 3600.0 && ended.usage.cpu_hours < 0.1,
        "{:?}",
        ended.usage
    );
    assert!(ended.usage.memory_peak_gb > 0.02 && ended.usage.memory_peak_gb < 4.0);
    let steps: Vec<u8> = told
        .iter()
        .filter_map(|piece| match piece {
            Progress::Step { percent, .. } => Some(*percent),
            Progress::Lines(_) => None,
        })
        .collect();
    assert!(
        steps.is_sorted() && steps.last().is_some_and(|last| (50..100).contains(last)),
        "{steps:?}"
    );
    assert!(
        told.iter()
            .any(|piece| tells(piece, "localhost: changed  Write it"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_mode_changes_nothing_and_shows_the_difference() {
    let mut room = Room::new(
        "    - name: Write it\n      ansible.builtin.copy: {dest: \"{{ target }}\", content: \"new\\n\"}\n",
    );
    room.work.mode = Mode::Check;
    let target = room.path("target");
    room.parameter("target", target.to_str().unwrap());
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Completed, "{}", ended.output);
    assert!(!target.exists());
    assert!(ended.diff.unwrap().contains("+new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_find_a_clean_environment_and_the_agents_variables() {
    let mut room = Room::new(
        r#"    - name: Look around
      ansible.builtin.shell: "env | sort > {{ out }}; id -u > /dev/null; echo {{ ansible_playbook_python }} > {{ out }}.python"
    - name: Tell the variables
      ansible.builtin.copy:
        dest: "{{ out }}.vars"
        content: "{{ chiffon_run_id }} {{ chiffon_attempt }} {{ chiffon_mode }} {{ ansible_python_interpreter }}"
    - name: Who may read it
      ansible.builtin.shell: "stat -c '%a' {{ out | dirname }}/run {{ out | dirname }}/run/vars.json > {{ out }}.modes"
"#,
    );
    let out = room.path("out");
    room.parameter("out", out.to_str().unwrap());
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Completed, "{}", ended.output);
    let environment = room.read("out");
    // What a test runner and a shell always have; none of it may arrive.
    for name in [
        "CARGO",
        "RUST",
        "USER=",
        "OLDPWD",
        "PIP_",
        "SSH_AUTH_SOCK",
        "TERM",
    ] {
        let leaked = environment.lines().find(|line| line.starts_with(name));
        assert_eq!(leaked, None);
    }
    let home = format!("HOME={}/run/home", room.temporary.path().display());
    assert!(
        environment.lines().any(|line| line == home),
        "{environment}"
    );
    let python = room.read("out.python");
    assert_eq!(
        room.read("out.vars"),
        format!("{} 1 apply {}", room.work.attempt.task_id, python.trim())
    );
    assert_eq!(room.read("out.modes"), "700\n600\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_task_is_named_with_its_message() {
    let room = Room::new(
        "    - name: Try it\n      ansible.builtin.shell: echo one; echo no space left >&2; exit 3\n    - name: Never\n      ansible.builtin.debug:\n",
    );
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Failed);
    let problem = ended.error.unwrap();
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    assert!(
        problem.detail.contains("\"Try it\" failed on localhost"),
        "{problem}"
    );
    assert!(problem.detail.contains("no space left"), "{problem}");
    assert_eq!(ended.hosts["localhost"].outcome, HostOutcome::Failed);
    assert!(
        ended.output.contains("localhost:   no space left"),
        "{}",
        ended.output
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rescued_or_ignored_failure_is_none() {
    let room = Room::new(
        r#"    - name: Careful
      block:
        - name: Fall
          ansible.builtin.command: "false"
      rescue:
        - name: Catch
          ansible.builtin.debug: {msg: caught}
    - name: Shrug
      ansible.builtin.command: "false"
      ignore_errors: true
"#,
    );
    let ended = room.run().await;
    assert_eq!(
        (ended.status, &ended.error),
        (ResultStatus::Completed, &None),
        "{}",
        ended.output
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_syntax_error_is_told_as_ansible_tells_it() {
    let room = Room::new("    - name: Odd\n      ansible.builtin.no_such_module: {}\n");
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Failed);
    let problem = ended.error.unwrap();
    assert_eq!(problem.code, ErrorCode::PlaybookFailed);
    assert!(problem.detail.contains("no_such_module"), "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_bundle_host_or_name_than_approved_never_starts() {
    let touch =
        "    - name: Touch\n      ansible.builtin.file: {path: \"{{ canary }}\", state: touch}\n";
    let room = || {
        let mut room = Room::new(touch);
        let canary = room.path("canary");
        room.parameter("canary", canary.to_str().unwrap());
        room
    };
    let mut cases = Vec::new();
    let mut other_bundle = room();
    other_bundle.work.digest = chiffon_common::Digest::of_bytes(b"other");
    cases.push((other_bundle, ErrorCode::ContentChanged));
    let mut other_host = room();
    other_host.work.hosts = vec!["nas".parse().unwrap()];
    cases.push((other_host, ErrorCode::ContentChanged));
    let mut other_action = room();
    other_action.work.action = "missing".parse().unwrap();
    cases.push((other_action, ErrorCode::ContentChanged));
    for name in [
        "ansible_python_interpreter",
        "ansible_connection",
        "__ansible_vault",
        "hostvars",
    ] {
        let mut bad_name = room();
        bad_name.parameter(name, "/bin/false");
        cases.push((bad_name, ErrorCode::ParameterForbidden));
        let mut nested = room();
        nested.parameter("x", json!([{ name: "y" }]));
        cases.push((nested, ErrorCode::ParameterForbidden));
    }
    for (room, code) in cases {
        let ended = room.run().await;
        assert_eq!(ended.status, ResultStatus::Refused);
        assert_eq!(ended.error.unwrap().code, code);
        assert!(!room.path("canary").exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_leaves_the_run_or_shows_in_proc() {
    let inventory = "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n      vault_token: !unsafe inv3ntory-s3cret\n";
    let mut room = Room::with_inventory(
        r#"    - name: "Print {{ password }}"
      ansible.builtin.debug: {msg: "it is {{ password }} and {{ password | b64encode }} and {{ vault_token }}"}
    - name: Write it
      ansible.builtin.copy: {dest: "{{ out }}", content: "a {{ password | urlencode }} b\n{{ nested.deep[0] }}\n"}
    - name: Say nothing
      ansible.builtin.command: "echo {{ unlisted }}"
      no_log: true
    - name: Look at all processes
      ansible.builtin.shell: "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ > {{ out }}.proc 2>/dev/null; true"
    - name: Answer
      ansible.builtin.set_stats: {per_host: true, data: {chiffon_answer: "{{ password }}", chiffon_data: {k: "{{ vault_token }}"}}}
    - name: Fail
      ansible.builtin.fail: {msg: "wrong {{ nested | to_json }}"}
"#,
        inventory,
        &["localhost"],
    );
    let secrets = ["hunter2 & \"cö\"", "d33p-s3cret", "inv3ntory-s3cret"];
    room.parameter("password", secrets[0]);
    room.parameter("nested", json!({"deep": [secrets[1]]}));
    room.parameter("unlisted", "only-no-log-hides-this");
    let out = room.path("out");
    room.parameter("out", out.to_str().unwrap());
    room.work.secret_parameters = vec!["password".to_owned(), "nested".to_owned()];
    let (ended, told) = room.run_telling().await;
    assert_eq!(ended.status, ResultStatus::Failed, "{}", ended.output);
    assert_eq!(
        ended.error.as_ref().unwrap().code,
        ErrorCode::PlaybookFailed
    );
    // The playbook itself got the values.
    assert!(room.read("out").contains(secrets[1]));
    let all = everything(&ended, &told);
    assert!(all.contains("[redacted]"));
    for secret in [
        "hunter2",
        "aHVudGVyMi",
        "d33p",
        "inv3ntory",
        "only-no-log-hides-this",
    ] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let seen = String::from_utf8_lossy(&std::fs::read(room.path("out.proc")).unwrap()).into_owned();
    assert!(seen.contains(&room.work.run_id()), "the scan saw the run");
    for secret in secrets.iter().chain(&["only-no-log-hides-this"]) {
        // The task's own shell never held them.
        assert!(!seen.contains(secret), "{secret} was in /proc");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_is_private_and_capabilities_name_versions() {
    let room = Room::new("    - name: Nothing\n      ansible.builtin.debug:\n");
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Completed);
    let mode = |name: &str| {
        let meta = std::fs::metadata(room.path("run").join(name)).unwrap();
        meta.permissions().mode() & 0o777
    };
    assert_eq!(
        (
            mode(""),
            mode("vars.json"),
            mode("ansible.cfg"),
            mode("events")
        ),
        (0o700, 0o600, 0o600, 0o600)
    );
    let capabilities = worker(room.temporary.path()).capabilities().await;
    assert!(capabilities["ansible-core"].starts_with("2.19."));
    assert!(capabilities["python"].starts_with("3."));
    assert!(!ended.isolation.is_empty());
}
