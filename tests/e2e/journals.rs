//! What becomes of an agent's journal: torn, cut back, flipped, deleted, not to be written. Nothing is run again because
//! its record is gone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use chiffon_tests::{not_run, wait_for};
use serde_json::Value;

use crate::fresh::{Fresh, LIMIT, ends, id_of, json, metadata, newest, up};

/// Flips a bit in the middle of a file, whatever its mode.
fn flip(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

/// An entry that leaves a line when it begins, and a run of it that was cut off by a crash of everything.
struct CutOff {
    fresh: Fresh,
    starts: PathBuf,
    journal: PathBuf,
    request: String,
    /// Of the run, where the agent keeps such folders.
    folder: PathBuf,
}

impl CutOff {
    fn new() -> Self {
        let fresh = Fresh::new();
        let starts = fresh.home.scratch().join("starts");
        let tasks = format!(
            "- name: Start and stay\n  ansible.builtin.shell: echo {{{{ playbook_dir }}}} >> {}; sleep 600\n  changed_when: true\n",
            starts.display()
        );
        fresh.entry("stay", &metadata(900, "ask"), &tasks);
        let mut running = up(&fresh);
        let _follower = fresh.chiffon().spawn(&[
            "run",
            "stay on localhost",
            "--yes=2",
            "--confirm",
            "localhost",
        ]);
        let begun = || {
            fs::read_to_string(&starts)
                .ok()
                .filter(|it| it.ends_with('\n'))
        };
        let playbook = wait_for("the start", LIMIT, begun);
        let request = id_of(&newest(&fresh));
        running.kill_9();
        let shown = json(&fresh.run(&["request", "show", &request, "--json"]).stdout);
        let task = shown["tasks"][0]["task_id"].as_str().unwrap().to_owned();
        let mut above = Path::new(playbook.trim()).ancestors();
        let is_of_run = |at: &&Path| {
            at.file_name()
                .is_some_and(|it| it.to_string_lossy().starts_with(&task))
        };
        let folder = above.find(is_of_run).unwrap().to_owned();
        let cut_off = Self {
            journal: fresh.home.path().join("agents/infrastructure/journal"),
            fresh,
            starts,
            request,
            folder,
        };
        copy(&cut_off.fresh.home.path(), &cut_off.kept());
        cut_off
    }

    fn kept(&self) -> PathBuf {
        self.fresh.home.scratch().join("kept")
    }

    /// Everything as the crash left it.
    fn restore(&self) {
        fs::remove_dir_all(self.fresh.home.path()).unwrap();
        copy(&self.kept(), &self.fresh.home.path());
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .unwrap();
    }

    fn shown(&self) -> Value {
        let shown = self
            .fresh
            .run(&["request", "show", &self.request, "--json"]);
        json(&shown.expect_code(0).stdout)
    }

    /// Started again, it says that it does not know or asks, and nothing runs before somebody has answered.
    #[track_caller]
    fn is_never_run_again(&self, what: &str, state: &str) {
        let running = up(&self.fresh);
        wait_for(&format!("an honest state, {what}"), LIMIT, || {
            let shown = self.shown();
            let task = shown["tasks"].as_array()?.last()?["state"] == state;
            let asked = shown["decisions"].as_array()?.last()?["kind"] == "interrupted";
            (task || (asked && state == "asked")).then_some(())
        });
        if state == "unknown" {
            let status = self.fresh.run(&["status"]).stdout;
            let is_told =
                status.contains("localhost needs a look") && status.contains(&self.request);
            assert!(is_told, "{what}: {status}");
            let resolve = ["request", "resolve", &self.request, "failed"];
            self.fresh.run(&resolve).expect_code(0);
        } else {
            let cancel = ["request", "cancel", &self.request];
            self.fresh.run(&cancel).expect_code(0);
        }
        wait_for(&format!("the end, {what}"), LIMIT, || {
            (self.shown()["ended"] == true).then_some(())
        });
        self.fresh.run(&["run", "ping localhost"]).expect_code(0);
        self.fresh.run(&["audit", "verify"]).expect_code(0);
        let starts = fs::read_to_string(&self.starts).unwrap();
        assert_eq!(starts.lines().count(), 1, "{what}: it ran twice unasked");
        ends(running);
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_journal_that_lost_words_or_was_changed_never_begins_a_run_again() {
    let cut_off = CutOff::new();
    let journal = &cut_off.journal;
    let bytes = fs::read(journal).unwrap();
    let without = |records: usize| {
        let all: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        all[..all.len() - records].concat()
    };
    println!("{}", String::from_utf8_lossy(&bytes));
    for (what, damage, state) in [
        (
            "torn in its last record",
            Some(bytes[..bytes.len() - 7].to_vec()),
            "asked",
        ),
        ("without its last record", Some(without(1)), "asked"),
        ("as it was before the run came", Some(without(2)), "unknown"),
        ("deleted", None, "unknown"),
    ] {
        cut_off.restore();
        match damage {
            Some(damage) => fs::write(journal, damage).unwrap(),
            None => fs::remove_file(journal).unwrap(),
        }
        cut_off.is_never_run_again(what, state);
    }
    cut_off.restore();
    flip(journal);
    cut_off.is_never_run_again("flipped in its middle", "unknown");
    let aside = journal.with_extension("damaged-1");
    assert!(aside.is_file(), "it was thrown away");
    // Told until somebody has looked, also where no run was cut off by it.
    for look in ["status", "doctor"] {
        let told = cut_off.fresh.run(&[look]).stdout;
        let is_told = told.contains("journal of agent infrastructure was damaged")
            && told.contains(&aside.display().to_string());
        assert!(is_told, "{look}: {told}");
    }
    fs::remove_file(aside).unwrap();
    let status = cut_off.fresh.run(&["status"]).expect_code(0).stdout;
    assert!(!status.contains("journal"), "{status}");
}

#[test]
fn an_agent_folder_that_is_read_only_is_told_and_nothing_begins() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let folder = fresh.home.path().join("agents/infrastructure");
    let Some(shut) = crate::bad_input::ReadOnly::make(&folder) else {
        not_run("a read-only journal", "it cannot be mounted read-only here");
        return;
    };
    for args in [
        vec!["run", "ping localhost"],
        vec!["up", "--listen", "127.0.0.1:0"],
    ] {
        let refused = fresh.run(&args);
        assert_eq!(refused.code(), Some(1), "{args:?}: {}", refused.stdout);
        assert!(
            refused.stderr.contains("agents/infrastructure") && refused.stderr.contains("ead-only"),
            "{args:?}: {}",
            refused.stderr
        );
    }
    let status = fresh.run(&["status"]).expect_code(1);
    assert!(
        status.stdout.contains("agent infrastructure"),
        "{}",
        status.stdout
    );
    drop(shut);
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    fresh.run(&["status"]).expect_code(0);
}

/// A command that ends gives nobody who would go on: it says so. What is open is warned of also where only a plan is wanted.
#[test]
fn a_word_without_a_fleet_says_that_nothing_goes_on_yet_and_a_dry_run_warns_of_what_is_open() {
    let cut_off = CutOff::new();
    let fresh = &cut_off.fresh;
    // A fleet that ends with the command reads the journal, and leaves the question open.
    let _asks = fresh.run(&["watch", &cut_off.request, "--no-input"]);
    let asked = cut_off.shown();
    assert_eq!(asked["decisions"][1]["kind"], "interrupted", "{asked:#}");
    let change = "write_file path=/tmp/never content=x on localhost";
    let planned = fresh.run(&["run", change, "--dry-run"]).expect_code(0);
    let warning = planned.stdout.contains("localhost needs a look since");
    assert!(warning, "{}", planned.stdout);
    let said = fresh.run(&["request", "resolve", &cut_off.request, "retry"]);
    let said = said.expect_code(0);
    assert!(!said.stdout.contains("goes on"), "{}", said.stdout);
    let todo = format!("chiffon watch {}", cut_off.request);
    assert!(
        said.stderr.contains("No `chiffon up` runs"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains(&todo), "{}", said.stderr);
    let starts = fs::read_to_string(&cut_off.starts).unwrap();
    assert_eq!(starts.lines().count(), 1, "it began");
}
