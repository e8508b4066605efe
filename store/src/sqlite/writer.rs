//! The one thread that writes. It groups what waits into one transaction, because the fsync is the cost;
//! each command stands in a savepoint of its own, so that a refusal takes nothing else with it. What a
//! command does is left to `apply.rs` and the files of the tables, for the control store to `control/`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::error::at_commit;
use crate::{Error, patience::within};

/// The longest that a caller waits.
pub(super) const BOUND: Duration = Duration::from_secs(30);

/// Commands that may wait: several of the largest groups. A full channel makes callers wait in turn.
const QUEUE: usize = 1024;

/// Most commands in one transaction: enough that the fsync is shared well, few enough that the first
/// of them is not kept waiting.
const GROUP: usize = 256;

/// What one kind of database has written: its commands, and what those of one transaction share.
pub(super) trait Duty: 'static {
    /// What can be asked.
    type Command: Send + 'static;
    /// What became of it.
    type Answer: Send + 'static;
    /// What the commands of one transaction share.
    type Batch<'c>;
    /// Where that stood before a command.
    type Mark;

    /// The beginning of a transaction.
    fn begin(conn: &Connection) -> Self::Batch<'_>;
    /// Where the batch stands, for `back_to`.
    fn mark(batch: &Self::Batch<'_>) -> Self::Mark;
    /// Takes back what was noted since the mark.
    fn back_to(batch: &mut Self::Batch<'_>, mark: Self::Mark);
    /// Does one command. After an error its savepoint is rolled back.
    fn apply(batch: &mut Self::Batch<'_>, command: &Self::Command) -> Result<Self::Answer, Error>;
    /// The last thing before the commit.
    fn seal(batch: &Self::Batch<'_>) -> Result<(), Error>;
}

/// A command on its way, and whether anybody has taken it: the writer to do it, or the caller to give
/// it up. Whoever is first, decides.
struct Job<D: Duty> {
    command: D::Command,
    reply: oneshot::Sender<Result<D::Answer, Error>>,
    taken: Arc<AtomicBool>,
}

/// The way to the thread.
pub(super) struct Writer<D: Duty> {
    jobs: Option<mpsc::Sender<Job<D>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<D: Duty> fmt::Debug for Writer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<D: Duty> Writer<D> {
    pub(super) fn start(conn: Connection) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("chiffon-store".to_owned());
        let thread = thread
            .spawn(move || work::<D>(&conn, waiting))
            .map_err(|error| Error::Unavailable(format!("no thread to write: {error}")))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Has the command done, and waits for its end.
    pub(super) async fn submit(&self, command: D::Command) -> Result<D::Answer, Error> {
        let stopped = || Error::Unavailable("database is closed".to_owned());
        let late = || Error::Unavailable(format!("not written within {} s", BOUND.as_secs()));
        let (reply, answer) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let job = Job {
            command,
            reply,
            taken: taken.clone(),
        };
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        let work = async { jobs.send(job).await.map(|()| answer) };
        let work = async { Ok(work.await.map_err(|_| stopped())?.await) };
        match within(BOUND, work).await {
            Ok(Ok(Ok(result))) => result,
            Ok(Ok(Err(_))) => Err(Error::OutcomeUnknown("the writer stopped".to_owned())),
            Ok(Err(closed)) => Err(closed),
            Err(_) if !taken.swap(true, Ordering::AcqRel) => Err(late()),
            Err(_) => Err(Error::OutcomeUnknown(format!(
                "still being written after {} s",
                BOUND.as_secs()
            ))),
        }
    }
}

impl<D: Duty> Drop for Writer<D> {
    /// Waits for what is under way, so that whoever opens the file next finds it closed.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the database had panicked");
        }
    }
}

fn work<D: Duty>(conn: &Connection, mut waiting: mpsc::Receiver<Job<D>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        group.retain(|job| !job.taken.swap(true, Ordering::AcqRel));
        answer(conn, group);
    }
}

/// Does a group, and tells each what became of it; once for all, or singly where that failed.
fn answer<D: Duty>(conn: &Connection, mut group: Vec<Job<D>>) {
    let outcome = transaction(conn, &group);
    match outcome {
        Ok(results) => {
            for (job, result) in group.into_iter().zip(results) {
                reply(job, result);
            }
        }
        // A lock that another program holds will not be given sooner to one than to all.
        Err(failed) if failed.before_begin || group.len() == 1 => {
            for job in group {
                reply(job, Err(failed.error.clone()));
            }
        }
        Err(failed) => {
            tracing::warn!(error = %failed.error, commands = group.len(), "group failed; trying singly");
            for job in group.drain(..) {
                answer(conn, vec![job]);
            }
        }
    }
}

fn reply<D: Duty>(job: Job<D>, result: Result<D::Answer, Error>) {
    // A caller that went away does not want to know.
    drop(job.reply.send(result));
}

/// Why a transaction as a whole came to nothing.
struct Failed {
    error: Error,
    before_begin: bool,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            before_begin: false,
        }
    }
}

fn transaction<D: Duty>(
    conn: &Connection,
    group: &[Job<D>],
) -> Result<Vec<Result<D::Answer, Error>>, Failed> {
    let behaviour = match chiffon_failpoint::mutant!("deferred-begin") {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let begun = Transaction::new_unchecked(conn, behaviour);
    let tx = begun.map_err(|error| Failed {
        error: error.into(),
        before_begin: true,
    })?;
    let mut batch = D::begin(&tx);
    let mut results = Vec::with_capacity(group.len());
    for job in group {
        results.push(alone::<D>(&tx, &mut batch, &job.command)?);
    }
    chiffon_failpoint::hit!("store.seal.before");
    D::seal(&batch)?;
    drop(batch);
    chiffon_failpoint::hit!("store.commit.before", _full => return Err(Error::Full.into()));
    // Dropped without it, the transaction is rolled back.
    tx.commit().map_err(at_commit)?;
    chiffon_failpoint::hit!("store.commit.after");
    Ok(results)
}

/// One command in its savepoint. The outer error means that the whole transaction is lost.
fn alone<'c, D: Duty>(
    conn: &'c Connection,
    batch: &mut D::Batch<'c>,
    command: &D::Command,
) -> Result<Result<D::Answer, Error>, Error> {
    let run = |sql| conn.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT command")?;
    let mark = D::mark(batch);
    let result = D::apply(batch, command);
    if result.is_err() {
        if conn.is_autocommit() {
            // SQLite itself has rolled everything back (full disk, failing disk).
            return result.map(Ok);
        }
        run("ROLLBACK TO command")?;
        D::back_to(batch, mark);
    }
    run("RELEASE command")?;
    Ok(result)
}
