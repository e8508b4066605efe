//! Sandboxes and limits with the real thing: what a play over SSH can see and do on the agent's machine, that
//! nothing of it is left, and what ends a run that takes too much.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use chiffon_agent::{Ended, Swept, Worker};
use chiffon_agent_infra::{
    AnsibleLocator, InfraConfig, InfraWorker, IsolationChoice, IsolationConfig, Limits,
    SUPERVISE_ARG,
};
use chiffon_common::{ErrorCode, ResultStatus};
use chiffon_tests::{Process, Sshd, not_run, processes_with_env, wait_for};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    remote,
    room::{Room, supervisor, tells, worker},
};

/// A server, where bubblewrap works too; what it was for is reported otherwise.
fn server(what: &str) -> Option<Sshd> {
    let works = Command::new("bwrap")
        .args([
            "--unshare-all",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "true",
        ])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        not_run(what, "bubblewrap is missing or may make no namespaces here");
        return None;
    }
    Sshd::start_or_report(what)
}

fn of(choice: IsolationChoice) -> IsolationConfig {
    IsolationConfig {
        choice,
        ..IsolationConfig::default()
    }
}

/// Tries everything on the agent's machine, then writes what came of it to a file on the host.
const PRY: &str = r#"    - name: Read a file
      ansible.builtin.set_fact: {seen: "{{ lookup('ansible.builtin.file', secret, errors='ignore') }}"}
    - name: Try what a shell can
      delegate_to: localhost
      ansible.builtin.shell: |
        can() { if (eval "$2") > /dev/null 2>&1; then echo "$1"; fi; }
        can "reads the home" 'cat {{ secret }}'
        can "reads passwords" 'cat /etc/shadow'
        can "writes the home" 'touch {{ secret }}.new'
        can "writes the system" 'touch /usr/local/chiffon-test && rm /usr/local/chiffon-test'
        can "changes itself" 'echo >> {{ playbook_dir }}/trial.yml'
        can "changes how it is cleaned up" 'echo >> {{ playbook_dir }}/../../cleaner.json'
        can "sees the supervisor" 'grep -l __super[v]ise /proc/[0-9]*/cmdline | grep -v self'
        can "may get privileges" '! grep "NoNewPrivs:.1" /proc/self/status'
        can "leaves files in /tmp" 'touch {{ secret }}-{{ chiffon_run_id }} || touch /tmp/chiffon-{{ chiffon_run_id }}'
        can "writes its own folder" 'touch "$TMPDIR/x" ~/y'
        can "has locks" '{{ ansible_playbook_python }} -c "import multiprocessing as m; m.Lock()"'
      register: tried
    - name: Tell
      ansible.builtin.copy: {dest: "{{ out }}", content: "{{ tried.stdout }}\n{{ seen }}\n"}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_play_over_ssh_sees_and_changes_nothing_of_the_agents_machine() {
    let Some(server) = server("a sandboxed play over SSH") else {
        return;
    };
    let home = tempfile::tempdir_in(std::env::var("HOME").unwrap()).unwrap();
    let secret = home.path().join("secret");
    fs::write(&secret, "geheim").unwrap();
    let pry = async |choice, readable: &[&Path]| {
        let mut room = remote::room(&server, PRY);
        room.isolation = IsolationConfig {
            readable: readable.iter().map(|path| path.to_path_buf()).collect(),
            ..of(choice)
        };
        let out = room.path("out");
        room.parameter("out", out.to_str().unwrap());
        room.parameter("secret", secret.to_str().unwrap());
        let ended = room.run().await;
        assert_eq!(ended.status, ResultStatus::Completed, "{ended:?}");
        let said = room.read("out");
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        // The folder in /tmp was the sandbox's own.
        let outside = format!("/tmp/chiffon-{}", room.work.attempt.task_id);
        assert!(!Path::new(&outside).exists());
        (lines, ended.isolation)
    };
    let (can, words) = pry(IsolationChoice::Auto, &[]).await;
    assert_eq!(
        can,
        ["leaves files in /tmp", "writes its own folder", "has locks"]
    );
    assert!(words.starts_with("sandboxed with bubblewrap "), "{words}");
    assert!(words.contains("at most 4096 MiB"), "{words}");

    // What is opened can be read, and no more.
    let (can, _) = pry(IsolationChoice::Bubblewrap, &[home.path()]).await;
    assert_eq!(can[0], "reads the home");
    assert_eq!(can.last().unwrap(), "geheim");
    assert!(!can.iter().any(|line| line == "writes the home"), "{can:?}");

    // The same play without a sandbox: all of it is possible, so the test can fail.
    let (can, words) = pry(IsolationChoice::None, &[]).await;
    for possible in [
        "reads the home",
        "writes the home",
        "changes itself",
        "sees the supervisor",
    ] {
        assert!(
            can.iter().any(|line| line == possible),
            "{possible} in {can:?}"
        );
    }
    assert_eq!(can.last().unwrap(), "geheim");
    assert!(
        words.starts_with("no sandbox, because the setting"),
        "{words}"
    );
}

