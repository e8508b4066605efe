//! SIGTERM and Ctrl-C for a program that stays: the first asks it to drain, the second ends it at once.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// As a shell counts it, after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Tells whether the program was asked to end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Takes over both signals for the life of the program; within a runtime.
    ///
    /// # Errors
    /// Where the system gives no signals.
    pub fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
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
        Ok(Self(asked))
    }

    /// Waits until the program is asked to end. Cancel-safe.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Whoever hears the signals lives as long as the runtime.
            std::future::pending::<()>().await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the second signal means now: runs are ended by their supervisors, and stores and journals survive it"
)]
fn end_at_once() {
    std::process::exit(INTERRUPTED);
}
