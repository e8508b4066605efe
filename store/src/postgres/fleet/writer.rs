//! The one task of a store that commits. It groups what waits into one transaction, because the fsync is the cost; where one
//! of them is refused the whole is rolled back, and each is tried once by itself. What a commit does is left to `apply.rs`.
//!
//! Writers of all orchestrators take turns: each transaction holds a lock from its first statement to its end. So checks,
//! versions and numbers are as true as in one process, numbers are given in the order of the commits and without holes, and
//! no two transactions can wait for each other. A connection that breaks at COMMIT is asked after (R6): whoever holds that
//! lock knows that the other transaction has ended, and its own row in `writers` says how.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{GenericClient, Object, Pool, Transaction};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use super::{
    apply::{self, Batch},
    columns::{bigint, execute, number, row},
    partitions::{self, Days},
    wake::Wakes,
};
use crate::{
    Error,
    commit::{Commit, Receipt},
    patience::within,
    postgres::{
        error::at_commit,
        pool::{self, BOUND},
    },
};

/// The lock of whoever writes; "chfw" in ASCII.
const LOCK: i64 = 0x6368_6677;

/// Commits that may wait: several of the largest groups. A full channel makes callers wait in turn.
const QUEUE: usize = 1024;

/// Most commits in one transaction: enough that the fsync is shared well, few enough that other orchestrators come to their
/// turn.
const GROUP: usize = 128;

/// How soon a server that is away is asked again what became of a commit.
const AGAIN: Duration = Duration::from_millis(100);

/// A commit on its way, and whether anybody has taken it: the writer to do it, or the caller to give it up. Whoever is
/// first, decides.
struct Job {
    commit: Box<Commit>,
    reply: oneshot::Sender<Result<Receipt, Error>>,
    taken: Arc<AtomicBool>,
}

/// The way to the task, which ends with it.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Begins to write. The server gives it a name of its own.
    pub(super) async fn start(pool: Pool, wakes: Arc<Wakes>) -> Result<Self, Error> {
        let client = pool::client(&pool).await?;
        // Those that are gone. One that only had nothing to say for a week comes back with its next commit.
        let sql = "DELETE FROM writers WHERE seen < now() - INTERVAL '7 days'";
        execute(&client, sql, &[]).await?;
        let sql = "INSERT INTO writers (commits) VALUES (0) RETURNING writer";
        let id = row(&client, sql, &[], |row| number(row, 0)).await?;
        drop(client);
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let desk = Desk {
            pool,
            wakes,
            id: bigint(id.unwrap_or_default()),
            commits: 0,
            known: Days::new(),
        };
        tokio::spawn(desk.work(waiting));
        Ok(Self { jobs })
    }

    /// Has the commit done, and waits for its end.
    pub(super) async fn submit(&self, commit: Commit) -> Result<Receipt, Error> {
        let stopped = || Error::Unavailable("database is closed".to_owned());
        let late = || Error::Unavailable(format!("not written within {} s", BOUND.as_secs()));
        let (reply, answer) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let job = Job {
            commit: Box::new(commit),
            reply,
            taken: taken.clone(),
        };
        let work = async { self.jobs.send(job).await.map(|()| answer) };
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

/// Why a transaction came to nothing.
struct Failed {
    error: Error,
    /// Whether one commit was refused, and not the transaction as such.
    of_one: bool,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            of_one: false,
        }
    }
}

/// What the task works with.
struct Desk {
    pool: Pool,
    wakes: Arc<Wakes>,
    /// Its row in `writers`.
    id: i64,
    /// How many transactions it has tried: the name of each.
    commits: i64,
    known: Days,
}

impl Desk {
    async fn work(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.recv().await {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = waiting.try_recv()
            {
                group.push(next);
            }
            group.retain(|job| !job.taken.swap(true, Ordering::AcqRel));
            if !group.is_empty() {
                self.answer(group).await;
            }
        }
    }

    /// Does a group, and tells each what became of it; once for all, or singly where one was refused.
    async fn answer(&mut self, group: Vec<Job>) {
        let days: Days = group
            .iter()
            .flat_map(|job| partitions::days_of(&job.commit))
            .collect();
        partitions::ensure(&self.pool, &mut self.known, days).await;
        match self.transaction(&group).await {
            Ok(receipts) => {
                for (job, receipt) in group.into_iter().zip(receipts) {
                    reply(job, Ok(receipt));
                }
            }
            Err(failed) if failed.of_one && group.len() > 1 => {
                tracing::debug!(error = %failed.error, commits = group.len(), "group refused; trying singly");
                for job in group {
                    let result = self.transaction(std::slice::from_ref(&job)).await;
                    let result = result.map_err(|failed| failed.error);
                    reply(job, result.map(|mut one| one.pop().unwrap_or_default()));
                }
            }
            Err(failed) => {
                for job in group {
                    reply(job, Err(failed.error.clone()));
                }
            }
        }
    }

