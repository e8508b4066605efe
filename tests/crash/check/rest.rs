//! I11 and I12: bounds and logs; whether a cell was put to the proof at all; and its report.

use std::collections::BTreeMap;

use super::{
    super::{
        cell::EARLY,
        history::{End, Op},
        program::Measure,
        yard::CANARY,
    },
    Demands, Evidence, Findings,
};

/// Lines of level ERROR that a fault explains, and why.
const EXPLAINED: [(&str, &str); 3] = [
    ("panicked", "what was told to panic did"),
    (
        "the agent ends: the journal cannot be written: its writer has ended",
        "what writes it was told to",
    ),
    (
        "it is started again as soon as that is possible",
        "the agent ends with each part of it that panics",
    ),
];

/// Where a panic comes from that a failpoint was told to make: only beside such is anything explained.
const ORDERED: &str = "panicked at failpoint/src/armed.rs";

/// A run with only errors, or without a fault, proves nothing.
pub(super) fn vacuous(evidence: &Evidence, demands: Demands, found: &mut Findings) {
    let history = &evidence.history;
    let ok = history.ops.iter().filter(|op| op.is(End::Ok)).count();
    if ok < demands.ok {
        found.add(
            "vacuous",
            format!("{ok} operations ended well, {} are wanted", demands.ok),
        );
    }
    let sent = history.ops.iter().filter(|op| was_sent(op)).count().max(1);
    let percent = u64::try_from(ok * 100 / sent).unwrap();
    if percent < demands.ok_percent {
        found.add(
            "vacuous",
            format!(
                "{percent} % of the operations ended well, the floor is {} %",
                demands.ok_percent
            ),
        );
    }
    if history.faults.is_empty() {
        found.add("vacuous", "there was no fault");
    }
    for (what, in_flight, observed) in &history.faults {
        if !observed {
            found.add("vacuous", format!("{what} was not seen to happen"));
        }
        if *in_flight < demands.in_flight && !what.starts_with(EARLY) {
            found.add(
                "vacuous",
                format!(
                    "{what} met {in_flight} operations, {} are wanted",
                    demands.in_flight
                ),
            );
        }
    }
    match history.final_reads {
        None => found.add("vacuous", "the final reads were not done"),
        Some(count) if count != evidence.requests.len() as u64 => {
            found.add(
                "vacuous",
                format!(
                    "the final reads showed {count} requests of {}",
                    evidence.requests.len()
                ),
            );
        }
        Some(_) => {}
    }
    if evidence.marks.is_empty() {
        found.add("vacuous", "nothing took effect");
    }
}

/// Nobody was there to take the others.
fn was_sent(op: &Op) -> bool {
    op.status != 0 || !op.is(End::Fail)
}

/// Whether a fleet at rest needs about what it needed before.
pub fn is_near(before: Measure, after: Measure) -> bool {
    unbounded(before, after).is_empty()
}

fn unbounded(before: Measure, after: Measure) -> Vec<String> {
    // A tenth more, and what differs between two starts of a program this small: caches of the database, connections
    // that are being closed, threads of the runtime that have not given up yet.
    let limits = [
        ("open files", before.files, after.files, 24),
        ("threads", before.threads, after.threads, 12),
        ("children", before.children, after.children, 0),
        (
            "KiB resident",
            before.resident_kib,
            after.resident_kib,
            64 * 1024,
        ),
    ];
    let over = limits
        .into_iter()
        .filter(|(_, before, after, more)| *after > before + before / 10 + more);
    over.map(|(what, before, after, _)| format!("{after} {what} after healing, {before} before"))
        .collect()
}

/// I11.
pub(super) fn bounded(evidence: &Evidence, found: &mut Findings) {
    match (evidence.said.baseline, evidence.said.healed) {
        (Some(before), Some(after)) => {
            for what in unbounded(before, after) {
                found.add("I11", what);
            }
        }
        _ => found.add("vacuous", "nothing was measured"),
    }
    for path in &evidence.left_over {
        found.add("I11", format!("{} was left behind", path.display()));
    }
    for process in &evidence.processes {
        found.add("I11", format!("process {process} was left behind"));
    }
}

/// I12.
pub(super) fn logs(evidence: &Evidence, found: &mut Findings) {
    for (name, text) in &evidence.logs {
        let is_ordered = text.contains(ORDERED);
        for line in text.lines() {
            if line.contains("panicked at") && !line.contains(ORDERED) {
                found.add("I12", format!("{name}: {line}"));
            }
            let explained = is_ordered && EXPLAINED.iter().any(|(words, _)| line.contains(words));
            if line.contains(" ERROR ") && !explained {
                found.add("I12", format!("{name}: {line}"));
            }
        }
    }
    let places = evidence.logs.iter().chain(&evidence.told);
    for (name, text) in places {
        for (what, secret) in [
            ("the canary", CANARY),
            ("the token", evidence.token.as_str()),
        ] {
            if let Some(line) = text.lines().find(|line| line.contains(secret)) {
                let shown: String = line.chars().take(300).collect();
                found.add("I12", format!("{name} holds {what}: {shown}"));
            }
        }
    }
    if evidence.said.last_exit != Some(0) {
        found.add(
            "I12",
            format!(
                "the last life was asked to end, and ended with {:?}",
                evidence.said.last_exit
            ),
        );
    }
}

/// For people.
pub(super) fn report(evidence: &Evidence) -> String {
    let history = &evidence.history;
    let count = |end| history.ops.iter().filter(|op| op.is(end)).count();
    let sent = history.ops.iter().filter(|op| was_sent(op)).count().max(1);
    let mut took: Vec<u64> = history
        .ops
        .iter()
        // A long poll takes as long as there is nothing to tell.
        .filter(|op| op.is(End::Ok) && op.about.kind != "follow")
        .filter_map(|op| Some(op.end?.0.saturating_sub(op.invoked)))
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0) / 1000;
    let late = history
        .faults
        .iter()
        .filter(|(what, _, _)| !what.starts_with(EARLY));
    let met = late.map(|(_, in_flight, _)| *in_flight).min().unwrap_or(0);
    format!(
        "operations: {} ok, {} refused or not sent, {} unknown; {} % ok; p50 {} ms, p99 {} ms\nfaults: {}, each met at least {met} operations\nrequests {}, tasks {}, effects {}, events {}, audit records {}, ledger commits {}\nends of tasks: {}\nat rest: {:?}\nhealed:  {:?}",
        count(End::Ok),
        count(End::Fail),
        count(End::Info),
        count(End::Ok) * 100 / sent,
        at(50),
        at(99),
        history.faults.len(),
        evidence.requests.len(),
        evidence.tasks.len(),
        evidence.marks.len(),
        evidence.numbers.last().map_or(0, |(_, last, _)| *last),
        evidence.audit.len(),
        evidence.commits.len(),
        ends(evidence),
        evidence.said.baseline,
        evidence.said.healed,
    )
}

/// How many tasks ended in which way, with the code of what they failed with: where many failed of one thing, the load
/// was not what it is meant to be.
fn ends(evidence: &Evidence) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for task in evidence.tasks.values() {
        let code = task.doc.pointer("/state/problem/code");
        let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
        *counts.entry(format!("{}{code}", task.state)).or_default() += 1;
    }
    let counts = counts.iter().map(|(end, count)| format!("{count} {end}"));
    counts.collect::<Vec<_>>().join(", ")
}
