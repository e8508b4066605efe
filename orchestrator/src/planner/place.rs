//! Which hosts a clause names, and which of its words stand where a host would stand.

use std::collections::BTreeSet;

use chiffon_common::HostName;

use super::{
    clause::Clause,
    hosts,
    index::Indexed,
    read::{Read, Sense},
    slots::Filled,
    words::{self, Kind},
};

/// Where only one place of the sentence names hosts, it holds for all of it.
pub(super) fn sole_hosts(read: &Read<'_>, clauses: &[Clause]) -> Vec<HostName> {
    let own = clauses
        .iter()
        .map(|clause| named_where(read, clause, |at| !clause.is_aside(at)));
    let mut with = own.filter(|hosts| !hosts.is_empty());
    match (with.next(), with.next()) {
        (Some(only), None) => only,
        _ => Vec::new(),
    }
}

/// The hosts that what is told beside a request speaks of: those that it begins with ("tower is almost full: ..."), for a
/// report all of them.
pub(super) fn told_hosts(read: &Read<'_>, clause: &Clause, is_report: bool) -> Vec<HostName> {
    let is_subject = |at: usize| {
        let mut asides = clause.asides.iter();
        let Some((from, _)) = asides.find(|(from, to)| (*from..*to).contains(&at)) else {
            return false;
        };
        is_report
            || matches!((read.senses[*from], read.senses[at]), (Sense::Host(a), Sense::Host(b)) if a == b && !read.mentions[a].is_place)
    };
    named_where(read, clause, is_subject)
}

/// The hosts that a clause names, without those that it leaves out.
pub(super) fn named(read: &Read<'_>, clause: &Clause) -> Vec<HostName> {
    named_where(read, clause, |_| true)
}

pub(super) fn named_where(
    read: &Read<'_>,
    clause: &Clause,
    counts: impl Fn(usize) -> bool,
) -> Vec<HostName> {
    let mut mentioned: Vec<usize> = (clause.from..clause.to)
        .filter(|at| counts(*at))
        .filter_map(|at| match read.senses[at] {
            Sense::Host(n) => Some(n),
            _ => None,
        })
        .collect();
    mentioned.dedup();
    let mut hosts: BTreeSet<HostName> = BTreeSet::new();
    for mention in mentioned
        .iter()
        .map(|n| &read.mentions[*n])
        .filter(|mention| !mention.is_excluded)
    {
        hosts.extend(mention.hosts.iter().cloned());
    }
    for mention in mentioned
        .iter()
        .map(|n| &read.mentions[*n])
        .filter(|mention| mention.is_excluded)
    {
        hosts.retain(|host| !mention.hosts.contains(host));
    }
    hosts.into_iter().collect()
}

/// Whether a word that nothing explains is led to as a host would be, where the sentence names none.
pub(super) fn stands_for_host(read: &Read<'_>, at: usize) -> bool {
    let names_some = read.mentions.iter().any(|mention| !mention.is_excluded);
    if names_some || is_the_machine(read, at) || !hosts::could_be_name(&read.tokens[at]) {
        return false;
    }
    let before = (0..at)
        .rev()
        .find(|before| !hosts::is_article(&read.tokens[*before].folded));
    let is_led = before.is_some_and(|before| {
        hosts::is_preposition(&read.tokens[before].folded) && !read.tokens[before].ends_part()
    });
    let is_group = read
        .canonical
        .get(at + 1)
        .is_some_and(|next| next == "group" || next == "machine");
    let is_address = read.tokens[at].folded.contains('.') && read.kind(at).is_none();
    is_led || is_group || is_address
}

/// "nas and toaster": what is joined to a host is one.
pub(super) fn is_beside_host(read: &Read<'_>, at: usize) -> bool {
    let is_host = |at: Option<usize>| {
        at.is_some_and(|at| matches!(read.senses.get(at), Some(Sense::Host(_))))
    };
    let is_and = |at: Option<usize>| at.is_some_and(|at| read.is_mark(at, "and"));
    hosts::could_be_name(&read.tokens[at])
        && (is_and(at.checked_sub(1)) && is_host(at.checked_sub(2))
            || is_and(Some(at + 1)) && is_host(Some(at + 2)))
}

