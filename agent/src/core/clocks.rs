//! What the orchestrators' clocks show, learned from the times in their signed messages.
//!
//! A message cannot arrive before it was made, so each gives a lower bound for its sender's clock; how
//! long it lay in the queue is unknown. A clock that is ahead of ours is therefore seen at once, one that
//! is behind only when several messages, a minute apart, agree. Bounds are kept on the boot clock, so
//! that a wall clock of ours that jumps does not spoil them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::Moment;

/// Messages remembered of each key.
const SAMPLES: usize = 16;
/// A bound older than this counts no more: clocks are corrected.
const FRESH: Duration = Duration::from_secs(3600);
/// Two agreeing bounds must be this far apart, so that a backlog delivered at once proves nothing.
const APART: Duration = Duration::from_secs(60);
/// How near to each other two bounds agree.
const AGREE: SignedDuration = SignedDuration::from_secs(30);

#[derive(Debug, Clone, Copy)]
struct Sample {
    boot: Duration,
    /// The sender's time minus our boot clock.
    bound: SignedDuration,
}

/// By signing key.
#[derive(Debug, Default)]
pub(super) struct OrchestratorClocks(BTreeMap<String, VecDeque<Sample>>);

/// What can be said about a sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It shows at least this; ours is taken where it is later.
    Shows(Timestamp),
    /// It differs from ours by about this, which is too much.
    Skewed(SignedDuration),
}

fn since_boot(time: Timestamp, boot: Duration) -> SignedDuration {
    time.duration_since(Timestamp::UNIX_EPOCH) - SignedDuration::try_from(boot).unwrap_or_default()
}

impl OrchestratorClocks {
    /// Takes note of a message whose signature by `key` was verified.
    pub(super) fn learn(&mut self, key: &str, made: Timestamp, at: Moment) {
        let samples = self.0.entry(key.to_owned()).or_default();
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(Sample {
            boot: at.boot,
            bound: since_boot(made, at.boot),
        });
    }

    /// What the clock of this key's owner shows.
    pub(super) fn read(&self, key: &str, at: Moment, permitted: Duration) -> Reading {
        let fresh: Vec<Sample> = self
            .0
            .get(key)
            .into_iter()
            .flatten()
            .copied()
            .filter(|sample| at.boot.saturating_sub(sample.boot) <= FRESH)
            .collect();
        let Some(bound) = fresh.iter().map(|sample| sample.bound).max() else {
            return Reading::Shows(at.now);
        };
        let permitted = SignedDuration::try_from(permitted).unwrap_or(SignedDuration::MAX);
        let skew = bound - since_boot(at.now, at.boot);
        let is_behind = skew < -permitted && agree(&fresh, bound);
        if skew > permitted || is_behind {
            return Reading::Skewed(skew);
        }
        Reading::Shows(
            at.now
                .saturating_add(skew.max(SignedDuration::ZERO))
                .unwrap_or(at.now),
        )
    }

    /// The latest time that any orchestrator is known to show, or ours.
    pub(super) fn latest(&self, at: Moment) -> Timestamp {
        let read = |key: &String| match self.read(key, at, Duration::MAX) {
            Reading::Shows(time) => time,
            Reading::Skewed(_) => at.now,
        };
        self.0.keys().map(read).max().unwrap_or(at.now)
    }
}

fn agree(samples: &[Sample], bound: SignedDuration) -> bool {
    let near = |sample: &&Sample| bound - sample.bound < AGREE;
    let times = || samples.iter().filter(near).map(|sample| sample.boot);
    match (times().min(), times().max()) {
        (Some(first), Some(last)) => last - first >= APART,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Duration = Duration::from_secs(300);

    fn at(seconds: i64, boot: u64) -> Moment {
        Moment {
            now: Timestamp::from_second(seconds).unwrap(),
            boot: Duration::from_secs(boot),
        }
    }

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_clock_ahead_is_seen_at_once() {
        let mut clocks = OrchestratorClocks::default();
        clocks.learn("k", second(10_200), at(10_000, 50));
        assert_eq!(
            clocks.read("k", at(10_000, 50), FIVE),
            Reading::Shows(second(10_200))
        );
        clocks.learn("k", second(10_400), at(10_001, 51));
        assert!(matches!(
            clocks.read("k", at(10_001, 51), FIVE),
            Reading::Skewed(_)
        ));
    }

    #[test]
    fn a_backlog_is_no_skew_but_a_steady_lag_is() {
        let mut clocks = OrchestratorClocks::default();
        for waited in [7200, 7000, 3000] {
            clocks.learn("k", second(100_000 - waited), at(100_000, 50));
        }
        assert_eq!(
            clocks.read("k", at(100_000, 50), FIVE),
            Reading::Shows(second(100_000))
        );
        let mut clocks = OrchestratorClocks::default();
        for step in 0..3 {
            clocks.learn(
                "k",
                second(99_000 + step * 40),
                at(100_000 + step * 40, 50 + step as u64 * 40),
            );
        }
        assert!(matches!(
            clocks.read("k", at(100_080, 130), FIVE),
            Reading::Skewed(_)
        ));
    }

    #[test]
    fn our_own_jump_does_not_move_the_orchestrators_clock() {
        let mut clocks = OrchestratorClocks::default();
        clocks.learn("k", second(10_000), at(10_000, 50));
        // Ours was set back by two minutes.
        assert_eq!(clocks.latest(at(9_890, 60)), second(10_010));
    }
}
