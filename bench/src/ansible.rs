//! What the agent adds to bare `ansible-playbook`, and how that stands beside ansible-runner: the same playbook on this
//! machine, one after the other in each round, and the median of the rounds' ratios.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use chiffon_agent::{Work, Worker};
use chiffon_agent_infra::{Ansible, AnsibleLocator, InfraConfig, InfraWorker};
use chiffon_common::{AttemptRef, Bundle, BundleFile, Mode, Parameters, ResultStatus, TaskId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::table::{median, row};

const PLAYBOOK: &str = "\
- name: A measure
  hosts: all
  gather_facts: false
  tasks:
    - name: One
      ansible.builtin.command: \"true\"
    - name: Two
      ansible.builtin.stat: {path: /}
    - name: Three
      ansible.builtin.debug: {msg: x}
";
const HOSTS: &str = "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n";

pub(crate) async fn measure(rounds: u32) -> anyhow::Result<()> {
    let home = Path::new("target/bench-ansible");
    std::fs::create_dir_all(home)?;
    let home = home.canonicalize()?;
    let ansible = tokio::task::block_in_place(|| private_ansible(&home))?;
    let worker = InfraWorker::with_ansible(InfraConfig::new(home.clone()), ansible.clone());
    let runner = match tokio::task::block_in_place(|| runner(&home, &ansible)) {
        Ok(runner) => Some(runner),
        Err(error) => {
            eprintln!("chiffon-bench: no ansible-runner: {error:#}");
            None
        }
    };
    let (mut bares, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let bare = tokio::task::block_in_place(|| bare(&ansible))?.as_secs_f64();
        let agent = agent(&worker).await?.as_secs_f64();
        let beside = runner
            .as_deref()
            .map(|runner| tokio::task::block_in_place(|| through_runner(runner, &ansible)));
        // The first round warms caches.
        if round > 0 {
            bares.push(bare);
            ours.push(agent / bare);
            theirs.extend(beside.transpose()?.map(|time| time.as_secs_f64() / bare));
        }
    }
    let beside = match theirs.is_empty() {
        true => "ansible-runner: not there".to_owned(),
        false => format!("ansible-runner: {:.3} times bare", median(&mut theirs)),
    };
    let ratio = median(&mut ours);
    row(
        &format!("playbook through the agent, {rounds} paired rounds"),
        &format!(
            "{ratio:.3} times bare ansible-playbook ({:.2} s)",
            median(&mut bares)
        ),
        &beside,
        &format!("{ratio:.3}"),
        "at most 1.05",
    );
    Ok(())
}

/// The same Ansible for all three.
fn private_ansible(home: &Path) -> anyhow::Result<Ansible> {
    let locator = AnsibleLocator::new(home);
    let found = locator.ensure(&|step| eprintln!("{step}"));
    found.map_err(|problem| anyhow::anyhow!("{}", problem.detail))
}

/// The peer with an ansible-core of the same version, in a folder of its own.
fn runner(home: &Path, ansible: &Ansible) -> anyhow::Result<PathBuf> {
    let place = home.join("runner");
    let program = place.join("bin/ansible-runner");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        run(Command::new(place.join("bin/pip"))
            .args(["install", "--quiet", "ansible-runner"])
            .arg(format!("ansible-core=={}", ansible.version)))?;
    }
    Ok(program)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// A folder as Ansible's own defaults want it.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("trial.yml"), PLAYBOOK)?;
    std::fs::write(folder.path().join("hosts.yml"), HOSTS)?;
    Ok(folder)
}

fn as_usual(command: &mut Command, ansible: &Ansible) -> anyhow::Result<Duration> {
    let python = ansible.playbook.with_file_name("python");
    command
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_PYTHON_INTERPRETER", python)
        .stderr(Stdio::null());
    let begun = Instant::now();
    run(command)?;
    Ok(begun.elapsed())
}

fn bare(ansible: &Ansible) -> anyhow::Result<Duration> {
    let folder = folder()?;
    let mut command = Command::new(&ansible.playbook);
    command
        .args(["-i", "hosts.yml", "trial.yml"])
        .current_dir(folder.path());
    as_usual(&mut command, ansible)
}

fn through_runner(runner: &Path, ansible: &Ansible) -> anyhow::Result<Duration> {
    let folder = folder()?;
    let bin = runner.parent().context("a program lies in a folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(runner);
    command
        .arg("run")
        .arg(folder.path())
        .args(["--playbook", "trial.yml", "--project-dir"])
        .arg(folder.path())
        .args(["--inventory", "hosts.yml", "--quiet"])
        .env("PATH", format!("{}:{path}", bin.display()))
        .current_dir(folder.path());
    as_usual(&mut command, ansible)
}

async fn agent(worker: &InfraWorker) -> anyhow::Result<Duration> {
    let folder = tempfile::Builder::new().prefix("chiffon-run-").tempdir()?;
    let mut bundle = Bundle::default();
    for (path, content) in [
        ("playbooks/trial.yml", PLAYBOOK),
        ("inventory/hosts.yml", HOSTS),
    ] {
        let file = BundleFile {
            executable: false,
            content: content.as_bytes().to_vec(),
        };
        bundle.insert(path, file)?;
    }
    let task_id = TaskId::from_uuid(Uuid::now_v7());
    let work = Work {
        attempt: AttemptRef {
            task_id,
            attempt: 1,
        },
        action: "trial".parse()?,
        mode: Mode::Apply,
        hosts: vec!["localhost".parse()?],
        parameters: Parameters::new(),
        secret_parameters: Vec::new(),
        digest: bundle.digest(),
        bundle,
        timeout: Duration::from_secs(120),
        folder: folder.path().join("run"),
    };
    let (tell, mut told) = mpsc::channel(1_000);
    let begun = Instant::now();
    let listen = async { while told.recv().await.is_some() {} };
    let (ended, ()) = tokio::join!(worker.run(work, tell, CancellationToken::new()), listen);
    let taken = begun.elapsed();
    ensure!(ended.status == ResultStatus::Completed, "{}", ended.output);
    Ok(taken)
}
