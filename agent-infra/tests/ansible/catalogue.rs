//! The shipped entries that change a machine, done for real on one that is thrown away: a copy of this one in an
//! overlay, made by `trial/machine.sh`. What each must have done stands in the playbooks beside it.
//!
//! Not here: what needs systemd, Docker, or a machine that can be rebooted.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use chiffon_tests::not_run;

use crate::room::ansible;

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/ansible/trial")
        .join(name)
}

/// Runs a command on the copy, which is gone afterwards.
fn on_a_copy(command: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Command::new(beside("machine.sh"));
    machine.arg(folder.path()).args(command);
    let playbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks");
    machine
        .env("ANSIBLE_CONFIG", playbooks.join("ansible.cfg"))
        .env("ANSIBLE_ROLES_PATH", playbooks.join("roles"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("ANSIBLE_PIPELINING", "1");
    machine.output().unwrap()
}

fn can_be_made(what: &str) -> bool {
    let tried = on_a_copy(&["/bin/true"]);
    if !tried.status.success() {
        let said = String::from_utf8_lossy(&tried.stderr).into_owned();
        let last = said.lines().last().unwrap_or("it says nothing").to_owned();
        not_run(
            what,
            &format!("no copy of this machine can be made here ({last})"),
        );
    }
    tried.status.success()
}

fn passes(playbook: &str) {
    let ansible = ansible();
    let playbook = beside(playbook);
    let done = on_a_copy(&[
        ansible.playbook.to_str().unwrap(),
        "--inventory",
        "localhost,",
        "--connection",
        "local",
        "--extra-vars",
        "ansible_python_interpreter=/usr/bin/python3",
        playbook.to_str().unwrap(),
    ]);
    assert!(
        done.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn entries_do_their_work_once_and_are_taken_back() {
    let what = "services without systemd, packages, cron and SSH keys, on a copy of this machine";
    if can_be_made(what) {
        passes("trial.yml");
    }
    not_run(
        "deploy_compose_stack, deploy_kuma, docker_prune",
        "no Docker with images in the test run; tried by hand",
    );
    not_run(
        "services under systemd, reboot_host with a real reboot",
        "no second machine in the test run; tried by hand in a container with systemd",
    );
}

#[test]
fn a_folder_is_backed_up_and_restored() {
    let what = "backup_directory and restore_directory";
    let is_there = ["/usr/bin/restic", "/usr/local/bin/restic"]
        .iter()
        .any(|path| Path::new(path).exists());
    if !is_there {
        not_run(what, "restic is not installed");
    } else if can_be_made(what) {
        passes("backup.yml");
    }
}
