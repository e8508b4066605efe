//! The thread that writes the journal. Appends and compactions pass through one bounded channel in
//! order; everything that waits there is written together and shares one fsync.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{format, rewrite};
use crate::core::Record;

/// Appends in flight. The shell holds at most this many plans back, so a send never waits for long.
const QUEUE: usize = 256;

/// The journal could not be written; nothing after it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub(crate) struct JournalFault(pub(crate) String);

type Answer = oneshot::Sender<Result<(), JournalFault>>;

enum Job {
    Append(Vec<Record>, Answer),
    Compact(Vec<Record>, Answer),
}

/// The file and how to begin it anew.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) first: Record,
    pub(super) file: File,
    pub(super) len: u64,
}

/// A handle to the writing thread; dropping it ends the thread after what was given to it.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    len: Arc<AtomicU64>,
    syncs: Arc<AtomicU64>,
    ended: oneshot::Receiver<()>,
}

impl Writer {
    pub(super) fn start(place: Place) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (end, ended) = oneshot::channel();
        let len = Arc::new(AtomicU64::new(place.len));
        let syncs = Arc::new(AtomicU64::new(0));
        let (shared_len, shared_syncs) = (Arc::clone(&len), Arc::clone(&syncs));
        std::thread::Builder::new()
            .name("chiffon-journal".to_owned())
            .spawn(move || {
                write_all(place, queue, &shared_len, &shared_syncs);
                // Nobody may wait any more; then nobody needs to know.
                let _ = end.send(());
            })?;
        Ok(Self {
            jobs,
            len,
            syncs,
            ended,
        })
    }

    /// Hands records over, in order with all others; the answer comes when they are on the disk.
    pub(crate) async fn append(
        &self,
        records: Vec<Record>,
    ) -> oneshot::Receiver<Result<(), JournalFault>> {
        self.send(|answer| Job::Append(records, answer)).await
    }

    /// Replaces everything before by these records.
    pub(crate) async fn compact(
        &self,
        records: Vec<Record>,
    ) -> oneshot::Receiver<Result<(), JournalFault>> {
        self.send(|answer| Job::Compact(records, answer)).await
    }

    async fn send(
        &self,
        job: impl FnOnce(Answer) -> Job,
    ) -> oneshot::Receiver<Result<(), JournalFault>> {
        let (answer, answered) = oneshot::channel();
        // A thread that has ended drops the answer, which the receiver sees as a fault.
        let _ = self.jobs.send(job(answer)).await;
        answered
    }

    /// Bytes in the file.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// How often the file was synced since the start.
    #[cfg(test)]
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Ends the thread and waits until it no longer holds the file.
    pub(crate) async fn close(self) {
        drop(self.jobs);
        // It answers, or it has ended already.
        let _ = self.ended.await;
        tracing::debug!(
            bytes = self.len.load(Ordering::Relaxed),
            syncs = self.syncs.load(Ordering::Relaxed),
            "the journal is closed"
        );
    }
}

fn write_all(mut place: Place, mut queue: mpsc::Receiver<Job>, len: &AtomicU64, syncs: &AtomicU64) {
    let mut fault: Option<JournalFault> = None;
    let mut batch = Vec::new();
    while let Some(job) = queue.blocking_recv() {
        batch.push(job);
        while batch.len() < QUEUE
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        let mut answers = Vec::new();
        if fault.is_none() {
            fault = write_batch(&mut place, &mut batch, &mut answers)
                .err()
                .map(|error| JournalFault(error.to_string()));
            len.store(place.len, Ordering::Relaxed);
            syncs.fetch_add(1, Ordering::Relaxed);
        }
        answers.extend(batch.drain(..).map(|job| match job {
            Job::Append(_, answer) | Job::Compact(_, answer) => answer,
        }));
        for answer in answers {
            // After a failed write or fsync nothing is certain, and the disk may have forgotten what it
            // could not keep: no later append is taken.
            let outcome = fault.clone().map_or(Ok(()), Err);
            let _ = answer.send(outcome);
        }
    }
}

fn write_batch(
    place: &mut Place,
    batch: &mut Vec<Job>,
    answers: &mut Vec<Answer>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for job in batch.drain(..) {
        match job {
            Job::Append(records, answer) => {
                answers.push(answer);
                for record in &records {
                    format::write(record, &mut bytes)?;
                }
            }
            Job::Compact(records, answer) => {
                answers.push(answer);
                // What waits before it is part of its records already.
                bytes.clear();
                (place.file, place.len) = rewrite(&place.path, &place.first, &records)?;
            }
        }
    }
    chiffon_failpoint::hit!("agent.journal.before", full => return Err(full));
    place.file.write_all(&bytes)?;
    place.file.sync_data()?;
    chiffon_failpoint::hit!("agent.journal.after");
    place.len += bytes.len() as u64;
    Ok(())
}