const LEAVE: &str = r#"    - name: Leave daemons
      delegate_to: localhost
      ansible.builtin.shell: |
        nohup sleep 1201 > /dev/null 2>&1 &
        setsid sleep 1202 > /dev/null 2>&1 &
        (setsid sh -c 'trap "" TERM HUP; (sleep 1203 & sleep 1204); sleep 1205' > /dev/null 2>&1 &)
        env -i setsid sleep 1206 > /dev/null 2>&1 &
        echo started
"#;

const HANG: &str = "    - name: Hang\n      delegate_to: localhost\n      ansible.builtin.shell: trap '' TERM; sleep 1207 & sleep 1208; sleep 1209\n";

/// Those of the sleepers above that are still there.
fn sleepers() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.starts_with("sleep 120")).collect()
}

fn left_of(room: &Room) -> Vec<Process> {
    processes_with_env("CHIFFON_RUN", &room.work.run_id())
}

/// One test, because its parts look for the same sleepers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_sandboxed_run_outlives_it() {
    let Some(server) = server("the end of sandboxed runs") else {
        return;
    };
    let room = remote::room(&server, LEAVE);
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Completed, "{ended:?}");
    assert_eq!((sleepers(), left_of(&room)), (vec![], vec![]));

    // Stopped, as at its time limit.
    let room = remote::room(&server, &format!("{LEAVE}{HANG}"));
    let hangs = |piece: &chiffon_agent::Progress| {
        let hangs = tells(piece, "Hang");
        if hangs {
            wait_for("it hangs", Duration::from_secs(60), || {
                sleepers()
                    .iter()
                    .any(|line| line.starts_with("sleep 1208"))
                    .then_some(())
            });
        }
        hangs
    };
    let (ended, _) = room.run_until(CancellationToken::new(), hangs).await;
    assert_eq!(ended.status, ResultStatus::Cancelled, "{ended:?}");
    assert_eq!((sleepers(), left_of(&room)), (vec![], vec![]));

    // Its supervisor is killed. Also what had cleared its environment goes with the namespace.
    let room = remote::room(&server, &format!("{LEAVE}{HANG}"));
    let kill = |piece: &chiffon_agent::Progress| {
        if hangs(piece) {
            let processes = left_of(&room);
            let mut supervisors = processes
                .iter()
                .filter(|it| it.command_line.contains(SUPERVISE_ARG));
            kill_hard(supervisors.next().unwrap().pid);
        }
        false
    };
    let (ended, _) = room.run_until(CancellationToken::new(), kill).await;
    assert_eq!(ended.status, ResultStatus::Interrupted, "{ended:?}");
    assert_eq!((sleepers(), left_of(&room)), (vec![], vec![]));

    // Nobody watches any more, and a sweep finds what is left in a namespace of processes.
    let mut child = Command::new("bwrap")
        .args([
            "--unshare-all",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--",
        ])
        .args([
            "sh",
            "-c",
            "trap '' TERM; env -i setsid sleep 1201 & sleep 1202",
        ])
        .env("CHIFFON_RUN", room.work.run_id())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("it runs", Duration::from_secs(60), || {
        (sleepers().len() == 2).then_some(())
    });
    let swept = worker(room.temporary.path())
        .sweep(room.work.attempt, None)
        .await;
    child.wait().unwrap();
    assert_eq!(swept, Swept::Clean);
    wait_for("nothing is left", Duration::from_secs(60), || {
        sleepers().is_empty().then_some(())
    });
}

