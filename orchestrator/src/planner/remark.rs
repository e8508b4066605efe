//! What is told beside a request that changes something: "nginx on web1 hangs, restart it". It may say how something is or why
//! something is wanted, and nothing that bears on what is to be done: no opinion, no speech, no condition, no other action.

use std::collections::HashSet;

use super::{
    clause::Clause,
    read::{Read, Sense},
    statement::{begins_reason, states},
    stray::goes_on,
    words::{self, Kind},
};

/// Marks that may stand in it.
const MARKS: [&str; 9] = [
    "and", "it", "there", "also", "aux", "because", "harmless", "all", "thing",
];
/// Marks that may stand in it where it comes before the request.
const EARLIER: [&str; 3] = ["past", "later", "chat"];
/// Nouns that lead to a value or to words of somebody.
const SAYING: [&str; 4] = ["content", "command", "schedule", "cron"];
/// Nouns that say how something is.
const STATES: [&str; 7] = [
    "active",
    "up",
    "reachable",
    "answer",
    "full",
    "updates",
    "free",
];
/// Actions that take something away.
const TAKING: [&str; 3] = ["stop", "remove", "prune"];
/// Actions that interrupt what runs.
const INTERRUPTING: [&str; 2] = ["restart", "reboot"];

/// A part of a clause that only tells something.
pub(super) struct Remark<'r, 't> {
    read: &'r Read<'t>,
    from: usize,
    to: usize,
    /// Whether it stands before what is asked for.
    is_before: bool,
    /// Whether it makes a statement, with a word for that.
    states: bool,
    /// Whether it is but a few words of no weight: "third time this week, ...".
    is_bare: bool,
    takes_away: bool,
    /// Whether what runs is interrupted.
    interrupts: bool,
}

impl<'r, 't> Remark<'r, 't> {
    /// The remark of which the word is a part; nothing where it is a part of the request, or of what makes no statement.
    pub(super) fn around(read: &'r Read<'t>, clause: &Clause, at: usize) -> Option<Self> {
        let mut asides = clause.asides.iter();
        let aside = asides
            .find(|(from, to)| (*from..*to).contains(&at))
            .copied();
        let (from, to) = aside.or_else(|| piece(read, clause, at))?;
        let own = clause.from..clause.to;
        let mut verbs = clause.verbs.iter().filter(|verb| own.contains(verb));
        if verbs.clone().any(|verb| (from..to).contains(verb)) {
            return None;
        }
        let states = states(read, from, to) || read.is_mark(from, "story");
        let is_before = verbs.clone().next().is_some() && verbs.all(|verb| *verb >= to);
        let first = read.tokens[from].folded.as_str();
        let is_reason = read.is_mark(from, "because") || read.is_mark(from + 1, "because");
        let tells = states
            || is_reason
            || begins_reason(read, from) && to > from + 1
            || has_subject(read, from, to)
            || words::is_in("speakers will", first);
        let is_bare = !tells && is_before && (from..to).all(|at| is_weightless(read, at));
        if !tells && !is_bare || !is_reason && ends_in_colon(read, from, to) {
            return None;
        }
        let canonical = clause
            .verbs
            .iter()
            .map(|verb| read.canonical[*verb].as_str());
        let takes_away =
            canonical.clone().count() > 0 && canonical.clone().all(|verb| TAKING.contains(&verb));
        Some(Self {
            read,
            from,
            to,
            is_before,
            states,
            is_bare,
            takes_away,
            interrupts: canonical.clone().any(|verb| INTERRUPTING.contains(&verb)),
        })
    }

    /// Whether the word stands in it.
    pub(super) fn holds(&self, at: usize) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Whether the word may be told: one that says how something is, a thing, a host.
    pub(super) fn counts(&self, at: usize) -> bool {
        let head = self.read.heads[at];
        let word = self.read.tokens[head].folded.as_str();
        let said = self.read.said(head);
        match self.read.senses[head] {
            Sense::Host(_) => true,
            Sense::Unknown => {
                let is_word = word.starts_with(|c: char| c.is_alphanumeric());
                self.is_before && self.states && is_word
            }
            Sense::Data | Sense::When | Sense::Part => false,
            Sense::Known(meaning) => match meaning.kind {
                // "I'm done with it", and not "it is done".
                _ if words::is_hedge(&said) => words::is_in("done", &said) && self.is_of_speaker(),
                Kind::Stop | Kind::Filler => true,
                Kind::Mark if self.is_bare => meaning.name == "it",
                _ if self.is_bare => false,
                Kind::Noun => !SAYING.contains(&meaning.name),
                Kind::Weak => matches!(meaning.name, "want" | "unwant") && !self.says("nobody"),
                Kind::Verb => self.is_before,
                Kind::Mark => match meaning.name {
                    "not" => self.denies(head),
                    "ask" => words::is_in("to be", word),
                    "story" => {
                        self.is_before || head == self.from || words::is_in("speakers", word)
                    }
                    name => MARKS.contains(&name) || self.is_before && EARLIER.contains(&name),
                },
            },
        }
    }

    /// Whether it says what is to be: "it should watch ...".
    fn orders(&self) -> bool {
        self.says("orders")
    }

