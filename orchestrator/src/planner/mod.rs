//! The planner: from a sentence to entry, hosts and parameters, without a model and without the network.
//!
//! Pure: the same sentence, catalogue and inventory give the same proposal. It proposes; tiers, previews
//! and approvals are left to the engine, and whether the values fit to `Entry::check`. Where it is not
//! sure, it asks: a wrong question costs a moment, a wrong change a machine.

mod align;
mod bag;
mod complete;
mod explicit;
mod hosts;
mod index;
mod lexicon;
mod mood;
mod propose;
mod sentence;
mod suggest;
pub(crate) mod text;
pub(crate) use explicit::written as explicit_form;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chiffon_common::{EntryCall, EntryId, HostName, Parameters, Problem, api::Nearest};

use crate::{catalogue::Catalogue, inventory::Inventory};

/// What the planner makes of a sentence.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// What would be done.
    Plan(Planned),
    /// A question; nothing is done.
    Ask(Question),
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
        let proposed = propose::propose(self, sentence, inventory);
        proposed.map_or_else(|question| Proposal::Ask(*question), Proposal::Plan)
    }

    /// What an entry that was named, with hosts and parameters, comes to: no sentence has to be understood.
    pub fn plan_call(&self, call: &EntryCall, inventory: &Inventory) -> Proposal {
        let proposed = propose::called(self, call, inventory);
        proposed.map_or_else(|question| Proposal::Ask(*question), Proposal::Plan)
    }
}
