//! One clause as steps: the entry, its values and its hosts, with what was said before carried over. Where something is not
//! said, or says what no entry understands, it asks. Which entry is meant is left to `choice`, the order of the steps to
//! `plan`.

use chiffon_common::{ErrorCode, HostName, Parameters, Problem, Tier, api::Nearest};
use serde_json::Value;

use super::{
    Given, Planner, Proposed, Question,
    clause::Clause,
    fit::Fit,
    place::stands_for_host,
    plan::Context,
    propose::{self, Asked, Refusal, ask, checked, question, where_to},
    read::Read,
    slots, suggest, value,
};
use crate::{
    catalogue::{Entry, UndoRule},
    inventory::Inventory,
};

/// What a plan is made from.
pub(super) struct Known<'k> {
    pub(super) planner: &'k Planner,
    pub(super) inventory: &'k Inventory,
    pub(super) given: &'k Given,
}

impl Known<'_> {
    /// Nothing is to be done, or nothing fits.
    pub(super) fn nothing(&self, ranked: &[Fit<'_>], detail: &str) -> Box<Refusal> {
        let near = propose::filled_up(self.nearest(ranked), self.planner, self.inventory);
        let todo = "say it like one of the examples, or see `chiffon catalogue list`";
        Box::new(Refusal::Nothing(question(
            ErrorCode::NothingMatches,
            detail,
            todo,
            &near,
        )))
    }

    /// Which entry is meant has to be asked.
    pub(super) fn which(&self, ranked: &[Fit<'_>], detail: &str) -> Box<Refusal> {
        let near = propose::filled_up(self.nearest(ranked), self.planner, self.inventory);
        let todo = "say it like one of the examples, or see `chiffon catalogue list`";
        ask(ErrorCode::NothingMatches, detail, todo, &near)
    }

    pub(super) fn nearest(&self, ranked: &[Fit<'_>]) -> Vec<Nearest> {
        let best = ranked.iter().take(suggest::SHOWN);
        best.map(|fit| suggest::nearest(fit.entry, self.inventory))
            .collect()
    }

    /// The entries of these steps, each once.
    pub(super) fn nearest_to(&self, steps: &[Proposed]) -> Vec<Nearest> {
        let mut near: Vec<Nearest> = Vec::new();
        for entry in steps
            .iter()
            .filter_map(|step| self.planner.catalogue.get(step.entry.as_str()))
        {
            if near.len() < suggest::SHOWN && near.iter().all(|known| known.entry != entry.id) {
                near.push(suggest::nearest(entry, self.inventory));
            }
        }
        near
    }

    /// The steps of a clause: several where it names several things.
    pub(super) fn steps(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
        context: &mut Context,
        sole: &[HostName],
    ) -> Asked<Vec<Proposed>> {
        let entry = best.entry;
        let nearest = self.nearest(ranked);
        let hosts = self.hosts(read, (clause, best), context, sole)?;
        self.unknown_host(read, clause, best, &nearest)?;
        let (parameters, several) = self.values(best);
        self.lacking(read, clause, best, ranked, (&parameters, several.as_ref()))?;
        self.left_over(read, best, ranked)?;
        let hosts = where_to(hosts, self.inventory, entry, &nearest)?;
        let sets: Vec<Parameters> = match several {
            None => vec![parameters],
            Some((name, values)) => values
                .into_iter()
                .map(|value| {
                    let mut one = parameters.clone();
                    one.insert(name.clone(), value);
                    one
                })
                .collect(),
        };
        let mut steps = Vec::new();
        let is_several = sets.len() > 1;
        for set in sets {
            let parameters = checked(entry, &set, &nearest)?;
            context.parameters.extend(parameters.clone());
            steps.push(Proposed {
                entry: entry.id.clone(),
                hosts: hosts.clone(),
                parameters,
                after: Vec::new(),
            });
        }
        // "Restart nginx and apache2 and stop it": which of them?
        if let Some((name, _)) = best.filled.several.as_ref().filter(|_| is_several) {
            context.parameters.remove(name);
        }
        context.hosts = hosts;
        Ok(steps)
    }

    /// The values of the sentence, with those that were answered over them.
    fn values(&self, best: &Fit<'_>) -> (Parameters, Option<(String, Vec<Value>)>) {
        let mut parameters = best.filled.parameters.clone();
        let mut several = best.filled.several.clone();
        for (name, value) in &self.given.parameters {
            if best.entry.parameter(name).is_some() {
                parameters.insert(name.clone(), value.clone());
                several = several.filter(|(known, _)| known != name);
            }
        }
        (parameters, several)
    }

    /// Asks for what has to be given and is not.
    fn lacking(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
        (parameters, several): (&Parameters, Option<&(String, Vec<Value>)>),
    ) -> Asked<()> {
        let entry = best.entry;
        let missing: Vec<String> = entry
            .missing(parameters)
            .map(|parameter| parameter.name.to_string())
            .filter(|name| several.is_none_or(|(known, _)| known != name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let is_thing = |name: &String| entry.parameter(name).is_some_and(|p| !value::is_path(p));
        if best.is_beside && missing.iter().all(is_thing) && !says_it(read, clause) {
            let detail = format!(
                "that is said of the machine itself; the nearest is {}, which needs: {}",
                entry.id,
                missing.join(", ")
            );
            return Err(self.nothing(ranked, &detail));
        }
        Err(self.missing(entry, missing, &self.nearest(ranked)))
    }

    /// Asks about words of which the entry knows nothing.
    fn left_over(&self, read: &Read<'_>, best: &Fit<'_>, ranked: &[Fit<'_>]) -> Asked<()> {
        // Where it is to be done was answered: what the sentence says of it counts no more.
        let answered = !self.given.hosts.is_empty();
        let is_open = |at: &usize| {
            !(answered && (stands_for_host(read, *at) || slots::stands_for_host(read, *at)))
        };
        if let Some((name, at)) = &best.filled.unfit
            && best.unexplained.contains(at)
            && !self.given.parameters.contains_key(name)
        {
            let nearest = self.nearest(ranked);
            return Err(self.missing(best.entry, vec![name.clone()], &nearest));
        }
        match best.entry.tier > Tier::Zero && best.unexplained.iter().any(is_open) {
            true => Err(self.not_understood(read, best, ranked)),
            false => Ok(()),
        }
    }

    /// "Stop it, back it up and relaunch it": what an earlier step takes away is brought back by that step's own way back.
    pub(super) fn start_what_was_stopped(&self, step: &mut Proposed, before: &[Proposed]) {
        let stopped = before
            .iter()
            .find(|other| other.hosts == step.hosts && other.parameters == step.parameters);
        let entry = stopped.and_then(|other| self.planner.catalogue.get(other.entry.as_str()));
        if let Some(UndoRule::Entry(call)) = entry.map(|entry| &entry.undo)
            && call.filled(&step.parameters) == step.parameters
        {
            step.entry = call.entry.clone();
        }
    }

    fn missing(&self, entry: &Entry, missing: Vec<String>, nearest: &[Nearest]) -> Box<Refusal> {
        let detail = format!("{}: which {}?", entry.title, missing.join(" and which "));
        let how = suggest::how_to_say(entry, self.inventory);
        Box::new(Refusal::Ask(Question {
            problem: Problem::new(ErrorCode::ParameterMissing, detail, how),
            nearest: nearest.to_vec(),
            missing,
            about: Some(entry.id.clone()),
        }))
    }
}

fn says_it(read: &Read<'_>, clause: &Clause) -> bool {
    (clause.from..clause.to).any(|at| read.is_mark(at, "it"))
}
