//! Commits of the store a second, from 64 tasks at once, beside a bare loop over SQLite that commits one small row
//! after the other with the same promise (write-ahead log, synchronous FULL). Each commit of ours is what the
//! handling of a result is: a request and a task change, with inbox row, audit record and message.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chiffon_common::MessageId;
use chiffon_store::{
    Commit, Error, Expected, InboxKey, Options, Sqlite, Store, Write,
    conformance::{at, commit, entry, message, request_row, task_row},
};

use crate::table::row;

const TASKS: usize = 64;

pub(crate) async fn measure(seconds: u32) -> anyhow::Result<()> {
    let time = Duration::from_secs(u64::from(seconds));
    let folder = crate::on_disk()?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(
        &folder.path().join("a.db"),
        Options::default(),
    )?);
    let ours = ours(store, time).await?;
    let path = folder.path().join("bare.db");
    let bare = tokio::task::spawn_blocking(move || bare_commits(&path, time)).await??;
    row(
        "store, commits a second from 64 tasks",
        &format!("{ours:.0}"),
        &format!("bare SQLite, one row a commit: {bare:.0}"),
        &format!("{:.2}", ours / bare),
        "none",
    );
    Ok(())
}

/// One connection that inserts a row of a kilobyte and commits, again and again; how often a second.
pub(crate) fn bare_commits(path: &Path, time: Duration) -> anyhow::Result<f64> {
    let conn = rusqlite::Connection::open(path)?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, doc TEXT NOT NULL)")?;
    let doc = "x".repeat(1_024);
    let begun = Instant::now();
    let mut commits = 0;
    while begun.elapsed() < time {
        conn.execute("INSERT INTO t (doc) VALUES (?1)", [&doc])?;
        commits += 1;
    }
    Ok(f64::from(commits) / begun.elapsed().as_secs_f64())
}

async fn ours(store: Arc<dyn Store>, time: Duration) -> Result<f64, Error> {
    let begun = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        writers.spawn(one(store.clone(), begun, time));
    }
    let mut commits = 0;
    for count in writers.join_all().await {
        commits += count?;
    }
    Ok(f64::from(commits) / begun.elapsed().as_secs_f64())
}

/// Commits until the time is over; how many.
async fn one(store: Arc<dyn Store>, begun: Instant, time: Duration) -> Result<u32, Error> {
    let request = request_row(at(0));
    let task = task_row(request.request_id, at(0));
    let stream = format!("request:{}", request.request_id);
    let mut expected = Expected::Absent;
    for count in 0.. {
        if begun.elapsed() >= time {
            return Ok(count);
        }
        let send = message("agent.infrastructure", at(0));
        let all = Commit {
            inbox: Some(InboxKey {
                consumer: "orchestrator.results".to_owned(),
                message_id: MessageId::from_uuid(*send.message_id.as_uuid()),
                handled_at: at(0),
            }),
            audit: vec![entry(&stream)],
            outbox: vec![send],
            ..commit([
                Write::Request(expected, request.clone()),
                Write::Task(expected, task.clone()),
            ])
        };
        store.commit(all).await?;
        expected = Expected::Version(u64::from(count) + 1);
    }
    Ok(0)
}