    async fn transaction(&mut self, group: &[Job]) -> Result<Vec<Receipt>, Failed> {
        self.commits += 1;
        let mut client = pool::client(&self.pool).await?;
        let judged = within(BOUND, judge(&mut client, self.id, self.commits, group)).await;
        let late = |_| Error::Unavailable(format!("no answer within {} s", BOUND.as_secs()));
        let (tx, receipts) = judged.map_err(late)??;
        chiffon_failpoint::hit!("store.commit.before", _full => return Err(Error::Full.into()));
        let ended = match timeout(BOUND, tx.commit()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(at_commit(&error)),
            Err(_) => Err(Error::OutcomeUnknown(format!(
                "no answer to COMMIT within {} s",
                BOUND.as_secs()
            ))),
        };
        chiffon_failpoint::hit!("store.commit.after");
        match ended {
            Ok(()) => {}
            Err(Error::OutcomeUnknown(why)) => {
                // Not to be used again, and closed before it is asked after: the server lets go of it sooner.
                drop(Object::take(client));
                self.ask_after(why).await?;
            }
            Err(error) => return Err(error.into()),
        }
        let is_news = |job: &Job| !job.commit.audit.is_empty() || !job.commit.outbox.is_empty();
        if group.iter().any(is_news) {
            self.wakes.tell();
        }
        Ok(receipts)
    }

    /// What became of a commit whose answer did not come.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where nothing of it was written, [`Error::OutcomeUnknown`] where that cannot be found out in time.
    async fn ask_after(&self, why: String) -> Result<(), Error> {
        let begun = Instant::now();
        while begun.elapsed() < BOUND {
            match timeout(BOUND, self.was_written()).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => {
                    return Err(Error::Unavailable(format!("nothing was written: {why}")));
                }
                Ok(Err(error)) => tracing::debug!(%error, "a commit cannot be asked after yet"),
                Err(_) => {}
            }
            sleep(AGAIN).await;
        }
        Err(Error::OutcomeUnknown(why))
    }

    async fn was_written(&self) -> Result<bool, Error> {
        let mut client = pool::client(&self.pool).await?;
        let tx = client.transaction().await?;
        // Whoever has it is the only one who writes: the transaction in question has ended.
        lock(&tx).await?;
        let sql = "SELECT commits FROM writers WHERE writer = $1";
        let last = row(&tx, sql, &[&self.id], |row| Ok(row.try_get::<_, i64>(0)?)).await?;
        tx.rollback().await?;
        Ok(last == Some(self.commits))
    }
}

/// Judges and writes a group in a transaction that is still open.
async fn judge<'c>(
    client: &'c mut Object,
    writer: i64,
    number: i64,
    group: &[Job],
) -> Result<(Transaction<'c>, Vec<Receipt>), Failed> {
    let tx = client.transaction().await?;
    lock(&tx).await?;
    let mut batch = Batch::default();
    let mut receipts = Vec::with_capacity(group.len());
    for job in group {
        match Box::pin(apply::commit(&tx, &mut batch, &job.commit)).await {
            Ok(receipt) => receipts.push(receipt),
            // A server that is gone will not answer sooner to one than to all.
            Err(error) => {
                let of_one = !matches!(error, Error::Unavailable(_));
                return Err(Failed { error, of_one });
            }
        }
    }
    chiffon_failpoint::hit!("store.seal.before");
    batch.seal(&tx).await?;
    let sql =
        "INSERT INTO writers (writer, commits, seen) OVERRIDING SYSTEM VALUE VALUES ($1, $2, now())
               ON CONFLICT (writer) DO UPDATE SET commits = excluded.commits, seen = excluded.seen";
    execute(&tx, sql, &[&writer, &number]).await?;
    Ok((tx, receipts))
}

/// Waits for its turn. The lock ends with the transaction.
async fn lock<C: GenericClient>(tx: &C) -> Result<(), Error> {
    let statement = tx
        .prepare_cached("SELECT pg_advisory_xact_lock($1)")
        .await?;
    tx.query(&statement, &[&LOCK]).await?;
    Ok(())
}

fn reply(job: Job, result: Result<Receipt, Error>) {
    // A caller that went away does not want to know.
    drop(job.reply.send(result));
}