/// How surely a word of grammar says that a place comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// "On pluto": a machine, or one of the few things that are no place at all.
    Place,
    /// "From pluto", "at pluto": a machine, or what the entry is told of.
    Source,
    /// "To pluto", "of pluto": often something else.
    Perhaps,
    /// "For pluto": a machine only where it can be nothing else.
    For,
}

/// What a clause was understood as.
pub(super) struct Meant<'m> {
    pub(super) indexed: &'m Indexed,
    pub(super) filled: &'m Filled,
    pub(super) changes: bool,
}

/// A word that stands in the place of a host, in a clause that is understood as this entry with these values, and is none:
/// "install htop on pluto". Where the clause names a host besides, only "on" and its like are heard.
pub(super) fn unknown_place(read: &Read<'_>, clause: &Clause, meant: &Meant<'_>) -> Option<usize> {
    let names_own = !named_where(read, clause, |at| !clause.is_aside(at)).is_empty();
    let leads = (clause.from..clause.to).filter_map(|at| Some((at, lead_of(read, at)?)));
    let counts = |(at, lead): &(usize, Lead)| {
        let is_own = *lead == Lead::Place && !clause.is_aside(*at);
        !names_own || is_own || qualifies_all(read, *at)
    };
    let mut behind = leads
        .filter(counts)
        .filter_map(|(at, lead)| Some((head(read, clause, at)?, at, lead)))
        .filter(|(at, before, lead)| !is_explained(read, clause, meant, (*at, *before), *lead))
        .map(|(at, ..)| at);
    let joined = || (clause.from..clause.to).find(|at| is_joined(read, clause, meant, *at));
    let found = behind.next().or_else(joined);
    match meant.indexed.takes_machine && !names_own {
        true => found
            .or_else(|| unknown_object(read, clause, meant))
            .or_else(|| unknown_before(read, clause)),
        false => found,
    }
}

/// "On every server in the office": which of all.
fn qualifies_all(read: &Read<'_>, lead: usize) -> bool {
    let before = lead
        .checked_sub(1)
        .filter(|at| !read.tokens[*at].ends_part());
    before.is_some_and(|at| match read.senses[at] {
        Sense::Host(n) => {
            let first = read.tokens[read.mentions[n].name.0].folded.as_str();
            hosts::is_everything_word(first)
                || words::meaning(first, None).is_some_and(|meaning| meaning.name == "all")
        }
        _ => false,
    })
}

/// "On nas and the tv": what is joined to a host by itself is one.
fn is_joined(read: &Read<'_>, clause: &Clause, meant: &Meant<'_>, at: usize) -> bool {
    let mut before = (clause.from..at)
        .rev()
        .skip_while(|before| hosts::is_article(&read.tokens[*before].folded));
    let is_and = before.next().is_some_and(|and| read.is_mark(and, "and"));
    let is_host = before
        .next()
        .is_some_and(|host| matches!(read.senses[host], Sense::Host(_)));
    let ends =
        at + 1 >= read.tokens.len() || read.tokens[at].ends_part() || read.is_mark(at + 1, "and");
    let is_thing = match read.senses[at] {
        Sense::Known(meaning) => meaning.name == "spoken",
        sense => sense == Sense::Unknown && hosts::could_be_name(&read.tokens[at]),
    };
    is_and && is_host && ends && is_thing && !meant.filled.used.contains(&at)
}

