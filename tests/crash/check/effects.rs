//! I4 and I8: what took effect, how often, and by whose word.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Evidence, Findings, evidence::Thing, lives::text};

/// The step of the plan that a task does.
fn step<'a>(evidence: &'a Evidence, task: &Thing) -> &'a Value {
    let plan = evidence.plans.get(&task.request).unwrap_or(&Value::Null);
    let no = task.doc["step"]
        .as_u64()
        .and_then(|no| usize::try_from(no).ok());
    no.and_then(|no| plan["steps"].get(no))
        .unwrap_or(&Value::Null)
}

/// How often a person wanted a task of a request to run again.
fn retries_by_a_person(evidence: &Evidence, request: &str) -> usize {
    let taken = evidence.taken.iter().filter(|(of, _)| of == request);
    let wanted = taken.filter(|(_, doc)| {
        let event = &doc["event"];
        ["answered", "resolved"].contains(&text(&event["event"])) && event["choice"] == "retry"
    });
    wanted.count()
}

/// I4: at most one mark a token, at most one in all where nobody may run it twice, at least one for each success.
pub(super) fn marks(evidence: &Evidence, entries: &[(&str, &str)], found: &mut Findings) {
    let mut by_token: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    let mut by_task: BTreeMap<&str, usize> = BTreeMap::new();
    for mark in &evidence.marks {
        *by_token.entry((&mark.task, mark.attempt)).or_default() += 1;
        *by_task.entry(&mark.task).or_default() += 1;
    }
    for ((task, attempt), count) in by_token {
        if count > 1 {
            found.add(
                "I4",
                format!("attempt {attempt} of task {task} took effect {count} times"),
            );
        }
        if evidence
            .tasks
            .get(task)
            .is_some_and(|task| attempt > task.attempt)
        {
            found.add(
                "I4",
                format!("task {task} took effect in attempt {attempt}, which it never had"),
            );
        }
    }
    for (id, task) in &evidence.tasks {
        let entry = text(&step(evidence, task)["entry"]);
        let known = entries.iter().find(|(name, _)| *name == entry);
        let on_interrupt = match known {
            Some((_, on_interrupt)) => *on_interrupt,
            None if entry.starts_with("bundle_") => "ask",
            None => continue,
        };
        let count = by_task.get(id.as_str()).copied().unwrap_or_default();
        let allowed = 1 + retries_by_a_person(evidence, &task.request);
        if on_interrupt != "retry" && count > allowed {
            found.add("I4", format!("task {id} ({entry}, {on_interrupt}) took effect {count} times, {allowed} were permitted"));
        }
        if task.state == "completed" && task.doc["mode"] == "apply" && count == 0 {
            found.add(
                "I4",
                format!("task {id} ({entry}) has completed without an effect"),
            );
        }
    }
}

/// I8: nothing of tier 1 or 2 took effect, or was even given to an agent, without a person's word for exactly that
/// plan; and each word was used by one request.
pub(super) fn approvals(evidence: &Evidence, found: &mut Findings) {
    for mark in &evidence.marks {
        let Some(task) = evidence.tasks.get(&mark.task) else {
            continue;
        };
        let tier = step(evidence, task)["tier"].as_u64().unwrap_or(2);
        if tier > 0 && !is_approved(evidence, &task.request) {
            found.add(
                "I8",
                format!(
                    "task {} of tier {tier} took effect, and nobody approved it",
                    task.id
                ),
            );
        }
        let state = evidence
            .requests
            .get(&task.request)
            .map(|request| request.state.as_str());
        if matches!(state, Some("rejected" | "expired")) && tier > 0 {
            found.add(
                "I8",
                format!("task {} took effect, and its request is {state:?}", task.id),
            );
        }
    }
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    let mut approved: BTreeMap<&str, usize> = BTreeMap::new();
    for (request, doc) in &evidence.taken {
        let event = &doc["event"];
        match text(&event["event"]) {
            "answered" if event["choice"] == "approve" => {
                *approved.entry(request).or_default() += 1;
                let plan = evidence.plans.get(request).unwrap_or(&Value::Null);
                if event["digest"] != plan["digest"] {
                    found.add(
                        "I8",
                        format!("request {request} was approved for another plan"),
                    );
                }
                if let Some(other) = given.insert(text(&event["decision"]), request) {
                    found.add(
                        "I8",
                        format!("one approval was used by {request} and {other}"),
                    );
                }
            }
            "task_dispatched" => {
                let task = evidence.tasks.get(text(&event["task"]));
                let needs = task.is_some_and(|task| {
                    task.doc["mode"] == "apply"
                        && step(evidence, task)["tier"].as_u64().unwrap_or(2) > 0
                });
                if needs && !approved.contains_key(request.as_str()) {
                    found.add(
                        "I8",
                        format!("request {request} was dispatched before it was approved"),
                    );
                }
            }
            _ => {}
        }
    }
    for (request, times) in approved.into_iter().filter(|(_, times)| *times > 1) {
        found.add(
            "I8",
            format!("request {request} was approved {times} times"),
        );
    }
}

fn is_approved(evidence: &Evidence, request: &str) -> bool {
    let digest = evidence.plans.get(request).map(|plan| &plan["digest"]);
    let mut decisions = evidence
        .decisions
        .values()
        .filter(|decision| decision.request == request);
    decisions.any(|decision| {
        let doc = decision.doc.to_string();
        decision.state == "resolved"
            && doc.contains("\"approve\"")
            && digest.is_some_and(|digest| doc.contains(text(digest)))
    })
}
