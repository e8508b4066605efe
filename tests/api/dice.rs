//! Chance that a printed seed repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// A row of numbers (xorshift).
pub struct Dice(u64);

impl Dice {
    /// From `CHIFFON_SEED`, or from the time; printed, so that a failure can be played again.
    pub fn new() -> Self {
        let given = std::env::var("CHIFFON_SEED").ok();
        let given = given.map(|text| text.parse().expect("CHIFFON_SEED is a number"));
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed: u64 = given.unwrap_or_else(|| u64::from(now().subsec_nanos()) + 1);
        println!("CHIFFON_SEED={seed}");
        Self(seed.max(1))
    }

    pub fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % (most + 1)
    }
}
