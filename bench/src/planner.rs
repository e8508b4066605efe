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
const SETS: [&str; 6] = ["tuned", "seen", "dev", "held", "check", "blind"];
/// The large catalogue that times are taken with as well.
const MANY: usize = 5_000;

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
            count.add(
                &line,
                &planner,
                &inventory,
                show && !matches!(set, "held" | "check"),
            )?;
        }
        count.print(set, catalogue.entries().count());
    }
    among_many(&inventory)
}

/// How long a sentence takes with [`MANY`] entries. What comes out is not counted: entries are made up.
fn among_many(inventory: &Inventory) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for part in ["playbooks", "roles/made_up/tasks", "roles/made_up/meta"] {
        fs::create_dir_all(folder.path().join(part))?;
    }
    let write = |path: &str, text: &str| fs::write(folder.path().join(path), text);
    write(
        "roles/made_up/tasks/main.yml",
        "- name: Nothing\n  ansible.builtin.ping:\n",
    )?;
    write(
        "roles/made_up/meta/argument_specs.yml",
        "argument_specs:\n  main:\n    short_description: Made up\n    options: {}\n",
    )?;
    let actions = [
        "Restart", "Water", "Install", "Report", "Clean up", "Feed", "Update",
    ];
    for n in 0..MANY {
        let action = actions[n % actions.len()];
        let play = format!(
            "- name: Made up {n}\n  hosts: all\n  gather_facts: false\n  roles:\n    - role: made_up\n"
        );
        let metadata = format!(
            "title: {action} thing {n}\ndescription: Made up.\nexamples:\n  - {action} thing {n} on this machine\n  - {action} the \
             thing{n}\n  - Please {action} thing{n} of shelf {}\ntier: 1\npreview: exact\nresources:\n  memory_gb: 0.1\n  gpu: \
             false\ntimeout_seconds: 60\non_interrupt: retry\nundo:\n  none: Nothing to take back.\nrequires_become: false\n",
            n % 40
        );
        write(&format!("playbooks/made_up_{n}.yml"), &play)?;
        write(&format!("playbooks/made_up_{n}.chiffon.yml"), &metadata)?;
    }
    let root = |name: &str, path: &Path, trust| Root {
        name: name.to_owned(),
        path: path.into(),
        trust,
    };
    let catalogue = Arc::new(Catalogue::load(&[
        root("shipped", Path::new("playbooks"), Trust::Shipped),
        root("made up", folder.path(), Trust::Added),
    ]));
    let entries = catalogue.entries().count();
    let planner = Planner::new(catalogue);
    let mut times = Vec::new();
    for set in SETS {
        let text = fs::read_to_string(format!("tests/planner/{set}.jsonl"))?;
        for line in text.lines() {
            let line: Value = serde_json::from_str(line)?;
            let sentence = line["sentence"].as_str().context("a sentence")?;
            let begun = Instant::now();
            let _proposal = planner.plan(sentence, inventory);
            times.push(milliseconds(begun.elapsed()));
        }
    }
    row(
        &format!("planner, milliseconds a sentence, {entries} entries"),
        &format!(
            "{:.2} (slowest {:.2})",
            median(&mut times),
            quantile(&mut times, 1.0)
        ),
        "-",
        "-",
        "10",
    );
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
        // What else would be as right: a question where a plan is bold.
        let also = line["also"].as_array().map_or(&[][..], Vec::as_slice);
        let all = || also.iter().chain([wanted]);
        let told = match &proposal {
            Proposal::Plan(planned)
                if all().any(|one| one["kind"] == "plan" && fits(planned, &one["steps"])) =>
            {
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
                if all().any(|one| {
                    one["kind"] == "ask" && one["ask_about"] == question.about_what()
                }) =>
            {
                self.right += 1;
                return Ok(());
            }
            Proposal::Nothing(_) if all().any(|one| one["kind"] == "none") => {
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
