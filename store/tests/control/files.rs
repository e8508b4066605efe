//! The control store in a file: whose file it is, what a restart finds, and what SIGKILL leaves.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use chiffon_store::{
    ControlCommit, ControlKind, ControlStore, Error, Expect, Options, Outcome, Sqlite,
    SqliteControl,
    conformance::{committed, control_commit, control_key, line, put},
};
use tokio::task::JoinSet;

fn open(path: &Path) -> SqliteControl {
    SqliteControl::open(path, Options::default()).unwrap()
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let commit = ControlCommit {
        room: Some(put(Expect::Absent, "room")),
        tenant: Some(put(Expect::Absent, "tenant")),
        audit: Some(line("here", "line")),
        ..control_commit(&control_key(ControlKind::Event))
    };
    let seq = committed(open(&path).commit(commit.clone()).await);
    let store = open(&path);
    let found = store
        .load(&commit.key, Some(&commit.room_id))
        .await
        .unwrap();
    assert_eq!(
        found.prior.map(|prior| prior.answer),
        Some(commit.answer.clone())
    );
    assert_eq!(found.room.map(|room| room.version), Some(seq));
    assert_eq!(found.tenant.map(|tenant| tenant.version), Some(seq));
    let lines = store.unaudited("here", 0, 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    let again = store.commit(commit).await.unwrap();
    assert!(matches!(again, Outcome::Exists(_)), "{again:?}");
}

#[test]
fn a_file_of_the_fleet_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let [fleet, control] = ["fleet.db", "control.db"].map(|name| folder.path().join(name));
    drop(Sqlite::open(&fleet, Options::default()).unwrap());
    drop(open(&control));
    let before = std::fs::read(&fleet).unwrap();
    let refused = SqliteControl::open(&fleet, Options::default()).map(drop);
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    assert_eq!(std::fs::read(&fleet).unwrap(), before);
    let refused = Sqlite::open(&control, Options::default()).map(drop);
    assert!(matches!(refused, Err(Error::Corrupt(_))), "{refused:?}");
    drop(Sqlite::open(&fleet, Options::default()).unwrap());
}

const VICTIM: &str = "CHIFFON_CONTROL_TEST_VICTIM";

/// Counts up the state of one room until it is killed, and tells each step once it is written.
async fn count(store: Arc<SqliteControl>, room: usize) {
    let mut expected = Expect::Absent;
    for step in 1_u64.. {
        let text = format!("{room} {step}");
        let commit = ControlCommit {
            room_id: format!("room{room}").parse().unwrap(),
            answer: text.clone(),
            room: Some(put(expected, &step.to_string())),
            audit: Some(line("here", &text)),
            ..control_commit(&control_key(ControlKind::Event))
        };
        let id = commit.key.id.clone();
        expected = Expect::Version(committed(store.commit(commit).await));
        println!("done {room} {step} {id}");
    }
}

/// Not a test by itself: what the next one starts, and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_until_killed() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let store = Arc::new(open(Path::new(&path)));
    let mut counting = JoinSet::new();
    for room in 0..6 {
        counting.spawn(count(store.clone(), room));
    }
    counting.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    // By room: the last step that was told, and its id.
    let mut told: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::counts_until_killed", "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    for (number, text) in output.lines().map_while(Result::ok).enumerate() {
        let words: Vec<&str> = text.split_whitespace().collect();
        // The harness writes before the first one on the same line.
        if let [.., "done", room, step, id] = words.as_slice() {
            let step = step.parse().unwrap();
            told.insert((*room).to_owned(), (step, (*id).to_owned()));
        }
        if number == 60 {
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    assert!(told.len() >= 2, "{told:?}");
    let store = open(&path);
    let mut lines = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = store.unaudited("here", after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        lines.extend(page.into_iter().map(|one| (one.line, one.seq)));
    }
    for (room, (step, id)) in told {
        let mut key = control_key(ControlKind::Event);
        key.id = id;
        let name = format!("room{room}").parse().unwrap();
        let found = store.load(&key, Some(&name)).await.unwrap();
        assert!(
            found.prior.is_some(),
            "step {step} of {room} was told and is lost"
        );
        // One more may have been written and not told.
        let last: u64 = found.room.unwrap().doc.parse().unwrap();
        assert!(
            last == step || last == step + 1,
            "{room}: {last} after {step}"
        );
        for number in 1..=last {
            let text = format!("{room} {number}");
            assert!(lines.remove(&text).is_some(), "no line of step {text}");
        }
    }
    let more: Vec<_> = lines.keys().filter(|text| !text.ends_with(" 1")).collect();
    assert!(more.is_empty(), "lines of nothing: {more:?}");
}
