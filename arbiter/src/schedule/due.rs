//! Which times have come, which of them are used and which are passed over. One look uses one time at most: the next
//! is used after the run before has ended, so that nothing floods the fleet, however long it was down.

use std::collections::VecDeque;

use chiffon_common::Missed;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Cron;

/// A time that is no older than this has come just now; nobody would call it missed.
const JUST_NOW: SignedDuration = SignedDuration::from_secs(60);

/// The most times that [`Missed::All`] makes up for.
pub const MOST_MISSED: usize = 100;

/// How far passed times are counted; beyond, there are "more".
const COUNTED: u64 = 1000;

/// When a schedule's times come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// Again and again.
    Cron(Box<Cron>),
    /// Once.
    At(Timestamp),
}

impl Times {
    /// The first time after this one.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next_after(after, zone),
            Self::At(at) => Some(*at).filter(|at| *at > after),
        }
    }
}

/// A look at a schedule.
#[derive(Debug)]
pub struct Look<'a> {
    /// Its times.
    pub times: &'a Times,
    /// The zone they are read in.
    pub zone: &'a TimeZone,
    /// What becomes of those that passed unused.
    pub missed: Missed,
    /// Everything up to here was used or passed over.
    pub considered: Timestamp,
    /// The clock.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Ask now, for this time.
    pub fire: Option<Timestamp>,
    /// These were passed over.
    pub passed: Option<Passed>,
    /// Everything up to here is used or passed over then.
    pub considered: Timestamp,
}

/// Times that were passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// How many; where there are very many, so many at least.
    pub count: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl Look<'_> {
    /// Decides. The run before must have ended.
    pub fn decide(&self) -> Verdict {
        let Some(newest) = self.newest() else {
            return Verdict {
                fire: None,
                passed: None,
                considered: self.considered,
            };
        };
        let fire = match self.missed {
            Missed::Skip => Some(newest).filter(|at| self.age(*at) <= JUST_NOW),
            Missed::Once => Some(newest),
            Missed::All { within_seconds } => self.oldest_within(within_seconds),
        };
        let passed = self.passed(fire.unwrap_or(Timestamp::MAX));
        Verdict {
            fire,
            passed,
            considered: fire.unwrap_or(newest),
        }
    }

    fn age(&self, at: Timestamp) -> SignedDuration {
        self.now.duration_since(at)
    }

    /// The first time after this one that has come.
    fn come_after(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.times.next_after(after, self.zone)?;
        (next <= self.now).then_some(next)
    }

    /// The newest time that has come. Halved rather than counted: a year may lie between.
    fn newest(&self) -> Option<Timestamp> {
        let mut found = self.come_after(self.considered)?;
        let (mut low, mut high) = (found.as_second(), self.now.as_second());
        while low < high {
            let middle = low + (high - low) / 2;
            let after = Timestamp::from_second(middle).ok()?;
            match self.come_after(after) {
                Some(later) => {
                    found = later;
                    // On from here in any case: one time may have a part of a second.
                    low = later.as_second().max(middle + 1);
                }
                None => high = middle,
            }
        }
        Some(found)
    }

    /// The oldest time that is made up for.
    fn oldest_within(&self, seconds: u64) -> Option<Timestamp> {
        let seconds = seconds.min(chiffon_common::LONGEST_WINDOW_SECONDS);
        let window = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        // The window's own beginning is within it, as is what has come just now.
        let oldest = self.now.checked_sub(window.max(JUST_NOW)).ok()?;
        let before = oldest.checked_sub(SignedDuration::from_nanos(1)).ok()?;
        let mut latest = VecDeque::new();
        let mut after = before.max(self.considered);
        while let Some(next) = self.come_after(after) {
            latest.push_back(next);
            if latest.len() > MOST_MISSED {
                latest.pop_front();
            }
            after = next;
        }
        latest.pop_front().filter(|at| *at >= oldest)
    }

    /// What has come before this time and was never used.
    fn passed(&self, before: Timestamp) -> Option<Passed> {
        let first = self.come_after(self.considered).filter(|at| *at < before)?;
        let mut passed = Passed {
            first,
            last: first,
            count: 1,
            more: false,
        };
        while let Some(next) = self.come_after(passed.last).filter(|at| *at < before) {
            if passed.count == COUNTED {
                passed.more = true;
                break;
            }
            passed.last = next;
            passed.count += 1;
        }
        Some(passed)
    }
}
