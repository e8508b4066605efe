//! How well an entry fits a clause: how much of an example is said, what of it the clause fills, and what is said that the
//! entry knows nothing of. An entry with another action than the clause's is out.

use chiffon_common::{Parameters, Tier};

use super::{
    Planner,
    clause::Clause,
    hosts,
    index::{Indexed, Pattern},
    newcomers,
    place::is_the_machine,
    read::{Read, Sense},
    sentence::Shape,
    slots::{self, Filled},
    stance::Stance,
    text,
    words::{self, Kind},
};
use crate::catalogue::Entry;

/// A report that fits a question so well comes before any change.
const GOOD_REPORT: f32 = 0.42;
const FILLED: f32 = 0.4;
const NOT_FILLED: f32 = 0.3;
const OF_HOST: f32 = 0.5;
const LOST_NOUN: f32 = 0.6;
const LOST_WEAK: f32 = 0.3;
/// Nouns that say how something is.
const STATES: [&str; 9] = [
    "unused",
    "free",
    "pending",
    "doing",
    "full",
    "active",
    "up",
    "reachable",
    "answer",
];

/// An entry over a clause.
#[derive(Debug)]
pub(super) struct Fit<'p> {
    pub(super) entry: &'p Entry,
    /// 0 to 1.
    pub(super) score: f32,
    /// How much of the example is said, without regard to what else is.
    pub(super) said: f32,
    pub(super) filled: Filled,
    /// Tokens that tell something of which the entry knows nothing.
    pub(super) unexplained: Vec<usize>,
    /// The words that decided.
    pub(super) words: Vec<usize>,
    pub(super) example: &'p str,
    /// Whether an action of the clause is one of the entry.
    pub(super) has_action: bool,
    /// Whether the example speaks of a thing that is not said.
    pub(super) lacks_thing: bool,
    /// A word that stands where a host would stand, and is none.
    pub(super) host_like: Option<usize>,
    /// Whether the clause says it of a machine, which the entry does not take.
    pub(super) is_beside: bool,
}

impl Fit<'_> {
    /// Where nothing has to be given, the thing itself must be named: "clean up" alone could mean anything.
    pub(super) fn lacks_all(&self) -> bool {
        self.lacks_thing
            && self
                .entry
                .parameters
                .iter()
                .all(|parameter| !parameter.required)
    }
}

/// The words of a clause that say something, and how it speaks of machines.
struct Said {
    /// Token and whether it is a verb that counts.
    content: Vec<usize>,
    /// Those of its words that are told beside it: they may fit, and need not.
    beside: Vec<usize>,
    verbs: Vec<usize>,
    is_of_host: bool,
    /// "Reboot it" after a service was named as well.
    may_be_of_host: bool,
    is_at_host: bool,
    names_no_host: bool,
}

/// The entries that could be meant, best first.
/// `before` are the values of the clauses before it, and whether they named hosts.
pub(super) fn rank<'p>(
    planner: &'p Planner,
    read: &Read<'_>,
    clause: &Clause,
    (before, has_hosts): (&Parameters, bool),
) -> Vec<Fit<'p>> {
    let mut said = said(read, clause, (before.is_empty(), has_hosts));
    said.names_no_host &= !has_hosts;
    let words = said
        .content
        .iter()
        .chain(&said.beside)
        .filter(|at| read.tokens[**at].is_word())
        .map(|at| read.canonical[*at].as_str());
    let candidates = planner.index.candidates(words);
    let fits = candidates.into_iter().filter_map(|(at, _)| {
        let indexed = &planner.index.entries[at];
        let entry = planner.catalogue.get(&indexed.id)?;
        fit(planner, entry, indexed, read, clause, &said, before)
    });
    let mut ranked: Vec<Fit<'p>> = fits.collect();
    if orders_run(read, clause) {
        let begins = |fit: &Fit<'_>| {
            planner
                .index
                .of(fit.entry.id.as_str())
                .is_some_and(|indexed| indexed.is_run)
        };
        ranked.retain(|fit| fit.entry.tier > Tier::Zero || begins(fit));
    }
    // A change without an action is none.
    let is_question = clause.stance == Stance::Question;
    let is_meant = |fit: &Fit<'_>| match fit.entry.tier {
        // A question is answered by a report, if one does.
        Tier::Zero => 1 + i32::from(is_question && fit.score >= GOOD_REPORT),
        _ => i32::from(fit.has_action && !fit.lacks_all()),
    };
    ranked.sort_by(|a, b| {
        is_meant(b)
            .cmp(&is_meant(a))
            .then_with(|| b.score.total_cmp(&a.score))
            .then_with(|| a.entry.id.as_str().cmp(b.entry.id.as_str()))
    });
    newcomers::give_way(&mut ranked);
    ranked
}

