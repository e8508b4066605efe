//! Ctrl-C and SIGTERM: the first asks politely, the second ends the program at once. A deadline asks in the
//! same way, so that whoever listens for the one hears the other too.

use std::sync::Arc;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{exit::Exit, failure::Failure};

/// Tells whether the program was asked to end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
    ask: Arc<watch::Sender<bool>>,
    until: Option<Instant>,
}

impl Interrupt {
    /// Takes over both signals for the life of the program. Needs a runtime.
    pub fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::internal(format!("signals cannot be received: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (ask, asked) = watch::channel(false);
        let ask = Arc::new(ask);
        let asks = Arc::clone(&ask);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if asks.send_replace(true) {
                    end_at_once();
                }
            }
        });
        Ok(Self {
            asked,
            ask,
            until: None,
        })
    }

    /// From now on a deadline asks too; none takes it back.
    pub fn set_deadline(&mut self, until: Option<Instant>) {
        self.until = until;
    }

    /// Whether it is the deadline that asks, and not a person.
    pub fn is_late(&self) -> bool {
        let is_over = |until: Instant| Instant::now() >= until;
        !*self.asked.borrow() && self.until.is_some_and(is_over)
    }

    /// What was asked so far is done: the next signal asks politely again.
    pub fn begin_anew(&self) {
        self.ask.send_replace(false);
    }

    /// Waits until the program is asked to end. Cancel-safe.
    pub async fn wait(&mut self) {
        let until = self.until;
        let late = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            asked = self.asked.wait_for(|asked| *asked) => if asked.is_err() {
                // Both ends are held here; without them nothing can be heard.
                std::future::pending::<()>().await;
            },
            () = late => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the second Ctrl-C means now: runs are ended by their supervisors, and the store survives it"
)]
fn end_at_once() {
    std::process::exit(i32::from(Exit::Interrupted.code()));
}
