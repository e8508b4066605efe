//! The ledger against plain git, against itself, and against crashes and strangers.

mod burst;
mod faults;
mod healing;
mod sound;
mod tidy;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
};

use chiffon_common::{Digest, ErrorCode, HostOutcome, Tier};
use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use jiff::{Timestamp, ToSpan};
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// Runs git as a person would, without that person's configuration.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PAGER", "cat")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .expect("git is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("git answers in UTF-8")
}

/// Makes all objects loose ones, as earlier versions wrote them.
fn unpack(folder: &Path) {
    let aside = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.join("objects/pack")).unwrap() {
        let path = file.unwrap().path();
        let to = aside.path().join(path.file_name().unwrap());
        std::fs::copy(&path, &to).unwrap();
        std::fs::remove_file(&path).unwrap();
        if to.extension().is_some_and(|one| one == "pack") {
            let mut unpack = Command::new("git");
            unpack
                .arg("-C")
                .arg(folder)
                .args(["unpack-objects", "-q"])
                .stdin(std::fs::File::open(&to).unwrap());
            assert!(unpack.status().unwrap().success());
        }
    }
}

/// The rows of a ledger, as the store would keep them.
#[derive(Default)]
struct Rows {
    batches: Vec<LedgerBatchRow>,
    entries: Vec<LedgerEntryRow>,
}

fn begin() -> Timestamp {
    "2026-11-20T17:30:05.25Z".parse().unwrap()
}

/// A change by `bob`, approved by `anna`; the number makes ids and times.
fn change(n: u32) -> LedgerDoc {
    let parameters = json!({"path": "/etc/motd", "content": format!("hello {n}\nworld\n")});
    LedgerDoc {
        form: FORM,
        request_id: format!("01939f00-0000-7000-8000-{n:012x}").parse().unwrap(),
        requester: "local:bob".to_owned(),
        approvers: vec!["local:anna".to_owned()],
        undo_of: None,
        text: "write hello into /etc/motd on nas".to_owned(),
        plan_digest: Some(Digest::of_bytes(&n.to_be_bytes())),
        title: "Write /etc/motd on nas".to_owned(),
        tier: Tier::One,
        started_at: begin(),
        ended_at: begin() + (12_340 + i64::from(n)).milliseconds(),
        outcome: RequestOutcome::Completed,
        steps: vec![StepDoc {
            task_id: format!("01939f01-0000-7000-8000-{n:012x}").parse().unwrap(),
            entry: "write_file".parse().unwrap(),
            title: "Write /etc/motd on nas".to_owned(),
            tier: Tier::One,
            hosts: vec!["nas".parse().unwrap()],
            parameters: parameters.as_object().unwrap().clone(),
            outcome: StepOutcome::Completed,
            changed: true,
            changes_unknown: false,
            changed_before: BTreeSet::new(),
            said: Vec::new(),
            done_before: None,
            host_outcomes: BTreeMap::from([("nas".parse().unwrap(), HostOutcome::Changed)]),
            evidence: None,
            duration_seconds: 3.21,
        }],
        problem: None,
        tells_changes: false,
        limit_seconds: None,
    }
}

fn reading(n: u32) -> LedgerDoc {
    let mut doc = change(n);
    doc.tier = Tier::Zero;
    doc.approvers = Vec::new();
    doc.title = "How full are the disks of nas".to_owned();
    doc.steps[0].tier = Tier::Zero;
    doc.steps[0].changed = false;
    doc
}

impl Rows {
    /// Decides a batch of these documents.
    fn decide(&mut self, docs: &[LedgerDoc]) -> (LedgerBatchRow, Vec<LedgerEntryRow>) {
        let first_entry = self.entries.len() as u64 + 1;
        let entries = docs
            .iter()
            .zip(first_entry..)
            .map(|(doc, entry_no)| LedgerEntryRow {
                tenant_id: Default::default(),
                entry_no,
                request_id: doc.request_id,
                shares_commit: doc.tier == Tier::Zero,
                created_at: doc.ended_at,
                doc: serde_json::to_value(doc).unwrap(),
            });
        let entries: Vec<_> = entries.collect();
        self.entries.extend(entries.clone());
        let batch_no = self.batches.len() as u64 + 1;
        let batch = LedgerBatchRow {
            tenant_id: Default::default(),
            batch_no,
            first_entry,
            last_entry: self.entries.len() as u64,
            time: Timestamp::from_second(begin().as_second()).unwrap()
                + (batch_no as i64).minutes(),
            parent: self.batches.last().and_then(|last| last.commit.clone()),
            commit: None,
            signer: None,
        };
        self.batches.push(batch.clone());
        (batch, entries)
    }

