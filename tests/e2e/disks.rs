//! Disks that are full while everything runs: the database's, the ledger's, the agents'. What is wrong is said
//! everywhere as long as it lasts, nothing that was taken is lost, and the same process goes on once there is room.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_tests::{Chiffon, Running, not_run, wait_for};

use crate::fresh::{Fresh, LIMIT, id_of, json, newest, up};

/// A small file system of its own, and a file that fills it.
struct Disk(PathBuf);

impl Disk {
    /// At this folder, which is made; `None` where nothing can be mounted, which is then reported.
    fn at(folder: PathBuf, megabytes: u32, what: &str) -> Option<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0700")])
            .arg("none")
            .arg(&folder)
            .output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        not_run(what, "a small file system cannot be mounted here");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// To the last byte.
    fn fill(&self) {
        let _until_it_is_full = Command::new("dd")
            .args(["if=/dev/zero", "bs=1k"])
            .arg(format!("of={}", self.filler().display()))
            .output();
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _seen_by_what_follows = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What health, `status` and `doctor` say of a part while it is not well, and that all of them say so.
#[track_caller]
fn all_tell(chiffon: &Chiffon, part: &str, words: &str) {
    let status = wait_for("health to tell", LIMIT, || {
        let status = chiffon.run(&["status", "--json"]);
        let health = json(&status.stdout)["health"].clone();
        let said = health["components"][part].as_str().unwrap_or("").to_owned();
        said.contains(words).then_some((status, said))
    });
    assert_eq!(status.0.code(), Some(1), "status is not well: {}", status.1);
    let doctor = chiffon.run(&["doctor"]);
    assert_eq!(doctor.code(), Some(1), "{}", doctor.stdout);
    let failed: Vec<&str> = doctor
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("FAIL"))
        .collect();
    assert!(
        failed.join("\n").contains("room"),
        "nobody says what to do: {}",
        doctor.stdout
    );
}

/// That all is well again, within a bound, and everything fits.
#[track_caller]
fn goes_on(chiffon: &Chiffon, up: &mut Running) {
    wait_for("all to be well", LIMIT, || {
        (chiffon.run(&["status"]).code() == Some(0)).then_some(())
    });
    chiffon.run(&["doctor"]).expect_code(0);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    wait_for("the ledger to be complete", LIMIT, || {
        let all = json(&chiffon.run(&["request", "list", "--json"]).stdout);
        let recorded = |request: &serde_json::Value| {
            let id = id_of(request);
            let shown = chiffon.run(&["request", "show", &id, "--json"]);
            json(&shown.stdout)["ledger_commit"].is_string()
        };
        all["items"].as_array()?.iter().all(recorded).then_some(())
    });
    chiffon.run(&["audit", "verify"]).expect_code(0);
    assert!(up.is_running(), "it ended: {}", up.stderr());
}

/// Ledger and agents lie on other disks: only the database feels it.
#[test]
fn a_full_disk_of_the_database_refuses_new_work_and_goes_on_by_itself() {
    let fresh = Fresh::bare();
    let home = fresh.home.path();
    let Some(disk) = Disk::at(home.clone(), 8, "a full disk of the database") else {
        return;
    };
    for other in ["ledger", "agents"] {
        let elsewhere = fresh.home.scratch().join(other);
        private(&elsewhere);
        std::os::unix::fs::symlink(&elsewhere, home.join(other)).unwrap();
    }
    fresh.link_ansible();
    let chiffon = fresh.chiffon();
    let mut running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    disk.fill();
    // What the files have in reserve is used up first, so several may still be taken.
    let refused = wait_for("a refusal", LIMIT, || {
        let asked = chiffon.run(&["ask", "ping localhost"]);
        (asked.code() != Some(0)).then_some(asked)
    });
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("5502")
            && refused.stderr.contains("nothing that was taken is lost"),
        "{}",
        refused.stderr
    );
    all_tell(&chiffon, "store", "full");
    let log = running.stderr();
    assert!(log.contains("the database cannot be written"), "{log}");
    disk.free();
    goes_on(&chiffon, &mut running);
    ends(running);
}

