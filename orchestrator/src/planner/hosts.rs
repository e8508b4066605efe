//! Finding hosts in a sentence: names, nicknames, groups and addresses of the inventory, "all of them", and those that are
//! left out. What stands where a host would stand without being one is left to the matching.

use std::collections::BTreeSet;

use chiffon_common::HostName;

use super::{
    sentence::{Shape, Token},
    words::{self, Kind, Language},
};
use crate::inventory::Inventory;

/// Hosts that a sentence names in one place.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    /// The tokens that say it, prepositions and "all" included.
    pub(super) from: usize,
    pub(super) to: usize,
    /// The tokens of the name itself.
    pub(super) name: (usize, usize),
    pub(super) hosts: BTreeSet<HostName>,
    /// Whether a preposition says that it is the place, not the thing itself.
    pub(super) is_place: bool,
    /// Whether it says where not.
    pub(super) is_excluded: bool,
    /// Whether it goes on with the one before it: "nas, tower and pi".
    pub(super) is_joined: bool,
    /// Whether everything there is meant: "everything on nas".
    pub(super) is_all_there: bool,
    /// Whether it is left out of all hosts: "all but nas".
    pub(super) is_out_of_all: bool,
    /// Whether it names exactly one host, in one word, by itself.
    pub(super) is_word: bool,
}

pub(super) fn is_preposition(word: &str) -> bool {
    words::is_in("prepositions of hosts", word)
}

/// Whether whoever comes after the word is left out.
pub(super) fn is_except(word: &str) -> bool {
    words::is_in("excepting", word)
}

pub(super) fn is_article(word: &str) -> bool {
    words::is_in("articles", word)
}

/// Whether the word before a word for a machine says that it is a machine of this fleet.
pub(super) fn leads_to_machine(word: &str) -> bool {
    is_article(word) || words::is_in("whole", word)
}

/// Where a sentence names hosts, in its order.
pub(super) fn mentions(
    tokens: &[Token<'_>],
    inventory: &Inventory,
    language: Option<Language>,
) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let least = found.last().map_or(0, |last| last.to);
        let known =
            longest(&tokens[at..], inventory, language).or_else(|| mistyped(tokens, at, inventory));
        let Some((len, hosts, is_exact)) = known else {
            at += 1;
            continue;
        };
        let mut mention = Mention {
            from: at,
            to: at + len,
            name: (at, at + len),
            is_word: len == 1 && hosts.len() == 1 && is_exact,
            hosts: hosts.iter().cloned().collect(),
            is_place: false,
            is_excluded: false,
            is_joined: false,
            is_all_there: false,
            is_out_of_all: false,
        };
        reach_out(&mut mention, tokens, least, language);
        at = mention.to;
        if let Some(last) = found.last_mut() {
            // "all hosts in the homelab" are those of the homelab.
            let is_within = last.to == mention.from && is_everything(last, inventory) && mention.is_place
                    // "Everywhere except on the webservers" are the others.
                    && !mention.is_excluded;
            if is_within {
                last.hosts = mention.hosts;
                last.to = mention.to;
                continue;
            }
            let is_behind = mention.is_excluded && mention.from == mention.name.0;
            if is_behind && joins(tokens, last.to, mention.from) {
                // "..., web1 and web2 excluded".
                exclude_list(&mut found, tokens, &mention);
            } else if !mention.is_excluded && joins(tokens, last.to, mention.from) {
                mention.is_joined = true;
                mention.is_excluded = last.is_excluded;
                mention.is_place |= last.is_place;
                mention.from = last.to;
            }
        }
        found.push(mention);
    }
    found
}

