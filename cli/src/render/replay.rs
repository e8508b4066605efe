//! A request told again, for people: each event with what moved, and whether it came out the same.

use chiffon_common::{
    api::{ReplayReport, ReplayStep},
    visible,
};

use super::words;
use crate::terminal::Paint;

/// The whole of it.
pub fn replay(paint: Paint, report: &ReplayReport) -> String {
    let mut lines: Vec<String> = report.steps.iter().map(|one| step(paint, one)).collect();
    let told = format!("{} events, {} audit records", report.events, report.records);
    lines.push(match report.same {
        true => format!(
            "{}: {told}. Every move comes out the same, down to the stored rows.",
            paint.good("same")
        ),
        false => format!(
            "{}: {told}. This comes out otherwise:",
            paint.bad("differs")
        ),
    });
    let faults = report.faults.iter();
    lines.extend(faults.map(|fault| format!("  {}", visible(fault))));
    lines.join("\n")
}

fn step(paint: Paint, step: &ReplayStep) -> String {
    let moves: Vec<String> = step
        .moves
        .iter()
        .map(|moved| {
            let from = moved.from.as_deref().unwrap_or("new");
            format!("{} {from} -> {}", moved.subject.kind, moved.to)
        })
        .collect();
    let moves = match moves.is_empty() {
        true => paint.dim("nothing moves"),
        false => visible(&moves.join(", ")),
    };
    let event = visible(&step.event);
    format!(
        "{:>5}  {}  {event:<17} {moves}",
        step.no,
        words::time(step.at)
    )
}
