//! The catalogue prepared for planning: for each entry the patterns of its examples and the words that belong to it, and an
//! index from words to entries, weighed as BM25F weighs words in fields (title, examples, description; Robertson and
//! Zaragoza, 2009). Made once per catalogue.

use std::collections::{HashMap, HashSet};

use super::{
    read::{self, Sense},
    sentence::{self, Shape, Token},
    text, value,
    words::{self, Kind},
};
use crate::catalogue::{Catalogue, Entry, Kind as Type};

/// Entries that are looked at closely.
const CANDIDATES: usize = 24;
const VERB_WEIGHT: f32 = 1.0;
const WEAK_WEIGHT: f32 = 0.35;
/// BM25F: weights of the fields, and how soon a repeated word tells no more.
const TITLE: f32 = 2.0;
const EXAMPLE: f32 = 1.5;
const DESCRIPTION: f32 = 0.4;
const SATURATION: f32 = 1.2;

/// A word of a pattern.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) canonical: String,
    pub(super) kind: Option<Kind>,
    pub(super) weight: f32,
}

/// An example or a title.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// Its words that say something, each once.
    pub(super) words: Vec<Wanted>,
    /// Positions of the parameters that it names.
    pub(super) holes: Vec<usize>,
    /// Whether it names the machine as the thing itself: "Reboot this machine".
    pub(super) is_of_host: bool,
    /// Whether it names the machine as the place: "Is it up on this machine?"
    pub(super) is_at_host: bool,
    /// Whether it is an example, not a title or an id.
    pub(super) is_example: bool,
    pub(super) text: String,
}

/// One entry prepared.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) id: String,
    pub(super) patterns: Vec<Pattern>,
    /// Words of title, examples and choices.
    pub(super) vocabulary: HashSet<String>,
    /// Choice of a parameter by its word: position of the parameter, position of the choice.
    pub(super) choices: HashMap<String, (usize, usize)>,
    /// For each parameter, the words that announce it.
    pub(super) cues: Vec<HashSet<String>>,
    pub(super) accepted: bool,
    /// What kind of thing each parameter names ("service", "package"), where its cues are nouns.
    pub(super) takes_machine: bool,
    /// Whether an example begins with the word for running something.
    pub(super) is_run: bool,
}

/// The catalogue prepared.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entries: Vec<Indexed>,
    /// Entry and what the word tells there.
    postings: HashMap<String, Vec<(usize, f32)>>,
    weights: HashMap<String, f32>,
    known: HashSet<String>,
}

impl Index {
    pub(super) fn new(catalogue: &Catalogue, is_here: impl Fn(&str) -> bool) -> Self {
        let mut index = Self::default();
        let mut counts: Vec<HashMap<String, f32>> = Vec::new();
        for entry in catalogue.entries().filter(|entry| entry.listed) {
            let (indexed, count) = prepared(entry, &is_here);
            index.entries.push(indexed);
            counts.push(count);
        }
        let all = index.entries.len() as f32;
        let mut with: HashMap<&str, f32> = HashMap::new();
        for entry in &index.entries {
            for word in &entry.vocabulary {
                *with.entry(word).or_default() += 1.0;
            }
        }
        index.weights = with
            .iter()
            .map(|(word, with)| ((*word).to_owned(), rarity(all, *with)))
            .collect();
        index.known = index.weights.keys().cloned().collect();
        for (at, count) in counts.into_iter().enumerate() {
            for (word, frequency) in count {
                let told = frequency / (SATURATION + frequency);
                index.postings.entry(word).or_default().push((at, told));
            }
        }
        let weights = &index.weights;
        for wanted in index
            .entries
            .iter_mut()
            .flat_map(|entry| &mut entry.patterns)
            .flat_map(|pattern| &mut pattern.words)
        {
            wanted.weight = match wanted.kind {
                Some(Kind::Verb) => VERB_WEIGHT,
                Some(Kind::Weak) => WEAK_WEIGHT,
                _ => weights.get(&wanted.canonical).copied().unwrap_or(1.0),
            };
        }
        index
    }

    /// How much a word tells; one that no entry knows tells most.
    pub(super) fn weight(&self, canonical: &str) -> f32 {
        self.weights.get(canonical).copied().unwrap_or(1.0)
    }

    /// An entry as it was prepared; nothing where it is not offered.
    pub(super) fn of(&self, id: &str) -> Option<&Indexed> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// Whether an entry knows the word.
    pub(super) fn knows(&self, canonical: &str) -> bool {
        self.known.contains(canonical)
    }

