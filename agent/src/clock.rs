//! The clocks that the shell reads: the wall for what is written down, the boot clock for deadlines
//! (R53). What a time means is left to the core.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Where the agent takes the time from; a test brings its own.
pub trait Clock: Send + Sync + 'static {
    /// Wall time; may jump.
    fn now(&self) -> Timestamp;

    /// Time since the machine started, sleep included; never goes back.
    fn boot(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(seconds, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_agrees_with_the_kernels_uptime() {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let boot = SystemClock.boot().as_secs_f64();
        assert!((boot - uptime).abs() < 5.0, "{boot} against {uptime}");
    }
}