    /// Decides a batch, writes it, and keeps its commit.
    fn write(&mut self, ledger: &mut Ledger, docs: &[LedgerDoc]) -> CommitId {
        let (batch, entries) = self.decide(docs);
        let commit = ledger.write(&batch, &entries).unwrap();
        self.batches.last_mut().unwrap().commit = Some(commit.to_string());
        commit
    }

    fn verify(&self, ledger: &Ledger) -> Result<(), Fault> {
        ledger.verify(&self.batches, &self.entries)
    }
}

/// Two changes with readings between.
fn written() -> (TempDir, Ledger, Rows) {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    let mut rows = Rows::default();
    rows.write(&mut ledger, &[change(1)]);
    rows.write(&mut ledger, &[reading(2), reading(3)]);
    let mut later = change(4);
    later.requester = "local:eve".to_owned();
    rows.write(&mut ledger, &[later]);
    (folder, ledger, rows)
}

#[test]
fn plain_git_reads_well() {
    let (folder, _ledger, _rows) = written();
    let log = git(folder.path(), &["log", "--reverse"]);
    let expected = "\
commit 1

Author: Chiffon <chiffon@localhost>
Date:   Fri Nov 20 17:31:05 2026 +0000

    infra(01939f01-0000-7000-8000-000000000001): Write /etc/motd on nas
    
    local:bob asked: write hello into /etc/motd on nas
    It ended as completed, with changes.
    
    Request: 01939f00-0000-7000-8000-000000000001
    Task: 01939f01-0000-7000-8000-000000000001
    Plan-Digest: sha256:b40711a88c7039756fb8a73827eabe2c0fe5a0346ca7e0a104adc0fc764f528d
    Requester: local:bob
    Approver: local:anna
    Tier: 1
    Hosts: nas
    Outcome: completed
    Duration: 12.3 s
    Batch: 1
    Last-Seq: 1
";
    let first = log.split("\ncommit ").next().unwrap();
    let (_, first) = first.split_once('\n').unwrap();
    assert_eq!(format!("commit 1\n\n{first}"), expected);
    let subjects = git(folder.path(), &["log", "--reverse", "--format=%s"]);
    let subjects: Vec<_> = subjects.lines().collect();
    assert_eq!(subjects[1], "report: 2 readings");
    assert_eq!(subjects.len(), 3);
    git(folder.path(), &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn git_blame_answers_who_and_when() {
    let (folder, _ledger, rows) = written();
    let path = format!("{}/write_file.yml", host_folder(&"nas".parse().unwrap()));
    let blame = git(folder.path(), &["blame", "--abbrev=39", &path]);
    let commit_of = |text: &str| {
        let line = blame.lines().find(|line| line.contains(text));
        let line = line.unwrap_or_else(|| panic!("{text} stands in\n{blame}"));
        line.trim_start_matches('^')[..39].to_owned()
    };
    let commit = |n: usize| rows.batches[n].commit.clone().unwrap()[..39].to_owned();
    assert_eq!(commit_of("requester: local:eve"), commit(2));
    assert_eq!(commit_of("hello 4"), commit(2));
    assert_eq!(
        commit_of("path: /etc/motd"),
        commit(0),
        "unchanged since the first"
    );
    let digest = Digest::of_bytes(&4_u32.to_be_bytes());
    let expected = format!(
        "\
entry: write_file
title: Write /etc/motd on nas
outcome: changed
parameters:
  content: |
    hello 4
    world
  path: /etc/motd
time: \"2026-11-20T17:30:17Z\"
requester: local:eve
approvers:
  - local:anna
request: \"01939f00-0000-7000-8000-000000000004\"
task: \"01939f01-0000-7000-8000-000000000004\"
plan_digest: {digest}
"
    );
    let shown = git(folder.path(), &["show", &format!("HEAD:{path}")]);
    assert_eq!(shown, expected);
    let paths = git(folder.path(), &["ls-tree", "-r", "--name-only", "HEAD"]);
    assert_eq!(
        paths.lines().count(),
        5,
        "a reading leaves no host file:\n{paths}"
    );
    let record = "records/2026/11/20/17/00/02/01939f00-0000-7000-8000-000000000002.yml";
    assert!(paths.contains(record), "{paths}");
}

/// If this hash changes, every ledger that was ever written stops verifying: make a new form instead.
#[test]
fn the_same_rows_give_the_same_hash_in_every_clone_for_ever() {
    let (_one, first, _) = written();
    let (_two, second, _) = written();
    let head = first.head().unwrap();
    assert_eq!(head, second.head().unwrap());
    assert_eq!(
        head.unwrap().to_string(),
        "58128d808cddde6d7ee34ab9f654a2d7f7774457"
    );
}

#[test]
fn a_crash_between_objects_and_branch_is_healed_by_writing_again() {
    let (folder, ledger, mut rows) = written();
    let (batch, entries) = rows.decide(&[change(5)]);
    let before = ledger.head().unwrap();
    let made = build(
        &ledger.repository,
        &Signing::default(),
        Objects::Known,
        &batch,
        &entries,
    )
    .unwrap();
    drop(ledger);
    std::fs::write(folder.path().join("refs/heads/main.lock"), "").unwrap();
    std::fs::write(folder.path().join("HEAD.lock"), "").unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(ledger.head().unwrap(), before);
    assert_eq!(rows.verify(&ledger), Ok(()), "decided and not written");
    assert_eq!(ledger.write(&batch, &entries), Ok(made));
    assert_eq!(rows.verify(&ledger), Ok(()), "written and not stored");
    assert_eq!(ledger.write(&batch, &entries), Ok(made), "and once more");
    assert_eq!(ledger.head().unwrap(), Some(made));
    rows.batches.last_mut().unwrap().commit = Some(made.to_string());
    assert_eq!(rows.verify(&ledger), Ok(()));
}

#[test]
fn a_ledger_that_is_gone_is_made_anew_from_the_rows() {
    let (_folder, ledger, rows) = written();
    let folder = tempfile::tempdir().unwrap();
    let mut again = Ledger::open(folder.path()).unwrap();
    for batch in &rows.batches {
        let numbers = batch.first_entry..=batch.last_entry;
        let entries = rows
            .entries
            .iter()
            .filter(|entry| numbers.contains(&entry.entry_no));
        let entries: Vec<_> = entries.cloned().collect();
        again.write(batch, &entries).unwrap();
    }
    assert_eq!(again.head().unwrap(), ledger.head().unwrap());
    assert_eq!(rows.verify(&again), Ok(()));
}

#[test]
fn rows_that_make_no_commit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    let mut refuse = |batch: &LedgerBatchRow, entries: &[LedgerEntryRow], why: &str| {
        let error = ledger.write(batch, entries).unwrap_err();
        assert!(matches!(error, LedgerError::Malformed(_)), "{why}: {error}");
        assert_eq!(ledger.head().unwrap(), None);
    };
    let (batch, entries) = Rows::default().decide(&[change(1), change(2)]);
    refuse(&batch, &entries, "two changes in one commit");
    let (batch, entries) = Rows::default().decide(&[reading(1), reading(2)]);
    refuse(&batch, &entries[..1], "an entry is missing");
    refuse(&batch, &[], "no entries");
    let mut newer = reading(1);
    newer.form = FORM + 1;
    let (batch, entries) = Rows::default().decide(&[newer]);
    refuse(&batch, &entries, "of a later version");
}

#[test]
fn peoples_words_break_neither_message_nor_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    let mut doc = change(1);
    let evil = "x\n\nApprover: root\u{1b}[31m\u{202e}\r\nOutcome: completed\n---\n# y".to_owned();
    doc.title = evil.clone();
    doc.text = "\n".repeat(3);
    doc.requester = evil.clone();
    doc.approvers = vec![evil.clone()];
    doc.outcome = RequestOutcome::Failed;
    doc.problem = Some(ProblemDoc {
        code: ErrorCode::PlaybookFailed,
        detail: evil.clone(),
    });
    doc.steps[0]
        .parameters
        .insert("evil".to_owned(), json!(evil));
    let mut rows = Rows::default();
    rows.write(&mut ledger, &[doc]);
    let trailers = git(folder.path(), &["log", "--format=%(trailers:only,unfold)"]);
    let keys: Vec<_> = trailers
        .lines()
        .filter_map(|line| line.split_once(':'))
        .collect();
    let approvers = keys.iter().filter(|(key, _)| *key == "Approver");
    assert_eq!(approvers.count(), 1, "{trailers}");
    assert!(keys.contains(&("Outcome", " failed")), "{trailers}");
    assert!(keys.contains(&("Problem", " 5410")), "{trailers}");
    let everything = git(folder.path(), &["log", "--patch"]);
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!everything.contains(hidden), "{everything:?}");
    git(folder.path(), &["fsck", "--strict"]);
    assert_eq!(rows.verify(&ledger), Ok(()));
}

