//! What the planner makes of the examples of an entry, and whether it takes sentences that are others'.

use std::sync::Arc;

use chiffon_common::EntryId;
use chiffon_orchestrator::{
    catalogue::{Catalogue, Entry},
    inventory::{Here, Inventory, write_default},
    planner::{Planner, Proposal},
};

use super::Test;
use crate::{failure::Failure, home::hostname};

/// How many sentences are named.
const NAMED: usize = 5;

/// The planner with the whole catalogue, on a machine by itself.
pub(super) struct Examples {
    planner: Planner,
    inventory: Inventory,
    /// Sentences of entries that are not tested, with whose they are.
    others: Vec<(EntryId, String)>,
}

impl Examples {
    pub(super) fn of(catalogue: &Catalogue, tested: &[EntryId]) -> Result<Self, Failure> {
        let alone = tempfile::tempdir().map_err(|error| {
            Failure::internal(format!("no folder for a moment can be made: {error}"))
        })?;
        let here = Here {
            hostname: hostname(),
            home: "/".into(),
        };
        write_default(alone.path(), &here.hostname)?;
        let inventory = Inventory::load(alone.path(), &here)?;
        let others = catalogue
            .entries()
            .filter(|entry| entry.listed && !tested.contains(&entry.id));
        let others = others.flat_map(|entry| {
            let filled = entry
                .examples
                .iter()
                .filter_map(|example| entry.filled(example));
            filled
                .map(|sentence| (entry.id.clone(), sentence))
                .collect::<Vec<_>>()
        });
        let others = others.collect();
        let planner = Planner::new(Arc::new(catalogue.clone()));
        Ok(Self {
            planner,
            inventory,
            others,
        })
    }

    pub(super) fn test(&mut self, entry: &Entry) -> Test {
        if entry.examples.is_empty() || !entry.listed {
            return Test::not_run(
                "examples",
                "it has none: how people ask for it is not said in its metadata",
            );
        }
        let mut found = Vec::new();
        let mut tried = 0;
        for example in &entry.examples {
            let Some(sentence) = entry.filled(example) else {
                continue;
            };
            tried += 1;
            found.extend(self.misunderstood(entry, &sentence));
        }
        found.extend(self.taken(entry));
        match tried {
            0 => Test::not_run(
                "examples",
                "no value is known for what stands in braces in them",
            ),
            _ => Test::of("examples", found),
        }
    }

    fn misunderstood(&self, entry: &Entry, sentence: &str) -> Option<String> {
        let why = match self.planner.plan(sentence, &self.inventory) {
            Proposal::Plan(planned) => match &planned.steps[..] {
                [step] if step.entry == entry.id => return None,
                steps => {
                    let named: Vec<&str> = steps.iter().map(|step| step.entry.as_str()).collect();
                    format!("is understood as {}", named.join(", "))
                }
            },
            // An example need not give everything that has to be given.
            Proposal::Ask(question) if question.about.as_ref() == Some(&entry.id) => return None,
            Proposal::Ask(question) | Proposal::Nothing(question) => {
                format!("is not understood: {}", question.problem.detail)
            }
        };
        Some(format!("{sentence:?} {why}"))
    }

    /// An entry whose examples fit everything would take what is meant for others.
    fn taken(&self, entry: &Entry) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        let mut more = 0;
        for (owner, sentence) in &self.others {
            let is_taken = match self.planner.plan(sentence, &self.inventory) {
                Proposal::Plan(planned) => planned.steps.iter().any(|step| step.entry == entry.id),
                Proposal::Ask(question) => question.about.as_ref() == Some(&entry.id),
                Proposal::Nothing(_) => false,
            };
            match is_taken && taken.len() < NAMED {
                true => taken.push(format!(
                    "it takes {sentence:?}, which is an example of {owner}"
                )),
                false => more += usize::from(is_taken),
            }
        }
        if more > 0 {
            taken.push(format!("and {more} more sentences of others"));
        }
        taken
    }
}
