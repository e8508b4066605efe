//! One clause as steps: the entry, its values and its hosts, with what was said before carried over; and the steps of all
//! clauses with what waits for what. Where something is not said, or says what no entry understands, it asks.

use chiffon_common::{
    EntryId, ErrorCode, HostName, Parameters, Problem, Tier, api::Nearest, visible,
};

use super::{
    Given, Planned, Planner, Proposed, Question,
    clause::{Clause, Stance},
    fit::{self, Fit},
    hosts,
    place::{named, sole_hosts, stands_for_host},
    propose::{self, Asked, Refusal, ask, checked, question, where_to},
    read::{Read, Sense},
    scope::{is_one_of, one_by_one},
    slots, suggest, value,
    words::Kind,
};
use crate::{
    catalogue::{Entry, UndoRule},
    inventory::Inventory,
};

/// From here on a report is what was asked for.
const SURE_OF_REPORT: f32 = 0.42;
/// From here on a change is what was asked for.
const SURE_OF_CHANGE: f32 = 0.55;
/// From here on an entry is near enough to be asked about.
const NEAR: f32 = 0.5;
/// From here on an entry is near enough to be asked for what it lacks.
const ASKED: f32 = 0.4;
/// Two entries closer than this are asked about.
const MARGIN: f32 = 0.04;

pub(super) const OR: [&str; 3] = ["or", "oder", "ou"];

/// What a plan is made from.
pub(super) struct Known<'k> {
    pub(super) planner: &'k Planner,
    pub(super) inventory: &'k Inventory,
    pub(super) given: &'k Given,
}

/// What later clauses may refer to.
#[derive(Default)]
pub(super) struct Context {
    pub(super) hosts: Vec<HostName>,
    pub(super) parameters: Parameters,
}

/// The steps of all clauses.
pub(super) fn planned(known: &Known<'_>, read: &Read<'_>, clauses: &[Clause]) -> Asked<Planned> {
    let is_off = (0..read.tokens.len()).any(|at| read.is_mark(at, "forget"));
    if is_off {
        return Err(known.nothing(&[], "that takes the request back, so nothing is done"));
    }
    let mut made = Made::default();
    let sole = sole_hosts(read, clauses);
    for clause in clauses {
        let ranked = fit::rank(
            known.planner,
            read,
            clause,
            (&made.context.parameters, !made.context.hosts.is_empty()),
        );
        if clause.stance == Stance::Negated {
            made.leave_out(known, read, clause);
            made.refused.get_or_insert_with(|| {
                known.nothing(
                    &ranked,
                    "that says what is not to be done, so nothing is done",
                )
            });
            continue;
        }
        let best = known.choose(read, clause, &ranked)?;
        let steps = known.steps(read, clause, best, &ranked, &mut made.context, &sole)?;
        made.add(known, read, (clause, best), steps);
    }
    made.planned(known)
}

/// What has come of the clauses so far.
#[derive(Default)]
struct Made<'p> {
    steps: Vec<Proposed>,
    reasons: Vec<String>,
    /// The lowest score.
    confidence: Option<f32>,
    context: Context,
    /// The steps of the clause before.
    last: Vec<usize>,
    /// Its entry, and whether that changes something.
    last_entry: Option<(&'p Entry, bool)>,
    refused: Option<Box<Refusal>>,
    /// What is said not to be done: entry, hosts, values.
    left_out: Vec<(EntryId, Vec<HostName>, Parameters)>,
}

impl<'p> Made<'p> {
    /// What a clause speaks of can be meant by the next one, also where it is not to be done.
    fn leave_out(&mut self, known: &Known<'_>, read: &Read<'_>, clause: &Clause) {
        let hosts = named(read, clause);
        if !hosts.is_empty() {
            self.context.hosts.clone_from(&hosts);
        }
        let request = Clause {
            stance: Stance::Request,
            ..clause.clone()
        };
        let before = (&self.context.parameters, true);
        let ranked = fit::rank(known.planner, read, &request, before);
        if let Some(best) = ranked.into_iter().next() {
            let values = best.filled.parameters;
            self.context.parameters.extend(values.clone());
            self.left_out.push((best.entry.id.clone(), hosts, values));
        }
    }

