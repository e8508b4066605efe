//! The words that the planner knows: `playbooks/words/words.txt`, read once. A word or a phrase has one meaning, which is
//! found as it stands, by its plural, or by one slip of the keyboard. What a meaning is good for is left to the others.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use super::text::{self, fold};

#[cfg(not(test))]
const SOURCE: &str = include_str!("../../../playbooks/words/words.txt");
/// Shorter words are too near to others to be taken for a slip, except for two letters that changed places.
const SHORTEST_SLIP: usize = 5;
/// From here on a wrong letter makes no other word.
const LONG: usize = 7;
/// Longer words are data, and compared with nothing: what that takes grows with the square of the length.
const LONGEST_SLIP: usize = 64;

/// What part a word has in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An action.
    Verb,
    /// An action that stands for a better one.
    Weak,
    /// A thing or a state.
    Noun,
    /// Grammar and politeness.
    Stop,
    /// Why somebody asks.
    Filler,
    /// What the planner itself understands.
    Mark,
}

/// One meaning of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Meaning {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether something may be called so: "restart docker".
    pub(super) is_name: bool,
}

/// The languages that the list knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    German,
    French,
}

/// Words in a row, or several such rows with gaps between them.
#[derive(Debug)]
pub(super) struct Phrase {
    pub(super) parts: Vec<Vec<String>>,
    pub(super) meaning: Meaning,
}

#[derive(Debug, Default)]
struct Lists {
    /// Phrases of several words by their first one, longest first.
    phrases: HashMap<String, Vec<Phrase>>,
    singles: HashMap<String, Meaning>,
    /// A meaning that a word has only in one language.
    within: HashMap<String, (Language, Meaning)>,
    /// Words that tell the language.
    languages: HashMap<String, Vec<Language>>,
    /// Words by what is left of them without one letter.
    near: HashMap<String, Vec<String>>,
    /// Words and phrases that the planner looks for by the name of their list, beside what they mean.
    sets: HashMap<&'static str, HashSet<String>>,
}

/// What programs and their services are called.
const SOFTWARE: &str = "software names";
/// What stands where a place would stand and is none: "on demand".
const NO_PLACES: &str = "no places";
/// Words and phrases that change nothing of what a request asks for.
const NEUTRAL: &str = "neutral words";
/// Words and phrases that make a remark something else than a plain statement.
const HEDGES: &str = "hedge words";

static LISTS: LazyLock<Lists> = LazyLock::new(|| Lists::read(source()));

#[cfg(not(test))]
fn source() -> &'static str {
    SOURCE
}

/// The file as it is now, so that a word that is added needs no new build of the tests.
#[cfg(test)]
fn source() -> &'static str {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../playbooks/words/words.txt");
    std::fs::read_to_string(path).unwrap().leak()
}

impl Lists {
    fn read(source: &'static str) -> Self {
        let mut lists = Self::default();
        let mut section = None;
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            let phrases = match line.starts_with(' ') {
                true => line,
                false => {
                    let Some((head, rest)) = line.split_once(':') else {
                        continue;
                    };
                    section = Section::read(head.trim());
                    rest
                }
            };
            let phrases = phrases.split(',').map(str::trim);
            match section {
                Some(Section::Meaning(meaning, language)) => {
                    phrases.for_each(|phrase| lists.add(phrase, meaning, language));
                }
                Some(Section::Set(name)) => {
                    let phrases = phrases.filter(|phrase| !phrase.is_empty());
                    let set = lists.sets.entry(name).or_default();
                    set.extend(phrases.map(fold));
                }
                None => {}
            }
        }
        // What the list has no other meaning for is grammar.
        let small = Meaning {
            name: "small",
            kind: Kind::Stop,
            is_name: false,
        };
        let of = |name| lists.sets.get(name).into_iter().flatten().cloned();
        let neutral: Vec<String> = of(NEUTRAL).chain(of(HEDGES)).collect();
        for phrase in neutral {
            lists.add(&phrase, small, None);
        }
        for phrases in lists.phrases.values_mut() {
            phrases.sort_by_key(|phrase| {
                let words = phrase.parts.iter().map(Vec::len).sum::<usize>();
                (std::cmp::Reverse(words), phrase.parts.len())
            });
        }
        let known: Vec<String> = lists.singles.keys().cloned().collect();
        for word in known {
            if word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                for shorter in without_one(&word).chain([word.clone()]) {
                    lists.near.entry(shorter).or_default().push(word.clone());
                }
            }
        }
        lists
    }

    fn add(&mut self, phrase: &str, meaning: Meaning, language: Option<Language>) {
        let phrase = fold(phrase);
        let words = |part: &str| part.split_whitespace().map(str::to_owned).collect();
        let parts: Vec<Vec<String>> = phrase.split('*').map(words).collect();
        let Some(first) = parts.first().and_then(|part| part.first()).cloned() else {
            return;
        };
        if let ([only], Some(language)) = (&parts[..], language)
            && only.len() == 1
            && meaning.kind == Kind::Stop
        {
            self.languages
                .entry(first.clone())
                .or_default()
                .push(language);
        }
        match &parts[..] {
            [only] if only.len() == 1 => match (language, meaning.kind) {
                (Some(language), Kind::Mark) => {
                    self.within.insert(first, (language, meaning));
                }
                _ => {
                    self.singles.entry(first).or_insert(meaning);
                }
            },
            _ => {
                let phrases = self.phrases.entry(first).or_default();
                if phrases.iter().all(|known| known.parts != parts) {
                    phrases.push(Phrase { parts, meaning });
                }
            }
        }
    }
}

