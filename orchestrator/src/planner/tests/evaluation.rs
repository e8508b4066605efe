//! The sentences of `tests/planner` against the shipped catalogue: how many come out right, and that none changes what
//! nobody asked for.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

/// Right, asked back, wrong, and of the wrong ones those that would change a machine.
#[derive(Debug, Default)]
struct Count {
    right: usize,
    asked: usize,
    wrong: usize,
    changes: usize,
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn fits(planned: &Planned, wanted: &Value) -> bool {
    let steps: Vec<Value> = planned
        .steps
        .iter()
        .map(|step| {
            let parameters: BTreeMap<_, _> = step.parameters.iter().collect();
            serde_json::json!({"entry": step.entry, "hosts": step.hosts, "parameters": parameters, "after": step.after})
        })
        .collect();
    serde_json::json!(steps) == *wanted
}

fn judged(name: &str, tells: bool) -> Count {
    let text = fs::read_to_string(root().join("tests/planner/hosts.yml")).unwrap();
    let inventory = inventory(&text);
    let planner = planner();
    let mut count = Count::default();
    let lines = fs::read_to_string(root().join(format!("tests/planner/{name}.jsonl"))).unwrap();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let sentence = line["sentence"].as_str().unwrap();
        // What else would be as right: a question where a plan is bold.
        let also = line["also"].as_array().map_or(&[][..], Vec::as_slice);
        let all: Vec<&Value> = also.iter().chain([&line["expect"]]).collect();
        let wanted = &line["expect"];
        let found = planner.plan(sentence, &inventory);
        let told = match &found {
            Proposal::Plan(planned)
                if all
                    .iter()
                    .any(|one| one["kind"] == "plan" && fits(planned, &one["steps"])) =>
            {
                count.right += 1;
                continue;
            }
            Proposal::Plan(planned) => {
                count.wrong += 1;
                let is_change = planned.steps.iter().any(|step| {
                    let entry = planner.catalogue().get(step.entry.as_str());
                    entry.is_none_or(|entry| entry.tier > chiffon_common::Tier::Zero)
                });
                count.changes += usize::from(is_change);
                format!(
                    "{} {:?}",
                    if is_change { "CHANGE" } else { "WRONG" },
                    planned.steps
                )
            }
            Proposal::Ask(question)
                if all.iter().any(|one| {
                    one["kind"] == "ask" && one["ask_about"] == question.about_what()
                }) =>
            {
                count.right += 1;
                continue;
            }
            Proposal::Nothing(_) if all.iter().any(|one| one["kind"] == "none") => {
                count.right += 1;
                continue;
            }
            Proposal::Ask(question) => {
                count.asked += 1;
                format!("ask {}: {}", question.about_what(), question.problem.detail)
            }
            Proposal::Nothing(question) => {
                count.asked += 1;
                format!("none: {}", question.problem.detail)
            }
        };
        if tells {
            eprintln!(
                "{} {sentence:?}\n    wanted {wanted}\n    found  {told}",
                line["id"]
            );
        }
    }
    eprintln!("{name}: {count:?}");
    count
}

#[test]
fn sentences_are_understood() {
    let tuned = judged("tuned", true);
    let seen = judged("seen", true);
    let dev = judged("dev", true);
    let check = judged("check", true);
    // Nothing is tuned against these, so their misses are not shown.
    let held = judged("held", false);
    let blind = judged("blind", false);
    let fresh = judged("fresh", false);
    let stranger = judged("stranger", false);
    // What is reached stays reached.
    for (count, floor) in [
        (&tuned, 278),
        (&seen, 57),
        (&dev, 144),
        (&held, 57),
        (&check, 28),
        (&blind, 66),
        (&fresh, 55),
        (&stranger, 64),
    ] {
        assert!(count.right >= floor, "{count:?}, not {floor} right");
    }
    for count in [
        &tuned, &seen, &dev, &held, &check, &blind, &fresh, &stranger,
    ] {
        assert_eq!(count.changes, 0, "{count:?}");
    }
}