    /// The entries to which these words tell most, best first, with how much.
    pub(super) fn candidates<'w>(&self, words: impl Iterator<Item = &'w str>) -> Vec<(usize, f32)> {
        let words: HashSet<&str> = words.collect();
        let mut told = vec![0.0_f32; self.entries.len()];
        for word in words {
            let weight = self.weight(word);
            for (at, tells) in self.postings.get(word).into_iter().flatten() {
                told[*at] += weight * tells;
            }
        }
        let mut best: Vec<(usize, f32)> = told
            .into_iter()
            .enumerate()
            .filter(|(_, told)| *told > 0.0)
            .collect();
        let order = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        // What nobody has accepted yet crowds out nothing that is.
        let is_accepted = |(at, _): &(usize, f32)| self.entries[*at].accepted;
        let (mut accepted, mut others): (Vec<_>, Vec<_>) = best.drain(..).partition(is_accepted);
        for some in [&mut accepted, &mut others] {
            if some.len() > CANDIDATES {
                some.select_nth_unstable_by(CANDIDATES, order);
                some.truncate(CANDIDATES);
            }
        }
        accepted.append(&mut others);
        accepted.sort_by(order);
        accepted
    }
}

/// Inverse document frequency between 0.3 and 1.
fn rarity(all: f32, with: f32) -> f32 {
    let rarity = ((1.0 + all) / (0.5 + with)).ln() / ((1.0 + all) / 1.5).ln().max(0.4);
    rarity.clamp(0.3, 1.0)
}

fn prepared(entry: &Entry, is_here: &impl Fn(&str) -> bool) -> (Indexed, HashMap<String, f32>) {
    let id = entry.id.to_string();
    let spelt = id.replace('_', " ");
    let texts = entry
        .examples
        .iter()
        .map(String::as_str)
        .chain([entry.title.as_str(), &spelt]);
    let mut cues: Vec<HashSet<String>> = entry.parameters.iter().map(own_names).collect();
    let mut counts: HashMap<String, f32> = HashMap::new();
    let mut vocabulary = HashSet::new();
    let mut patterns = Vec::new();
    for text in texts {
        // "Upgrade all packages": the entry knows what "all" means.
        if text::words(text).any(|word| canonical(word.written) == "all") {
            vocabulary.insert("all".to_owned());
        }
        // "Remove what Docker does not use": a title that denies something says no more without it.
        let denies =
            text == entry.title && text::words(text).any(|word| canonical(word.written) == "not");
        if denies {
            continue;
        }
        let Some(mut pattern) = pattern(text, entry, is_here, &mut cues) else {
            continue;
        };
        pattern.is_example = entry.examples.iter().any(|example| example == text);
        let field = if text == entry.title { TITLE } else { EXAMPLE };
        for wanted in &pattern.words {
            vocabulary.insert(wanted.canonical.clone());
            // Many examples say the same in other words; what counts is that they do.
            let told = counts.entry(wanted.canonical.clone()).or_default();
            *told = told.max(field);
        }
        patterns.push(pattern);
    }
    for own in entry.parameters.iter().flat_map(own_names) {
        counts.entry(own.clone()).or_insert(DESCRIPTION);
        vocabulary.insert(own);
    }
    let mut choices = HashMap::new();
    for (n, parameter) in entry.parameters.iter().enumerate() {
        for (m, choice) in parameter.choices.iter().enumerate() {
            if let Some(choice) = choice.as_str() {
                let word = canonical(choice);
                vocabulary.insert(word.clone());
                counts.entry(word.clone()).or_insert(EXAMPLE);
                choices.entry(word).or_insert((n, m));
            }
        }
    }
    for word in text::words(&entry.description) {
        let told = counts.entry(canonical(word.written)).or_default();
        *told += DESCRIPTION;
    }
    let takes_machine = patterns.iter().any(|pattern| pattern.is_of_host);
    let begins_with_run = |pattern: &Pattern| {
        let first = text::words(&pattern.text).next();
        // "Does it still run?" asks.
        first.is_some_and(|first| canonical(first.written) == "run")
            && !pattern.text.trim_end().ends_with('?')
    };
    let is_run = patterns.iter().any(begins_with_run);
    let indexed = Indexed {
        id,
        accepted: entry.accepted,
        patterns,
        vocabulary,
        choices,
        cues,
        takes_machine,
        is_run,
    };
    (indexed, counts)
}

/// The name that a word has in the index.
pub(super) fn canonical(word: &str) -> String {
    let folded = text::fold(word);
    words::meaning(&folded, None).map_or_else(
        || text::singular(&folded),
        |meaning| meaning.name.to_owned(),
    )
}

/// A parameter is announced by its own name; a text or a path by nothing so general.
fn own_names(parameter: &crate::catalogue::Parameter) -> HashSet<String> {
    let name = parameter.name.as_str();
    let is_general = matches!(name, "name" | "path" | "content" | "source" | "value");
    match is_general {
        true => HashSet::new(),
        false => HashSet::from([canonical(name), canonical(&name.replace('_', " "))]),
    }
}

