//! Chance that a printed seed repeats, and how many seeds there are to be tried.

use std::time::{SystemTime, UNIX_EPOCH};

/// A row of numbers (xorshift). Each part of a cell has one of its own, so that the order in which they are used
/// does not matter.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// For the part with this number.
    pub fn of(seed: u64, part: u64) -> Self {
        let mut dice = Self((seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)).max(1));
        for _mixing in 0..8 {
            dice.up_to(1);
        }
        dice
    }

    /// A number from 0 to `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % (most + 1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.up_to(99) < chance
    }

    /// One of them.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let most = u64::try_from(of.len() - 1).unwrap();
        &of[usize::try_from(self.up_to(most)).unwrap()]
    }
}

/// The seeds of this run: `CHIFFON_SEED` alone where it is given, else as many as `CHIFFON_CRASH_SEEDS` says (one
/// where it says nothing), from the time.
pub fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("CHIFFON_SEED") {
        return vec![seed];
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = u64::from(now.subsec_nanos()) / 1000 + 1;
    let count = number("CHIFFON_CRASH_SEEDS").unwrap_or(1);
    (0..count.max(1)).map(|no| first + no * 1_000_003).collect()
}