    /// Whether the word says that the thing is to stay as it is, or is needed where it would be taken away. `own` are the words
    /// of the entry and its values.
    pub(super) fn objects(&self, at: usize, own: &HashSet<usize>) -> bool {
        let word = self.read.tokens[at].folded.as_str();
        let next = self.read.tokens.get(at + 1);
        let two = next.map(|next| format!("{word} {}", next.folded));
        let is = |list: &str| {
            words::is_in(list, word) || two.as_ref().is_some_and(|two| words::is_in(list, two))
        };
        let is_denied = (self.from..self.to).any(|at| self.read.is_mark(at, "not"))
            || self.says("nobody")
            || self.says("no more");
        if is("staying") {
            return !is_denied;
        }
        // "We use nginx now" is no word against the removal of apache.
        let is_of_another = (self.from..self.to).any(|at| {
            self.read.senses[at] == Sense::Unknown
                && !own.contains(&at)
                && words::is_software(&self.read.tokens[at].folded)
        });
        !is_of_another
            && match (self.takes_away, self.interrupts) {
                (true, _) => is("needing") && !is_denied,
                (false, true) => is("needed"),
                (false, false) => false,
            }
    }

    /// Whether it names a value and nothing else ("port 3010", "volumes as well"), or was told before what the request points
    /// at.
    pub(super) fn gives(&self, clause: &Clause, own: &HashSet<usize>) -> bool {
        let read = self.read;
        let is_plain = |at: usize| {
            let head = read.heads[at];
            own.contains(&at)
                || own.contains(&head)
                || words::is_neutral(&read.said(head))
                || words::is_in("prepositions", &read.tokens[head].folded)
                || read.is_mark(head, "also")
                || read.is_mark(head, "and")
        };
        let points = |at: usize| !self.holds(at) && read.is_mark(at, "it");
        self.orders()
            || (self.from..self.to).all(is_plain)
            || self.is_before && (clause.from..clause.to).any(points)
    }

    /// Whether nothing but this place stands in it: "on the webservers, ...".
    pub(super) fn is_only(&self, n: usize) -> bool {
        self.read.mentions[n].is_place
            && (self.from..self.to).all(|at| self.read.senses[at] == Sense::Host(n))
    }

    /// "I ...", "we're ...".
    fn is_of_speaker(&self) -> bool {
        let first = self.read.tokens[self.from].folded.as_str();
        words::is_in("speakers", first) || words::is_in("speakers are", first)
    }

    fn says(&self, list: &str) -> bool {
        (self.from..self.to).any(|at| words::is_in(list, &self.read.tokens[at].folded))
    }

    /// "Web1 does not answer", "I don't need it any more", "I never print".
    fn denies(&self, head: usize) -> bool {
        let range = || self.from..self.to;
        let word = self.read.tokens[head].folded.as_str();
        let is_never = words::is_in("never", word);
        let wants = range().any(|at| self.read.canonical[at] == "want");
        let says_state = range().any(|at| {
            matches!(self.read.senses[at], Sense::Known(meaning) if meaning.kind == Kind::Noun && STATES.contains(&meaning.name))
        });
        let speaks = self.is_of_speaker();
        let nots = range().filter(|at| self.read.is_mark(*at, "not")).count();
        let is_french = words::is_in("french ne", word) || self.says("french ne");
        let told = range().any(|at| self.read.kind(at) == Some(Kind::Filler));
        head > self.from
            && nots <= 1 + usize::from(is_french)
            && match (wants, is_never) {
                (true, _) => self.takes_away,
                (false, true) => speaks && told,
                (false, false) => says_state || self.takes_away && self.is_of_speaker(),
            }
    }
}

/// The part of a clause around a word, from one sign to the next.
fn piece(read: &Read<'_>, clause: &Clause, at: usize) -> Option<(usize, usize)> {
    if clause.is_shared {
        return None;
    }
    let ends = |at: &usize| read.tokens[*at].ends_part();
    let from = (clause.from..at)
        .rfind(ends)
        .map_or(clause.from, |before| before + 1);
    let to = (at..clause.to)
        .find(ends)
        .map_or(clause.to, |last| last + 1);
    // Without an action of its own, a light one or a value tells what is to be done.
    let acts = |at: usize| read.senses[at] == Sense::Data || read.kind(at) == Some(Kind::Weak);
    let is_request = clause.verbs.is_empty() && (from..to).any(acts);
    (!is_request).then_some((from, to))
}

/// What stands before a colon may lead to words of somebody, unless it speaks of a host and of nothing else.
fn ends_in_colon(read: &Read<'_>, from: usize, to: usize) -> bool {
    let names = (from..to).any(|at| matches!(read.senses[at], Sense::Host(_)));
    let points = (from..to).any(|at| read.is_mark(at, "it") || read.is_mark(at, "past"));
    read.tokens[to - 1].after == Some(':') && (!names || points)
}

fn is_weightless(read: &Read<'_>, at: usize) -> bool {
    let head = read.heads[at];
    matches!(read.senses[head], Sense::Known(meaning)
        if matches!(meaning.kind, Kind::Stop | Kind::Filler) || meaning.name == "it")
        && !words::is_hedge(&read.said(head))
}

/// "Nobody prints here", "Docker frisst den Platz": it begins with what it tells of.
fn has_subject(read: &Read<'_>, from: usize, to: usize) -> bool {
    let first = (from..to).find(|at| !matches!(read.kind(*at), Some(Kind::Stop)));
    to > from + 1
        && first.is_some_and(|at| match read.senses[at] {
            // "..., hermes and zeus" goes on with a list.
            Sense::Host(n) => {
                let mention = &read.mentions[n];
                let is_listed = mention.is_joined && !goes_on(read, mention, to);
                !mention.is_place && !mention.is_excluded && !is_listed
            }
            Sense::Known(meaning) => {
                meaning.is_name
                    || meaning.kind == Kind::Noun
                    || matches!(
                        meaning.name,
                        "story" | "it" | "told" | "spoken" | "harmless"
                    )
            }
            Sense::Unknown => read.tokens[at].is_word(),
            _ => false,
        })
}
