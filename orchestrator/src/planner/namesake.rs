//! Hosts that are called like what runs on them, or like what is done: "docker", "backup". Beside another place, behind an action
//! that no machine is given, or beside a word for such a thing, the word says what it says everywhere else.

use super::{
    hosts::{self, Mention},
    sentence::Token,
    words::{self, Kind},
};

/// Actions that are done to what runs on a machine and never to the machine.
const OF_THINGS: [&str; 5] = ["install", "remove", "stop", "deploy", "prune"];
/// Words for what runs on a machine.
const THINGS: [&str; 3] = ["service", "package", "stack"];

/// Takes the mentions away that name no host where they stand.
pub(super) fn give_way(tokens: &[Token<'_>], mentions: &mut Vec<Mention>) {
    let mut gives_way = things(tokens, mentions).into_iter();
    mentions.retain(|_| !gives_way.next().unwrap_or_default());
}

/// Which of the mentions name things.
fn things(tokens: &[Token<'_>], mentions: &[Mention]) -> Vec<bool> {
    let mut are_things = vec![false; mentions.len()];
    let mut first = 0;
    while first < mentions.len() {
        // What is joined is one list, and is all the one or all the other.
        let joined = mentions[first + 1..]
            .iter()
            .take_while(|mention| mention.is_joined);
        let end = first + 1 + joined.count();
        let list = &mentions[first..end];
        let is_thing =
            list.iter().all(|mention| is_bare(tokens, mention)) && is_thing(tokens, mentions, list);
        are_things[first..end].fill(is_thing);
        first = end;
    }
    are_things
}

/// Whether it could as well be something else: by its name, and with nothing that makes a machine of it.
fn is_bare(tokens: &[Token<'_>], mention: &Mention) -> bool {
    let (from, to) = mention.name;
    let said = said(tokens, (from, to));
    let is_known = words::is_software(&said)
        || is_action(tokens, (from, to))
        || words::meaning(&said, None).is_some_and(|meaning| {
            meaning.kind == Kind::Noun && !matches!(meaning.name, "machine" | "group")
        });
    is_known
        && mention.to == to
        && !mention.is_excluded
        && !mention.is_all_there
        && (!mention.is_place || is_led_from(tokens, mention))
}

fn said(tokens: &[Token<'_>], (from, to): (usize, usize)) -> String {
    let words: Vec<&str> = tokens[from..to]
        .iter()
        .map(|token| token.folded.as_str())
        .collect();
    words.join(" ")
}

/// Whether the words are those of an action.
fn is_action(tokens: &[Token<'_>], (from, to): (usize, usize)) -> bool {
    let parts: Vec<&str> = tokens[from..to]
        .iter()
        .map(|token| token.folded.as_str())
        .collect();
    let mut phrases = words::phrases(parts[0]).iter();
    words::meaning(&parts.join(" "), None).is_some_and(|meaning| meaning.kind == Kind::Verb)
        || phrases.any(|phrase| phrase.meaning.kind == Kind::Verb && phrase.parts[0] == parts)
}

/// "From the backup": what a thing is taken from is no place yet.
fn is_led_from(tokens: &[Token<'_>], mention: &Mention) -> bool {
    !words::is_in("surely places", &tokens[mention.from].folded)
        && words::is_in("takes from", &tokens[mention.from].folded)
}

fn is_thing(tokens: &[Token<'_>], all: &[Mention], list: &[Mention]) -> bool {
    let (from, to) = (list[0].from, list[list.len() - 1].to);
    // "Jellyfin on jellyfin" is left to a person.
    let is_place = |place: &Mention| {
        let mut own = list.iter();
        own.all(|mention| mention.hosts.is_disjoint(&place.hosts))
            && is_place_of(tokens, place, (from, to))
    };
    begins_as_action(tokens, &list[0])
        || all.iter().any(is_place)
        || is_means(tokens, from)
        || list[0].from == list[0].name.0 && is_object_of_thing(tokens, from)
        || is_called_thing(tokens, (list[0].name.0, to))
}

/// "Update web", "back up /etc": what a part begins with, and goes on behind, is what is to be done.
fn begins_as_action(tokens: &[Token<'_>], mention: &Mention) -> bool {
    let (from, to) = mention.name;
    let is_polite = |at: usize| {
        let word = &tokens[at].folded;
        words::is_neutral(word) || words::is_in("polite verbs", word)
    };
    let is_first = (0..from).all(is_polite) || tokens[from - 1].ends_part();
    let goes_on = to < tokens.len() && !tokens[to - 1].ends_part();
    mention.from == from && is_action(tokens, (from, to)) && is_first && goes_on
}

/// Whether this is where the thing is: "on nas", in the same part as the thing, or before it.
fn is_place_of(tokens: &[Token<'_>], place: &Mention, (from, to): (usize, usize)) -> bool {
    let is_on = place.is_place && !place.is_joined && {
        let lead = &tokens[place.from].folded;
        words::is_in("surely places", lead) || words::is_in("sources", lead)
    };
    let parts = |at: usize| {
        words::meaning(&tokens[at].folded, None).is_some_and(|meaning| {
            meaning.kind == Kind::Mark
                && matches!(
                    meaning.name,
                    "and" | "then" | "before" | "after" | "but" | "or"
                )
        })
    };
    if !is_on {
        return false;
    }
    if place.from >= to {
        !(to..place.from).any(parts) && !(to - 1..place.from).any(|at| tokens[at].ends_part())
    } else {
        place.to <= from
            && !(place.to..from).any(parts)
            && !(place.to - 1..from).any(|at| tokens[at].ends_sentence())
    }
}

/// "Install grafana", "stop jellyfin": right behind an action that no machine is given.
fn is_object_of_thing(tokens: &[Token<'_>], from: usize) -> bool {
    let before = (0..from)
        .rev()
        .find(|at| !hosts::is_article(&tokens[*at].folded));
    before.is_some_and(|at| {
        !tokens[at].ends_part()
            && words::meaning(&tokens[at].folded, None)
                .is_some_and(|meaning| OF_THINGS.contains(&meaning.name))
    })
}

/// "Deploy kuma with docker": by which means, and not where.
fn is_means(tokens: &[Token<'_>], from: usize) -> bool {
    let before = from.checked_sub(1).map(|before| &tokens[before]);
    before.is_some_and(|before| !before.ends_part() && words::is_in("means", &before.folded))
}

/// "The jellyfin service", "the service jellyfin".
fn is_called_thing(tokens: &[Token<'_>], (from, to): (usize, usize)) -> bool {
    let is_thing = |at: usize| {
        tokens.get(at).is_some_and(|token| {
            words::meaning(&token.folded, None)
                .is_some_and(|meaning| THINGS.contains(&meaning.name))
        })
    };
    !tokens[to - 1].ends_part() && is_thing(to)
        || from > 0 && !tokens[from - 1].ends_part() && is_thing(from - 1)
}
