//! From the words of a clause to the values of an entry's parameters: by their form (paths, addresses, keys, times), by the
//! words that announce them, and what is left by its place. Nothing is made up: what is not said is missing.

use std::collections::HashSet;

use chiffon_common::{Parameters, Tier};
use serde_json::Value;

use super::{
    clause::Clause,
    hosts,
    index::{Indexed, takes_schedule},
    read::{Read, Sense},
    sentence::Shape,
    value,
    words::{self, Kind},
};
use crate::catalogue::{Entry, Kind as Type, Parameter};

/// What a clause says of the parameters of an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Filled {
    pub(super) parameters: Parameters,
    /// A parameter with one value for each of several steps: "install htop and iotop".
    pub(super) several: Option<(String, Vec<Value>)>,
    /// Which tokens of the sentence are values, or belong to one.
    pub(super) used: HashSet<usize>,
    pub(super) missing: Vec<String>,
    /// Tokens that are taken for a name only because of where they stand.
    pub(super) plain: Vec<usize>,
    /// The position of a parameter whose value is a word that means something else as well.
    pub(super) doubtful: Option<usize>,
    /// Tokens that are values of parameters that may be left out.
    pub(super) optional: HashSet<usize>,
    /// A token that bears on a flag of a dangerous entry, without saying that it is wanted.
    pub(super) open: Option<usize>,
    /// A parameter that a word announces, and the token behind it, which is no value of it.
    pub(super) unfit: Option<(String, usize)>,
}

pub(super) struct Filler<'a, 't> {
    pub(super) entry: &'a Entry,
    pub(super) indexed: &'a Indexed,
    pub(super) read: &'a Read<'t>,
    pub(super) clause: &'a Clause,
    pub(super) filled: Filled,
}

/// The values that a clause gives; `before` are those of the clauses before it, for "it".
pub(super) fn fill(
    entry: &Entry,
    indexed: &Indexed,
    read: &Read<'_>,
    clause: &Clause,
    before: &Parameters,
) -> Filled {
    let mut filler = Filler {
        entry,
        indexed,
        read,
        clause,
        filled: Filled::default(),
    };
    filler.by_form();
    filler.choices();
    filler.flags();
    filler.announced();
    filler.texts();
    filler.names(before);
    filler.name_of_source();
    let known = &filler.filled;
    let is_known = |p: &&Parameter| {
        let name = p.name.as_str();
        !known.parameters.contains_key(name)
            && known
                .several
                .as_ref()
                .is_none_or(|(several, _)| several != name)
    };
    let missing = entry
        .parameters
        .iter()
        .filter(|p| p.required && p.default.is_none())
        .filter(is_known);
    filler.filled.missing = missing.map(|p| p.name.to_string()).collect();
    filler.filled
}

/// Whether only a certain form fits: not any word, and not any text.
fn is_specific(parameter: &Parameter) -> bool {
    parameter.choices.is_empty()
        && value::of(parameter, "hello").is_none()
        && value::of(parameter, "some words").is_none()
}

