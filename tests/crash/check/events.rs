//! I5, I7 and I9: what was accepted of agents, what was recorded, and what readers of the stream were told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Evidence, Findings, lives::text};

/// I5: of each task only the attempt in hand is heard, and of that nothing older than what was heard.
pub(super) fn fenced(evidence: &Evidence, found: &mut Findings) {
    let mut attempts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut heard: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    for (request, doc) in &evidence.taken {
        let event = &doc["event"];
        let task = text(&event["task"]);
        match text(&event["event"]) {
            "task_dispatched" => *attempts.entry(task).or_default() += 1,
            "reported" | "ended" => {
                let (attempt, seq) = (
                    event["attempt"].as_u64().unwrap_or(0),
                    event["seq"].as_u64().unwrap_or(0),
                );
                let in_hand = attempts.get(task).copied().unwrap_or(0);
                if attempt != in_hand {
                    found.add("I5", format!("request {request} heard attempt {attempt} of task {task}, and {in_hand} was in hand"));
                }
                let before = heard.insert((task, attempt), seq);
                if before.is_some_and(|before| before >= seq) {
                    found.add(
                        "I5",
                        format!(
                            "request {request} heard message {seq} of task {task} after {before:?}"
                        ),
                    );
                }
            }
            _ => {}
        }
    }
}

/// I7: every record has its one place, the program's own verification finds nothing, and the ledger is what the rows
/// say.
pub(super) fn recorded_once(evidence: &Evidence, found: &mut Findings) {
    if evidence.said.verified != Some(0) {
        found.add(
            "I7",
            format!(
                "audit verify: {:?}: {}",
                evidence.said.verified, evidence.said.verify_text
            ),
        );
    }
    for told in &evidence.said.told_otherwise {
        found.add("I7", format!("told again it comes out otherwise: {told}"));
    }
    let mut expected = 1;
    let mut placed = BTreeMap::new();
    for (first, last, record) in &evidence.numbers {
        if *first != expected {
            found.add("I7", format!("event {first} follows on {}", expected - 1));
        }
        expected = last + 1;
        if let Some(record) = record {
            placed.insert(record.as_str(), last - first + 1);
        }
    }
    for (at, (seq, entry)) in evidence.audit.iter().enumerate() {
        let moves = entry["moves"].as_array().map_or(0, Vec::len).max(1);
        if u64::try_from(at + 1).unwrap() != *seq {
            found.add("I7", format!("record {seq} stands in place {}", at + 1));
        }
        let places = placed.remove(text(&entry["audit_id"]));
        if places != Some(u64::try_from(moves).unwrap()) {
            found.add(
                "I7",
                format!("record {seq} has {moves} events and {places:?} places in the stream"),
            );
        }
    }
    for record in placed.keys() {
        found.add(
            "I7",
            format!("a place in the stream is of {record}, which is no record"),
        );
    }
    ledger(evidence, found);
}

fn ledger(evidence: &Evidence, found: &mut Findings) {
    let mut entered: BTreeMap<&str, usize> = BTreeMap::new();
    for request in &evidence.entered {
        *entered.entry(request).or_default() += 1;
    }
    for (id, request) in &evidence.requests {
        let count = entered.get(id.as_str()).copied().unwrap_or_default();
        // What never had a plan has nothing to tell.
        let must = request.ended && evidence.plans.contains_key(id);
        if count > 1 || (count == 0 && must) {
            found.add(
                "I7",
                format!(
                    "request {id} ({}) stands in the ledger {count} times",
                    request.state
                ),
            );
        }
    }
    let mut rows = BTreeSet::new();
    for batch in &evidence.batches {
        match batch {
            Some(commit) => {
                rows.insert(commit.clone());
            }
            None => found.add("I7", "a batch of the ledger has no commit"),
        }
    }
    if rows != evidence.commits {
        let more: Vec<_> = evidence.commits.difference(&rows).collect();
        let less: Vec<_> = rows.difference(&evidence.commits).collect();
        found.add(
            "I7",
            format!("commits that no row names: {more:?}; rows without a commit: {less:?}"),
        );
    }
}

/// I9: numbers rise by one, nothing is skipped without a reset, and what a client made of the events is what is there.
pub(super) fn stream(evidence: &Evidence, found: &mut Findings) {
    let mut last = 0;
    let mut model: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for told in &evidence.stream {
        let id = told.id.unwrap_or(last);
        match told.what.as_str() {
            "event" | "asked" => {
                if id != last + 1 {
                    found.add("I9", format!("event {id} came after {last}"));
                }
                last = id;
                if let Some(event) = &told.event {
                    take(event, &mut model);
                }
            }
            "place" if id != last => found.add(
                "I9",
                format!("the stream went on from {id}, and {last} was seen"),
            ),
            "reset" => last = id,
            _ => {}
        }
    }
    let head = evidence.numbers.last().map_or(0, |(_, last, _)| *last);
    if last > head {
        found.add(
            "I9",
            format!("event {last} was told, and only {head} are on the disk"),
        );
    }
    let kinds = [
        ("request", &evidence.requests),
        ("bead", &evidence.tasks),
        ("decision", &evidence.decisions),
    ];
    for (noun, things) in kinds {
        for (id, thing) in things {
            let told = model.get(&(noun, id.as_str())).copied();
            if told != Some(thing.state.as_str()) {
                found.add(
                    "I9",
                    format!(
                        "{noun} {id} is {}, and the stream said {told:?}",
                        thing.state
                    ),
                );
            }
        }
    }
}

fn take<'a>(event: &'a Value, model: &mut BTreeMap<(&'a str, &'a str), &'a str>) {
    let data = &event["data"];
    let noun = text(&event["type"]).split('.').next().unwrap_or_default();
    let name = match noun {
        "request" => "request_id",
        "bead" => "task_id",
        "decision" => "decision_id",
        _ => return,
    };
    if let (Some(id), Some(state)) = (data[name].as_str(), data["state"].as_str()) {
        model.insert((noun, id), state);
    }
}
