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
        let wanted = &line["expect"];
        let found = planner.plan(sentence, &inventory);
        let told = match &found {
            Proposal::Plan(planned)
                if wanted["kind"] == "plan" && fits(planned, &wanted["steps"]) =>
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
                if wanted["kind"] == "ask" && wanted["ask_about"] == question.about_what() =>
            {
                count.right += 1;
                continue;
            }
            Proposal::Nothing(_) if wanted["kind"] == "none" => {
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
    let held = judged("held", false);
    let blind = judged("blind", false);
    // What is reached stays reached; nothing is tuned against the last two, so only what they cost is held.
    assert_eq!((tuned.changes, held.changes), (0, 0));
    assert!(tuned.right >= 275, "{tuned:?}");
    assert!(held.right >= 57, "{held:?}");
    assert!(blind.right >= 30 && blind.changes <= 1, "{blind:?}");
}