/// "Run x.sh every 2 days" asks for no report of whether it runs.
fn orders_run(read: &Read<'_>, clause: &Clause) -> bool {
    let mut own = (clause.from..clause.to).filter(|at| !clause.is_aside(*at));
    let first = own.find(|at| {
        let is_small = matches!(read.kind(*at), Some(Kind::Stop | Kind::Filler));
        let is_place = matches!(read.senses[*at], Sense::When | Sense::Host(_));
        !(is_small || is_place || read.is_mark(*at, "polite"))
    });
    let is_thing = |at: usize| {
        let token = &read.tokens[at];
        matches!(token.shape, Shape::Quoted | Shape::Path)
            || read.senses[at] == Sense::Unknown && token.folded.contains(['.', '/'])
    };
    let has_thing = (clause.from..clause.to).any(is_thing);
    let is_script = has_thing || read.when.is_said;
    first.is_some_and(|at| {
        read.canonical[at] == "run" || is_script && read.canonical[at] == "start" && has_thing
    }) && clause.stance == Stance::Request
        && is_script
}

fn said(read: &Read<'_>, clause: &Clause, (it_is_host, has_hosts): (bool, bool)) -> Said {
    let (mut content, mut beside) = (Vec::new(), Vec::new());
    let own = clause.from..clause.to;
    let borrowed = clause.verbs.iter().copied().filter(|at| !own.contains(at));
    for at in borrowed.chain(own.clone()) {
        let counts = match read.senses[at] {
            Sense::Known(meaning) => match meaning.kind {
                Kind::Verb => clause.verbs.contains(&at),
                Kind::Weak | Kind::Noun => true,
                Kind::Stop | Kind::Filler => false,
                // What is left out, and is no host, has to be understood as well.
                Kind::Mark => matches!(meaning.name, "all" | "except" | "keep"),
            },
            Sense::Unknown | Sense::Data => true,
            Sense::Part | Sense::Host(_) | Sense::When => false,
        };
        match (counts, clause.is_aside(at)) {
            (true, false) => content.push(at),
            (true, true) => beside.push(at),
            _ => {}
        }
    }
    let names_host = own.clone().any(|at| match read.senses[at] {
        Sense::Host(n) => {
            let mention = &read.mentions[n];
            !mention.is_place && (!mention.is_excluded || mention.is_out_of_all)
        }
        _ => {
            read.canonical[at] == "machine"
                && at > 0
                && hosts::leads_to_machine(&read.tokens[at - 1].folded)
        }
    });
    let is_mark = |at: usize| read.is_mark(at, "it");
    let is_host = |at: usize| matches!(read.senses[at], Sense::Host(_));
    let names_none = !own.clone().any(is_host)
        && !own
            .clone()
            .any(|at| read.canonical[at] == "machine" && !read.slipped[at]);
    Said {
        verbs: clause.verbs.clone(),
        is_of_host: names_host || (it_is_host && own.clone().any(is_mark) && names_none),
        // "... and then reboot" is said of what was named before.
        may_be_of_host: (own.clone().any(is_mark)
            || has_hosts
                && content.iter().all(|at| read.kind(*at) == Some(Kind::Verb))
                && !own.clone().any(|at| read.is_mark(at, "thing")))
            && names_none,
        is_at_host: own
            .clone()
            .any(|at| matches!(read.senses[at], Sense::Host(n) if read.mentions[n].is_place)),
        names_no_host: names_none,
        content,
        beside,
    }
}

