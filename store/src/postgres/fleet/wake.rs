//! Wake-ups between orchestrators: who has committed something says so by NOTIFY, outside of the transaction, and those that
//! listen look at once. Nothing hangs on it: a word that is lost is made up for by polling, which is left to whoever waits.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, NoTls, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use crate::{
    Error,
    postgres::{
        pool::{BOUND, PostgresOptions},
        tls::Tls,
    },
};

/// The channel of all stores on one database.
const CHANNEL: &str = "chiffon_fleet";

/// Between two tries to reach the server, at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is heard and what is to be told.
pub(super) struct Wakes {
    heard: watch::Sender<u64>,
    told: Notify,
}

/// The task that listens and tells. Dropped, it ends.
pub(super) struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wakes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            heard: watch::Sender::new(0),
            told: Notify::new(),
        })
    }

    /// Rises when another one may have committed something.
    pub(super) fn heard(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Something was committed. Many in a row are told as one.
    pub(super) fn tell(&self) {
        self.told.notify_one();
    }

    /// Begins to listen.
    pub(super) fn listen(self: &Arc<Self>, options: &PostgresOptions) -> Result<Listener, Error> {
        let (config, trust) = options.config("chiffon-wake")?;
        let (wakes, within) = (self.clone(), options.connect_timeout);
        let task = async move {
            let mut pause = Duration::from_millis(100);
            loop {
                let lasted = match &trust {
                    Some(trust) => wakes.hear(&config, Tls(trust.clone()), within).await,
                    None => wakes.hear(&config, NoTls, within).await,
                };
                match lasted {
                    Ok(()) => pause = Duration::from_millis(100),
                    Err(error) => {
                        tracing::debug!(%error, "no wake-ups from the database; polling goes on");
                        pause = PATIENCE.min(pause * 2);
                    }
                }
                sleep(pause).await;
            }
        };
        Ok(Listener(tokio::spawn(task)))
    }

    /// Over one connection, until it breaks.
    async fn hear<T>(&self, config: &Config, tls: T, within: Duration) -> Result<(), Error>
    where
        T: MakeTlsConnect<Socket> + Send,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let late = |_| Error::Unavailable("no connection in time".to_owned());
        let connected = timeout(within, config.connect(tls)).await.map_err(late)?;
        let (client, connection) = connected?;
        // Which process of the server speaks for us; 0 until it has said so.
        let own = AtomicI32::new(0);
        tokio::select! {
            () = self.drive(connection, &own) => Ok(()),
            failed = self.speak(&client, &own) => failed,
        }
    }

    async fn drive<S>(&self, mut connection: Connection<Socket, S>, own: &AtomicI32)
    where
        S: tokio_postgres::tls::TlsStream + Unpin,
    {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(word) = message
                && word.process_id() != own.load(Ordering::Relaxed)
            {
                self.heard.send_modify(|count| *count += 1);
            }
        }
    }

    async fn speak(&self, client: &Client, own: &AtomicI32) -> Result<(), Error> {
        let late = |_| Error::Unavailable("no answer in time".to_owned());
        let send = async |words: String| {
            let sent = timeout(BOUND, client.batch_execute(&words)).await;
            sent.map_err(late)?.map_err(Error::from)
        };
        let asked = timeout(BOUND, client.query_one("SELECT pg_backend_pid()", &[])).await;
        own.store(asked.map_err(late)??.try_get(0)?, Ordering::Relaxed);
        send(format!("LISTEN {CHANNEL}")).await?;
        // What was said before is made up for now.
        self.heard.send_modify(|count| *count += 1);
        loop {
            self.told.notified().await;
            send(format!("NOTIFY {CHANNEL}")).await?;
        }
    }
}