    /// The steps of one clause, with what they wait for.
    fn add(
        &mut self,
        known: &Known<'_>,
        read: &Read<'_>,
        (clause, best): (&Clause, &Fit<'p>),
        steps: Vec<Proposed>,
    ) {
        // On one host, a person tells a change and what follows in the order in which they are to happen.
        let same = self
            .last_entry
            .is_some_and(|(entry, _)| entry.id == best.entry.id);
        let changed = self.last_entry.is_some_and(|(_, changes)| changes);
        let shares = self.last.iter().any(|n| {
            let before = &self.steps[*n].hosts;
            let mut hosts = steps.iter().flat_map(|step| &step.hosts);
            hosts.any(|host| before.contains(host))
        });
        let follows = clause.is_next || changed && !same && !clause.is_shared && shares;
        let first = self.steps.len();
        let in_turn = (clause.from..clause.to).any(|at| read.is_mark(at, "inturn"));
        let restarts = |at: &usize| read.canonical[*at] == "restart";
        for mut step in steps.into_iter().flat_map(|step| one_by_one(step, in_turn)) {
            if clause.verbs.iter().any(restarts) {
                known.start_what_was_stopped(&mut step, &self.steps);
            }
            let is_said = |known: &Proposed| {
                (&known.entry, &known.hosts, &known.parameters)
                    == (&step.entry, &step.hosts, &step.parameters)
            };
            // "It must not run any more, switch it off" says one thing twice.
            if self.steps.last().is_some_and(is_said) {
                continue;
            }
            step.after = match in_turn && self.steps.len() > first {
                true => vec![self.steps.len() - 1],
                false if follows => self.last.clone(),
                false => Vec::new(),
            };
            self.steps.push(step);
        }
        if first < self.steps.len() {
            self.last = (first..self.steps.len()).collect();
        }
        self.last_entry = Some((best.entry, best.entry.tier > Tier::Zero));
        self.confidence = Some(self.confidence.unwrap_or(1.0).min(best.score));
        let steps = &self.steps[first.min(self.steps.len() - 1)..];
        self.reasons.push(because(read, best, steps));
    }

    fn planned(self, known: &Known<'_>) -> Asked<Planned> {
        // "Restart everything, but don't reboot it": what is not to be done was taken for what is.
        let contradicts = |step: &Proposed| {
            self.left_out.iter().any(|(entry, hosts, values)| {
                let is_here =
                    hosts.is_empty() || hosts.iter().any(|host| step.hosts.contains(host));
                let is_same = |(name, value)| step.parameters.get(name) == Some(value);
                step.entry == *entry && is_here && values.iter().all(is_same)
            })
        };
        if self.steps.iter().any(contradicts) {
            let detail = "that says both to do it and not to do it; what exactly should be done?";
            return Err(known.which(&[], detail));
        }
        match (self.steps.is_empty(), self.refused) {
            (true, Some(refusal)) => Err(refusal),
            (true, None) => Err(known.nothing(&[], "there is nothing to do in that")),
            (false, _) => Ok(Planned {
                steps: self.steps,
                confidence: percent(self.confidence.unwrap_or_default()),
                because: self.reasons.join("; "),
            }),
        }
    }
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

    /// The entry that a clause means.
    fn choose<'r, 'p>(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        ranked: &'r [Fit<'p>],
    ) -> Asked<&'r Fit<'p>> {
        let has = |name: &str| (clause.from..clause.to).any(|at| read.is_mark(at, name));
        let unsure =
            "I do not know what to do with that; nothing in the catalogue fits it well enough";
        if clause.stance == Stance::Talk {
            return Err(self.nothing(
                ranked,
                "that asks for knowledge, which no entry has; nothing is changed",
            ));
        }
        if has("vague") && clause.verbs.is_empty() {
            return Err(self.which(ranked, "what exactly should be done?"));
        }
        let Some(best) = ranked.first() else {
            return Err(self.nothing(ranked, unsure));
        };
        let is_report = best.entry.tier == Tier::Zero;
        self.judge(read, clause, best, ranked)?;
        // One of two is for a person to say; a report may tell of both.
        let is_or = |at: usize| {
            read.is_mark(at, "or")
                || is_one_of(read, at)
                || matches!(read.senses[at], Sense::Host(_))
                    && OR.contains(&read.tokens[at].folded.as_str())
        };
        if !is_report && (clause.from..clause.to).any(|at| is_or(at) && !clause.is_aside(at)) {
            return Err(self.which_of_two(read, clause, ranked));
        }
        if !is_report && best.lacks_all() {
            return Err(self.not_understood(read, best, ranked));
        }
        let is_open = !best.filled.missing.is_empty()
            || !best.unexplained.is_empty()
            || best.host_like.is_some();
        if !best.filled.missing.is_empty() && best.lacks_thing && !is_report {
            return Err(self.nothing(ranked, unsure));
        }
        if has("chat") && is_open {
            return Err(self.nothing(ranked, unsure));
        }
        // "Restart everything": the machine, or what runs on it?
        let says_all = (clause.from..clause.to).any(|at| {
            read.is_mark(at, "thing") && hosts::is_everything_word(&read.tokens[at].folded)
        });
        let is_rivalled = || {
            let mut others = ranked[1..].iter();
            others.any(|other| {
                other.has_action && other.said >= NEAR && !other.filled.missing.is_empty()
            })
        };
        if !is_report && says_all && !clause.verbs.is_empty() && is_rivalled() {
            return Err(self.which(
                ranked,
                "everything could mean more than one thing; what exactly?",
            ));
        }
        let enough = if is_report {
            SURE_OF_REPORT
        } else {
            SURE_OF_CHANGE
        };
        if best.score < enough || !is_report && !best.has_action {
            // What is missing is asked for, so nothing is done yet.
            let is_known = best.unexplained.len() < 2
                && !best
                    .unexplained
                    .iter()
                    .any(|at| read.senses[*at] == Sense::Data);
            let is_open = !best.filled.missing.is_empty() && is_known;
            if best.has_action && !is_report && best.said >= ASKED && is_open {
                return Ok(best);
            }
            let is_near =
                best.said >= NEAR && best.has_action && !is_report && best.score >= NEAR - 0.12;
            return Err(match is_near {
                true => self.not_understood(read, best, ranked),
                false => self.nothing(ranked, unsure),
            });
        }
        let rival = ranked.get(1).filter(|second| {
            best.score - second.score < MARGIN
                && !second.lacks_all()
                && second.unexplained.len() <= best.unexplained.len()
                && second.filled.missing.len() <= best.filled.missing.len()
        });
        match rival {
            Some(second) => {
                let detail = format!(
                    "that could be {} or {}; which one?",
                    best.entry.id, second.entry.id
                );
                Err(self.which(ranked, &detail))
            }
            None => Ok(best),
        }
    }

