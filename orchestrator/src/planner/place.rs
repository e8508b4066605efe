//! Which hosts a clause names, and which of its words stand where a host would stand.

use std::collections::BTreeSet;

use chiffon_common::HostName;

use super::{
    clause::Clause,
    hosts,
    read::{Read, Sense},
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
    if names_some || !hosts::could_be_name(&read.tokens[at]) {
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
