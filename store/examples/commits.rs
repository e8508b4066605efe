//! How many commits a second the store takes from 64 tasks at once; a look, not a measurement. Each
//! commit is what the handling of a result is: a request and a task change, with inbox, record, message.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chiffon_common::MessageId;
use chiffon_store::{
    Commit, Error, Expected, InboxKey, Options, Sqlite, Store, Write,
    conformance::{at, commit, entry, message, request_row, task_row},
};

const TASKS: usize = 64;
const TIME: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Not in a folder for temporary files, which is often in memory.
    let folder = tempfile::tempdir_in(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()))?;
    let path: PathBuf = folder.path().join("a.db");
    let file: Arc<dyn Store> = Arc::new(Sqlite::open(&path, Options::default())?);
    println!("file, synced: {:.0} commits/s", measure(file).await?);
    let memory: Arc<dyn Store> = Arc::new(Sqlite::in_memory()?);
    println!("in memory:    {:.0} commits/s", measure(memory).await?);
    Ok(())
}

async fn measure(store: Arc<dyn Store>) -> Result<f64, Error> {
    let begun = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        writers.spawn(one(store.clone(), begun));
    }
    let mut commits = 0;
    for count in writers.join_all().await {
        commits += count?;
    }
    Ok(f64::from(commits) / begun.elapsed().as_secs_f64())
}

/// Commits until the time is over; how many.
async fn one(store: Arc<dyn Store>, begun: Instant) -> Result<u32, Error> {
    let request = request_row(at(0));
    let task = task_row(request.request_id, at(0));
    let stream = format!("request:{}", request.request_id);
    let mut expected = Expected::Absent;
    for count in 0.. {
        if begun.elapsed() >= TIME {
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
