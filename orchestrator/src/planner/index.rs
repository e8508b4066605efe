//! The catalogue prepared for matching: patterns from examples and titles, the weight of each word, and
//! which entries a word leads to.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    lexicon::{self, Class},
    text,
};
use crate::catalogue::{Catalogue, Entry};

const STOP_WEIGHT: f32 = 0.06;
const GENERIC_WEIGHT: f32 = 0.2;
/// Entries that are looked at closely.
const CANDIDATES: usize = 16;
const MOST_CORRECTED: usize = 2_000;

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// A word in canonical form.
    Word { canonical: String, weight: f32 },
    /// A place for a parameter, by its position within the entry.
    Hole { parameter: usize },
}

/// An example or title.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) parts: Vec<Part>,
    pub(super) text: String,
    /// Where it names the machine without a preposition.
    host_place: Option<HostPlace>,
}

/// The words that matter around a place for a host, in canonical form; at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostPlace {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
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
}

/// The catalogue prepared.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entries: Vec<Indexed>,
    /// Where examples name a host.
    pub(super) host_places: BTreeSet<HostPlace>,
    postings: HashMap<String, Vec<usize>>,
    weights: HashMap<String, f32>,
}

impl Index {
    pub(super) fn new(catalogue: &Catalogue, is_here: impl Fn(&str) -> bool) -> Self {
        let mut index = Self::default();
        for entry in catalogue.entries().filter(|entry| entry.listed) {
            index.entries.push(Indexed::new(entry, &is_here));
        }
        let patterns = index.entries.iter().flat_map(|entry| &entry.patterns);
        index.host_places = patterns
            .filter_map(|pattern| pattern.host_place.clone())
            .collect();
        for (at, entry) in index.entries.iter().enumerate() {
            for word in &entry.vocabulary {
                index.postings.entry(word.clone()).or_default().push(at);
            }
        }
        let all = index.entries.len() as f32;
        let weigh =
            |(word, at): (&String, &Vec<usize>)| (word.clone(), rarity(all, at.len() as f32));
        index.weights = index.postings.iter().map(weigh).collect();
        for entry in &mut index.entries {
            for part in entry
                .patterns
                .iter_mut()
                .flat_map(|pattern| &mut pattern.parts)
            {
                if let Part::Word { canonical, weight } = part {
                    *weight = weight_of(canonical, &index.weights);
                }
            }
        }
        index
    }

    /// How much a word tells; one that no entry knows tells most.
    pub(super) fn weight(&self, canonical: &str) -> f32 {
        weight_of(canonical, &self.weights)
    }

    /// Whether any entry knows the word.
    pub(super) fn knows(&self, canonical: &str) -> bool {
        self.postings.contains_key(canonical)
    }

    /// The known word that one slip (a letter too many, too few, wrong, or swapped) made of this one.
    pub(super) fn one_slip_away(&self, canonical: &str) -> Option<&str> {
        // A large catalogue knows so many words that a chance neighbour is likely, and looking is slow.
        if self.postings.len() > MOST_CORRECTED {
            return None;
        }
        let near = self.postings.keys().filter(|word| {
            word.len() >= 5
                && word.len().abs_diff(canonical.len()) <= 1
                && strsim::osa_distance(word, canonical) == 1
        });
        near.min().map(String::as_str)
    }

    /// The entries that share most with these words, best first, with what they share.
    pub(super) fn candidates<'w>(&self, words: impl Iterator<Item = &'w str>) -> Vec<(usize, f32)> {
        let words: HashSet<&str> = words.collect();
        let mut shared: HashMap<usize, f32> = HashMap::new();
        for word in words {
            let weight = self.weight(word);
            for at in self.postings.get(word).into_iter().flatten() {
                *shared.entry(*at).or_default() += weight;
            }
        }
        let mut best: Vec<(usize, f32)> = shared.into_iter().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        best.truncate(CANDIDATES);
        best
    }
}

