//! The planner over the sentences of tests/planner: right, asked back, wrong, and the time for a sentence. The shipped
//! catalogue, the inventory of the evaluation; nothing is stored, nothing starts.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Instant};

use anyhow::Context;
use chiffon_common::Tier;
use chiffon_orchestrator::{
    catalogue::{Catalogue, Root, Trust},
    inventory::{Here, Inventory},
    planner::{Planned, Planner, Proposal},
};
use serde_json::Value;

use crate::table::{median, milliseconds, quantile, row};

const ROUNDS: usize = 5;
const SETS: [&str; 3] = ["tuned", "held", "blind"];

/// What became of the sentences of one set.
#[derive(Default)]
struct Count {
    right: usize,
    asked: usize,
    wrong: usize,
    /// Of the wrong ones: what would change a machine.
    changes: usize,
    /// Milliseconds a sentence.
    times: Vec<f64>,
}

pub(crate) fn measure(show: bool) -> anyhow::Result<()> {
    let catalogue = Arc::new(Catalogue::load(&[Root {
        name: "shipped".to_owned(),
        path: "playbooks".into(),
        trust: Trust::Shipped,
    }]));
    let inventory = inventory()?;
    let planner = Planner::new(Arc::clone(&catalogue));
    for set in SETS {
        let text = fs::read_to_string(format!("tests/planner/{set}.jsonl"))?;
        let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        let mut count = Count::default();
        for line in lines.with_context(|| format!("{set}.jsonl"))? {
            count.add(&line, &planner, &inventory, show && set == "tuned")?;
        }
        count.print(set, catalogue.entries().count());
    }
    Ok(())
}

fn inventory() -> anyhow::Result<Inventory> {
    let folder = tempfile::tempdir()?;
    fs::copy("tests/planner/hosts.yml", folder.path().join("hosts.yml"))?;
    let here = Here {
        hostname: "desk".to_owned(),
        home: Path::new("/home/ada").into(),
    };
    Ok(Inventory::load(folder.path(), &here)?)
}

impl Count {
    fn add(
        &mut self,
        line: &Value,
        planner: &Planner,
        inventory: &Inventory,
        show: bool,
    ) -> anyhow::Result<()> {
        let sentence = line["sentence"].as_str().context("a sentence")?;
        let mut times = Vec::new();
        let mut proposal = planner.plan(sentence, inventory);
        for _round in 0..ROUNDS {
            let begun = Instant::now();
            proposal = planner.plan(sentence, inventory);
            times.push(milliseconds(begun.elapsed()));
        }
        self.times.push(median(&mut times));
        let wanted = &line["expect"];
        let is_plan = wanted["kind"] == "plan";
        let told = match &proposal {
            Proposal::Plan(planned) if is_plan && fits(planned, &wanted["steps"]) => {
                self.right += 1;
                return Ok(());
            }
            Proposal::Plan(planned) => {
                self.wrong += 1;
                let is_change = planned.steps.iter().any(|step| {
                    let entry = planner.catalogue().get(step.entry.as_str());
                    entry.is_none_or(|entry| entry.tier > Tier::Zero)
                });
                self.changes += usize::from(is_change);
                format!("{:?}", planned.steps)
            }
            Proposal::Ask(question)
                if wanted["kind"] == "ask" && wanted["ask_about"] == question.about_what() =>
            {
                self.right += 1;
                return Ok(());
            }
            Proposal::Nothing(_) if wanted["kind"] == "none" => {
                self.right += 1;
                return Ok(());
            }
            Proposal::Ask(question) | Proposal::Nothing(question) => {
                self.asked += 1;
                question.problem.detail.clone()
            }
        };
        // The misses of the others are nobody's to look at.
        if show {
            eprintln!(
                "{} {sentence:?}\n    wanted {wanted}\n    found  {told}",
                line["id"]
            );
        }
        Ok(())
    }

    fn print(&mut self, set: &str, entries: usize) {
        let all = self.right + self.asked + self.wrong;
        row(
            &format!("planner, {all} sentences ({set}), {entries} entries"),
            &format!(
                "{} right, {} asked back, {} wrong, {} of them changes",
                self.right, self.asked, self.wrong, self.changes
            ),
            "-",
            &format!(
                "{:.1} % right",
                self.right as f64 * 100.0 / all.max(1) as f64
            ),
            "95 % right, no wrong change",
        );
        row(
            &format!("planner, milliseconds a sentence ({set})"),
            &format!(
                "{:.2} (slowest {:.2})",
                median(&mut self.times),
                quantile(&mut self.times, 1.0)
            ),
            "-",
            "-",
            "1",
        );
    }
}

/// Whether a plan is the expected one: entries in order, hosts, parameters, and what waits for what.
fn fits(planned: &Planned, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_array() else {
        return false;
    };
    planned.steps.len() == wanted.len()
        && planned.steps.iter().zip(wanted).all(|(step, wanted)| {
            let hosts: Vec<_> = step.hosts.iter().map(|host| host.as_str()).collect();
            let parameters: BTreeMap<_, _> = step.parameters.iter().collect();
            step.entry.as_str() == wanted["entry"]
                && serde_json::json!(hosts) == wanted["hosts"]
                && serde_json::json!(parameters) == wanted["parameters"]
                && serde_json::json!(step.after) == wanted["after"]
        })
}