/// "Update pluto and then reboot it", where no host is named: what "it" means may be a host that nobody knows.
fn unknown_before(read: &Read<'_>, clause: &Clause) -> Option<usize> {
    let refers = (clause.from..clause.to).any(|at| read.is_mark(at, "it"));
    if !refers || !read.mentions.is_empty() {
        return None;
    }
    (0..clause.from).find(|at| {
        let token = &read.tokens[*at];
        read.senses[*at] == Sense::Unknown
            && hosts::could_be_name(token)
            && !words::is_software(&token.folded)
            && words::mended(&token.folded).is_none()
    })
}

fn lead_of(read: &Read<'_>, at: usize) -> Option<Lead> {
    let token = &read.tokens[at];
    let is_grammar = token.is_word()
        && !token.ends_part()
        && matches!(read.kind(at), Some(Kind::Stop | Kind::Filler));
    if !is_grammar {
        return None;
    }
    let leads = [
        ("surely places", Lead::Place),
        ("sources", Lead::Source),
        ("perhaps places", Lead::Perhaps),
        ("for", Lead::For),
    ];
    let lead = leads
        .iter()
        .find(|(list, _)| words::is_in(list, &token.folded));
    let is_french_at = || token.written.eq_ignore_ascii_case("\u{e0}");
    let lead = lead.map(|(_, lead)| *lead);
    lead.or_else(|| is_french_at().then_some(Lead::Perhaps))
}

/// What a word of grammar leads to, in the same part of the sentence; nothing where it is a host, a time or a value of a form
/// of its own.
fn head(read: &Read<'_>, clause: &Clause, lead: usize) -> Option<usize> {
    for at in lead + 1..clause.to {
        let word = read.tokens[at].folded.as_str();
        match read.senses[at] {
            Sense::Host(_) | Sense::When | Sense::Data | Sense::Part => return None,
            Sense::Known(meaning) => match meaning.kind {
                Kind::Stop if lead_of(read, at).is_some() => return None,
                Kind::Stop if words::is_in("other leads", word) => return None,
                Kind::Mark if !matches!(meaning.name, "all" | "but" | "show" | "log") => {
                    return None;
                }
                // "On his laptop", "on only web".
                Kind::Stop => {}
                Kind::Mark if matches!(meaning.name, "all" | "but") => {}
                Kind::Filler if is_owner(word) => {}
                _ => return Some(at),
            },
            Sense::Unknown => return Some(at),
        }
        if read.tokens[at].ends_part() {
            return None;
        }
    }
    None
}

/// "On his laptop": whose it is, is not the name.
fn is_owner(word: &str) -> bool {
    words::is_in("owners", word)
}

/// Whether the word in the place of a host is something else: a value, what the entry itself speaks of, the one machine there
/// is, or what is no place ("on demand").
fn is_explained(
    read: &Read<'_>,
    clause: &Clause,
    meant: &Meant<'_>,
    (at, before): (usize, usize),
    lead: Lead,
) -> bool {
    let token = &read.tokens[at];
    let next = Some(at + 1).filter(|next| *next < clause.to && !token.ends_part());
    // "The second server".
    let is_which = next.is_some_and(|next| read.canonical[next] == "machine");
    let is_no_place = words::is_no_place(&token.folded) && !is_which;
    if meant.filled.used.contains(&at) || is_no_place {
        return true;
    }
    if lead == Lead::For && !is_which {
        let is_name = read.senses[at] == Sense::Unknown && hosts::could_be_name(token);
        return !is_name;
    }
    let Sense::Known(meaning) = read.senses[at] else {
        // "In order", "to nine": what could be no name is no host.
        return lead != Lead::Place && !hosts::could_be_name(token);
    };
    match (meaning.kind, lead) {
        _ if meaning.name == "machine" => is_any_machine(read, at, next),
        (Kind::Verb | Kind::Weak, Lead::Source | Lead::Perhaps | Lead::For) => true,
        (Kind::Noun, lead) => {
            let is_known = meant.indexed.vocabulary.contains(&read.canonical[at]);
            let gives = next.is_some_and(|next| meant.filled.used.contains(&next));
            // "To free memory", "of pending updates", and not "from disk".
            let goes_on = next.is_some_and(|next| read.kind(next) == Some(Kind::Noun));
            let is_of = words::is_in("of", &read.tokens[before].folded);
            let is_thing = match lead {
                Lead::Place => gives || is_known && !meaning.is_name && !meant.changes,
                Lead::Source => {
                    let mut cues = meant.indexed.cues.iter();
                    gives || cues.any(|cues| cues.contains(&read.canonical[at]))
                }
                Lead::Perhaps | Lead::For => is_known,
            };
            is_thing || lead == Lead::Perhaps && !meaning.is_name && (goes_on || is_of)
        }
        // "To finally get rid of it" goes on with an action, "to the family" does not.
        (Kind::Filler, Lead::Source | Lead::Perhaps) => {
            let is_thing =
                matches!(meaning.name, "spoken" | "light") || words::is_software(&token.folded);
            let mut rest = at + 1..clause.to.min(at + 3);
            !is_thing
                || words::is_in("to", &read.tokens[before].folded)
                    && rest.any(|at| matches!(read.kind(at), Some(Kind::Verb | Kind::Weak)))
        }
        _ => false,
    }
}