/// What a line of the list holds.
#[derive(Clone, Copy)]
enum Section {
    Meaning(Meaning, Option<Language>),
    Set(&'static str),
}

impl Section {
    /// `name.lang kind`, or `name list`, or the name of one of the lists that have their own.
    fn read(head: &'static str) -> Option<Self> {
        if [SOFTWARE, NO_PLACES, NEUTRAL, HEDGES].contains(&head) {
            return Some(Self::Set(head));
        }
        match head.strip_suffix(" list") {
            Some(name) => Some(Self::Set(name)),
            None => read_head(head).map(|(meaning, language)| Self::Meaning(meaning, language)),
        }
    }
}

/// `name.lang kind`.
fn read_head(head: &'static str) -> Option<(Meaning, Option<Language>)> {
    let (name, kind) = head.trim().split_once(' ')?;
    let (kind, of_kind) = kind.split_once('.').unwrap_or((kind, ""));
    let (name, of_name) = name.split_once('.').unwrap_or((name, ""));
    let kind = match kind {
        "verb" => Kind::Verb,
        "weak" => Kind::Weak,
        "noun" => Kind::Noun,
        "stop" => Kind::Stop,
        "filler" => Kind::Filler,
        "mark" => Kind::Mark,
        _ => return None,
    };
    let language = match [of_name, of_kind].concat().get(..2) {
        Some("en") => Some(Language::English),
        Some("de") => Some(Language::German),
        Some("fr") => Some(Language::French),
        _ => None,
    };
    let is_name = of_kind == "name";
    Some((
        Meaning {
            name,
            kind,
            is_name,
        },
        language,
    ))
}

fn without_one(word: &str) -> impl Iterator<Item = String> {
    (0..word.len()).map(|at| [&word[..at], &word[at + 1..]].concat())
}

/// Phrases of several words that begin with this one, longest first.
pub(super) fn phrases(first: &str) -> &'static [Phrase] {
    LISTS.phrases.get(first).map_or(&[], Vec::as_slice)
}

/// Whether a phrase of the list begins with these two words.
pub(super) fn begins_phrase(first: &str, second: &str) -> bool {
    let is_it = |phrase: &Phrase| {
        phrase
            .parts
            .first()
            .and_then(|part| part.get(1))
            .is_some_and(|word| word == second)
    };
    phrases(first).iter().any(is_it)
}

/// The meaning of a folded word, in this language.
pub(super) fn meaning(folded: &str, language: Option<Language>) -> Option<Meaning> {
    if let Some((of, meaning)) = LISTS.within.get(folded)
        && language.unwrap_or(Language::English) == *of
    {
        return Some(*meaning);
    }
    let known = LISTS.singles.get(folded);
    known
        .or_else(|| LISTS.singles.get(&text::singular(folded)))
        .copied()
}

/// Whether a folded word or phrase is in the list of this name.
pub(super) fn is_in(list: &str, folded: &str) -> bool {
    let set = LISTS.sets.get(list);
    debug_assert!(set.is_some(), "no list {list:?}");
    set.is_some_and(|set| set.contains(folded))
}

/// The words and phrases of a list.
pub(super) fn all_of(list: &str) -> impl Iterator<Item = &'static String> {
    LISTS.sets.get(list).into_iter().flatten()
}

/// Whether programs or their services are known by this folded name: `jellyfin`, `postgresql-16`, `nginx.service`.
pub(super) fn is_software(folded: &str) -> bool {
    let name = folded.strip_suffix(".service").unwrap_or(folded);
    let versioned = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-.@".contains(c));
    [name, versioned].iter().any(|name| is_in(SOFTWARE, name))
}

/// Whether a folded word that stands where a place would stand is none: "on demand".
pub(super) fn is_no_place(folded: &str) -> bool {
    is_in(NO_PLACES, folded)
}

/// Whether a folded word or phrase changes nothing of what a request asks for: "please", "now", "the".
pub(super) fn is_neutral(folded: &str) -> bool {
    is_in(NEUTRAL, folded)
}

/// Whether two letters of such a word changed places: "teh".
pub(super) fn is_nearly_neutral(folded: &str) -> bool {
    folded.len() >= 3 && all_of(NEUTRAL).any(|known| is_swapped(folded, known))
}

/// Whether a folded word or phrase makes a remark something else than a plain statement: "I think", "almost".
pub(super) fn is_hedge(folded: &str) -> bool {
    is_in(HEDGES, folded)
}

