//! A small pool of read-only connections. Each read runs on tokio's blocking threads, so that no async
//! task ever waits for the disk. What is read is left to the files of the tables.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

use super::open;
use crate::{Error, patience::within};

/// The pool. A permit stands for each connection that lies idle.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A connection on loan; it comes back whatever happens, a panic included.
struct Loan {
    conn: Option<Connection>,
    pool: Arc<Readers>,
    // Given back after the connection, because fields are dropped after `drop` has run.
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Arc<Self>, Error> {
        let count = count.max(1);
        let idle: Result<Vec<_>, Error> = (0..count).map(|_| open::reader(path)).collect();
        Ok(Arc::new(Self {
            idle: Mutex::new(idle?),
            permits: Arc::new(Semaphore::new(count)),
        }))
    }

    /// Runs a read within a bound, on one snapshot of the database.
    pub(super) async fn read<T, F>(self: &Arc<Self>, bound: Duration, read: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let late = || Error::Unavailable(format!("no answer within {} s", bound.as_secs()));
        let permit = within(bound, self.permits.clone().acquire_owned()).await;
        let permit = permit
            .map_err(|_| late())?
            .map_err(|_| Error::Unavailable("database is closed".to_owned()))?;
        let loan = self.lend(permit);
        let interrupt = loan.conn()?.get_interrupt_handle();
        let work = spawn_blocking(move || {
            let conn = loan.conn()?;
            // A read transaction: all statements of one read see the same commits.
            let tx = conn.unchecked_transaction()?;
            let found = read(&tx)?;
            tx.commit()?;
            Ok(found)
        });
        match within(bound, work).await {
            Ok(Ok(found)) => found,
            Ok(Err(stopped)) => Err(Error::Unavailable(stopped.to_string())),
            Err(_) => {
                interrupt.interrupt();
                Err(late())
            }
        }
    }

    fn lend(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Loan {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        Loan {
            conn: idle.pop(),
            pool: self.clone(),
            _permit: permit,
        }
    }
}

impl Loan {
    fn conn(&self) -> Result<&Connection, Error> {
        let missing = || Error::Unavailable("no connection is left".to_owned());
        self.conn.as_ref().ok_or_else(missing)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.conn.take());
    }
}
