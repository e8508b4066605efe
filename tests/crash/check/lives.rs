//! I1 to I3: nothing is lost, nothing came from nowhere, everything has one end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    super::history::{End, Op},
    Evidence, Findings,
};

const ENDS: [&str; 10] = [
    "completed",
    "failed",
    "rejected",
    "expired",
    "cancelled",
    "resolved",
    "timed_out",
    "done",
    "closed",
    "withdrawn",
];

fn is_end(state: &str) -> bool {
    ENDS.contains(&state)
}

/// Operations by key: the same key is the same operation.
fn by_key<'a>(evidence: &'a Evidence, kind: &str) -> BTreeMap<&'a str, Vec<&'a Op>> {
    let mut by_key: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for op in evidence
        .history
        .ops
        .iter()
        .filter(|op| op.about.kind == kind)
    {
        if let Some(key) = &op.about.key {
            by_key.entry(key.as_str()).or_default().push(op);
        }
    }
    by_key
}

/// I1: what was acknowledged is there, and has an end.
pub(super) fn lost(evidence: &Evidence, found: &mut Findings) {
    for op in evidence.history.ops.iter().filter(|op| op.is(End::Ok)) {
        let Some(id) = op.answer["request_id"].as_str() else {
            continue;
        };
        if !evidence.requests.contains_key(id) {
            found.add(
                "I1",
                format!(
                    "request {id} was acknowledged by operation {} and is not there",
                    op.no
                ),
            );
        }
    }
    for (key, ops) in by_key(evidence, "schedule") {
        let acknowledged = ops.iter().any(|op| op.is(End::Ok));
        let is_there = evidence.schedules.values().any(|doc| doc["title"] == key);
        if acknowledged && !is_there {
            found.add(
                "I1",
                format!("schedule {key} was acknowledged and is not there"),
            );
        }
    }
    for op in evidence
        .history
        .ops
        .iter()
        .filter(|op| op.is(End::Ok) && op.about.kind == "answer")
    {
        let decision = op
            .about
            .id
            .as_deref()
            .and_then(|id| evidence.decisions.get(id));
        if decision.is_none_or(|decision| !decision.ended) {
            found.add(
                "I1",
                format!(
                    "answer {} was acknowledged, and its question is {decision:?}",
                    op.no
                ),
            );
        }
    }
    let things = evidence
        .requests
        .values()
        .chain(evidence.tasks.values())
        .chain(evidence.decisions.values());
    for thing in things.filter(|thing| !thing.ended) {
        found.add(
            "I1",
            format!(
                "{} of request {} is {} after the drain",
                thing.id, thing.request, thing.state
            ),
        );
    }
    for open in &evidence.said.open {
        found.add("I1", format!("open when the drain gave up: {open}"));
    }
    for waiting in &evidence.waiting {
        found.add("I1", format!("after the drain {waiting}"));
    }
}

/// I2: every request was asked for, once.
pub(super) fn unexpected(evidence: &Evidence, found: &mut Findings) {
    let asks = by_key(evidence, "ask");
    let undone: BTreeSet<_> = by_key(evidence, "undo")
        .values()
        .flatten()
        .filter_map(|op| op.about.id.as_deref())
        .collect();
    let schedules = by_key(evidence, "schedule");
    let mut by_asker: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, request) in &evidence.requests {
        let doc = &request.doc;
        let asker = if let Some(schedule) = doc["schedule"]["schedule_id"].as_str() {
            let title = evidence
                .schedules
                .get(schedule)
                .and_then(|doc| doc["title"].as_str());
            title
                .filter(|title| schedules.contains_key(title))
                .map(|title| format!("schedule {title}"))
        } else if let Some(of) = doc["undo_of"]["request"].as_str() {
            undone.contains(of).then(|| format!("undo of {of}"))
        } else {
            let room = evidence
                .rooms
                .get(id)
                .map(String::as_str)
                .unwrap_or_default();
            asks.contains_key(room).then(|| room.to_owned())
        };
        match asker {
            Some(asker) => by_asker.entry(asker).or_default().push(id),
            None => found.add("I2", format!("nobody asked for request {id}: {doc}")),
        }
    }
    for (asker, ids) in by_asker.iter().filter(|(_, ids)| ids.len() > 1) {
        found.add(
            "I2",
            format!("{asker} was asked for once and led to {ids:?}"),
        );
    }
    for (key, ops) in &asks {
        answers_agree(key, ops, found);
        let refused = ops.iter().all(|op| op.is(End::Fail));
        if refused && by_asker.contains_key(*key) {
            found.add(
                "I2",
                format!(
                    "{key} was refused each time, and led to {:?}",
                    by_asker[*key]
                ),
            );
        }
    }
    for mark in &evidence.marks {
        if !evidence.tasks.contains_key(&mark.task) {
            found.add(
                "I2",
                format!("an effect of task {}, which there is not", mark.task),
            );
        }
    }
    for (id, task) in &evidence.tasks {
        if !evidence.requests.contains_key(&task.request) {
            found.add("I2", format!("task {id} belongs to no request"));
        }
    }
}

/// The same key has the same answer.
fn answers_agree(key: &str, ops: &[&Op], found: &mut Findings) {
    let answers: BTreeSet<_> = ops
        .iter()
        .filter(|op| op.is(End::Ok))
        .filter_map(|op| op.answer["request_id"].as_str())
        .collect();
    if answers.len() > 1 {
        found.add("I2", format!("{key} has several answers: {answers:?}"));
    }
}

/// I3: the moves of each thing join up, end once, and never go on from there; whoever saw an end saw that one.
pub(super) fn one_end(evidence: &Evidence, found: &mut Findings) {
    let mut now: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (seq, entry) in &evidence.audit {
        for one in entry["moves"].as_array().into_iter().flatten() {
            let kind = text(&one["subject"]["kind"]);
            if !["request", "task", "decision"].contains(&kind) {
                continue;
            }
            let subject = (kind, text(&one["subject"]["id"]));
            let (from, to) = (one["from"].as_str(), text(&one["to"]));
            let before = now.get(&subject).copied();
            if before != from {
                found.add(
                    "I3",
                    format!("record {seq} moves {subject:?} from {from:?}, and it was {before:?}"),
                );
            }
            if before.is_some_and(is_end) {
                found.add(
                    "I3",
                    format!(
                        "record {seq} moves {subject:?} to {to}, and it had ended as {before:?}"
                    ),
                );
            }
            now.insert(subject, to);
        }
    }
    let kinds = [
        ("request", &evidence.requests),
        ("task", &evidence.tasks),
        ("decision", &evidence.decisions),
    ];
    for (kind, things) in kinds {
        for (id, thing) in things {
            let last = now.get(&(kind, id.as_str())).copied();
            if last != Some(thing.state.as_str()) {
                found.add(
                    "I3",
                    format!(
                        "{kind} {id} is {}, and its last record says {last:?}",
                        thing.state
                    ),
                );
            }
        }
    }
    for op in &evidence.history.ops {
        let (id, state) = (text(&op.answer["request_id"]), text(&op.answer["state"]));
        let is_last = evidence
            .requests
            .get(id)
            .is_none_or(|request| request.state == state);
        if op.answer["ended"] == true && !is_last {
            found.add(
                "I3",
                format!(
                    "operation {} saw request {id} end as {state}, and it is something else",
                    op.no
                ),
            );
        }
    }
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