/// The words of an example without those that name the machine: where is asked apart from what.
fn pattern(
    example: &str,
    entry: &Entry,
    is_here: &impl Fn(&str) -> bool,
    cues: &mut [HashSet<String>],
) -> Option<Pattern> {
    let tokens = sentence::tokens(example)?;
    let mut senses = vec![Sense::Unknown; tokens.len()];
    let holes: Vec<Option<usize>> = tokens.iter().map(|token| hole(token, entry)).collect();
    for (sense, hole) in senses.iter_mut().zip(&holes) {
        if hole.is_some() {
            *sense = Sense::Data;
        }
    }
    let (is_of_host, is_at_host) = take_hosts(&tokens, &mut senses, is_here);
    let language = read::language(&tokens);
    let canonical = read::understand(&tokens, &mut senses, language, |_| true, |_| false).canonical;
    let mut words: Vec<Wanted> = Vec::new();
    let mut before: Option<String> = None;
    let mut named = Vec::new();
    for (at, sense) in senses.iter().enumerate() {
        if let Some(parameter) = holes[at] {
            named.push(parameter);
            if let Some(cue) = &before {
                cues[parameter].insert(cue.clone());
            }
            // "... to {target}": the preposition tells it from {path}; "for {user}" leads to a name.
            if let Some(small) = at.checked_sub(1).filter(|before| tokens[*before].is_word()) {
                let sign = match entry.parameters[parameter].required {
                    true => '^',
                    false => '~',
                };
                cues[parameter].insert(format!("{sign}{}", tokens[small].folded));
            }
            before = None;
            continue;
        }
        let kind = match sense {
            Sense::Known(meaning)
                if matches!(meaning.kind, Kind::Verb | Kind::Weak | Kind::Noun) =>
            {
                Some(meaning.kind)
            }
            Sense::Unknown => None,
            _ => continue,
        };
        if kind == Some(Kind::Noun) || kind.is_none() {
            before = Some(canonical[at].clone());
        }
        if words.iter().all(|known| known.canonical != canonical[at]) {
            words.push(Wanted {
                canonical: canonical[at].clone(),
                kind,
                weight: 1.0,
            });
        }
    }
    named.dedup();
    (!words.is_empty()).then(|| Pattern {
        words,
        holes: named,
        is_of_host,
        is_at_host,
        is_example: false,
        text: example.to_owned(),
    })
}

fn hole(token: &Token<'_>, entry: &Entry) -> Option<usize> {
    let name = token
        .written
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))?;
    entry
        .parameters
        .iter()
        .position(|p| p.name.as_str() == name)
}

/// Takes the words for "this machine" out of an example; whether it is the thing itself, and whether it is the place.
fn take_hosts(
    tokens: &[Token<'_>],
    senses: &mut [Sense],
    is_here: &impl Fn(&str) -> bool,
) -> (bool, bool) {
    let (mut is_of_host, mut is_at_host) = (false, false);
    let mut at = 0;
    while at < tokens.len() {
        let longest = 3.min(tokens.len() - at);
        let named = (1..=longest).rev().find(|len| {
            let here = &tokens[at..at + len];
            let phrase: Vec<&str> = here.iter().map(|token| token.folded.as_str()).collect();
            here.iter().all(|token| token.shape == Shape::Word) && is_here(&phrase.join(" "))
        });
        // "the machine" as well, where no preposition makes a place of it.
        let named = named.or_else(|| {
            let is_bare = tokens[at].is_word() && super::hosts::is_machine(&tokens[at].folded);
            let before = at
                .checked_sub(1)
                .map_or("", |before| tokens[before].folded.as_str());
            (is_bare && super::hosts::leads_to_machine(before)).then_some(1)
        });
        let Some(len) = named else {
            at += 1;
            continue;
        };
        senses[at..at + len].fill(Sense::Host(0));
        let lead = (0..at)
            .rev()
            .find(|before| !super::hosts::is_article(&tokens[*before].folded));
        let is_place =
            lead.is_some_and(|before| super::hosts::is_preposition(&tokens[before].folded));
        is_of_host |= !is_place;
        is_at_host |= is_place;
        at += len;
    }
    (is_of_host, is_at_host)
}

/// Whether the parameter takes the five fields of cron.
pub(super) fn takes_schedule(parameter: &crate::catalogue::Parameter) -> bool {
    parameter.kind == Type::Str
        && value::of(parameter, "5 4 * * 1-5").is_some()
        && value::of(parameter, "some words").is_none()
}
