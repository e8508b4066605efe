//! Seeded chance with a bound, and the count of what it did.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Faults, Rates};

/// What chaos can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Duplicate,
    TakenUnconfirmed,
    LostUnconfirmed,
    Delay,
    DroppedAck,
    EndedSubscription,
}

const KINDS: usize = 6;

/// As many faults of one kind in a row, then one time without: whoever tries again gets on, at any rate.
const MOST_IN_A_ROW: u64 = 3;

/// The dice of one chaos bus. SplitMix64: its state is a counter, so that several threads may throw at once.
/// The same seed gives the same throws in the same order of calls.
#[derive(Debug)]
pub(super) struct Dice {
    state: AtomicU64,
    rates: Rates,
    in_a_row: [AtomicU64; KINDS],
    happened: [AtomicU64; KINDS],
}

impl Dice {
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self {
            state: AtomicU64::new(seed),
            rates,
            in_a_row: Default::default(),
            happened: Default::default(),
        }
    }

    fn throw(&self) -> u64 {
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(GAMMA, Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&self, end: u64) -> u64 {
        self.throw() % end.max(1)
    }

    /// Whether this fault happens now; counted if it does.
    pub fn strikes(&self, fault: Fault) -> bool {
        let kind = fault as usize;
        let thrown = self.below(1000) < u64::from(self.rate(fault));
        let tired = self.in_a_row[kind].load(Relaxed) >= MOST_IN_A_ROW;
        if !thrown || tired {
            self.in_a_row[kind].store(0, Relaxed);
            return false;
        }
        self.in_a_row[kind].fetch_add(1, Relaxed);
        self.happened[kind].fetch_add(1, Relaxed);
        true
    }

    fn rate(&self, fault: Fault) -> u16 {
        match fault {
            Fault::Duplicate => self.rates.duplicate,
            Fault::TakenUnconfirmed => self.rates.taken_unconfirmed,
            Fault::LostUnconfirmed => self.rates.lost_unconfirmed,
            Fault::Delay => self.rates.delay,
            Fault::DroppedAck => self.rates.dropped_ack,
            Fault::EndedSubscription => self.rates.ended_subscription,
        }
    }

    pub fn faults(&self) -> Faults {
        let of = |fault: Fault| self.happened[fault as usize].load(Relaxed);
        Faults {
            duplicates: of(Fault::Duplicate),
            taken_unconfirmed: of(Fault::TakenUnconfirmed),
            lost_unconfirmed: of(Fault::LostUnconfirmed),
            delays: of(Fault::Delay),
            dropped_acks: of(Fault::DroppedAck),
            ended_subscriptions: of(Fault::EndedSubscription),
        }
    }
}
