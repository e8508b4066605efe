//! Clocks that are wrong. What is old is forgotten by a time that the monotonic clock confirms, so that a clock which is ahead
//! for a while makes nobody forget what it says is old.
//!
//! And the clock of this machine beside that of the database. Replicas that share one judge by their own clocks, and the gates
//! hold among them as far as those agree; the database's clock is the one that all of them can see.

use std::{sync::Arc, time::Instant};

use chiffon_store::ControlStore;
use jiff::{SignedDuration, Timestamp};

/// Beyond this, a rest or a lock that is kept by one replica may be over for another.
const FAR: SignedDuration = SignedDuration::from_secs(1);

/// How much faster than the monotonic clock a confirmed time may go, to catch up with a clock that was rightly set forward,
/// or with the time in which nothing ran.
const CATCHING_UP: i32 = 2;
/// Further ahead than that, a clock has jumped.
const JUMP: SignedDuration = SignedDuration::from_mins(10);

/// A time that it surely is by now: never later than the clock says, and no clock makes it jump forward.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confirmed {
    time: Timestamp,
    at: Instant,
    is_told: bool,
}

impl Confirmed {
    /// From the time of the last record on file, which some clock has told before this start; where there is none, nothing
    /// is known of before.
    pub(crate) fn since(last: Option<Timestamp>) -> Self {
        let now = Timestamp::now();
        let time = last.map_or(now, |last| last.min(now));
        Self {
            time,
            at: Instant::now(),
            // That nothing ran for long is no news.
            is_told: now.duration_since(time) > JUMP,
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    /// Goes on to now.
    pub(crate) fn look(&mut self) -> Timestamp {
        self.goes_on(Timestamp::now(), Instant::now())
    }

    fn goes_on(&mut self, clock: Timestamp, at: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(at.saturating_duration_since(self.at));
        let passed = passed.unwrap_or(SignedDuration::ZERO);
        let furthest = self.time.checked_add(passed.saturating_mul(CATCHING_UP));
        let furthest = furthest.unwrap_or(self.time);
        let ahead = clock.duration_since(furthest);
        (self.time, self.at) = (clock.min(furthest), at);
        if ahead > JUMP && !self.is_told {
            tracing::warn!(
                "the clock is {} s ahead of the time that has passed since the last look; by as much of it nothing is forgotten before it has passed",
                ahead.as_secs()
            );
        }
        self.is_told = ahead > JUMP;
        self.time
    }
}

/// Warns where they are far apart. What the database does not tell is left to the other looks at it.
pub(crate) async fn compare(store: &Arc<dyn ControlStore>) {
    let before = Timestamp::now();
    let Ok(Some(theirs)) = store.clock().await else {
        return;
    };
    if let Some(apart) = apart(before, theirs, Timestamp::now()) {
        tracing::warn!(
            "the clock of this machine and that of the database are {} s apart: replicas that share it keep rests, locks and rates only as far as their clocks agree; set the clocks",
            apart.as_secs()
        );
    }
}

/// How far apart they are for sure, where that is far; theirs was read at some time between the two.
fn apart(before: Timestamp, theirs: Timestamp, after: Timestamp) -> Option<SignedDuration> {
    let behind = before.duration_since(theirs);
    let ahead = theirs.duration_since(after);
    Some(behind.max(ahead)).filter(|apart| *apart > FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_forward_confirms_nothing_and_one_that_was_set_is_followed() {
        let day = SignedDuration::from_hours(24);
        let begun = Instant::now();
        let real = Timestamp::from_second(1_700_000_000).unwrap();
        let mut confirmed = Confirmed {
            time: real,
            at: begun,
            is_told: false,
        };
        let mut look = |clock: Timestamp, passed: u64| {
            let passed = std::time::Duration::from_secs(passed);
            confirmed.goes_on(clock, begun + passed)
        };
        // 500 days ahead for half a minute, then right again.
        assert!(look(real + day * 500, 33) <= real + SignedDuration::from_secs(66));
        let right = real + SignedDuration::from_secs(60);
        assert!(look(right, 60) <= right);
        // Set forward by an hour for good: after an hour it is believed.
        let hour = SignedDuration::from_hours(1);
        assert_eq!(look(right + hour * 2, 60 + 3_600), right + hour * 2);
        // And one that goes back is followed at once.
        assert_eq!(look(real, 60 + 3_700), real);
    }

    #[test]
    fn a_start_confirms_no_more_than_the_last_record_says() {
        let last = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(Confirmed::since(Some(last)).time(), last);
        let future = Timestamp::now() + SignedDuration::from_hours(24);
        assert!(Confirmed::since(Some(future)).time() < future);
    }

    #[test]
    fn only_what_is_apart_for_sure_is_far() {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        for (theirs, far) in [
            (0, None),
            (5, None),
            (6, None),
            (9, Some(4)),
            (-1, None),
            (-300, Some(300)),
        ] {
            // A slow answer.
            let found = apart(at(0), at(theirs), at(5));
            assert_eq!(found.map(|found| found.as_secs()), far, "{theirs}");
        }
    }
}
