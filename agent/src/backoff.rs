//! How long to wait before the next try: doubling from half a second to half a minute, with chance in
//! it, so that a fleet does not come back in step.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last try worked.
    pub(crate) fn is_calm(&self) -> bool {
        self.failures == 0
    }

    /// It failed: wait this long.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Without chance the wait is the longest, which is safe.
        let chance = getrandom::u32().map_or(1.0, |dice| f64::from(dice) / f64::from(u32::MAX));
        longest.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_begin_again() {
        let mut backoff = Backoff::default();
        let first = backoff.next();
        assert!((FIRST / 2..=FIRST).contains(&first), "{first:?}");
        for _ in 0..40 {
            assert!(backoff.next() <= LONGEST);
        }
        assert!(backoff.next() >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.is_calm() && backoff.next() <= FIRST);
    }
}
