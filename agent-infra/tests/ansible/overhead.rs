//! What the agent adds to bare `ansible-playbook`, side by side in one run.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chiffon_agent::Worker;
use chiffon_agent_infra::{IsolationChoice, IsolationConfig};
use chiffon_common::ResultStatus;
use chiffon_tests::Sshd;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    remote,
    room::{LOCALHOST, Room, ansible, isolated_worker},
};

const TASKS: &str = "    - name: One\n      ansible.builtin.command: \"true\"\n    - name: Two\n      ansible.builtin.stat: {path: /}\n    - name: Three\n      ansible.builtin.debug: {msg: x}\n";

/// Without the parts that the agent adds: the same playbook with Ansible's own defaults.
fn bare() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let playbook = format!("- hosts: all\n  gather_facts: false\n  tasks:\n{TASKS}");
    std::fs::write(folder.path().join("trial.yml"), playbook).unwrap();
    std::fs::write(folder.path().join("hosts.yml"), LOCALHOST).unwrap();
    let begun = Instant::now();
    let status = Command::new(ansible().playbook)
        .args(["-i", "hosts.yml", "trial.yml"])
        .current_dir(folder.path())
        .env("LC_ALL", "C.UTF-8")
        .env(
            "ANSIBLE_PYTHON_INTERPRETER",
            ansible().playbook.with_file_name("python"),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    begun.elapsed()
}

async fn through_the_agent() -> Duration {
    let room = Room::new(TASKS);
    let begun = Instant::now();
    let ended = room.run().await;
    let taken = begun.elapsed();
    assert_eq!(ended.status, ResultStatus::Completed, "{}", ended.output);
    taken
}

/// The goal is 1.05; a busy machine of two cores may be off by more, so the fence stands further out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_adds_little_to_a_run() {
    bare();
    through_the_agent().await;
    let mut pairs: Vec<(Duration, Duration)> = Vec::new();
    for _ in 0..7 {
        let bare = tokio::task::spawn_blocking(bare).await.unwrap();
        pairs.push((bare, through_the_agent().await));
    }
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(bare, ours)| ours.as_secs_f64() / bare.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "bare and through the agent: {pairs:?}; median ratio {:.3}",
        ratios[3]
    );
    assert!(ratios[3] < 1.5, "{pairs:?}");
}

/// Bare Ansible over SSH, with its own defaults.
fn bare_over_ssh(server: &Sshd) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "trial.yml",
        format!("- hosts: all\n  gather_facts: false\n  tasks:\n{TASKS}"),
    );
    write("hosts.yml", remote::inventory(server));
    server.write_known_hosts(&folder.path().join("known_hosts"));
    let begun = Instant::now();
    let status = Command::new(ansible().playbook)
        .args(["-i", "hosts.yml", "trial.yml", "-e"])
        // Looked for as ours is, but past a version manager's shim that may not work.
        .arg(r#"{"ansible_interpreter_python_fallback": ["/usr/bin/python3"]}"#)
        .arg(format!(
            "--ssh-common-args=-o UserKnownHostsFile={}/known_hosts",
            folder.path().display()
        ))
        .current_dir(folder.path())
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_PYTHON_INTERPRETER", "auto_silent")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    begun.elapsed()
}

/// Side by side, each pair in one round; only told, because these machines are shared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sandbox_adds_to_a_run_over_ssh_is_told() {
    let Some(server) = Sshd::start_or_report("what a sandbox adds") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let worker = |choice| {
        let isolation = IsolationConfig {
            choice,
            ..IsolationConfig::default()
        };
        isolated_worker(home.path(), isolation)
    };
    let (plain, fenced) = (worker(IsolationChoice::None), worker(IsolationChoice::Auto));
    // Trying what the host offers is done once, at the start.
    plain.capabilities().await;
    let offers = fenced.capabilities().await;
    let run = async |worker: &chiffon_agent_infra::InfraWorker| {
        let room = remote::room(&server, TASKS);
        let (tell, _told) = mpsc::channel(1000);
        let begun = Instant::now();
        let ended = worker
            .run(room.work.clone(), tell, CancellationToken::new())
            .await;
        assert_eq!(ended.status, ResultStatus::Completed, "{ended:?}");
        begun.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<[f64; 2]> = Vec::new();
    for _ in 0..3 {
        let bare = tokio::task::block_in_place(|| bare_over_ssh(&server)).as_secs_f64();
        let (plain, fenced) = (run(&plain).await, run(&fenced).await);
        ratios.push([plain / bare, fenced / bare]);
    }
    let median = |at: usize| {
        let mut all: Vec<f64> = ratios.iter().map(|pair| pair[at]).collect();
        all.sort_by(f64::total_cmp);
        all[1]
    };
    println!(
        "over SSH, to bare ansible-playbook: {:.3} without a sandbox, {:.3} with ({})",
        median(0),
        median(1),
        offers["isolation"]
    );
}
