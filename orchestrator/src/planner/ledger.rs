//! The ledger of a sentence: a change is planned only where every word is accounted for, as a word of the entry, a value, a
//! host in the place of one, a time that the entry takes, a connective that was followed, or one of the few neutral words of
//! the list (`neutral words`). What is told beside the request has a wider list of its own (`remark`). A word that is left
//! means something that nobody understood, so it is asked about. This stage only ever turns a plan into a question; hosts,
//! signs and names are left to `stray`.

use std::collections::HashSet;

use chiffon_common::Tier;

use super::{
    clause::Clause,
    fit::Fit,
    hosts,
    index::{Indexed, takes_schedule},
    read::{Read, Sense},
    remark::Remark,
    sentence::Shape,
    stance::Stance,
    stray, text,
    words::{self, Kind, Language, Meaning},
};
use crate::catalogue::Trust;

/// Marks that keep their sense wherever they stand.
const FREE_MARKS: [&str; 5] = ["and", "there", "polite", "also", "inturn"];
/// Marks that put requests in order: they count where there are several.
const ORDER_MARKS: [&str; 5] = ["then", "before", "after", "first", "beforehand"];

/// What is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A word that nothing accounts for.
    Word(usize),
    /// A host that is named beside the one where it is to be done.
    Host(usize),
    /// A sign that is no usual punctuation.
    Sign,
    /// A word that is taken for a name only because of its place.
    Name(usize),
}

/// One clause as it was understood.
pub(super) struct Entered<'p> {
    pub(super) clause: Clause,
    /// Words of the entry and values.
    own: HashSet<usize>,
    /// Values of parameters that may be left out.
    optional: HashSet<usize>,
    /// A word that bears on a flag without asking for it.
    open: Option<usize>,
    /// The values: all that a remark gives to the request beside it.
    values: HashSet<usize>,
    /// The words of the example that fits, and of the values, grammar included.
    example: Vec<String>,
    /// Words that are names only because of where they stand.
    pub(super) plain: Vec<usize>,
    pub(super) indexed: Option<&'p Indexed>,
    pub(super) changes: bool,
    takes_time: bool,
    /// What it does is known.
    is_shipped: bool,
}

impl<'p> Entered<'p> {
    pub(super) fn new(
        clause: &Clause,
        fit: Option<&Fit<'_>>,
        indexed: Option<&'p Indexed>,
    ) -> Self {
        let mut own: HashSet<usize> = clause.verbs.iter().copied().collect();
        let mut example = Vec::new();
        if let Some(fit) = fit {
            own.extend(&fit.words);
            own.extend(&fit.filled.used);
            example.extend(text::words(fit.example).map(|word| word.folded));
            let values = fit.filled.parameters.values();
            example.extend(values.filter_map(|value| value.as_str()).map(text::fold));
        }
        let is_negated = clause.stance == Stance::Negated;
        Self {
            clause: clause.clone(),
            own,
            values: fit.map(|fit| fit.filled.used.clone()).unwrap_or_default(),
            optional: fit
                .map(|fit| fit.filled.optional.clone())
                .unwrap_or_default(),
            open: fit.and_then(|fit| fit.filled.open),
            example,
            plain: fit.map(|fit| fit.filled.plain.clone()).unwrap_or_default(),
            indexed,
            is_shipped: fit.is_some_and(|fit| fit.entry.trust == Trust::Shipped),
            changes: !is_negated && fit.is_some_and(|fit| fit.entry.tier > Tier::Zero),
            takes_time: fit.is_some_and(|fit| fit.entry.parameters.iter().any(takes_schedule)),
        }
    }

    fn is_negated(&self) -> bool {
        self.clause.stance == Stance::Negated
    }

    fn is_report(&self) -> bool {
        !self.changes && !self.is_negated()
    }
}

/// The first thing in a sentence that nothing accounts for; nothing where it changes nothing.
pub(super) fn left_over(
    read: &Read<'_>,
    entered: &[Entered<'_>],
    is_answered: bool,
) -> Option<Left> {
    if !entered.iter().any(|entry| entry.changes) {
        return None;
    }
    let ledger = Ledger {
        read,
        entered,
        is_answered,
    };
    let words = entered.iter().find_map(|entry| {
        let mut own = entry.clause.from..entry.clause.to;
        own.find(|at| !ledger.counts(entry, *at)).map(Left::Word)
    });
    words
        .or_else(|| {
            entered.iter().find_map(|entry| {
                ledger
                    .negation(entry)
                    .or_else(|| ledger.known_action(entry))
                    .or_else(|| ledger.objection(entry))
            })
        })
        .or_else(|| stray::left_over(read, entered, is_answered))
}

/// Prepositions.
pub(super) fn is_lead(word: &str) -> bool {
    words::is_in("prepositions", word)
}

struct Ledger<'l, 't> {
    read: &'l Read<'t>,
    entered: &'l [Entered<'l>],
    /// Whether a person has answered where.
    is_answered: bool,
}