fn fit<'p>(
    planner: &Planner,
    entry: &'p Entry,
    indexed: &'p Indexed,
    read: &Read<'_>,
    clause: &Clause,
    said: &Said,
    before: &Parameters,
) -> Option<Fit<'p>> {
    let knows = |at: &usize| indexed.vocabulary.contains(&read.canonical[*at]);
    if !said.verbs.iter().all(knows) {
        return None;
    }
    let filled = slots::fill(entry, indexed, read, clause, before);
    let knows_not = |at: &usize| !knows(at) && !filled.used.contains(at);
    let host_like = said.content.iter().copied().filter(knows_not).find(|at| {
        hosts::could_be_name(&read.tokens[*at])
            && !is_the_machine(read, *at)
            && (slots::stands_for_host(read, *at)
                || said.names_no_host
                    && indexed.takes_machine
                    && matches!(read.senses[*at], Sense::Unknown))
    });
    let is_of_host = said.is_of_host || host_like.is_some() && said.names_no_host;
    let scored = indexed.patterns.iter().map(|pattern| {
        let (score, lacks_thing) = along(pattern, entry, read, (said, is_of_host), &filled);
        (score, pattern, lacks_thing)
    });
    let (base, pattern, lacks_thing) = best_of(scored, read, clause)?;
    let known_not = |at: usize| host_like == Some(at) || is_said_again(read, at, &filled);
    let Told {
        known,
        unknown,
        unexplained,
        mut decided,
    } = told(planner, (entry, indexed), read, said, &filled, known_not);
    decided.extend(told_before(pattern, read, said));
    decided.sort_unstable();
    let says_when = (clause.from..clause.to).any(|at| read.senses[at] == Sense::When);
    let is_timed = says_when && entry.parameters.iter().any(super::index::takes_schedule);
    let acts = |at: &usize| matches!(read.kind(*at), Some(Kind::Verb | Kind::Weak)) && knows(at);
    // An example without an action is one as a whole, and so is a time for what is done at times.
    let has_action = is_whole(pattern, base) || is_timed || said.content.iter().any(acts);
    let beside_time = match says_when && !is_timed {
        true => 0.7,
        false => 1.0,
    };
    let found_host = match (host_like.is_some() && said.names_no_host, entry.tier) {
        (false, _) => 1.0,
        (true, Tier::Zero) => 1.05,
        (true, _) => 0.9,
    };
    let is_beside = said.is_of_host && !indexed.takes_machine;
    let whole = match (is_beside, filled.missing.len()) {
        (true, 1..) => 0.8,
        (_, missing) => 1.0 - 0.1 * missing as f32,
    };
    Some(Fit {
        entry,
        score: base * known / (known + unknown) * beside_time * found_host * whole,
        said: base,
        filled,
        unexplained,
        words: decided,
        example: &pattern.text,
        has_action: has_action || !said.verbs.is_empty(),
        lacks_thing,
        host_like,
        is_beside,
    })
}

/// "Docker eats all the space on tower, prune it": what the example needs was told before.
fn told_before(pattern: &Pattern, read: &Read<'_>, said: &Said) -> Vec<usize> {
    let wanted = |at: &usize| {
        let word = &read.canonical[*at];
        let is_said = said.content.iter().any(|own| read.canonical[*own] == *word);
        read.tokens[*at].is_word()
            && !is_said
            && pattern.words.iter().any(|wanted| wanted.canonical == *word)
    };
    said.beside.iter().copied().filter(wanted).collect()
}

/// What the words of a clause tell an entry.
struct Told {
    known: f32,
    unknown: f32,
    /// Words that tell it nothing.
    unexplained: Vec<usize>,
    /// Words that it knows.
    decided: Vec<usize>,
}

/// `may_be_left` are words that need not be known.
fn told(
    planner: &Planner,
    (entry, indexed): (&Entry, &Indexed),
    read: &Read<'_>,
    said: &Said,
    filled: &Filled,
    may_be_left: impl Fn(usize) -> bool,
) -> Told {
    let mut told = Told {
        known: 0.1,
        unknown: 0.0,
        unexplained: Vec::new(),
        decided: Vec::new(),
    };
    for at in said.content.iter().copied() {
        let is_word = read.tokens[at].is_word();
        if filled.used.contains(&at) {
            told.known += FILLED;
        } else if is_word && indexed.vocabulary.contains(&read.canonical[at]) {
            told.known += weight(planner, read, at);
            told.decided.push(at);
        } else if !is_small(entry, read, at) && !may_be_left(at) {
            told.unexplained.push(at);
            told.unknown += match entry.tier {
                Tier::Zero if is_word && words::is_software(&read.tokens[at].folded) => 0.7,
                Tier::Zero => 0.35,
                _ => 0.7,
            };
        }
    }
    told
}

/// "Léa (account lea)": who says a value twice means it once.
fn is_said_again(read: &Read<'_>, at: usize, filled: &Filled) -> bool {
    let said = &read.tokens[at].folded;
    let mut values = filled
        .parameters
        .values()
        .filter_map(|value| value.as_str());
    read.senses[at] == Sense::Unknown && values.any(|value| text::fold(value) == *said)
}

