//! Finding hosts in a sentence: names, nicknames, groups and addresses of the inventory, "all of them", and those that are
//! left out. What stands where a host would stand without being one is left to the matching.

use std::collections::BTreeSet;

use chiffon_common::HostName;

use super::{
    sentence::{Shape, Token},
    words::{self, Kind, Language},
};
use crate::inventory::Inventory;

/// Words between a host and what happens to it.
const PREPOSITIONS: &str = " on auf sur at to onto of von from vom in im dans for fur pour du de des d' chez aus unter zu zum aufs within inside ";
const ARTICLES: &str = " the der die das dem den le la les l' my mein meinem meinen meine mon ma mes our unser unserem just only nur \
    ce cette diesem both deux seulement ";
const JOINERS: &str = " and und et or oder ou plus sowie & ";
/// Whoever comes after is left out.
const EXCEPT: &str = " except excluding ausser ausgenommen sauf excepte but not nicht pas minus without ohne sans leave spare skip skipping hormis save bar barring ";
const SMALL: &str = " for but aber mais sondern et und and jedoch nur everything anything ";

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
    /// Whether it names exactly one host, in one word, by itself.
    pub(super) is_word: bool,
}

fn is_in(list: &str, word: &str) -> bool {
    let mut words = list.split(' ');
    !word.is_empty() && words.any(|known| known == word)
}

pub(super) fn is_preposition(word: &str) -> bool {
    is_in(" on auf sur at onto from von vom to of ", word)
}

/// Whether whoever comes after the word is left out.
pub(super) fn is_except(word: &str) -> bool {
    is_in(EXCEPT, word)
}

pub(super) fn is_article(word: &str) -> bool {
    is_in(ARTICLES, word)
}

/// Whether the word before a word for a machine says that it is a machine of this fleet.
pub(super) fn leads_to_machine(word: &str) -> bool {
    is_article(word)
        || is_in(
            " whole entire ganze ganzen komplette gesamte gesamten ",
            word,
        )
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
            if !mention.is_excluded && joins(tokens, last.to, mention.from) {
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
        Some(&"here") => matches!(words.get(1), Some(&"is" | &"are")),
        Some(&"hier") => language == Some(Language::French) || words.get(1) == Some(&"steht"),
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
    everything(&words).map(|len| {
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
    let is_led = is_in(" on auf sur onto from von vom ", &before.folded)
        || is_article(&before.folded)
        || before.folded == "teh";
    let is_plain = token.shape == Shape::Word
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
        let mut all = ["everywhere", "uberall", "partout"].iter();
        all.any(|all| all == word || word.len() >= 7 && strsim::osa_distance(all, word) == 1)
    };
    if words.first().is_some_and(is_everywhere) {
        return Some(1);
    }
    // "The whole fleet", "la flotte".
    let begins = words
        .iter()
        .take_while(|word| leads_to_machine(word) || **word == "toute")
        .count();
    if begins > 0
        && matches!(
            words.get(begins),
            Some(&("fleet" | "flotte" | "park" | "parc"))
        )
    {
        return Some(begins + 1);
    }
    let is_all = |word: &str| {
        matches!(
            word,
            "all"
                | "every"
                | "each"
                | "alle"
                | "allen"
                | "tous"
                | "toutes"
                | "jedem"
                | "jeder"
                | "jeden"
                | "aller"
        )
    };
    words.first().filter(|word| is_all(word))?;
    let between = words[1..]
        .iter()
        .take_while(|word| is_article(word) || matches!(**word, "of" | "single"))
        .count();
    let noun = words.get(1 + between)?;
    let is_slip = || words::slip(noun).is_some_and(|meaning| meaning.name == "machine");
    (is_machine(noun) || is_slip()).then_some(between + 2)
}

/// Whether the word means all there is.
pub(super) fn is_everything_word(word: &str) -> bool {
    is_in(
        " everything everywhere everybody everyone alles uberall tout partout ",
        word,
    )
}

/// Whether the word asks which of all hosts.
pub(super) fn asks_who(word: &str) -> bool {
    is_in(
        " who who's whos anyone anybody everyone everybody wer qui ",
        word,
    )
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
        && (is_machine(&next.folded) || matches!(next.folded.as_str(), "group" | "gruppe"))
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
    let mut from = mention.from;
    let mut taken = mention.from;
    let mut has_preposition = false;
    while from > least {
        let before = word(from - 1);
        // "Bevor du nas neu startest" speaks to somebody.
        let is_you = before == "du" && language == Some(Language::German);
        if is_in(PREPOSITIONS, before) && !is_you && !has_preposition {
            has_preposition = true;
            mention.is_place = true;
            taken = from - 1;
        } else if is_all(before)
            || has_preposition && is_in(" everything anything alles tout ", before)
        {
            taken = from - 1;
            // "Reboot everything in the homelab" is said of the machines.
            mention.is_place &= !has_preposition;
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
    let phrase = (before(2), before(1));
    let two = matches!(
        phrase,
        ("apart", "from")
            | ("other", "than")
            | ("bis", "auf")
            | ("a", "part")
            | ("except", "for")
            | ("but", "not")
            | ("but", "for")
            | ("aber", "nicht")
            | ("mais", "pas")
            | ("nur", "nicht")
    ) || (before(1) == "apart" || before(1) == "bis" || before(1) == "part");
    let one = is_in(EXCEPT, before(1));
    if !two && !one {
        return None;
    }
    // "Upgrade not everything on pi" leaves out something else.
    if !two
        && matches!(before(1), "not" | "nicht" | "pas")
        && (is_everything_word(word(from)) || is_machine_all(word(from)))
    {
        return None;
    }
    // "not web1 but web2" does not leave out web2; "everything but web2" and "every server but web2" do. What stands before
    // may be the end of the mention before.
    if before(1) == "but" {
        let whom = from.checked_sub(2).map_or("", |at| word(at));
        let is_several = is_everything_word(whom)
            || is_machine(whom)
            || matches!(whom, "all" | "anything" | "group" | "ones");
        if !is_several {
            return None;
        }
    }
    let mut start = from - 1;
    while start > least
        && (is_in(EXCEPT, word(start - 1))
            || is_in(SMALL, word(start - 1))
            || matches!(
                (word(start - 1), word(start)),
                ("apart", "from") | ("other", "than") | ("a", "part")
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
    let joined = between.iter().any(|token| is_in(JOINERS, &token.folded));
    (after_comma || joined)
        && between
            .iter()
            .all(|token| is_in(JOINERS, &token.folded) || is_article(&token.folded))
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