/// The one program that two letters which changed places make of a word, or a letter too many or too few.
pub(super) fn mended(folded: &str) -> Option<&'static str> {
    let is_plain = (SHORTEST_SLIP..=LONGEST_SLIP).contains(&folded.len())
        && folded.bytes().all(|b| b.is_ascii_lowercase());
    if !is_plain || is_software(folded) {
        return None;
    }
    let is_near = |known: &&String| {
        let (longer, shorter) = (known.len().max(folded.len()), known.len().min(folded.len()));
        known.as_bytes().first() == folded.as_bytes().first()
            && (is_swapped(known, folded) || longer == shorter + 1 && shorter > SHORTEST_SLIP)
            && strsim::osa_distance(known, folded) == 1
    };
    let mut near = all_of(SOFTWARE).filter(is_near);
    match (near.next(), near.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// The language that most of these words belong to; nothing where none does, or two alike.
pub(super) fn language<'w>(words: impl Iterator<Item = &'w str>) -> Option<Language> {
    let mut counts = [0_usize; 3];
    for of in words.filter_map(|word| LISTS.languages.get(word)) {
        for language in of {
            counts[*language as usize] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let mut best = [Language::English, Language::German, Language::French]
        .into_iter()
        .filter(|language| counts[*language as usize] == most);
    match (most, best.next(), best.next()) {
        (0, ..) | (_, _, Some(_)) => None,
        (_, best, None) => best,
    }
}

/// The known word that one slip made of this one: a letter too many, too few, wrong, or two that changed places. Nothing
/// where two different meanings are as near.
pub(super) fn slip(folded: &str) -> Option<Meaning> {
    if !(3..=LONGEST_SLIP).contains(&folded.len())
        || !folded.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        return None;
    }
    let mut found: Vec<Meaning> = Vec::new();
    let mut has_swapped = false;
    for shorter in without_one(folded).chain([folded.to_owned()]) {
        for word in LISTS.near.get(&shorter).into_iter().flatten() {
            if let Some(meaning) = LISTS.singles.get(word)
                && is_slip(folded, word, meaning)
                && !found.contains(meaning)
            {
                // Two letters that changed places come before a wrong one.
                let swapped = is_swapped(folded, word);
                if has_swapped && !swapped {
                    continue;
                }
                if swapped && !std::mem::replace(&mut has_swapped, true) {
                    found.clear();
                }
                found.push(*meaning);
            }
        }
    }
    match found[..] {
        [one] => Some(one),
        // An action is what people mistype most.
        _ => {
            let mut verbs = found.iter().filter(|meaning| meaning.kind == Kind::Verb);
            match (verbs.next(), verbs.next()) {
                (Some(one), None) => Some(*one),
                _ => None,
            }
        }
    }
}

/// A wrong letter makes too many words of grammar, and too many short things; an action is what people mistype most.
fn is_slip(said: &str, known: &str, meaning: &Meaning) -> bool {
    // What says nothing is not worth a guess: "pluto" is no "plutôt".
    if meaning.kind == Kind::Filler {
        return false;
    }
    let swapped = is_swapped(said, known);
    let is_verb = meaning.kind == Kind::Verb;
    if swapped {
        let is_common = is_verb || meaning.kind == Kind::Stop || said.len() >= SHORTEST_SLIP;
        return is_common && strsim::osa_distance(said, known) == 1;
    }
    let wrong_letter = match meaning.kind {
        Kind::Verb => true,
        Kind::Weak | Kind::Noun => said.len() >= LONG || is_vowel_for_vowel(said, known),
        Kind::Stop | Kind::Filler | Kind::Mark => false,
    };
    let shortest = SHORTEST_SLIP - usize::from(is_verb || meaning.is_name);
    (wrong_letter || said.len() != known.len())
        && said.as_bytes().first() == known.as_bytes().first()
        && said.len().max(known.len()) >= SHORTEST_SLIP
        && said.len().min(known.len()) >= shortest
        && strsim::osa_distance(said, known) == 1
}

fn is_swapped(said: &str, known: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<u8> = word.into();
        letters.sort_unstable();
        letters
    };
    said.len() == known.len() && sorted(said) == sorted(known)
}

fn is_vowel_for_vowel(said: &str, known: &str) -> bool {
    let differing = said.bytes().zip(known.bytes()).find(|(a, b)| a != b);
    let is_vowel = |byte: u8| b"aeiou".contains(&byte);
    differing.is_some_and(|(a, b)| is_vowel(a) && is_vowel(b))
}

/// Words that may be the name of something, sorted: things, rooms, programs.
#[cfg(test)]
pub(super) fn for_tests() -> Vec<&'static str> {
    let singles = LISTS.singles.iter().filter(|(word, meaning)| {
        let is_name = meaning.name == "spoken"
            || meaning.kind == Kind::Noun && !matches!(meaning.name, "machine" | "group");
        is_name && !is_no_place(word)
    });
    let mut words: Vec<&str> = singles.map(|(word, _)| word.as_str()).collect();
    words.extend(all_of(SOFTWARE).map(String::as_str));
    words.sort_unstable();
    words.dedup();
    words
}
