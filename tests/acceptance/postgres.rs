//! The control store in Postgres keeps the contract of the store room, against a real server: with several replicas at
//! once, and over the server's death.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chiffon_store::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Error, Expect, Outcome, PostgresControl,
    PostgresOptions,
    conformance::{CONTROL_CASES, at, committed, control_commit, control_key, line, put},
};
use chiffon_tests::Postgres;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};

/// The longest that anything here may take.
const LONG: Duration = Duration::from_secs(120);

async fn started(what: &str) -> Option<Postgres> {
    let what = format!("control store in Postgres: {what}");
    let started = spawn_blocking(move || Postgres::start_or_report(&what)).await;
    started.expect("the fixture does not panic")
}

async fn connect(url: &str) -> Arc<PostgresControl> {
    let store = PostgresControl::connect(&PostgresOptions::new(url)).await;
    Arc::new(store.expect("the database lets us in"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let Some(server) = started("the contract").await else {
        return;
    };
    let mut broken = Vec::new();
    for (number, case) in CONTROL_CASES.iter().enumerate() {
        let store: Arc<dyn ControlStore> =
            connect(&server.database(&format!("case{number}"))).await;
        // A task of its own, so that a promise that is broken leaves the others to be looked at.
        if let Err(error) = tokio::spawn((case.run)(store)).await {
            broken.push(format!("{}: {error}", case.name));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(CONTROL_CASES.len() > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_that_start_at_once_give_one_plan() {
    let Some(server) = started("two replicas").await else {
        return;
    };
    let url = server.database("shared");
    // All find a database without tables.
    let (a, b, c) = tokio::join!(connect(&url), connect(&url), connect(&url));
    let stores: Vec<Arc<dyn ControlStore>> = vec![a, b, c];
    let history = server.sql("shared", "SELECT count(*) FROM control_schema_history");
    assert_eq!(history, "2", "each migration was applied once");
    for _ in 0..25 {
        let key = control_key(ControlKind::Event);
        let mut judging = JoinSet::new();
        for (number, store) in stores.iter().enumerate() {
            let store = store.clone();
            let mut commit = control_commit(&key);
            commit.audit = Some(line(&format!("replica {number}"), &key.id));
            judging.spawn(async move {
                let mine = commit.answer.clone();
                match store.commit(commit).await.expect("the server is there") {
                    Outcome::Committed { .. } => mine,
                    Outcome::Exists(found) => found.answer,
                    Outcome::Stale => panic!("no state was judged by"),
                }
            });
        }
        let answers: BTreeSet<String> = judging.join_all().await.into_iter().collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    let stored = server.sql("shared", "SELECT count(*) FROM control_decided");
    let lines = server.sql("shared", "SELECT count(*) FROM control_unaudited");
    assert_eq!([stored.as_str(), lines.as_str()], ["25", "25"]);
}

/// Counts up the room's state under keys of its own until it is told to stop, whatever the server does; what was told as
/// written.
async fn count(store: Arc<PostgresControl>, shared: Arc<Counting>) -> Vec<ControlKey> {
    let mut written = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let key = control_key(ControlKind::Event);
        // The same key until it is known to be there.
        loop {
            match step(&store, &key).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(Error::Unavailable(_) | Error::OutcomeUnknown(_)) => {
                    shared.told.fetch_add(1, Ordering::AcqRel);
                    sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("an error that does not pass: {other:?}"),
            }
            assert!(shared.began.elapsed() < LONG, "the server is there again");
        }
        shared.done.fetch_add(1, Ordering::AcqRel);
        written.push(key);
    }
    written
}

struct Counting {
    began: Instant,
    stop: AtomicBool,
    /// How many counted.
    done: AtomicU64,
    /// How many were told that the server does not answer.
    told: AtomicU64,
}

/// One try; whether the key is answered now.
async fn step(store: &PostgresControl, key: &ControlKey) -> Result<bool, Error> {
    let room = "room".parse().expect("a room id");
    let found = store.load(key, Some(&room)).await?;
    if found.prior.is_some() {
        return Ok(true);
    }
    let count = found.room.as_ref().map(|room| room.doc.parse::<u64>());
    let next = count.map_or(1, |count| count.expect("a number") + 1);
    let commit = ControlCommit {
        room_id: room,
        room: Some(put(Expect::of(found.room.as_ref()), &next.to_string())),
        audit: Some(line("here", &key.id)),
        ..control_commit(key)
    };
    Ok(store.commit(commit).await? != Outcome::Stale)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_loses_nothing_and_repeats_nothing() {
    let Some(mut server) = started("the death of the server").await else {
        return;
    };
    let url = server.database("counted");
    let shared = Arc::new(Counting {
        began: Instant::now(),
        stop: AtomicBool::new(false),
        done: AtomicU64::new(0),
        told: AtomicU64::new(0),
    });
    let mut counting = JoinSet::new();
    for _ in 0..2 {
        let store = connect(&url).await;
        for _ in 0..3 {
            counting.spawn(count(store.clone(), shared.clone()));
        }
    }
    let more = |than: u64, number: fn(&Counting) -> &AtomicU64| {
        let shared = shared.clone();
        async move {
            while number(&shared).load(Ordering::Acquire) <= than {
                assert!(shared.began.elapsed() < LONG, "nothing goes on");
                sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let now = |number: &AtomicU64| number.load(Ordering::Acquire);
    for _ in 0..3 {
        more(now(&shared.done) + 10, |shared| &shared.done).await;
        server.kill();
        // Somebody has met the hole before it closes.
        more(now(&shared.told), |shared| &shared.told).await;
        server = spawn_blocking(move || {
            server.start();
            server
        })
        .await
        .expect("it starts again");
    }
    more(now(&shared.done) + 10, |shared| &shared.done).await;
    shared.stop.store(true, Ordering::Release);
    let written: Vec<ControlKey> = counting.join_all().await.into_iter().flatten().collect();
    let ids: BTreeSet<&String> = written.iter().map(|key| &key.id).collect();
    assert_eq!(ids.len(), written.len());
    let one = |sql: &str| server.sql("counted", sql);
    let told = written.len().to_string();
    assert_eq!(one("SELECT count(*) FROM control_decided"), told);
    assert_eq!(one("SELECT doc FROM control_states"), told);
    let lines = "SELECT count(DISTINCT line) FROM control_unaudited u JOIN control_decided d
                 ON d.seq = u.seq AND d.id = u.line";
    assert_eq!(one(lines), told);
    assert_eq!(one("SELECT count(*) FROM control_unaudited"), told);
}

/// A `psql` that holds a lock until it is dropped.
struct Holding(Child);

impl Holding {
    fn start(server: &Postgres, database: &str, statements: &str) -> Self {
        let mut session = server.session(database);
        let mut input = session.stdin.take().expect("a pipe");
        let output = session.stdout.take().expect("a pipe");
        writeln!(input, "BEGIN; {statements}; SELECT 'held';").expect("it listens");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "held"), "{statements}");
        session.stdin = Some(input);
        Self(session)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_answer_is_told_so_and_passes() {
    let Some(mut server) = started("faults of the server").await else {
        return;
    };
    let options = PostgresOptions {
        lock_timeout: Duration::from_millis(200),
        ..PostgresOptions::new(server.database("faults"))
    };
    let store = PostgresControl::connect(&options).await;
    let store = store.expect("it is there");
    let commit = ControlCommit {
        tenant: Some(put(Expect::Absent, "x")),
        ..control_commit(&control_key(ControlKind::Event))
    };
    // Somebody else at work on the tables.
    let holding = Holding::start(&server, "faults", "LOCK TABLE control_states");
    let told = store.commit(commit.clone()).await;
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    drop(holding);
    // The server takes a moment to see that the session has ended.
    let began = Instant::now();
    while let Err(error) = store.commit(commit.clone()).await {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(began.elapsed() < LONG, "{error:?}");
    }
    // Nobody there: told so, whatever is asked; there again: as if nothing had been.
    server.kill();
    for _ in 0..3 {
        let told = store.load(&commit.key, None).await;
        assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
        assert!(store.ready().await.is_err());
        let late = control_commit(&control_key(ControlKind::Event));
        let told = store.commit(late).await;
        assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    }
    let nobody = PostgresControl::connect(&options).await.map(drop);
    assert!(matches!(nobody, Err(Error::Unavailable(_))), "{nobody:?}");
    server.start();
    let found = store.load(&commit.key, None).await.expect("it is back");
    assert_eq!(found.prior.map(|prior| prior.answer), Some(commit.answer));
    store.ready().await.expect("it is back");
    committed(
        store
            .commit(control_commit(&control_key(ControlKind::Action)))
            .await,
    );
    assert_eq!(store.forget(at(1), at(1), 10).await.expect("it is back"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_fit_is_refused() {
    let Some(server) = started("a database that does not fit").await else {
        return;
    };
    let refused = async |url: String| {
        let refused = PostgresControl::connect(&PostgresOptions::new(url)).await;
        refused.map(drop).expect_err("it does not fit")
    };
    let url = server.database("later");
    drop(connect(&url).await);
    let later = "INSERT INTO control_schema_history (version, name, applied_on, checksum)
                 VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    server.sql("later", later);
    let told = refused(url).await;
    assert!(matches!(told, Error::Newer { found: 99, .. }), "{told:?}");
    let ascii = "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0";
    server.sql("postgres", ascii);
    let told = refused(server.url("ascii")).await;
    assert!(
        matches!(&told, Error::Corrupt(text) if text.contains("UTF8")),
        "{told:?}"
    );
    // Tables of somebody else under our names.
    let url = server.database("theirs");
    server.sql("theirs", "CREATE TABLE control_states (x INT)");
    let told = refused(url).await;
    assert!(matches!(told, Error::Corrupt(_)), "{told:?}");
    // Nobody may make tables.
    let url = server.database("closed");
    let closed = "CREATE ROLE weak LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    server.sql("closed", closed);
    let told = refused(url.replace("user=chiffon", "user=weak")).await;
    assert!(matches!(told, Error::ReadOnly(_)), "{told:?}");
    for (url, word) in [
        ("postgres://h/x?sslmode=verify-ca", "verify-full"),
        ("no address", "address"),
    ] {
        let told = refused(url.to_owned()).await;
        assert!(
            matches!(&told, Error::Malformed(text) if text.contains(word)),
            "{told:?}"
        );
    }
    let told = refused(server.url("nowhere")).await;
    assert!(
        matches!(&told, Error::Unavailable(text) if text.contains("nowhere")),
        "{told:?}"
    );
}
