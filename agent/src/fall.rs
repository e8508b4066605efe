//! A panic in one of an agent's own tasks ends the agent: half of one would go on being heard of while nobody carries
//! on what it had begun. Whoever keeps it starts it again, and its journal tells what is left to do, as after a crash.
//! A worker's panic ends only its run, which is left to `run`.

use tokio_util::sync::CancellationToken;

/// Ends everything when it is dropped by a panic.
struct Fall {
    what: &'static str,
    all: CancellationToken,
}

impl Drop for Fall {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("{} of the agent panicked, so the agent ends", self.what);
            self.all.cancel();
        }
    }
}

/// Carries out `task`; if it panics, `all` is cancelled.
pub(crate) async fn together<T>(
    what: &'static str,
    all: CancellationToken,
    task: impl Future<Output = T>,
) -> T {
    let _fall = Fall { what, all };
    task.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_panic_ends_everything() {
        let all = CancellationToken::new();
        assert_eq!(together("a part", all.clone(), async { 1 }).await, 1);
        assert!(!all.is_cancelled());
        let falls = together("a part", all.clone(), async { panic!("a test") });
        let ended: Result<(), _> = tokio::spawn(falls).await;
        assert!(ended.unwrap_err().is_panic());
        assert!(all.is_cancelled());
    }
}