    /// What speaks against doing it.
    fn judge(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
    ) -> Asked<()> {
        let is_report = best.entry.tier == Tier::Zero;
        let own = || (clause.from..clause.to).filter(|at| !clause.is_aside(*at));
        let has = |name: &str| own().any(|at| read.is_mark(at, name));
        let says_when = own().any(|at| read.senses[at] == Sense::When);
        let takes_time = best
            .entry
            .parameters
            .iter()
            .any(super::index::takes_schedule);
        let detail = match clause.stance {
            Stance::Story => {
                "that tells what was or what somebody said, so nothing is done; say it as a request if it is one"
            }
            Stance::Question if !is_report => {
                "that is a question, so nothing is changed; say it as a request if it is one"
            }
            Stance::Condition if !is_report => {
                "that puts a condition, which nobody watches; say it as a request for now if it is one"
            }
            _ if has("later") || says_when && !takes_time && !is_report => {
                "that names another time; say it as a request for now, or see `chiffon schedule add --help`"
            }
            _ => return Ok(()),
        };
        Err(self.nothing(ranked, detail))
    }

    fn not_understood(&self, read: &Read<'_>, best: &Fit<'_>, ranked: &[Fit<'_>]) -> Box<Refusal> {
        let nearest = self.nearest(ranked);
        let how = suggest::how_to_say(best.entry, self.inventory);
        let detail = match best.unexplained.first() {
            Some(at) => format!(
                "{} fits, but I do not know what \"{}\" is to mean in it",
                best.entry.id,
                visible(read.tokens[*at].written)
            ),
            None => format!("do you mean {} ({})?", best.entry.id, best.entry.title),
        };
        ask(ErrorCode::NothingMatches, &detail, &how, &nearest)
    }

    /// The steps of a clause: several where it names several things.
    fn steps(
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
        let hosts = self.hosts(read, (clause, best), context, sole);
        self.unknown_host(read, clause, best, &nearest)?;
        let mut parameters = best.filled.parameters.clone();
        let mut several = best.filled.several.clone();
        for (name, value) in &self.given.parameters {
            if entry.parameter(name).is_some() {
                parameters.insert(name.clone(), value.clone());
                several = several.filter(|(known, _)| known != name);
            }
        }
        let missing: Vec<String> = entry
            .missing(&parameters)
            .map(|parameter| parameter.name.to_string())
            .filter(|name| several.as_ref().is_none_or(|(known, _)| known != name))
            .collect();
        let is_thing = |name: &String| entry.parameter(name).is_some_and(|p| !value::is_path(p));
        if !missing.is_empty()
            && best.is_beside
            && missing.iter().all(is_thing)
            && !says_it(read, clause)
        {
            let detail = format!(
                "that is said of the machine itself; the nearest is {}, which needs: {}",
                entry.id,
                missing.join(", ")
            );
            return Err(self.nothing(ranked, &detail));
        }
        if !missing.is_empty() {
            return Err(self.missing(entry, missing, &nearest));
        }
        // Where it is to be done was answered: what the sentence says of it counts no more.
        let answered = !self.given.hosts.is_empty();
        let is_open = |at: &usize| {
            !(answered && (stands_for_host(read, *at) || slots::stands_for_host(read, *at)))
        };
        let unfit = best.filled.unfit.as_ref();
        if let Some((name, at)) = unfit
            && best.unexplained.contains(at)
            && !self.given.parameters.contains_key(name)
        {
            return Err(self.missing(entry, vec![name.clone()], &nearest));
        }
        if entry.tier > Tier::Zero && best.unexplained.iter().any(is_open) {
            return Err(self.not_understood(read, best, ranked));
        }
        let hosts = where_to(hosts, self.inventory, entry, &nearest)?;
        let sets: Vec<Parameters> = match several {
            None => vec![parameters.clone()],
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
        context.hosts = hosts;
        Ok(steps)
    }

    /// "Stop it, back it up and relaunch it": what an earlier step takes away is brought back by that step's own way back.
    fn start_what_was_stopped(&self, step: &mut Proposed, before: &[Proposed]) {
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

/// Between 0 and 99: a sentence is never as sure as the explicit form.
fn percent(score: f32) -> u8 {
    (score.clamp(0.0, 1.0) * 99.0).round() as u8
}

fn because(read: &Read<'_>, best: &Fit<'_>, steps: &[Proposed]) -> String {
    let decided = best
        .words
        .iter()
        .filter(|at| read.kind(**at) != Some(Kind::Weak) || best.words.len() == 1);
    let words: Vec<String> = decided
        .map(|at| format!("\"{}\"", visible(read.tokens[*at].written)))
        .collect();
    let hosts = steps.first().map_or(&[][..], |step| &step.hosts[..]);
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    format!(
        "{} fits {} (\"{}\"), on {}",
        words.join(", "),
        best.entry.id,
        best.example,
        hosts.join(", ")
    )
}
