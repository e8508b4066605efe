//! What a clause is for: a request, or one of the things that start no change: a negation, a question, a story, a condition.
//! Where clauses begin and end is left to `clause`.

use super::{
    clause::Clause,
    hosts,
    read::{Read, Sense},
    words::{self, Kind},
};

/// Why a clause starts no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    /// It asks for something to be done.
    Request,
    /// It says what is not to be done.
    Negated,
    /// It asks for knowledge: a report may answer it.
    Question,
    /// It asks why, or how to do it oneself.
    Talk,
    /// It tells of the past, or what somebody else said.
    Story,
    /// It puts a condition.
    Condition,
}

/// What a clause is for.
pub(super) fn stance(read: &Read<'_>, clause: &Clause) -> Stance {
    let range = clause.from..clause.to;
    let has = |name: &str| range.clone().any(|at| read.is_mark(at, name));
    if has("why") || has("howto") {
        return Stance::Talk;
    }
    if is_negated(read, clause) {
        return Stance::Negated;
    }
    let is_polite = has("polite") || begins_politely(read, clause);
    if !is_polite && clause.verbs.is_empty() && has("past") {
        return Stance::Story;
    }
    let first = range.clone().filter(|at| !clause.is_aside(*at)).find(|at| {
        !read.is_small(*at)
            || matches!(read.kind(*at), Some(Kind::Mark)) && !read.is_mark(*at, "first")
    });
    // "The nas is littered with old images" tells of it; "is the nas up" asks.
    let tells_of_host = |at: usize| {
        let is_subject = at > clause.from
            && !read.tokens[at - 1].ends_part()
            && matches!(read.senses[at - 1], Sense::Host(n) if !read.mentions[n].is_place);
        is_subject && words::is_in("being", &read.tokens[at].folded)
    };
    let asks = first.is_some_and(|at| read.is_mark(at, "ask") && !tells_of_host(at));
    let asks = asks || is_asked_of_thing(read, clause);
    let ends_asking = read.tokens[clause.to - 1].after == Some('?');
    if has("log") || has("doubt") {
        return Stance::Story;
    }
    if has("condition") {
        return Stance::Condition;
    }
    if !is_polite && (asks || ends_asking) {
        return Stance::Question;
    }
    Stance::Request
}

/// "Soll nginx neu gestartet werden": a verb that comes first, and speaks of a thing, asks.
fn is_asked_of_thing(read: &Read<'_>, clause: &Clause) -> bool {
    let first = (clause.from..clause.to).find(|at| !clause.is_aside(*at));
    let Some(first) = first.filter(|at| words::is_in("asking verbs", &read.tokens[*at].folded))
    else {
        return false;
    };
    let next = (first + 1..clause.to).find(|at| !hosts::is_article(&read.tokens[*at].folded));
    next.is_some_and(|at| {
        matches!(read.senses[at], Sense::Host(_) | Sense::Unknown)
            || matches!(read.senses[at], Sense::Known(meaning) if meaning.is_name || meaning.kind == Kind::Noun)
            || words::is_in("asking subjects", &read.tokens[at].folded)
    })
}

/// "Could we have ...?" is no question.
fn begins_politely(read: &Read<'_>, clause: &Clause) -> bool {
    let words = read.tokens[clause.from..clause.to].windows(3);
    let mut words = words.map(|three| {
        (
            three[0].folded.as_str(),
            three[1].folded.as_str(),
            three[2].folded.as_str(),
        )
    });
    words.any(|(modal, who, what)| {
        words::is_in("polite verbs", modal)
            && words::is_in("polite speakers", who)
            && words::is_in("having", what)
    })
}

/// Whether a negation says that the thing is not to be done. "I don't need it any more" and "not the volumes" say
/// something else.
fn is_negated(read: &Read<'_>, clause: &Clause) -> bool {
    let is_not = |at: &usize| read.is_mark(*at, "not");
    let range = clause.from..clause.to;
    let harmless = range.clone().any(|at| read.is_mark(at, "harmless"));
    let mut negations = range
        .clone()
        .filter(is_not)
        .filter(|at| !clause.is_aside(*at));
    negations.any(|at| {
        let mut rest = at + 1..clause.to;
        let next = rest.find(|at| {
            !matches!(read.senses[*at], Sense::Part)
                && !matches!(read.kind(*at), Some(Kind::Stop))
                && !read.is_mark(*at, "all")
                && !read.is_mark(*at, "any")
        });
        // "I don't want you to restart it" is no wish.
        let of_action = |at: usize| {
            let verb = (at + 1..clause.to).find(|at| read.kind(*at) == Some(Kind::Verb));
            let leads = |at: usize| words::is_in("leads to an action", &read.tokens[at].folded);
            verb.is_some_and(|verb| (at + 1..verb).any(leads))
        };
        let is_wish = next.is_some_and(|at| read.canonical[at] == "want" && !of_action(at));
        let is_thing = next.is_some_and(|at| {
            matches!(read.canonical[at].as_str(), "volumes" | "existing_portals")
        });
        let wished = harmless && (clause.from..at).any(|at| read.canonical[at] == "want");
        !(is_wish || is_thing || wished)
    })
}
