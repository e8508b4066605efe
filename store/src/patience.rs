//! Waiting with a bound that counts only the time this process was there to wait. Whoever was stopped (SIGSTOP, a laptop
//! that slept, a machine that was paused) would find every bound passed on waking, and take a database that had no moment
//! to answer for one that does not.

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{error::Elapsed, timeout};

/// However long a stop was, it counts as one of these.
const SLICE: Duration = Duration::from_secs(1);

/// Waits for `work`, at most for `bound`.
///
/// # Errors
/// It was not done by then.
pub(crate) async fn within<F: Future>(bound: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    let mut left = bound;
    loop {
        match timeout(SLICE.min(left), work.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(elapsed) if left <= SLICE => return Err(elapsed),
            Err(_) => left -= SLICE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, advance, sleep};

    use super::*;

    const BOUND: Duration = Duration::from_millis(2_500);

    #[tokio::test(start_paused = true)]
    async fn it_ends_at_its_bound() {
        let begun = Instant::now();
        assert!(within(BOUND, pending::<()>()).await.is_err());
        // The clock of timers has whole milliseconds, and each slice may take one more.
        let took = begun.elapsed();
        assert!(
            took >= BOUND && took < BOUND + Duration::from_millis(10),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_counts_as_one_slice_however_long_it_was() {
        let waiting = tokio::spawn(within(BOUND, sleep(Duration::from_secs(3_601))));
        tokio::task::yield_now().await;
        advance(Duration::from_secs(3_600)).await;
        assert!(waiting.await.unwrap().is_ok());
    }
}
