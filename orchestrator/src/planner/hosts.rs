//! Finding hosts in a sentence: names, nicknames and groups of the inventory, and words that stand where a
//! host would stand but are none.

use std::collections::BTreeSet;

use chiffon_common::HostName;

use super::{
    index::Index,
    lexicon,
    sentence::{Shape, Token},
};
use crate::inventory::Inventory;

/// Comparing with every host of a large inventory would cost more than the hint is worth.
const MOST_COMPARED: usize = 500;

/// What a sentence says about where.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// The hosts it names, each once.
    pub(super) hosts: BTreeSet<HostName>,
    /// Which tokens named them, prepositions included: they say nothing about what.
    pub(super) spent: Vec<bool>,
    /// Which tokens stand where a host would stand, without being a known one.
    pub(super) host_like: Vec<bool>,
}

impl Mentions {
    /// Where it is to be done was asked and answered: what the sentence says about it counts no more.
    pub(super) fn answered(&mut self, hosts: &[HostName]) {
        if hosts.is_empty() {
            return;
        }
        self.hosts = hosts.iter().cloned().collect();
        for (spent, host_like) in self.spent.iter_mut().zip(&mut self.host_like) {
            *spent |= std::mem::take(host_like);
        }
    }
}

struct Mention {
    from: usize,
    to: usize,
    marked: bool,
    hosts: Vec<HostName>,
}

/// Where a sentence wants something done.
pub(super) fn mentions(tokens: &[Token<'_>], index: &Index, inventory: &Inventory) -> Mentions {
    let mut found = find(tokens, inventory);
    // "install docker on docker": where a preposition marks the host, an unmarked name is something else.
    if found.iter().any(|mention| mention.marked) {
        found.retain(|mention| mention.marked);
    }
    let mut mentions = Mentions {
        spent: vec![false; tokens.len()],
        host_like: vec![false; tokens.len()],
        ..Mentions::default()
    };
    for mention in found {
        mentions.hosts.extend(mention.hosts);
        mentions.spent[mention.from..mention.to].fill(true);
    }
    for at in 0..tokens.len() {
        mentions.host_like[at] = !mentions.spent[at]
            && (is_host_like(tokens, at)
                || is_misspelt(&tokens[at], inventory)
                || stands_for_host(tokens, at, index));
    }
    mentions
}

fn find(tokens: &[Token<'_>], inventory: &Inventory) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((len, hosts)) = longest(&tokens[at..], inventory) else {
            at += 1;
            continue;
        };
        let preposition = before(tokens, at);
        let joined = found
            .last()
            .is_some_and(|last| last.marked && joins(tokens, last.to, at));
        found.push(Mention {
            from: match (preposition, found.last()) {
                (Some(from), _) => from,
                (None, Some(last)) if joined => last.to,
                _ => at,
            },
            to: at + len,
            marked: preposition.is_some() || joined,
            hosts: hosts.to_vec(),
        });
        at += len;
    }
    found
}

/// The longest name that begins here.
fn longest<'i>(tokens: &[Token<'_>], inventory: &'i Inventory) -> Option<(usize, &'i [HostName])> {
    let is_word = |token: &&Token<'_>| token.shape == Shape::Word;
    let most = tokens
        .iter()
        .take(inventory.longest_name())
        .take_while(is_word)
        .count();
    (1..=most).rev().find_map(|len| {
        let words: Vec<&str> = tokens[..len]
            .iter()
            .map(|token| token.folded.as_str())
            .collect();
        let phrase = words.join(" ");
        let hosts = inventory
            .meant(&phrase)
            .or_else(|| inventory.meant(phrase.strip_suffix("'s")?))?;
        Some((len, hosts))
    })
}

/// Where the preposition stands that belongs to the token here, across articles.
pub(super) fn before(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut from = at;
    while from > 0 && tokens[from - 1].shape == Shape::Word {
        from -= 1;
        let word = tokens[from].folded.as_str();
        if lexicon::is_host_preposition(word) {
            return Some(from);
        }
        if !lexicon::is_article(word) {
            return None;
        }
    }
    None
}