/// The pattern that is said best; of those that are said alike, the one that is said most literally.
fn best_of<'p>(
    scored: impl Iterator<Item = (f32, &'p Pattern, bool)>,
    read: &Read<'_>,
    clause: &Clause,
) -> Option<(f32, &'p Pattern, bool)> {
    scored.fold(None, |best, one| {
        let (score, pattern, _) = one;
        let is_better = best.is_none_or(|(known, other, _): (f32, &Pattern, bool)| {
            score > known + 0.001
                || (score > known - 0.001
                    && literally(pattern, read, clause) > literally(other, read, clause))
        });
        if is_better { Some(one) } else { best }
    })
}

/// Whether an example that names no action is said as a whole.
fn is_whole(pattern: &Pattern, said: f32) -> bool {
    let is_action = |kind: Option<Kind>| matches!(kind, Some(Kind::Verb | Kind::Weak));
    pattern.is_example
        && said > 0.9
        && !pattern.holes.is_empty()
        && !pattern.words.iter().any(|word| is_action(word.kind))
}

fn weight(planner: &Planner, read: &Read<'_>, at: usize) -> f32 {
    match read.kind(at) {
        Some(Kind::Verb) => 1.0,
        Some(Kind::Weak) => 0.35,
        _ => planner.index.weight(&read.canonical[at]),
    }
}

/// Whether a word may be left over: it stands for a better one, or for the machine itself.
fn is_small(entry: &Entry, read: &Read<'_>, at: usize) -> bool {
    let word = read.canonical[at].as_str();
    let is_number = read.tokens[at].is_word()
        && read.tokens[at]
            .folded
            .starts_with(|c: char| c.is_ascii_digit());
    match read.kind(at) {
        // "Watch the reboot" and "plan the reboot" are no reboot.
        Some(Kind::Weak) => {
            entry.tier == Tier::Zero || matches!(word, "want" | "run" | "put" | "unwant")
        }
        Some(Kind::Mark) => entry.tier == Tier::Zero,
        // How something is says nothing of what is to be done.
        Some(Kind::Noun) if STATES.contains(&word) => true,
        _ => matches!(word, "machine" | "group") || entry.tier == Tier::Zero && is_number,
    }
}

/// How much of an example a clause says.
fn along(
    pattern: &Pattern,
    entry: &Entry,
    read: &Read<'_>,
    (said, is_of_host): (&Said, bool),
    filled: &Filled,
) -> (f32, bool) {
    let (mut got, mut lost, mut lacks_thing) = (0.0, 0.0, false);
    for wanted in &pattern.words {
        let is_said = said.content.iter().chain(&said.beside).any(|at| {
            read.tokens[*at].is_word()
                && read.canonical[*at] == wanted.canonical
                && !filled.used.contains(at)
        });
        if is_said {
            got += wanted.weight;
        } else {
            lacks_thing |= matches!(wanted.kind, None | Some(Kind::Noun));
            lost += wanted.weight
                * match wanted.kind {
                    Some(Kind::Verb) => 1.0,
                    Some(Kind::Weak) => LOST_WEAK,
                    _ => LOST_NOUN,
                };
        }
    }
    for hole in &pattern.holes {
        let name = entry.parameters[*hole].name.as_str();
        let is_filled = filled.parameters.contains_key(name)
            || filled
                .several
                .as_ref()
                .is_some_and(|(several, _)| several == name);
        if is_filled && filled.doubtful == Some(*hole) {
            got += FILLED / 2.0;
            lost += FILLED / 2.0;
        } else if is_filled {
            got += FILLED;
        } else {
            lost += NOT_FILLED;
        }
    }
    match (pattern.is_at_host, said.is_at_host) {
        (true, true) => got += OF_HOST / 2.0,
        (true, false) if pattern.is_example => lost += OF_HOST / 4.0,
        _ => {}
    }
    match (pattern.is_of_host, is_of_host) {
        (true, true) => got += OF_HOST,
        (true, false) if said.may_be_of_host => {
            got += OF_HOST * 0.6;
            lost += OF_HOST * 0.4;
        }
        (true, false) => lost += OF_HOST,
        _ => {}
    }
    let score = if got <= 0.0 { 0.0 } else { got / (got + lost) };
    (score, lacks_thing)
}

/// How many words stand in both as they are written, less those of the example that were not said: "restart" and
/// "redémarre" mean the same, and a person is shown the one that was said.
fn literally(pattern: &Pattern, read: &Read<'_>, clause: &Clause) -> i32 {
    let words = super::text::words(&pattern.text).filter(|word| !word.written.contains('{'));
    let said = |folded: &str| {
        read.tokens[clause.from..clause.to]
            .iter()
            .any(|token| token.folded == folded)
    };
    words
        .map(|word| if said(&word.folded) { 2 } else { -1 })
        .sum()
}