/// Leaves out as well what is joined to what is left out behind it, up to that of which it is a part.
fn exclude_list(found: &mut [Mention], tokens: &[Token<'_>], left: &Mention) {
    let mut next = left.from;
    for mention in found.iter_mut().rev() {
        let is_base =
            mention.hosts.len() > left.hosts.len() && left.hosts.is_subset(&mention.hosts);
        if is_base || mention.to != next && !joins(tokens, mention.to, next) {
            return;
        }
        mention.is_excluded = true;
        let is_listed = std::mem::replace(&mut mention.is_joined, false);
        next = mention.from;
        if !is_listed {
            return;
        }
    }
}

fn is_everything(mention: &Mention, inventory: &Inventory) -> bool {
    mention.hosts.len() == inventory.hosts().count() && !mention.is_excluded
}

/// The longest name that begins here: how many words, whom it means, and whether it is written exactly so.
fn longest(
    tokens: &[Token<'_>],
    inventory: &Inventory,
    language: Option<Language>,
) -> Option<(usize, Vec<HostName>, bool)> {
    let most = tokens
        .iter()
        .take(inventory.longest_name().max(4))
        .take_while(|token| token.shape == Shape::Word)
        .count();
    // Nothing is called across a comma.
    let inner = tokens[..most]
        .iter()
        .position(Token::ends_part)
        .map_or(most, |at| at + 1);
    let words: Vec<&str> = tokens[..inner]
        .iter()
        .map(|token| token.folded.as_str())
        .collect();
    // "Here is a file" and the French word for yesterday name no machine.
    let is_elsewhere = match words.first() {
        Some(first) if words::is_in("here", first) => {
            let is_told = words
                .get(1)
                .is_some_and(|next| words::is_in("is here", next));
            is_told || words::is_in("french yesterday", first) && language == Some(Language::French)
        }
        _ => false,
    };
    if is_elsewhere {
        return None;
    }
    for len in (1..=inner).rev() {
        let phrase = words[..len].join(" ");
        let exact = inventory
            .meant(&phrase)
            .or_else(|| inventory.meant(phrase.strip_suffix("'s")?));
        if let Some(hosts) = exact {
            return Some((len, hosts.to_vec(), true));
        }
        let is_spoken = |word: &&str| word.contains(|c: char| c.is_alphanumeric());
        if words[..len].iter().all(is_spoken)
            && let Some(hosts) = inventory.meant_loosely(&phrase)
        {
            return Some((len, hosts.to_vec(), false));
        }
    }
    // A group that is called "servers" is meant by "all servers".
    let is_named = |len: &usize| inventory.meant(words[len - 1]).is_some();
    everything(&words).filter(|len| !is_named(len)).map(|len| {
        let all = inventory.hosts().map(|host| host.name.clone()).collect();
        (len, all, false)
    })
}

/// A name with one slip of the keyboard, where a host stands: behind a preposition or an article, or before a word for a
/// machine. Nothing where two names are as near, or where the slip is in a number.
fn mistyped(
    tokens: &[Token<'_>],
    at: usize,
    inventory: &Inventory,
) -> Option<(usize, Vec<HostName>, bool)> {
    let token = &tokens[at];
    let before = at.checked_sub(1).map(|before| &tokens[before])?;
    let is_led = words::is_in("leads to a slip", &before.folded)
        || is_article(&before.folded)
        || words::is_in("slips of articles", &before.folded);
    let is_plain = token.shape == Shape::Word
        && token.folded.len() <= 253
        && !before.ends_part()
        && words::meaning(&token.folded, None).is_none()
        && !words::is_software(&token.folded);
    if !(is_led && is_plain) {
        return None;
    }
    // "The meida box" is a nickname of two words.
    let next = tokens
        .get(at + 1)
        .filter(|next| next.shape == Shape::Word && !token.ends_part() && is_machine(&next.folded));
    if let Some(next) = next
        && let Some(hosts) = inventory.meant_nearly(&format!("{} {}", token.folded, next.folded))
    {
        return Some((2, hosts.to_vec(), false));
    }
    let hosts = inventory.meant_nearly(&token.folded)?;
    Some((1, hosts.to_vec(), false))
}

/// "every single host", "everywhere", "alle meine Server".
fn everything(words: &[&str]) -> Option<usize> {
    let is_everywhere = |word: &&str| {
        let mut all = words::all_of("everywhere");
        all.any(|all| {
            all == *word || (7..20).contains(&word.len()) && strsim::osa_distance(all, word) == 1
        })
    };
    if words.first().is_some_and(is_everywhere) {
        return Some(1);
    }
    // "The whole fleet", "la flotte".
    let begins = words
        .iter()
        .take_while(|word| leads_to_machine(word) || words::is_in("whole", word))
        .count();
    if begins > 0
        && words
            .get(begins)
            .is_some_and(|word| words::is_in("fleet", word))
    {
        return Some(begins + 1);
    }
    let is_all = |word: &str| words::is_in("every", word);
    words.first().filter(|word| is_all(word))?;
    let between = words[1..]
        .iter()
        .take_while(|word| is_article(word) || words::is_in("between all and machine", word))
        .count();
    let noun = words.get(1 + between)?;
    let is_slip = || words::slip(noun).is_some_and(|meaning| meaning.name == "machine");
    (is_machine(noun) || is_slip()).then_some(between + 2)
}

/// Whether the word means all there is.
pub(super) fn is_everything_word(word: &str) -> bool {
    words::is_in("everything", word)
}

/// Whether the word asks which of all hosts.
pub(super) fn asks_who(word: &str) -> bool {
    words::is_in("who", word)
}

pub(crate) fn is_machine(word: &str) -> bool {
    words::meaning(word, None).is_some_and(|meaning| meaning.name == "machine")
}

/// Takes in what belongs to a name: "all", articles, the preposition, "except" on the left; "hosts" on the right.
fn reach_out(
    mention: &mut Mention,
    tokens: &[Token<'_>],
    least: usize,
    language: Option<Language>,
) {
    if let Some(next) = tokens.get(mention.to)
        && !tokens[mention.to - 1].ends_part()
        && next.shape == Shape::Word
        && (is_machine(&next.folded) || words::is_in("group of hosts", &next.folded))
    {
        mention.to += 1;
        mention.is_word = false;
    }
    let word = |at: usize| match tokens.get(at) {
        Some(token) if token.shape == Shape::Word && !token.ends_part() => token.folded.as_str(),
        _ => "",
    };
    let is_all =
        |word: &str| words::meaning(word, language).is_some_and(|meaning| meaning.name == "all");
    // "Restart everything on nas" is not said of the machine, "... in the homelab" is.
    let is_several = mention.hosts.len() > 1;
    let mut from = mention.from;
    let mut taken = mention.from;
    let mut has_preposition = false;
    while from > least {
        let before = word(from - 1);
        // "Bevor du nas neu startest" speaks to somebody.
        let is_you = words::is_in("german you", before) && language == Some(Language::German);
        if words::is_in("place prepositions", before) && !is_you && !has_preposition {
            has_preposition = true;
            mention.is_place = true;
            taken = from - 1;
        } else if is_all(before) || has_preposition && words::is_in("everything there", before) {
            mention.is_all_there |= !is_several && !words::is_in("whole", before);
            taken = from - 1;
            // "Reboot everything in the homelab" is said of the machines.
            mention.is_place &= !has_preposition;
            // "On all of web".
            has_preposition = false;
        } else if is_machine(before)
            && from > least + 1
            && (is_all(word(from - 2)) || is_article(word(from - 2)))
        {
            // "the host nas", "die Maschine tower", "all hosts in".
            taken = from - 1;
        } else if !is_article(before) {
            break;
        }
        from -= 1;
    }
    // "the server web1" without a preposition, "le serveur web1".
    if taken == mention.from && from > least && is_machine(word(from - 1)) {
        taken = from - 1;
        from -= 1;
    }
    mention.from = taken;
    if let Some(start) = excluded(&word, from, least) {
        mention.is_excluded = true;
        mention.from = start;
        take_all(mention, &word, least);
    } else if let Some(next) = tokens.get(mention.to)
        && !tokens[mention.to - 1].ends_part()
        && words::is_in("excepted", &next.folded)
        && (next.ends_part() || mention.to + 1 == tokens.len())
    {
        // "..., web2 ausgenommen".
        mention.to += 1;
        mention.is_excluded = true;
    }
}

/// "All but nas", "on everyone except nas": of which it is left out stands before it.
fn take_all<'t>(mention: &mut Mention, word: &impl Fn(usize) -> &'t str, least: usize) {
    let before = |at: usize| at.checked_sub(1).filter(|at| *at >= least);
    let Some(all) = before(mention.from) else {
        return;
    };
    // "All, but not on nas" may be all of something else.
    let lead = mention.name.0.checked_sub(1).map_or("", |at| word(at));
    let is_all =
        is_everything_word(word(all)) || is_machine_all(word(all)) && !words::is_in("on", lead);
    let leaves = !words::is_in("not", word(mention.from));
    if !is_all || !leaves {
        return;
    }
    mention.is_out_of_all = true;
    mention.from = all;
    if let Some(lead) = before(all).filter(|at| words::is_in("prepositions of hosts", word(*at))) {
        mention.from = lead;
        mention.is_place = true;
    }
}

/// Where the words begin that leave out what follows.
fn excluded<'t>(word: &impl Fn(usize) -> &'t str, from: usize, least: usize) -> Option<usize> {
    let before = |n: usize| {
        if from >= least + n {
            word(from - n)
        } else {
            ""
        }
    };
    let two = words::is_in("leaving out", &format!("{} {}", before(2), before(1)))
        || words::is_in("leaving out", before(1));
    let is_exception = words::is_in("exception", before(1));
    let two = two || is_exception;
    let one = words::is_in("excepting", before(1));
    if !two && !one {
        return None;
    }
    // "Upgrade not everything on pi" leaves out something else.
    if !two
        && words::is_in("not", before(1))
        && (is_everything_word(word(from)) || is_machine_all(word(from)))
    {
        return None;
    }
    // "not web1 but web2" does not leave out web2; "everything but web2" and "every server but web2" do. What stands before
    // may be the end of the mention before.
    if words::is_in("but", before(1)) {
        let whom = from.checked_sub(2).map_or("", |at| word(at));
        let is_several =
            is_everything_word(whom) || is_machine(whom) || words::is_in("several", whom);
        if !is_several {
            return None;
        }
    }
    let mut start = from - 1;
    while start > least
        && (is_exception && words::is_in("before exception", word(start - 1))
            || words::is_in("excepting", word(start - 1))
            || words::is_in("before excepting", word(start - 1))
            || words::is_in(
                "leaving apart",
                &format!("{} {}", word(start - 1), word(start)),
            ))
    {
        start -= 1;
    }
    Some(start)
}

fn is_machine_all(word: &str) -> bool {
    words::meaning(word, None).is_some_and(|meaning| meaning.name == "all")
}

/// Whether what stands between two names only joins them: a comma, "and", an article.
fn joins(tokens: &[Token<'_>], from: usize, to: usize) -> bool {
    let between = &tokens[from..to];
    let after_comma = from > 0 && tokens[from - 1].after == Some(',');
    let joined = between
        .iter()
        .any(|token| words::is_in("joiners", &token.folded));
    // "On web, only web1" is no longer list.
    (after_comma || joined)
        && !between
            .iter()
            .any(|token| words::is_in("just", &token.folded))
        && between
            .iter()
            .all(|token| words::is_in("joiners", &token.folded) || is_article(&token.folded))
        && between.len() <= 3
}

/// Whether a word could be the name of a host that nobody knows.
pub(super) fn could_be_name(token: &Token<'_>) -> bool {
    let has_letter_or_dot = token
        .folded
        .contains(|c: char| c.is_ascii_alphabetic() || c == '.');
    token.shape == Shape::Word
        && has_letter_or_dot
        && token.folded.parse::<HostName>().is_ok()
        && words::meaning(&token.folded, None)
            .is_none_or(|meaning| matches!(meaning.kind, Kind::Noun))
}
