//! The steps of all clauses with what waits for what, and what the sentence says is not to be done. One clause is left to
//! `step`.

use chiffon_common::{EntryId, HostName, Parameters, Tier, visible};

use super::{
    Planned, Proposed,
    clause::Clause,
    fit::{self, Fit},
    place::{named, sole_hosts},
    propose::{Asked, Refusal},
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
