//! What in a sentence that changes something is out of place: hosts in two places of one request or behind a word that leads to
//! something else, signs that are no punctuation, and ordinary words that would be names. Words are left to `ledger`.

use super::{
    clause::Clause,
    hosts::{self, Mention},
    ledger::{Entered, Left, is_lead},
    read::{Read, Sense},
    remark::Remark,
    words::{self, Kind, Language},
};

/// Signs that say nothing.
const USUAL: &str =
    ",.;:!?()'\"`\u{2026}\u{ab}\u{bb}\u{201c}\u{201d}\u{201e}\u{2018}\u{2019}\u{a1}\u{bf}";
const DASHES: &str = "-\u{2013}\u{2014}";

pub(super) fn left_over(
    read: &Read<'_>,
    entered: &[Entered<'_>],
    is_answered: bool,
) -> Option<Left> {
    let host = || entered.iter().find_map(|entry| host(read, entry));
    let name = || {
        entered
            .iter()
            .find_map(|entry| name(read, entry, is_answered))
    };
    let sign = || sign(read, entered).then_some(Left::Sign);
    host().or_else(name).or_else(sign)
}

fn host(read: &Read<'_>, entry: &Entered<'_>) -> Option<Left> {
    if !entry.changes {
        return None;
    }
    let clause = &entry.clause;
    let (mut asked, mut told): (Vec<usize>, Vec<usize>) = Default::default();
    for at in clause.from..clause.to {
        let Sense::Host(n) = read.senses[at] else {
            continue;
        };
        let list = match Remark::around(read, clause, at) {
            Some(remark) if !remark.is_only(n) => &mut told,
            _ => &mut asked,
        };
        if !list.contains(&n) {
            list.push(n);
        }
    }
    if let Some(other) = told_of_another(read, clause, &asked, &told) {
        return Some(Left::Host(read.mentions[other].name.0));
    }
    // "Nas hangs, reboot it".
    let named = if asked.is_empty() { told } else { asked };
    let mentions = || named.iter().map(|n| &read.mentions[*n]);
    let left = |mention: &Mention| Left::Host(mention.name.0);
    if let Some(twice) =
        mentions().find(|mention| mention.is_excluded && is_left_out_twice(read, mention))
    {
        return Some(left(twice));
    }
    let mut aimed = mentions().filter(|mention| !mention.is_excluded);
    let first = aimed.next()?;
    let is_led = |mention: &&Mention| {
        let lead = format!("~{}", read.tokens[mention.from].folded);
        let leads =
            |indexed: &super::index::Indexed| indexed.cues.iter().any(|cues| cues.contains(&lead));
        mention.is_place && entry.indexed.is_some_and(leads)
    };
    let apart = |mention: &&Mention| {
        let is_listed = mention.is_joined && !goes_on(read, mention, clause.to);
        !is_listed && mention.hosts != first.hosts
    };
    let led = mentions()
        .filter(|mention| !mention.is_excluded)
        .find(is_led);
    led.or_else(|| aimed.find(apart)).map(left)
}

/// A host that is only told of, and is not exactly where it is to be done: "reboot all hosts, nas stays up", "reboot nas, tower
/// too". What was told before of a host elsewhere is nothing to the request: "nas works again, reboot tower".
fn told_of_another(
    read: &Read<'_>,
    clause: &Clause,
    asked: &[usize],
    told: &[usize],
) -> Option<usize> {
    let first = *asked.first()?;
    let is_asked = |n: usize| {
        let hosts = &read.mentions[n].hosts;
        !read.mentions[n].is_excluded && asked.iter().any(|m| read.mentions[*m].hosts == *hosts)
    };
    let points = (clause.from..clause.to).any(|at| {
        let is_pointer = ["it", "also", "there"]
            .iter()
            .any(|name| read.is_mark(at, name));
        is_pointer && Remark::around(read, clause, at).is_none()
    });
    let is_elsewhere = |n: usize| {
        let hosts = &read.mentions[n].hosts;
        let mut targets = asked.iter().flat_map(|m| &read.mentions[*m].hosts);
        read.mentions[n].from < read.mentions[first].from
            && !points
            && !targets.any(|host| hosts.contains(host))
    };
    let mut told = told.iter().copied();
    told.find(|n| !asked.contains(n) && !is_asked(*n) && !is_elsewhere(*n))
}

/// "..., nas needs it": behind a comma, what goes on with a statement is no list.
pub(super) fn goes_on(read: &Read<'_>, mention: &Mention, to: usize) -> bool {
    let is_comma = mention.from > 0 && read.tokens[mention.from - 1].after == Some(',');
    let next = mention.to;
    if !is_comma || next >= to || read.tokens[next - 1].ends_part() {
        return false;
    }
    let word = read.tokens[next].folded.as_str();
    let is_list = words::is_neutral(word)
        || is_lead(word)
        || read.is_mark(next, "and")
        || read.kind(next) == Some(Kind::Verb)
        || matches!(
            read.senses[next],
            Sense::Part | Sense::When | Sense::Host(_)
        );
    !is_list
}

/// "Without but not on nas".
fn is_left_out_twice(read: &Read<'_>, mention: &Mention) -> bool {
    let words = read.tokens[mention.from..mention.name.0]
        .iter()
        .map(|token| token.folded.as_str());
    let count = words
        .filter(|word| hosts::is_except(word) && !words::is_in("but for", word))
        .count();
    count > 1
}

/// An ordinary word is a name where the place is named as well, and as a place: "stop talking", "Bob veut redémarrer nas".
fn name(read: &Read<'_>, entry: &Entered<'_>, is_answered: bool) -> Option<Left> {
    let plain = entry.plain.first().filter(|_| entry.changes)?;
    let is_object = |at: usize| {
        matches!(read.senses[at], Sense::Host(n) if !read.mentions[n].is_place && !read.mentions[n].is_excluded)
            && Remark::around(read, &entry.clause, at).is_none()
    };
    let names_place = is_answered || !read.mentions.is_empty();
    let has_object = (entry.clause.from..entry.clause.to).any(is_object);
    let ordinary = entry.plain.iter().find(|at| is_ordinary(read, **at));
    let left = ordinary.or(Some(plain).filter(|_| !names_place || has_object));
    left.map(|at| Left::Name(*at))
}

/// "Remove duplicates", "entferne Duplikate": several of a thing, and not what a program is called.
pub(super) fn is_ordinary(read: &Read<'_>, at: usize) -> bool {
    let token = &read.tokens[at];
    let (word, written) = (token.folded.as_str(), token.written);
    let is_german = read.language == Some(Language::German)
        && written.starts_with(char::is_uppercase)
        && !written.chars().skip(1).any(char::is_uppercase);
    let is_several = word.len() > 4 && word.ends_with('s') && !word.ends_with("ss")
        || is_german
            && ["e", "en", "er", "eln"]
                .iter()
                .any(|end| word.ends_with(end));
    token.is_word() && !words::is_software(word) && is_several
}

/// Whether a sign says something: "> reboot nas", "all - nas".
fn sign(read: &Read<'_>, entered: &[Entered<'_>]) -> bool {
    let tokens = &read.tokens;
    (0..=tokens.len()).any(|n| {
        let from = n.checked_sub(1).map_or(0, |before| tokens[before].end);
        let to = tokens.get(n).map_or(read.text.len(), |token| token.start);
        let Some(between) = read.text.get(from..to) else {
            return true;
        };
        let is_remark =
            |entry: &Entered<'_>, at: usize| Remark::around(read, &entry.clause, at).is_some();
        let is_border = || {
            n > 0
                && entered.iter().any(|entry| {
                    let own = entry.clause.from..entry.clause.to;
                    entry.clause.from == n
                        && entry.clause.verbs.iter().any(|verb| own.contains(verb))
                        || own.contains(&n) && is_remark(entry, n)
                        || own.contains(&(n - 1)) && is_remark(entry, n - 1)
                })
        };
        // "Nginx-Dienst".
        let is_hyphen = between == "-";
        !is_hyphen
            && !between.chars().all(|c| {
                c.is_whitespace() || USUAL.contains(c) || DASHES.contains(c) && is_border()
            })
    })
}
