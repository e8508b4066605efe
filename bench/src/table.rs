//! Rows of the table, and the figures in them.

use std::time::Duration;

/// Prints a row: what, ours, what it is held against in the same run, the ratio of both, the goal.
pub(crate) fn row(what: &str, ours: &str, beside: &str, ratio: &str, goal: &str) {
    println!("| {what} | {ours} | {beside} | {ratio} | {goal} |");
}

/// The one in the middle; zero of none.
pub(crate) fn median(figures: &mut [f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The one that this part of them does not exceed.
pub(crate) fn quantile(figures: &mut [f64], part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    let at = (last as f64 * part).round() as usize;
    figures.get(at).copied().unwrap_or_default()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