impl Ledger<'_, '_> {
    fn word(&self, at: usize) -> &str {
        match self.read.tokens.get(at) {
            Some(token) if token.shape == Shape::Word => &token.folded,
            _ => "",
        }
    }

    fn counts(&self, entry: &Entered<'_>, at: usize) -> bool {
        let head = self.read.heads[at];
        let is_told = !entry.is_report() || entry.clause.is_aside(at);
        let remark = match is_told {
            true => Remark::around(self.read, &entry.clause, at),
            false => None,
        };
        // A word of the entry asks for nothing where it is only told, unless it gives a value: "it should watch https://...".
        let own = match &remark {
            Some(remark) if !entry.values.iter().any(|at| remark.holds(*at)) => &entry.values,
            _ => &entry.own,
        };
        if own.contains(&at) || own.contains(&head) {
            return true;
        }
        if self.read.senses[head] == Sense::When {
            return entry.takes_time || entry.is_report();
        }
        if let Some(remark) = remark {
            return remark.counts(at) || self.is_grammar(entry, head);
        }
        match self.read.senses[head] {
            // Where the hosts stand is looked at apart.
            Sense::Host(_) | Sense::When => true,
            Sense::Data => false,
            // "La machine ou je suis".
            Sense::Part if at > 0 && self.is_host(at - 1) && self.is_host(at + 1) => true,
            Sense::Unknown | Sense::Part => {
                self.is_grammar(entry, head) || self.is_answered_host(at)
            }
            Sense::Known(meaning) if meaning.name == "instead" && at > head => {
                self.is_put_aside(at)
            }
            Sense::Known(meaning) => self.known(entry, head, meaning),
        }
    }

    /// "Not just the service": a thing, and nothing else.
    fn is_put_aside(&self, at: usize) -> bool {
        let word = self.word(at);
        let is_part = words::is_in("just", word);
        let kind = words::meaning(word, self.read.language).map(|meaning| meaning.kind);
        is_part || words::is_neutral(word) || kind == Some(Kind::Noun)
    }

    fn known(&self, entry: &Entered<'_>, head: usize, meaning: Meaning) -> bool {
        let by_kind = match meaning.kind {
            Kind::Mark => self.mark(entry, head, meaning.name),
            // A report may be asked for in many words.
            _ if entry.is_report() => {
                words::is_in("whether", self.word(head)) || !words::is_hedge(&self.read.said(head))
            }
            Kind::Weak => {
                matches!(meaning.name, "want" | "run" | "put" | "unwant")
                    && !words::is_in("telling forms", self.word(head))
            }
            // "Get nginx up and running".
            Kind::Noun => {
                let starts = |at: &usize| self.read.canonical[*at] == "start";
                matches!(meaning.name, "machine" | "group")
                    || matches!(meaning.name, "active" | "up")
                        && entry.clause.verbs.iter().any(starts)
            }
            Kind::Stop | Kind::Filler => self.is_answered_host(head),
            Kind::Verb => false,
        };
        by_kind || self.is_grammar(entry, head)
    }

    fn mark(&self, entry: &Entered<'_>, head: usize, name: &str) -> bool {
        let clause = &entry.clause;
        match name {
            _ if FREE_MARKS.contains(&name) => true,
            "it" => !words::is_in("one", self.word(head)),
            "first" => self.entered.len() > 1 && self.entered[0].clause.from == clause.from,
            _ if ORDER_MARKS.contains(&name) => {
                self.entered.len() > 1
                    && (self.begins(clause, head) || name != "before" || self.ends(head, clause))
            }
            "but" => {
                self.begins(clause, head) || self.restricts(entry, head) || self.contrasts(head)
            }
            "not" => entry.is_negated(),
            // "A file" where the entry knows of files.
            // "On everything except nas".
            "thing" if hosts::is_everything_word(self.word(head)) => {
                let is_base = |at| matches!(self.read.senses[at], Sense::Host(n) if self.read.mentions[n].is_excluded);
                (clause.from..clause.to).any(is_base)
            }
            "thing" => {
                let last = (head..clause.to).rfind(|at| self.read.heads[*at] == head);
                let canonical = last.map(|at| super::index::canonical(self.word(at)));
                last != Some(head)
                    && entry.indexed.is_some_and(|indexed| {
                        canonical.is_some_and(|word| indexed.vocabulary.contains(&word))
                    })
            }
            // "I need", "ich brauche", and not "he wants".
            "story" if words::is_in("speakers", self.word(head)) && !entry.is_report() => {
                let next = (head + 1..clause.to)
                    .find(|at| self.read.heads[*at] == *at && !words::is_neutral(self.word(*at)));
                next.is_some_and(|at| {
                    matches!(self.read.canonical[at].as_str(), "want" | "unwant")
                        || words::is_in("wishes", self.word(at))
                })
            }
            // "Not just the service".
            "instead" => {
                let to = (head..clause.to)
                    .find(|at| self.read.tokens[*at].ends_part())
                    .unwrap_or(clause.to);
                !(head..to).any(|at| matches!(self.read.senses[at], Sense::Host(_)))
            }
            // "Update nas without a reboot": what the entry does not do anyway.
            "noreboot" => {
                let knows = |indexed: &Indexed| {
                    ["reboot", "restart"]
                        .iter()
                        .any(|word| indexed.vocabulary.contains(*word))
                };
                entry.is_shipped && entry.indexed.is_some_and(|indexed| !knows(indexed))
            }
            // "Tell me if it comes back".
            "condition" => {
                entry.is_report()
                    && head > 0
                    && self.read.is_mark(self.read.heads[head - 1], "show")
            }
            "except" | "keep" | "log" | "why" | "howto" | "later" | "doubt" | "contrast"
            | "forget" => false,
            _ => entry.is_report(),
        }
    }