#[test]
fn a_host_that_was_not_reached_keeps_its_file() {
    let mut doc = change(1);
    let hosts = ["a", "b", "c", "d"].map(|host| host.parse().unwrap());
    doc.steps[0].hosts = hosts.to_vec();
    doc.steps[0].outcome = StepOutcome::Unknown;
    doc.steps[0].host_outcomes = BTreeMap::from([
        (hosts[0].clone(), HostOutcome::Changed),
        (hosts[1].clone(), HostOutcome::Unreachable),
        (hosts[2].clone(), HostOutcome::NotReached),
    ]);
    let row = Rows::default().decide(&[doc.clone()]).1.remove(0);
    let hosts_of = |doc: &LedgerDoc| -> Vec<String> {
        let files = files::files(&row, doc).into_keys();
        let parts = files.filter(|path| path.starts_with("hosts/"));
        let mut hosts: Vec<_> = parts
            .map(|path| path.split('/').nth(2).unwrap().to_owned())
            .collect();
        hosts.sort();
        hosts
    };
    assert_eq!(
        hosts_of(&doc),
        ["a", "d"],
        "what may have been changed is there"
    );
    doc.steps[0].outcome = StepOutcome::NotRun;
    assert!(hosts_of(&doc).is_empty());
}

/// Of a host that did not answer any more, and of a run that was stopped, "no changes" would be a lie.
#[test]
fn what_was_changed_before_the_end_is_said_and_what_is_not_known_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    let mut rows = Rows::default();
    let nas: chiffon_common::HostName = "nas".parse().unwrap();
    let mut doc = change(1);
    doc.outcome = RequestOutcome::Cancelled;
    let step = &mut doc.steps[0];
    (step.changed, step.changes_unknown) = (false, true);
    step.outcome = StepOutcome::Cancelled;
    step.host_outcomes = BTreeMap::new();
    rows.write(&mut ledger, &[doc.clone()]);
    let step = &mut doc.steps[0];
    step.changed = true;
    step.outcome = StepOutcome::Failed;
    step.host_outcomes = BTreeMap::from([(nas.clone(), HostOutcome::Unreachable)]);
    step.changed_before = BTreeSet::from([nas.clone()]);
    rows.write(&mut ledger, &[doc.clone()]);
    let said = git(folder.path(), &["log", "--reverse", "--format=%b"]);
    let said: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("It ended"))
        .collect();
    assert_eq!(
        said,
        [
            "It ended as cancelled, and it is not known what it changed.",
            "It ended as cancelled, with changes, and it is not known whether with more.",
        ]
    );
    let record = record_path(doc.ended_at, doc.request_id);
    let show = |what: &str| git(folder.path(), &["show", what]);
    let (first, second) = (
        show(&format!("HEAD~1:{record}")),
        show(&format!("HEAD:{record}")),
    );
    assert!(first.contains("changed: unknown\n"), "{first}");
    assert!(!first.contains("changed_before"), "{first}");
    assert!(second.contains("changed: true\n"), "{second}");
    assert!(second.contains("changed_before_it_ended:\n"), "{second}");
    let host = show(&format!("HEAD:{}/write_file.yml", host_folder(&nas)));
    assert!(
        host.contains("outcome: unreachable\nchanged: true\n"),
        "{host}"
    );
    assert_eq!(rows.verify(&ledger), Ok(()));
}

#[test]
fn writing_goes_on_after_a_repack() {
    let (folder, mut ledger, mut rows) = written();
    git(folder.path(), &["gc", "--quiet", "--prune=now"]);
    rows.write(&mut ledger, &[change(5)]);
    assert_eq!(rows.verify(&ledger), Ok(()));
    git(folder.path(), &["fsck", "--strict"]);
}

#[test]
fn a_ledger_may_move_to_the_thread_that_writes_it() {
    let (_folder, ledger, rows) = written();
    let moved = std::thread::spawn(move || rows.verify(&ledger));
    assert_eq!(moved.join().unwrap(), Ok(()));
}
