//! Ctrl-C and SIGTERM: the first asks politely, the second ends the program at once.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{exit::Exit, failure::Failure};

/// Tells whether the program was asked to end.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Takes over both signals for the life of the program. Needs a runtime.
    pub fn listen() -> Result<Self, Failure> {
        let failed = |error| Failure::internal(format!("signals cannot be received: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if ask.send_replace(true) {
                    end_at_once();
                }
            }
        });
        Ok(Self { asked })
    }

    /// Waits until the program is asked to end. Cancel-safe.
    pub async fn wait(&mut self) {
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            // The listener lives as long as the runtime; without it nothing can be heard.
            std::future::pending::<()>().await;
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