    /// Whether only connectives and remarks stand before the word.
    fn begins(&self, clause: &Clause, head: usize) -> bool {
        let mut before = clause.from..head;
        before.all(|at| clause.is_aside(at) || self.is_connective(self.read.heads[at]))
    }

    /// "Only on nas", "but leave the volumes alone", "aber ohne die Volumes".
    fn restricts(&self, entry: &Entered<'_>, head: usize) -> bool {
        let next = (head + 1..entry.clause.to).find(|at| !words::is_neutral(self.word(*at)));
        next.is_some_and(|next| {
            let is_only = words::is_in("only", self.word(head));
            let is_kept = self.read.is_mark(next, "keep")
                || self.read.is_mark(next, "except")
                || self.read.is_mark(next, "not");
            entry.own.contains(&next) && is_kept
                || is_only && entry.values.contains(&next)
                || is_only && matches!(self.read.senses[next], Sense::Host(_))
        })
    }

    /// "Not web1 but web2".
    fn contrasts(&self, head: usize) -> bool {
        let before = head.checked_sub(1);
        before.is_some_and(|at| self.is_left_out(at)) && self.is_host(head + 1)
    }

    /// Whether a part of a clause ends behind the word: "after that", "zuerst".
    fn ends(&self, head: usize, clause: &Clause) -> bool {
        let last = (head..clause.to)
            .rfind(|at| self.read.heads[*at] == head)
            .unwrap_or(head);
        last + 1 >= clause.to || self.read.tokens[last].ends_part()
    }

    fn is_connective(&self, head: usize) -> bool {
        matches!(self.read.senses[head], Sense::Known(meaning) if meaning.kind == Kind::Mark
            && (ORDER_MARKS.contains(&meaning.name) || matches!(meaning.name, "and" | "but" | "polite" | "also")))
            || words::is_neutral(&self.read.said(head))
            || words::is_in("so", self.word(head))
    }

    /// Neutral words, prepositions before what is accounted for, words that make a wish of an action, and what the example
    /// says as well.
    fn is_grammar(&self, entry: &Entered<'_>, head: usize) -> bool {
        let (word, said) = (self.word(head), self.read.said(head));
        let is_slip = self.read.slipped[head]
            && (words::is_nearly_neutral(word) || word.len() == 2 && self.is_host(head + 1));
        // "Stoppe nginx mal kurz": nobody starts it again.
        let stops = |at: &usize| self.read.canonical[*at] == "stop";
        if words::is_in("for a short while", &said) && entry.clause.verbs.iter().any(stops) {
            return false;
        }
        if words::is_neutral(&said) || is_slip {
            return true;
        }
        if said.contains(' ') {
            if words::is_in("whatever else", &said) {
                return self.leads(entry, head);
            }
            let mut words = said.split(' ');
            return words.all(|word| words::is_neutral(word) || is_lead(word))
                && self.leads(entry, head);
        }
        let clause = &entry.clause;
        let wishes = || {
            (clause.from..clause.to).any(|at| {
                words::is_in("wishes", self.word(at))
                    || words::is_in("making sure", self.word(at))
                    || self.read.canonical[at] == "want"
                    || self.read.is_mark(at, "polite")
            })
        };
        let is_again = || {
            let restarts =
                |at: &usize| matches!(self.read.canonical[*at].as_str(), "restart" | "reboot");
            clause.verbs.iter().any(restarts)
        };
        let is_mark = self.read.kind(head) == Some(Kind::Mark) && !self.read.is_mark(head, "ask");
        is_lead(word) && self.leads(entry, head)
            || words::is_in("wishes", word)
            || words::is_in("wish forms", word) && wishes()
            || words::is_in("so", word) && self.begins(clause, head)
            || words::is_in("left alone", word) && head > 0 && self.is_left_out(head - 1)
            || words::is_in("over", word) && self.is_host(head + 1)
            || words::is_in("anew", word) && is_again()
            || words::is_in("replacing", &said) && self.ends(head, clause) && self.replaces(entry)
            || self.read.senses[head] != Sense::Part
                && !is_mark
                && entry.example.iter().any(|known| known == word)
    }

