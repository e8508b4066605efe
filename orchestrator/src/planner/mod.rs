//! The planner: from a sentence to entry, hosts and parameters, without a model and without the network.
//!
//! Pure: the same sentence, catalogue and inventory give the same proposal. It proposes; tiers, previews
//! and approvals are left to the engine, and whether the values fit to `Entry::check`. Where it is not
//! sure, it asks: a wrong question costs a moment, a wrong change a machine.

mod answer;
mod calendar;
mod choice;
mod clause;
mod cron;
mod explicit;
mod fit;
mod hosts;
mod index;
mod ledger;
mod namesake;
mod naming;
mod newcomers;
mod place;
mod plan;
mod propose;
mod read;
mod remark;
mod resumed;
mod scope;
mod sentence;
mod slots;
mod stance;
mod statement;
mod step;
mod stray;
mod suggest;
mod taken_back;
pub(crate) mod text;
mod tried;
mod value;
mod when;
mod words;

pub(crate) use explicit::written as explicit_form;
pub(crate) use hosts::is_machine as is_machine_word;
pub use tried::{Tried, TriedQuestion, TriedStep};

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chiffon_arbiter::{Wants, Words};
use chiffon_common::{EntryCall, EntryId, HostName, Parameters, Problem, api::Nearest};

use crate::{catalogue::Catalogue, inventory::Inventory};

/// What the planner makes of a sentence.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// What would be done.
    Plan(Planned),
    /// A question, whose answer goes on with it; nothing is done.
    Ask(Question),
    /// Nothing is to be done: no entry does it, or the words ask for nothing. What is said of it is in the form of a
    /// question, since another sentence may follow.
    Nothing(Question),
}

/// What would be done.
#[derive(Debug, Clone)]
pub struct Planned {
    /// In order; at least one.
    pub steps: Vec<Proposed>,
    /// How sure the planner is, 0 to 100; 100 is the explicit form.
    pub confidence: u8,
    /// The words that decided, for people.
    pub because: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposed {
    /// The entry.
    pub entry: EntryId,
    /// Where; at least one, sorted, each once.
    pub hosts: Vec<HostName>,
    /// Checked against the entry's declaration.
    pub parameters: Parameters,
    /// Positions of the steps that it waits for, because the sentence says so; each lower than its own.
    pub after: Vec<usize>,
}

/// What the planner asks back.
#[derive(Debug, Clone)]
pub struct Question {
    /// `detail` is the question, `todo` how to say it; the code tells a program what is missing.
    pub problem: Problem,
    /// The nearest entries, best first; three at most.
    pub nearest: Vec<Nearest>,
    /// Names of required parameters that the sentence does not give.
    pub missing: Vec<String>,
    /// The entry that was understood, where only its values are in question.
    pub about: Option<EntryId>,
}

/// What was said beside the sentence, in answer to what was asked back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// Values of parameters, over those of the sentence.
    pub parameters: Parameters,
    /// Hosts in place of those of the sentence; empty where they are not in question.
    pub hosts: Vec<HostName>,
}

/// A catalogue prepared for planning.
#[derive(Debug)]
pub struct Planner {
    catalogue: Arc<Catalogue>,
    index: index::Index,
}

impl Planner {
    /// Prepares a catalogue; done once, so that a sentence costs little.
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let index = index::Index::new(&catalogue, crate::inventory::is_here);
        Self { catalogue, index }
    }

    /// The catalogue it plans with.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// What a sentence asks for.
    pub fn plan(&self, sentence: &str, inventory: &Inventory) -> Proposal {
        self.plan_with(sentence, &Given::default(), inventory)
    }

    /// What a sentence asks for, with what was said to the questions about it.
    pub fn plan_with(&self, sentence: &str, given: &Given, inventory: &Inventory) -> Proposal {
        let proposed = resumed::propose(self, sentence, given, inventory);
        proposed.map_or_else(|refusal| Proposal::from(*refusal), Proposal::Plan)
    }

    /// What an entry that was named, with hosts and parameters, comes to: no sentence has to be understood.
    pub fn plan_call(&self, call: &EntryCall, inventory: &Inventory) -> Proposal {
        let proposed = propose::called(self, call, inventory);
        proposed.map_or_else(|refusal| Proposal::from(*refusal), Proposal::Plan)
    }

    /// What an answer in own words comes to.
    ///
    /// # Errors
    /// Where it is none: a host that is not known, a value that nothing takes, a mistake in its form.
    pub fn answer(
        &self,
        text: &str,
        wants: &Wants,
        inventory: &Inventory,
    ) -> Result<Words, Problem> {
        answer::understood(self, text, wants, inventory)
    }

    /// Whether an answer takes the whole request back: "forget it".
    pub fn takes_back(&self, text: &str, inventory: &Inventory) -> bool {
        taken_back::is_all(self, text, inventory)
    }
}