/// Whether a word means the machine as such, of which there may be only one.
pub(super) fn is_the_machine(read: &Read<'_>, at: usize) -> bool {
    read.canonical[at] == "machine" && is_any_machine(read, at, None)
}

/// "The server", and neither "the vm" nor "the server pluto".
fn is_any_machine(read: &Read<'_>, at: usize, next: Option<usize>) -> bool {
    let is_name = |at: usize| {
        let could_be = match read.senses.get(at) {
            Some(Sense::Known(meaning)) => meaning.name == "spoken" || meaning.is_name,
            sense => sense == Some(&Sense::Unknown),
        };
        could_be && !words::is_no_place(&read.tokens[at].folded)
    };
    // "Le serveur de sauvegarde", "the box under the desk".
    let is_of = |next: usize| {
        let is_lead = words::is_in("which machine", &read.tokens[next].folded);
        let head =
            (next + 1..read.tokens.len()).find(|at| !hosts::is_article(&read.tokens[*at].folded));
        is_lead && !read.tokens[next].ends_part() && head.is_some_and(is_name)
    };
    let goes_on = next.is_some_and(|next| is_name(next) || is_of(next));
    words::is_in("any machine", &read.tokens[at].folded) && !goes_on
}

/// "Reboot web", "update the kitchen": what stands where an entry takes a machine, and is none.
fn unknown_object(read: &Read<'_>, clause: &Clause, meant: &Meant<'_>) -> Option<usize> {
    let verb = *clause.verbs.first()?;
    let mut has_article = false;
    for at in verb + 1..clause.to {
        if read.tokens[at - 1].ends_part() || lead_of(read, at).is_some() {
            return None;
        }
        let word = read.tokens[at].folded.as_str();
        let is_other = meant.filled.used.contains(&at)
            || words::is_no_place(word)
            || meant.indexed.vocabulary.contains(&read.canonical[at]);
        let next = Some(at + 1).filter(|next| *next < clause.to && !read.tokens[at].ends_part());
        match read.senses[at] {
            Sense::Known(meaning) if meaning.name == "machine" => {
                return (!is_any_machine(read, at, next)).then_some(at);
            }
            // "Update the nas": no package is called with an article, unless it is said that it is one.
            Sense::Unknown if has_article && !words::is_software(word) => {
                let is_said = next.is_some_and(|next| read.kind(next) == Some(Kind::Noun));
                return (!is_said && hosts::could_be_name(&read.tokens[at])).then_some(at);
            }
            _ if is_other => return None,
            Sense::Known(meaning) => match meaning.kind {
                Kind::Stop => has_article |= hosts::is_article(word),
                Kind::Filler if meaning.name == "spoken" || has_article => return Some(at),
                _ => return None,
            },
            _ => return None,
        }
    }
    None
}