    /// "Remove apache2 from web1 and put nginx there instead": what was taken away right before is what it replaces.
    fn replaces(&self, entry: &Entered<'_>) -> bool {
        let here = self
            .entered
            .iter()
            .position(|other| other.clause.from == entry.clause.from);
        let before = here
            .and_then(|at| at.checked_sub(1))
            .map(|at| &self.entered[at]);
        let takes = |at: &usize| matches!(self.read.canonical[*at].as_str(), "remove" | "stop");
        before.is_some_and(|before| before.changes && before.clause.verbs.iter().any(takes))
    }

    fn is_host(&self, at: usize) -> bool {
        matches!(self.read.senses.get(at), Some(Sense::Host(_)))
    }

    /// "Leave the nas alone".
    fn is_left_out(&self, at: usize) -> bool {
        matches!(self.read.senses[at], Sense::Host(n) if self.read.mentions[n].is_excluded)
    }

    /// Whether what follows a preposition is accounted for: a value, a word of the entry, the machine.
    fn leads(&self, entry: &Entered<'_>, head: usize) -> bool {
        let next = (head + 1..entry.clause.to).find(|at| {
            self.read.heads[*at] != head
                && !(words::is_neutral(self.word(*at)) || is_lead(self.word(*at)))
        });
        next.is_some_and(|at| !self.is_host(at) && self.counts(entry, at))
    }

    /// "On pluto", and a person has said which host is meant.
    fn is_answered_host(&self, at: usize) -> bool {
        let lead = at.checked_sub(1).map_or("", |before| self.word(before));
        self.is_answered
            && hosts::could_be_name(&self.read.tokens[at])
            && (is_lead(lead) || hosts::is_article(lead))
    }

    /// What is not to be done may be told beside what is, where it is said plainly: at the beginning, once, and not of a step
    /// that another one waits for.
    fn negation(&self, entry: &Entered<'_>) -> Option<Left> {
        let clause = &entry.clause;
        let nots: Vec<usize> = (clause.from..clause.to)
            .filter(|at| self.read.is_mark(*at, "not"))
            .collect();
        let first = *nots.first().filter(|_| entry.is_negated())?;
        let is_french = words::is_in("french ne", self.word(first));
        let orders = |other: &Entered<'_>| {
            (other.clause.from..other.clause.to)
                .any(|at| ORDER_MARKS.iter().any(|name| self.read.is_mark(at, name)))
        };
        let is_plain = nots.len() <= 1 + usize::from(is_french)
            && (self.begins(clause, first) || self.read.language == Some(Language::German))
            && !self.entered.iter().any(orders);
        (!is_plain).then_some(Left::Word(first))
    }

    /// What is told and speaks against the request, or would set what nobody asked for: "stop nginx, we need it", "update nas,
    /// nginx stays".
    fn objection(&self, entry: &Entered<'_>) -> Option<Left> {
        let clause = &entry.clause;
        if !entry.changes {
            return None;
        }
        let objects = |at: &usize| {
            Remark::around(self.read, clause, *at).is_some_and(|remark| {
                entry.optional.contains(at) && !remark.gives(clause, &entry.own)
                    || remark.objects(*at, &entry.own)
            })
        };
        let told = (clause.from..clause.to).find(objects);
        entry.open.or(told).map(Left::Word)
    }

    /// "The upgrade of nas" by itself asks for nothing.
    fn known_action(&self, entry: &Entered<'_>) -> Option<Left> {
        let clause = &entry.clause;
        let [verb] = clause.verbs[..] else {
            return None;
        };
        let before = verb
            .checked_sub(1)
            .filter(|before| *before >= clause.from)?;
        let asks = (clause.from..clause.to).any(|at| {
            self.read.kind(at) == Some(Kind::Weak)
                || words::is_in("wishes", self.word(at))
                || self.read.is_mark(at, "polite")
        });
        let is_known =
            words::is_in("definite articles", self.word(before)) && !asks && entry.changes;
        is_known.then_some(Left::Word(verb))
    }
}