/// Inverse document frequency between 0 and 1.
fn rarity(all: f32, with: f32) -> f32 {
    ((1.0 + all) / (0.5 + with)).ln() / ((1.0 + all) / 1.5).ln().max(0.4)
}

fn weight_of(canonical: &str, weights: &HashMap<String, f32>) -> f32 {
    match lexicon::class(canonical) {
        Class::Stop => STOP_WEIGHT,
        Class::Generic => GENERIC_WEIGHT,
        Class::Content => weights
            .get(canonical)
            .copied()
            .unwrap_or(1.0)
            .clamp(0.3, 1.0),
    }
}

impl Indexed {
    fn new(entry: &Entry, is_here: &impl Fn(&str) -> bool) -> Self {
        let id = entry.id.to_string();
        let spelt = id.replace('_', " ");
        let texts = entry.examples.iter().chain([&entry.title, &spelt, &id]);
        let patterns: Vec<Pattern> = texts.map(|text| pattern(text, entry, is_here)).collect();
        let mut vocabulary: HashSet<String> = HashSet::new();
        for part in patterns.iter().flat_map(|pattern| &pattern.parts) {
            if let Part::Word { canonical, .. } = part {
                vocabulary.insert(canonical.clone());
            }
        }
        let mut choices = HashMap::new();
        for (n, parameter) in entry.parameters.iter().enumerate() {
            for (m, choice) in parameter.choices.iter().enumerate() {
                if let Some(choice) = choice.as_str() {
                    let word = lexicon::canonical(&text::fold(choice)).into_owned();
                    vocabulary.insert(word.clone());
                    choices.entry(word).or_insert((n, m));
                }
            }
        }
        Self {
            id,
            patterns,
            vocabulary,
            choices,
        }
    }
}

/// The words of an example without those that name the machine: where is asked apart from what.
fn pattern(example: &str, entry: &Entry, is_here: &impl Fn(&str) -> bool) -> Pattern {
    let words: Vec<text::Word<'_>> = text::words(example).collect();
    let mut parts = Vec::new();
    let mut host_at = None;
    let mut at = 0;
    while at < words.len() {
        let named = (1..=3usize.min(words.len() - at)).rev().find(|len| {
            let phrase: Vec<&str> = words[at..at + len]
                .iter()
                .map(|word| word.folded.as_str())
                .collect();
            is_here(&phrase.join(" "))
        });
        if let Some(len) = named {
            let marks = |part: &Part| matches!(part, Part::Word { canonical, .. } if lexicon::is_host_preposition(canonical));
            if parts.last().is_some_and(marks) {
                parts.pop();
            } else {
                host_at = Some(parts.len());
            }
            at += len;
            continue;
        }
        parts.push(part(&words[at], entry));
        at += 1;
    }
    Pattern {
        host_place: host_at.and_then(|at| host_place(&parts, at)),
        parts,
        text: example.to_owned(),
    }
}

/// The nearest words on both sides that are no grammar. A place beside a hole is none: what stands there may
/// be a value.
fn host_place(parts: &[Part], at: usize) -> Option<HostPlace> {
    if parts.iter().any(|part| matches!(part, Part::Hole { .. })) {
        return None;
    }
    let matters = |part: &Part| match part {
        Part::Word { canonical, .. } if lexicon::class(canonical) != Class::Stop => {
            Some(canonical.clone())
        }
        _ => None,
    };
    let place = HostPlace {
        before: parts[..at].iter().rev().find_map(matters),
        after: parts[at..].iter().find_map(matters),
    };
    (place.before.is_some() || place.after.is_some()).then_some(place)
}

fn part(word: &text::Word<'_>, entry: &Entry) -> Part {
    let name = word
        .written
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let parameter = name.and_then(|name| {
        entry
            .parameters
            .iter()
            .position(|p| p.name.as_str() == name)
    });
    match parameter {
        Some(parameter) => Part::Hole { parameter },
        None => Part::Word {
            canonical: lexicon::canonical(&word.folded).into_owned(),
            weight: 0.0,
        },
    }
}