#[test]
fn a_full_disk_of_the_ledger_holds_nothing_up_and_is_filled_in_later() {
    let fresh = Fresh::new();
    let ledger = fresh.home.path().join("ledger");
    let Some(disk) = Disk::at(ledger, 2, "a full disk of the ledger") else {
        return;
    };
    let chiffon = fresh.chiffon();
    let mut running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    disk.fill();
    let target = fresh.home.scratch().join("written");
    let change = format!(
        "write_file path={} content=x on localhost",
        target.display()
    );
    let done = chiffon.run(&["run", &change, "--yes"]).expect_code(0);
    assert!(target.exists());
    assert!(
        done.stderr.contains("not recorded in the ledger yet")
            || done.stdout.contains("not recorded in the ledger yet"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    all_tell(&chiffon, "ledger", "No space left");
    // The database is complete, and what the ledger has fits it.
    chiffon.run(&["audit", "verify"]).expect_code(0);
    let id = id_of(&newest(&fresh));
    disk.free();
    goes_on(&chiffon, &mut running);
    let log = chiffon.run(&["log"]).expect_code(0);
    assert!(log.stdout.contains(&id), "{}", log.stdout);
    ends(running);
}

/// The journal cannot take a run any more: nothing is begun that could not be remembered, and once there is room the
/// agent begins what waits, once.
#[test]
fn a_full_disk_of_the_agents_begins_nothing_and_goes_on_without_a_restart() {
    let fresh = Fresh::new();
    let agents = fresh.home.path().join("agents");
    let Some(disk) = Disk::at(agents, 3, "a full disk of the agents") else {
        return;
    };
    let starts = fresh.home.scratch().join("starts");
    let tasks = format!(
        "- name: Leave a line\n  ansible.builtin.shell: echo started >> {}\n  changed_when: true\n",
        starts.display()
    );
    fresh.entry("once", &crate::fresh::metadata(60, "ask"), &tasks);
    let chiffon = fresh.chiffon();
    let mut running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    disk.fill();
    // Readings until the last page of the journal is full.
    let is_told = |running: &Running| running.stderr().contains("5509");
    for _ in 0..20 {
        if is_told(&running) {
            break;
        }
        chiffon.run(&["ask", "ping localhost"]).expect_code(0);
        wait_for("an end or a fault", LIMIT, || {
            (newest(&fresh)["ended"] == true || is_told(&running)).then_some(())
        });
    }
    all_tell(&chiffon, "agent infrastructure", "No space left");
    let asked = [
        "run",
        "once on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ];
    let waiting = chiffon.spawn(&asked);
    wait_for("the reason in words", LIMIT, || {
        let shown = chiffon.run(&["request", "show", &id_of(&newest(&fresh))]);
        let told = shown.stdout.contains("waits for agent infrastructure")
            && shown.stdout.contains("No space left");
        told.then_some(())
    });
    assert!(!starts.exists(), "it began unjournaled");
    disk.free();
    let ended = waiting.wait(LIMIT);
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    goes_on(&chiffon, &mut running);
    let starts = fs::read_to_string(&starts).unwrap();
    assert_eq!(starts.lines().count(), 1, "it ran twice");
    ends(running);
}

/// A command with its own fleet, whose disk fills while its run is at work: it says what it waits for, and ends when it
/// is told to. The next start takes it up, and does not take what was changed for nothing.
#[test]
fn a_command_on_a_full_disk_says_what_it_waits_for_and_can_be_ended() {
    let fresh = Fresh::bare();
    let Some(disk) = Disk::at(fresh.home.path(), 8, "a full disk under a command") else {
        return;
    };
    fresh.link_ansible();
    let chiffon = fresh.chiffon();
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    let (begun, go_on) = (
        fresh.home.scratch().join("begun"),
        fresh.home.scratch().join("go_on"),
    );
    let tasks = format!(
        "- name: Begin\n  ansible.builtin.copy: {{content: x, dest: '{}'}}\n- name: Wait\n  ansible.builtin.wait_for: {{path: '{}', timeout: 300}}\n",
        begun.display(),
        go_on.display()
    );
    fresh.entry("slow", &crate::fresh::metadata(400, "retry"), &tasks);
    let mut run = chiffon.spawn(&[
        "run",
        "slow on localhost",
        "--yes=2",
        "--confirm",
        "localhost",
    ]);
    wait_for("its begin", LIMIT, || begun.exists().then_some(()));
    disk.fill();
    fs::write(&go_on, "").unwrap();
    run.wait_for_line("waits, nothing is lost", LIMIT);
    // Whoever looks sees it too.
    let status = chiffon.run(&["status"]);
    assert!(
        status.stdout.contains("full") || status.stdout.contains("No space left"),
        "{}",
        status.stdout
    );
    run.interrupt();
    let ended = run.wait(LIMIT);
    assert!(
        ended.stderr.contains("That you stopped it is not recorded"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    disk.free();
    let id = id_of(&newest(&fresh));
    let watched = chiffon.run(&["watch", &id]);
    assert_eq!(
        watched.code(),
        Some(0),
        "{}{}",
        watched.stdout,
        watched.stderr
    );
    let shown = json(&chiffon.run(&["request", "show", &id, "--json"]).stdout);
    assert_eq!(shown["state"], "completed", "{shown:#}");
    // The journal had room for its result, or it had not and the next attempt says so; "nothing changed" is never said.
    let task = &shown["tasks"][0];
    let counted = task["hosts"]["localhost"]["changed"] == 1;
    assert!(counted || task["cut_off_before"] == true, "{shown:#}");
    chiffon.run(&["audit", "verify"]).expect_code(0);
}

fn private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
}

#[track_caller]
fn ends(mut up: Running) {
    up.interrupt();
    let ended = up.wait(LIMIT);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}