/// Whether what stands between two names only joins them: a comma, "and", an article.
fn joins(tokens: &[Token<'_>], from: usize, to: usize) -> bool {
    let between = &tokens[from..to];
    let after_comma = from > 0 && tokens[from - 1].comma;
    let joined = between
        .iter()
        .any(|token| lexicon::is_joiner(&token.folded));
    let is_small =
        |token: &Token<'_>| lexicon::is_joiner(&token.folded) || lexicon::is_article(&token.folded);
    (after_comma || joined) && between.iter().all(is_small)
}

/// Whether the word is one slip away from the name of a host.
fn is_misspelt(token: &Token<'_>, inventory: &Inventory) -> bool {
    let word = token.folded.as_str();
    let is_name =
        token.shape == Shape::Word && lexicon::class(&token.canonical) == lexicon::Class::Content;
    is_name
        && word.len() >= 3
        && inventory.hosts().take(MOST_COMPARED).any(|host| {
            let name = host.name.as_str();
            name.len() >= 3
                && name.len().abs_diff(word.len()) <= 1
                && strsim::osa_distance(name, word) == 1
        })
}

/// Whether the word stands where an example names a host: "ping toaster", "is toaster up".
fn stands_for_host(tokens: &[Token<'_>], at: usize, index: &Index) -> bool {
    if !could_be_host(&tokens[at], index) {
        return false;
    }
    let matters = |token: &&Token<'_>| {
        token.shape != Shape::Word
            || lexicon::class(&token.canonical) != lexicon::Class::Stop
                && !could_be_host(token, index)
    };
    let before = tokens[..at].iter().rev().find(matters);
    let after = tokens[at + 1..].iter().find(matters);
    let is = |token: Option<&Token<'_>>, wanted: &Option<String>| match wanted {
        Some(wanted) => token.is_some_and(|token| token.canonical == *wanted),
        None => true,
    };
    let mut places = index.host_places.iter();
    places.any(|place| is(before, &place.before) && is(after, &place.after))
}

/// A word that no entry knows, that has no part in grammar, and that a host could be called.
fn could_be_host(token: &Token<'_>, index: &Index) -> bool {
    let word = token.folded.as_str();
    token.shape == Shape::Word
        && lexicon::class(&token.canonical) == lexicon::Class::Content
        && !index.knows(&token.canonical)
        && !lexicon::is_machine(&token.canonical)
        && !lexicon::is_change(&token.canonical)
        && !lexicon::is_elsewhen(word)
        && !lexicon::is_question(word)
        && !lexicon::is_negation(word)
        && !lexicon::is_pronoun(word)
        && !lexicon::begins_statement(word)
        && !lexicon::is_wish(word)
        && !lexicon::is_polite(word)
        && word.parse::<HostName>().is_ok()
}

/// Whether the word means a machine, and no preposition says that it is only the place.
pub(super) fn is_machine_itself(tokens: &[Token<'_>], at: usize) -> bool {
    let is_place = |token: &Token<'_>| lexicon::is_host_preposition(&token.folded);
    tokens[at].shape == Shape::Word
        && lexicon::is_machine(&tokens[at].canonical)
        && !tokens[at.saturating_sub(3)..at].iter().any(is_place)
}

fn is_host_like(tokens: &[Token<'_>], at: usize) -> bool {
    let token = &tokens[at];
    let is_last = tokens
        .get(at + 1)
        .is_none_or(|next| token.comma || lexicon::class(&next.canonical) == lexicon::Class::Stop);
    token.shape == Shape::Word
        && lexicon::class(&token.canonical) == lexicon::Class::Content
        && token.folded.parse::<HostName>().is_ok()
        && is_last
        && before(tokens, at).is_some()
}
