//! What was acknowledged is there, whatever ends the process: SIGKILL, or a power cut that leaves the
//! files as they were at some moment. That every commit is synced before it is acknowledged cannot be
//! seen from copies of files; a test beside `open.rs` holds the setting.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the impossible may panic"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chiffon_common::RequestId;
use chiffon_store::{
    Commit, Expected, Options, Sqlite, Store, Write,
    conformance::{at, commit, entry, message, request_row},
    verify_audit,
};
use rusqlite::Connection;
use tokio::{sync::watch, task::spawn_blocking, time::timeout};

/// Numbers that a printed seed repeats (xorshift).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let given = std::env::var("CHIFFON_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_micros() as u64
        };
        let seed: u64 = given.unwrap_or_else(now).max(1);
        println!("CHIFFON_SEED={seed}");
        Self(seed)
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % (most + 1)
    }
}

/// A commit with state, record and message, and the request it makes.
fn a_commit(stream: u64) -> (RequestId, Commit) {
    let row = request_row(at(0));
    let id = row.request_id;
    let all = Commit {
        audit: vec![entry(&format!("stream:{stream}"))],
        outbox: vec![message("q", at(0))],
        ..commit([Write::Request(Expected::Absent, row)])
    };
    (id, all)
}

/// The database opens, is sound, and has all of these.
async fn assert_kept(path: &Path, acknowledged: &BTreeSet<RequestId>) {
    let store = Sqlite::open(path, Options::default()).unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let report = verify_audit(&store).await.unwrap();
    assert_eq!(report.faults, []);
    let tenant = Commit::default().tenant_id;
    for id in acknowledged {
        let found = store.run(&tenant, *id).await.unwrap();
        assert!(found.is_some(), "{id} was acknowledged and is lost");
    }
    assert!(report.records >= acknowledged.len() as u64);
}

const VICTIM: &str = "CHIFFON_STORE_TEST_VICTIM";

/// Not a test by itself: what the next one starts, and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_until_killed() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let store = Arc::new(Sqlite::open(Path::new(&path), Options::default()).unwrap());
    let mut writers = tokio::task::JoinSet::new();
    for stream in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            // Far more than it will be given time for; if the killer never comes, it ends.
            for _ in 0..100_000 {
                let (id, all) = a_commit(stream);
                store.commit(all).await.unwrap();
                println!("ACK {id}");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut dice = Dice::new();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "commits_until_killed", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        let enough = acknowledged.len() as u64 + 1 + dice.up_to(400);
        let mut killed = false;
        for line in lines {
            let line = String::from_utf8(line.unwrap()).unwrap();
            // The harness writes a name without an end of line before the first of ours.
            if let Some((_, id)) = line.split_once("ACK ") {
                acknowledged.insert(id.parse::<RequestId>().unwrap());
            }
            if !killed && acknowledged.len() as u64 >= enough {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself: {:?}", child.wait());
        child.wait().unwrap();
        assert_kept(&path, &acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_files_at_any_moment_has_all_that_was_acknowledged_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut dice = Dice::new();
    let store = Arc::new(Sqlite::open(&path, Options::default()).unwrap());
    let acknowledged = Arc::new(watch::Sender::new(BTreeSet::new()));
    let mut writers = tokio::task::JoinSet::new();
    for stream in 0..8 {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        writers.spawn(async move {
            loop {
                let (id, all) = a_commit(stream);
                store.commit(all).await.unwrap();
                acknowledged.send_if_modified(|all| all.insert(id));
            }
        });
    }
    let mut images = Vec::new();
    let mut seen = acknowledged.subscribe();
    for number in 0..10 {
        let goal = seen.borrow().len() as u64 + dice.up_to(400);
        let enough = seen.wait_for(|all| all.len() as u64 >= goal);
        drop(timeout(Duration::from_secs(60), enough).await.unwrap());
        let (path, folder, before) = (path.clone(), folder.path().to_owned(), seen.clone());
        let copied = spawn_blocking(move || image(&path, &before, &folder, number));
        images.push(copied.await.unwrap());
    }
    writers.shutdown().await;
    for (before, image) in images {
        assert_kept(&image, &before).await;
    }
}

/// Copies database and log as one moment would have left them, and what was acknowledged before.
///
/// An open reader keeps the log from being started anew between the two copies; what a checkpoint
/// writes into the database meanwhile is still in the log, as it is after a power cut.
fn image(
    path: &Path,
    acknowledged: &watch::Receiver<BTreeSet<RequestId>>,
    folder: &Path,
    number: u32,
) -> (BTreeSet<RequestId>, PathBuf) {
    let reader = Connection::open(path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM requests")
        .unwrap();
    let before = acknowledged.borrow().clone();
    let image = folder.join(format!("image{number}.db"));
    fs::copy(path, &image).unwrap();
    fs::copy(
        folder.join("a.db-wal"),
        folder.join(format!("image{number}.db-wal")),
    )
    .unwrap();
    drop(reader);
    (before, image)
}