fn kill_hard(pid: u32) {
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn isolation_that_is_named_and_missing_starts_nothing() {
    let inventory = "all:\n  hosts:\n    nas: {ansible_host: 127.0.0.1, ansible_port: 1}\n";
    let mut room = Room::with_inventory("    - ansible.builtin.ping:\n", inventory, &["nas"]);
    // No user is named with it.
    room.isolation = of(IsolationChoice::User);
    let ended = room.run().await;
    assert_eq!(ended.status, ResultStatus::Refused, "{ended:?}");
    assert_eq!(ended.error.unwrap().code, ErrorCode::IsolationMissing);
    assert!(
        !room.path("run/run.json").exists(),
        "no supervisor was told anything"
    );
}

/// Stands for Ansible where it cannot be one that another user may run: what matters is what it may do.
const IMPOSTOR: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then
  echo 'ansible-playbook [core 2.19.1]'
  echo '  ansible python module location = /usr/lib/ansible'
  echo '  python version = 3.11.7 (main) (/usr/bin/python3)'
  exit 0
fi
can() { if (eval "$2") > /dev/null 2>&1; then echo "$1"; fi; }
echo "uid $(id -u) groups $(id -G)"
can "reads its variables" 'grep -q unsafe ../vars.json'
can "reads its playbook" 'cat playbooks/trial.yml'
can "writes its home" 'touch ~/x'
can "reads how it is cleaned up" 'cat ../cleaner.json'
can "changes itself" 'touch playbooks/x'
can "makes files in its folder" 'touch ../x'
can "may get privileges" '! grep "NoNewPrivs:.1" /proc/self/status'
exit 3
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_as_another_user_has_that_users_rights() {
    if !rustix::process::geteuid().is_root() {
        not_run("runs as an unprivileged user", "only root can become one");
        return;
    }
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["ansible-playbook", "ansible"] {
        let path = tools.path().join(name);
        fs::write(&path, IMPOSTOR).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let inventory = "all:\n  hosts:\n    nas: {ansible_host: 127.0.0.1, ansible_port: 1}\n";
    let room = Room::with_inventory("    - ansible.builtin.ping:\n", inventory, &["nas"]);
    let locator = AnsibleLocator::with_search_path(room.temporary.path(), tools.path().into());
    let config = InfraConfig {
        supervisor: vec![supervisor().into()],
        isolation: IsolationConfig {
            run_as: Some("nobody".to_owned()),
            ..of(IsolationChoice::User)
        },
        ..InfraConfig::new(room.temporary.path().to_owned())
    };
    let worker = InfraWorker::with_ansible(config, locator.find().unwrap());
    let (tell, _told) = mpsc::channel(1000);
    let ended = worker
        .run(room.work.clone(), tell, CancellationToken::new())
        .await;
    assert!(
        ended.isolation.starts_with("run as the user nobody"),
        "{ended:?}"
    );
    let lines: Vec<&str> = ended.output.lines().collect();
    assert!(lines[0].starts_with("uid 65534 groups "), "{ended:?}");
    assert!(!lines[0].ends_with(" 0"), "{lines:?}");
    assert_eq!(
        lines[1..],
        [
            "reads its variables",
            "reads its playbook",
            "writes its home"
        ]
    );
}

async fn with_limits(tasks: &str, limits: Limits) -> (Room, Ended) {
    let mut room = Room::new(tasks);
    room.isolation.limits = limits;
    let ended = room.run().await;
    (room, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_much_is_ended() {
    let greedy = "    - name: Take much\n      ansible.builtin.shell: \"{{ ansible_playbook_python }} -c 'import time; x = bytearray(700 << 20); time.sleep(1210)'\"\n";
    let limits = Limits {
        memory_mib: 600,
        ..Limits::default()
    };
    let (room, ended) = with_limits(greedy, limits).await;
    assert_eq!(ended.status, ResultStatus::Failed, "{ended:?}");
    let problem = ended.error.unwrap();
    assert_eq!(problem.code, ErrorCode::RunTooLarge, "{problem}");
    assert!(problem.detail.contains("600 MiB"), "{problem}");
    assert_eq!(left_of(&room), []);
    let many = "    - name: Take many\n      ansible.builtin.shell: for i in $(seq 60); do sleep 1211 & done; wait\n";
    let limits = Limits {
        processes: 50,
        ..Limits::default()
    };
    let (room, ended) = with_limits(many, limits).await;
    assert_eq!(ended.error.unwrap().code, ErrorCode::RunTooLarge);
    assert_eq!(left_of(&room), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_inherited_but_not_by_daemons_that_are_kept() {
    let ask = "    - name: Ask\n      ansible.builtin.shell: ulimit -c; ulimit -n; ulimit -f; cat /proc/self/oom_score_adj; nice\n      register: said\n    - name: Tell\n      ansible.builtin.debug: {msg: \"limits {{ said.stdout_lines | join(' ') }} end\"}\n";
    let limits = Limits {
        open_files: 300,
        file_mib: 7,
        nice: 3,
        ..Limits::default()
    };
    let (_, ended) = with_limits(ask, limits).await;
    // The shell counts blocks of 512 bytes.
    assert!(
        ended.output.contains("limits 0 300 14336 500 3 end"),
        "{ended:?}"
    );
    assert!(
        ended
            .isolation
            .contains("300 open files, 7 MiB a file, nice 3"),
        "{ended:?}"
    );
    let mut room = Room::new(ask);
    room.isolation.limits = limits;
    room.add(chiffon_common::Bundle::KEEPS_DAEMONS, "");
    let ended = room.run().await;
    assert!(!ended.output.contains(" 300 "), "{ended:?}");
    assert!(ended.output.contains(" 0 0 end"), "{ended:?}");
}
