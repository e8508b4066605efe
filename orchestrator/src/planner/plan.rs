//! The steps of all clauses with what waits for what, and what the sentence says is not to be done. One clause is left to
//! `step`.

use chiffon_common::{EntryId, ErrorCode, HostName, Parameters, Tier, visible};
use serde_json::Value;

use super::{
    Planned, Proposed,
    clause::Clause,
    fit::{self, Fit},
    ledger::{self, Entered, Left},
    place::{named, sole_hosts},
    propose::{self, Asked, Refusal, ask},
    read::Read,
    scope::one_by_one,
    stance::Stance,
    step::Known,
    words::Kind,
};
use crate::catalogue::Entry;

/// What later clauses may refer to.
#[derive(Default)]
pub(super) struct Context {
    pub(super) hosts: Vec<HostName>,
    pub(super) parameters: Parameters,
}

/// The steps of all clauses.
pub(super) fn planned<'p>(
    known: &Known<'p>,
    read: &Read<'_>,
    clauses: &[Clause],
) -> Asked<Planned> {
    let is_off = (0..read.tokens.len()).any(|at| read.is_mark(at, "forget"));
    if is_off {
        return Err(known.nothing(&[], "that takes the request back, so nothing is done"));
    }
    let mut made: Made<'p> = Made::default();
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
                // What is forbidden is not offered.
                known.nothing(&[], "that says what is not to be done, so nothing is done")
            });
            continue;
        }
        let best = known.choose(read, clause, &ranked)?;
        if made.says_again(read, clause, best) {
            let detail =
                "what is told of it could be a request of its own; what exactly should be done?";
            return Err(known.which(&ranked, detail));
        }
        let steps = known.steps(read, clause, best, &ranked, &mut made.context, &sole)?;
        made.add(known, read, (clause, best), steps);
    }
    made.balanced(known, read)?;
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
    /// What was understood of each clause.
    entered: Vec<Entered<'p>>,
}

impl<'p> Made<'p> {
    /// What a clause speaks of can be meant by the next one, also where it is not to be done.
    fn leave_out(&mut self, known: &Known<'p>, read: &Read<'_>, clause: &Clause) {
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
        self.entered
            .push(Entered::new(clause, ranked.first(), None));
        if let Some(best) = ranked.into_iter().next() {
            let values = best.filled.parameters;
            self.context.parameters.extend(values.clone());
            self.left_out.push((best.entry.id.clone(), hosts, values));
        }
    }

    /// "Restart nginx and apache2, we need apache2": that a thing is needed asks for nothing where something else is done to it.
    fn says_again(&self, read: &Read<'_>, clause: &Clause, best: &Fit<'_>) -> bool {
        let is_wish = !clause.is_shared
            && !clause
                .verbs
                .iter()
                .any(|at| read.kind(*at) == Some(Kind::Verb));
        let mut values = best.filled.parameters.values();
        let before = |value: &Value| {
            let mut steps = self.steps.iter();
            steps.any(|step| {
                step.entry != best.entry.id && step.parameters.values().any(|known| known == value)
            })
        };
        best.entry.tier > Tier::Zero && is_wish && values.any(before)
    }

    /// The steps of one clause, with what they wait for.
    fn add(
        &mut self,
        known: &Known<'p>,
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
        let indexed = known.planner.index.of(best.entry.id.as_str());
        self.entered.push(Entered::new(clause, Some(best), indexed));
        self.last_entry = Some((best.entry, best.entry.tier > Tier::Zero));
        self.confidence = Some(self.confidence.unwrap_or(1.0).min(best.score));
        let steps = &self.steps[first.min(self.steps.len() - 1)..];
        self.reasons.push(because(read, best, steps));
    }

    /// Asks about what nothing in the sentence accounts for, where something would be changed.
    fn balanced(&self, known: &Known<'_>, read: &Read<'_>) -> Asked<()> {
        let is_answered = !known.given.hosts.is_empty();
        let Some(left) = ledger::left_over(read, &self.entered, is_answered) else {
            return Ok(());
        };
        let word = |at: usize| visible(read.tokens[at].written);
        let what = self.steps.first().map(|step| step.entry.to_string());
        let what = what.unwrap_or_default();
        let detail = match left {
            Left::Word(at) => format!(
                "{what} fits, but I do not know what \"{}\" changes about it",
                word(at)
            ),
            Left::Host(at) => format!(
                "{what} fits, but I do not know what \"{}\" has to do with it",
                word(at)
            ),
            Left::Sign => {
                format!("{what} fits, but a sign in it may mean something; say it in words")
            }
            Left::Name(at) => format!(
                "{what} fits; is \"{}\" what it is called? Then put it in quotes",
                word(at)
            ),
        };
        let todo = "say only what is to be done, and where: `chiffon catalogue list` shows how";
        let near = propose::filled_up(
            known.nearest_to(&self.steps),
            known.planner,
            known.inventory,
        );
        Err(ask(ErrorCode::NothingMatches, &detail, todo, &near))
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