impl Filler<'_, '_> {
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        self.clause.from..self.clause.to
    }

    pub(super) fn is_free(&self, at: usize) -> bool {
        !self.filled.used.contains(&at)
    }

    pub(super) fn is_open(&self, parameter: &Parameter) -> bool {
        !self.filled.parameters.contains_key(parameter.name.as_str())
    }

    fn set(&mut self, n: usize, value: Value, at: usize) {
        let parameter = &self.entry.parameters[n];
        self.filled
            .parameters
            .insert(parameter.name.to_string(), value);
        self.filled.used.insert(at);
        if !parameter.required {
            self.filled.optional.insert(at);
        }
    }

    /// Times, keys, addresses and paths.
    fn by_form(&mut self) {
        for (n, parameter) in self.entry.parameters.iter().enumerate() {
            if takes_schedule(parameter)
                && let Some(cron) = &self.read.when.cron
                && let Some(value) = value::of(parameter, cron)
            {
                let name = self.entry.parameters[n].name.to_string();
                self.filled.parameters.insert(name, value);
            }
        }
        for at in self.range() {
            if self.read.senses[at] != Sense::Data {
                continue;
            }
            let token = &self.read.tokens[at];
            if token.shape == Shape::Url && self.listed(at) {
                continue;
            }
            let takes = |parameter: &&(usize, &Parameter)| {
                let (_, parameter) = parameter;
                let by_form =
                    is_specific(parameter) && value::of(parameter, token.written).is_some();
                self.is_open(parameter) && by_form
            };
            let all = self.entry.parameters.iter().enumerate();
            let takers: Vec<(usize, &Parameter)> = all.filter(|(n, p)| takes(&&(*n, *p))).collect();
            let cue = self.word_before(at);
            let small = at
                .checked_sub(1)
                .map(|before| format!("~{}", self.read.tokens[before].folded));
            let leads = |n: usize| {
                small
                    .as_ref()
                    .is_some_and(|small| self.indexed.cues[n].contains(small))
            };
            let says = |n: usize| cue.is_some_and(|cue| self.indexed.cues[n].contains(cue));
            let announced = takers.iter().find(|(n, _)| says(*n) || leads(*n));
            let chosen = announced.or_else(|| takers.iter().find(|(_, p)| p.required));
            // "The backup /mnt/b": what the word right before it is called in no example.
            if let Some(other) = self.named_by_other(at, &takers) {
                self.filled
                    .unfit
                    .get_or_insert((self.entry.parameters[other].name.to_string(), at));
                continue;
            }
            if let Some((n, parameter)) = chosen.copied()
                && let Some(value) = value::of(parameter, token.written)
            {
                self.set(n, value, at);
            } else {
                let unfit = (0..self.entry.parameters.len()).find(|n| says(*n) || leads(*n));
                let unfit = unfit.map(|n| (self.entry.parameters[n].name.to_string(), at));
                self.filled.unfit = self.filled.unfit.take().or(unfit);
            }
        }
    }

    /// Whether the address goes into a list of addresses.
    fn listed(&mut self, at: usize) -> bool {
        let mut all = self.entry.parameters.iter();
        let lists = |p: &Parameter| {
            p.kind == Type::List && matches!(p.elements, None | Some(Type::Str | Type::Raw))
        };
        let Some(parameter) = all.find(|p| lists(p)) else {
            return false;
        };
        let url = Value::from(self.read.tokens[at].written);
        let list = self
            .filled
            .parameters
            .entry(parameter.name.to_string())
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list
            && !items.contains(&url)
        {
            items.push(url);
        }
        self.filled.used.insert(at);
        if !parameter.required {
            self.filled.optional.insert(at);
        }
        true
    }

    fn word(&self, at: usize) -> &str {
        &self.read.tokens[at].folded
    }

    /// The nearest word before that says something, within three.
    fn word_before(&self, at: usize) -> Option<&str> {
        let from = self.clause.from.max(at.saturating_sub(4));
        let mut before = (from..at).rev();
        let found = before.find(|before| {
            !self.read.is_small(*before) || self.read.tokens[*before].shape != Shape::Word
        })?;
        self.read.tokens[found]
            .is_word()
            .then(|| self.read.canonical[found].as_str())
    }

    /// Words that are a choice of a parameter choose it, unless two choose differently; "all" only where nothing else does.
    fn choices(&mut self) {
        let mut chosen: Vec<(usize, usize, bool)> = Vec::new();
        for at in self.range() {
            let is_word = matches!(self.read.senses[at], Sense::Known(_) | Sense::Unknown);
            if let Some((n, m)) = self.indexed.choices.get(&self.read.canonical[at])
                && is_word
                && self.is_free(at)
            {
                let is_weak = self.read.kind(at) == Some(Kind::Mark);
                if chosen.iter().all(|(a, b, _)| (a, b) != (n, m)) {
                    chosen.push((*n, *m, is_weak));
                }
            }
        }
        for (n, parameter) in self.entry.parameters.iter().enumerate() {
            let of = |weak: bool| {
                chosen
                    .iter()
                    .filter(move |(a, _, w)| *a == n && *w == weak)
                    .map(|(_, m, _)| *m)
            };
            let strong: Vec<usize> = of(false).collect();
            let picked = match strong[..] {
                [] => of(true).next(),
                [one] => Some(one),
                _ => None,
            };
            if let Some(value) = picked.and_then(|m| parameter.choices.get(m)) {
                self.filled
                    .parameters
                    .insert(parameter.name.to_string(), value.clone());
            }
        }
    }

    /// "including the volumes", "leave the volumes alone".
    fn flags(&mut self) {
        for (n, parameter) in self.entry.parameters.iter().enumerate() {
            if parameter.kind != Type::Bool {
                continue;
            }
            let names = &self.indexed.cues[n];
            let named: Vec<usize> = self
                .range()
                .filter(|at| names.contains(&self.read.canonical[*at]) && self.is_free(*at))
                .collect();
            let Some(at) = named.first().copied() else {
                continue;
            };
            let from = self.clause.from.max(at.saturating_sub(4));
            let to = self.clause.to.min(at + 4);
            let says = |at: usize, name: &str| self.read.is_mark(at, name);
            let denied = (from..at).any(|at| says(at, "keep") || says(at, "not"))
                || (from..at).any(|at| says(at, "except"))
                || (at..to).any(|at| says(at, "keep"));
            let is_joined = |at: usize| {
                says(at, "also") || says(at, "and") || words::is_in("including", self.word(at))
            };
            let is_wanted = (from..at).any(is_joined) || (at..to).any(|at| says(at, "also"));
            // "Prune the volumes of docker", "docker is full, the volumes are needed": what is taken away for good is asked for.
            if self.entry.tier > Tier::One && !denied && !is_wanted {
                self.filled.open = Some(at);
                continue;
            }
            self.filled.optional.extend(&named);
            self.filled.used.extend(named);
            let said = (from..to).filter(|at| {
                says(*at, "keep") || says(*at, "except") || denied && says(*at, "not")
            });
            // "Without but leave": one of them, or nobody knows what is meant.
            let said: Vec<usize> = said.collect();
            if said.len() <= 1 {
                self.filled.used.extend(said);
            }
            self.filled
                .parameters
                .insert(parameter.name.to_string(), Value::Bool(!denied));
        }
    }

    /// "port 3010", "owner anna", "mode 0600", "the snapshot 4f2a".
    fn announced(&mut self) {
        for n in 0..self.entry.parameters.len() {
            let parameter = &self.entry.parameters[n];
            let is_plain = matches!(parameter.kind, Type::Str | Type::Int | Type::Float)
                && !value::takes_several_words(parameter)
                && !takes_schedule(parameter)
                && !value::is_path(parameter);
            if !is_plain || !self.is_open(parameter) || !parameter.choices.is_empty() {
                continue;
            }
            let cues = &self.indexed.cues[n];
            let announcing = self.range().filter(|at| {
                self.read.tokens[*at].is_word()
                    && cues.contains(&self.read.canonical[*at])
                    && self.is_free(*at)
                    && matches!(self.read.senses[*at], Sense::Known(_) | Sense::Unknown)
            });
            let found = announcing
                .filter_map(|at| self.value_after(at, parameter))
                .next();
            let found = found.or_else(|| self.led_value(n));
            if let Some((at, value)) = found {
                self.set(n, value, at);
            }
        }
    }

    /// "from 4f2a91c7": the examples lead to the value with a word of grammar, and it can be no ordinary word.
    fn led_value(&self, n: usize) -> Option<(usize, Value)> {
        let parameter = &self.entry.parameters[n];
        self.range().skip(1).find_map(|at| {
            let token = &self.read.tokens[at];
            let lead = format!("~{}", self.read.tokens[at - 1].folded);
            let is_odd = token.folded.contains(|c: char| c.is_ascii_digit());
            // "Upgrade 42 web1", "system upgrade 42": a number is led to by grammar alone.
            let fits = self.indexed.cues[n].contains(&lead)
                && (words::is_in("prepositions", self.word(at - 1))
                    || token.folded.contains(|c: char| !c.is_ascii_digit()))
                && is_odd
                && self.read.senses[at] == Sense::Unknown
                && self.is_free(at);
            fits.then(|| value::of(parameter, token.written))
                .flatten()
                .map(|value| (at, value))
        })
    }

    /// The value right behind a word, across grammar.
    fn value_after(&self, cue: usize, parameter: &Parameter) -> Option<(usize, Value)> {
        for at in cue + 1..self.clause.to.min(cue + 4) {
            let sense = self.read.senses[at];
            // "The packages on the nas": a place, no value.
            if words::is_in("surely places", &self.read.tokens[at].folded) {
                return None;
            }
            if matches!(sense, Sense::Part) || self.read.kind(at) == Some(Kind::Stop) {
                continue;
            }
            if self.is_name(at) || sense == Sense::Unknown {
                let value = value::of(parameter, self.read.tokens[at].written)?;
                return self.is_free(at).then_some((at, value));
            }
            return None;
        }
        None
    }

    /// A command or a content: what stands in quotes, a path with its options, or the words themselves.
    fn texts(&mut self) {
        for n in 0..self.entry.parameters.len() {
            let parameter = &self.entry.parameters[n];
            if !parameter.required
                || !self.is_open(parameter)
                || !value::takes_several_words(parameter)
            {
                continue;
            }
            // A path beside a path is a file to read, not a text: "save /etc/hosts to /tmp/hosts".
            let takes_path = self.entry.parameters.iter().any(value::is_path);
            let quoted = self.range().find(|at| {
                self.read.tokens[*at].shape == Shape::Quoted
                    && !self.read.tokens[*at].written.starts_with('{')
                    && self.is_free(*at)
            });
            let span = quoted
                .map(|at| (at, at + 1))
                .or_else(|| self.template())
                .or_else(|| self.path_with_options().filter(|_| !takes_path))
                .or_else(|| self.plain_text())
                .or_else(|| self.announced_text(n));
            let Some((from, to)) = span else {
                continue;
            };
            let tokens = &self.read.tokens;
            let piece = match to - from {
                1 => tokens[from].written,
                _ => &self.read.text[tokens[from].start..tokens[to - 1].end],
            };
            if let Some(value) = value::of(parameter, piece) {
                self.set(n, value, from);
                self.filled.used.extend(from..to);
            }
        }
    }

    /// A template with the words around it.
    fn template(&self) -> Option<(usize, usize)> {
        let at = self
            .range()
            .find(|at| self.read.tokens[*at].shape == Shape::Quoted && self.is_free(*at))?;
        let is_word = |at: usize| {
            self.read.tokens[at].is_word()
                && !matches!(
                    self.read.kind(at),
                    Some(Kind::Verb | Kind::Weak | Kind::Stop)
                )
        };
        let mut from = at;
        while from > self.clause.from && is_word(from - 1) && self.is_free(from - 1) {
            from -= 1;
        }
        Some((from, at + 1))
    }

    fn path_with_options(&self) -> Option<(usize, usize)> {
        let at = self
            .range()
            .find(|at| self.read.tokens[*at].shape == Shape::Path && self.is_free(*at))?;
        let options = (at + 1..self.clause.to).take_while(|next| {
            self.read.tokens[*next].written.starts_with('-')
                && !self.read.tokens[*next - 1].ends_part()
        });
        Some((at, at + 1 + options.count()))
    }

    /// "... with the line vm.swappiness=10": the words behind one that announces it.
    fn announced_text(&self, n: usize) -> Option<(usize, usize)> {
        let is_cue = |at: &usize| {
            self.indexed.cues[n].contains(&self.read.canonical[*at])
                && matches!(self.read.senses[*at], Sense::Known(_))
        };
        let cue = self.range().rfind(is_cue)?;
        let mut from = cue + 1;
        while from < self.clause.to && matches!(self.read.senses[from], Sense::Part) {
            from += 1;
        }
        let is_end = |at: &usize| {
            !self.is_free(*at)
                || matches!(
                    self.read.senses[*at],
                    Sense::Host(_) | Sense::When | Sense::Data
                )
        };
        let to = (from..self.clause.to)
            .find(is_end)
            .unwrap_or(self.clause.to);
        let begins = self.read.senses.get(from) == Some(&Sense::Unknown);
        (begins && from < to).then_some((from, to))
    }

    /// The words behind the action up to what belongs to another parameter: "write hello world to /tmp/x".
    fn plain_text(&self) -> Option<(usize, usize)> {
        let verb = self.clause.verbs.last().copied()?;
        let is_end = |at: usize| {
            !self.is_free(at)
                || matches!(
                    self.read.senses[at],
                    Sense::Host(_) | Sense::When | Sense::Data
                )
                || (self.read.kind(at) == Some(Kind::Stop) || self.read.senses[at] == Sense::Part)
                    && {
                        let next = self.read.senses.get(at + 1);
                        matches!(next, Some(Sense::Data | Sense::Host(_))) || next.is_none()
                    }
        };
        let mut from = verb + 1;
        while from < self.clause.to && matches!(self.read.senses[from], Sense::Part) {
            from += 1;
        }
        let to = (from..self.clause.to)
            .find(|at| is_end(*at))
            .unwrap_or(self.clause.to);
        let says = (from..to).any(|at| self.is_name(at) || self.read.is_mark(at, "chat"));
        // What is only spoken of in general, or described, has still to be said: "write the date to /tmp/x".
        let is_general = (from..to).any(|at| self.read.is_mark(at, "thing"))
            || (from..to.min(from + 2)).any(|at| words::is_in("describing", self.word(at)))
            || (from..to).any(|at| words::is_in("described", self.word(at)));
        (says && !is_general && to < self.clause.to).then_some((from, to))
    }
}

/// Whether the word stands right behind "on", where a host would stand.
pub(super) fn stands_for_host(read: &Read<'_>, at: usize) -> bool {
    let mut before = (0..at).rev();
    let lead = before.find(|before| !hosts::is_article(&read.tokens[*before].folded));
    lead.is_some_and(|lead| {
        read.tokens[lead].is_word()
            && !read.tokens[lead].ends_part()
            && words::is_in("surely places", &read.tokens[lead].folded)
            && matches!(read.kind(lead), Some(Kind::Stop) | Some(Kind::Mark))
    })
}
