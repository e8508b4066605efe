//! Names: which words of a clause can be the name of a thing, and which of them is meant. Values of a form of their own are
//! left to `slots`.

use chiffon_common::{Parameters, Tier};
use serde_json::Value;

use super::{
    hosts,
    index::takes_schedule,
    read::Sense,
    sentence::Shape,
    slots::{Filler, stands_for_host},
    stray::is_ordinary,
    value,
    words::{self, Kind},
};
use crate::catalogue::{Kind as Type, Parameter};

/// "Bob's account" is that of bob.
fn owner(written: &str) -> &str {
    let bare = written.strip_suffix("'s");
    bare.or_else(|| written.strip_suffix("\u{2019}s"))
        .unwrap_or(written)
}

/// Whether words are where the name of a thing would be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placed {
    Surely,
    /// An ordinary word beside the action.
    Perhaps,
    Not,
}

impl Filler<'_, '_> {
    /// The parameter that a thing right before the value announces in the examples, where that is none that takes it.
    pub(super) fn named_by_other(
        &self,
        at: usize,
        takers: &[(usize, &Parameter)],
    ) -> Option<usize> {
        let before = at.checked_sub(1).filter(|before| {
            self.clause.from <= *before && !self.read.tokens[*before].ends_part()
        })?;
        let is_grammar = words::is_in("prepositions", self.read.tokens[before].folded.as_str())
            || self.read.is_small(before);
        let word = self.read.tokens[before].folded.as_str();
        let is_led = |n: usize| {
            let cues = &self.indexed.cues[n];
            cues.contains(&format!("~{word}")) || cues.contains(&format!("^{word}"))
        };
        if is_grammar || takers.iter().any(|(n, _)| is_led(*n)) {
            return None;
        }
        (0..self.entry.parameters.len()).find(|n| is_led(*n))
    }

    /// Whether a token can be the name of a thing: a word that this entry does not know, or a quoted one.
    pub(super) fn is_name(&self, at: usize) -> bool {
        let token = &self.read.tokens[at];
        // "Restart only nas".
        if !self.is_free(at) || token.is_word() && words::is_in("restricting", &token.folded) {
            return false;
        }
        match self.read.senses[at] {
            Sense::Unknown => {
                token.is_word() && !self.indexed.vocabulary.contains(&self.read.canonical[at])
            }
            Sense::Known(meaning) => {
                // "The cron job" is no package "cron".
                let next = self.read.tokens.get(at + 1).filter(|_| !token.ends_part());
                let goes_on =
                    next.is_some_and(|next| words::begins_phrase(&token.folded, &next.folded));
                let is_thing = meaning.is_name && !goes_on && !self.read.slipped[at]
                    || meaning.kind == Kind::Noun && self.read.slipped[at] && !meaning.is_name;
                is_thing
                    && token.is_word()
                    && !self.indexed.vocabulary.contains(&self.read.canonical[at])
            }
            Sense::Data => token.shape == Shape::Quoted,
            Sense::Part | Sense::Host(_) | Sense::When => false,
        }
    }

    /// Whether words stand where the object of the action stands, or can be nothing but a name. "It needs a restart to boot
    /// into it" names no service "boot". A report may be about any word.
    fn placed(&self, n: usize, group: &[usize]) -> Placed {
        let tokens = &self.read.tokens;
        let (first, last) = (group[0], group[group.len() - 1]);
        let is_odd = |at: usize| {
            let word = tokens[at].written;
            word.contains(|c: char| c.is_ascii_digit() || "-._@+".contains(c))
                || word.chars().skip(1).any(char::is_uppercase)
                    && word.chars().any(char::is_lowercase)
        };
        let is_known = group
            .iter()
            .any(|at| self.is_software(*at) || is_odd(*at) || !tokens[*at].is_word());
        let is_cue = |at: usize| self.indexed.cues[n].contains(&self.read.canonical[at]);
        // "For {user}": what the examples lead to a name with leads to it here.
        let is_led = first.checked_sub(1).is_some_and(|at| {
            let is_article = hosts::is_article(&tokens[at].folded);
            is_cue(at)
                || !is_article && self.indexed.cues[n].contains(&format!("^{}", tokens[at].folded))
        });
        let is_known = is_known || is_led || last + 1 < self.clause.to && is_cue(last + 1);
        let is_needed = self.entry.parameters[n].required;
        if is_known || self.entry.tier == Tier::Zero || self.clause.is_aside(first) && is_needed {
            return Placed::Surely;
        }
        // What need not be said is no guess of an ordinary word: "abort the upgrade".
        if !is_needed {
            return Placed::Not;
        }
        let is_between = |at: &usize| {
            let word = tokens[*at].folded.as_str();
            is_cue(*at)
                || self.read.is_small(*at)
                    && !matches!(self.read.senses[*at], Sense::Part)
                    && !words::is_in("leads away", word)
        };
        let is_action = |at: usize| {
            self.clause.verbs.contains(&at)
                || matches!(self.read.kind(at), Some(Kind::Verb | Kind::Weak))
                || matches!(self.read.senses[at], Sense::Part)
        };
        // "Restart the conversation": a thing by itself has no article; a person may.
        let is_thing = self.entry.parameters[n].name.as_str() == "name";
        let has_article = |mut range: std::ops::Range<usize>| {
            let is_article =
                |at: usize| hosts::is_article(&tokens[at].folded) || self.read.is_mark(at, "it");
            is_thing && range.any(is_article)
        };
        // "Bob refuse de redémarrer", "vergiss den Neustart".
        let is_led_on = |mut range: std::ops::Range<usize>| {
            range.any(|at| words::is_in("leads on", &tokens[at].folded))
        };
        let is_label = tokens[last].after == Some(':');
        if self.clause.is_shared || is_label {
            return Placed::Not;
        }
        let before = (self.clause.from..first).rev().find(|at| !is_between(at));
        let behind = (last + 1..self.clause.to).find(|at| !is_between(at));
        let next = last + 1;
        // "Bounce, postpone it": what is meant is what was said before.
        let says_it = (self.clause.from..self.clause.to)
            .any(|at| !self.clause.is_aside(at) && self.read.is_mark(at, "it"));
        if is_thing && says_it {
            return Placed::Not;
        }
        let is_apart = matches!(self.read.senses.get(next), Some(Sense::Host(_)) | None);
        let is_placed = before.is_some_and(|at| is_action(at) && !has_article(at + 1..first))
            || behind
                .is_some_and(|at| is_action(at) && !has_article(next..at) && !is_led_on(next..at))
                && !has_article(first.saturating_sub(1)..first)
            || before.is_none() && (is_apart || !is_thing) && !has_article(self.clause.from..first);
        match is_placed {
            true => Placed::Perhaps,
            false => Placed::Not,
        }
    }

    /// "The package browsers".
    fn is_announced(&self, n: usize, at: usize) -> bool {
        let is_cue = |at: usize| {
            self.range().contains(&at) && self.indexed.cues[n].contains(&self.read.canonical[at])
        };
        at.checked_sub(1).is_some_and(is_cue) || is_cue(at + 1)
    }

    /// Whether programs are called so.
    fn is_software(&self, at: usize) -> bool {
        let token = &self.read.tokens[at];
        token.is_word()
            && (words::is_software(&token.folded) || words::mended(&token.folded).is_some())
    }

    /// Whether a host would stand here: right behind "on".
    fn is_place(&self, at: usize) -> bool {
        stands_for_host(self.read, at)
    }

    /// "A browser" is no name.
    fn is_any(&self, at: usize) -> bool {
        let before = at
            .checked_sub(1)
            .filter(|before| self.read.tokens[*before].is_word());
        before.is_some_and(|at| words::is_in("indefinite articles", &self.read.tokens[at].folded))
    }

    /// "Security updates": a word that says which of a thing is no name, where something would be changed.
    fn describes(&self, n: usize, at: usize) -> bool {
        let next = at + 1;
        self.entry.tier > Tier::Zero
            && next < self.clause.to
            && !self.read.tokens[at].ends_part()
            && self.read.tokens[at].is_word()
            && !self.indexed.cues[n].contains(&self.read.canonical[next])
            && match self.read.senses[next] {
                Sense::Known(meaning) => {
                    let is_state = ["free", "active", "up", "reachable", "answer", "full"];
                    meaning.kind == Kind::Noun
                        && !meaning.is_name
                        && !is_state.contains(&meaning.name)
                }
                // "install * updates" is a phrase as a whole.
                Sense::Part => self.read.canonical[next].starts_with("update"),
                _ => false,
            }
    }

    /// "The databases group" are machines.
    fn is_group(&self, at: usize) -> bool {
        at + 1 < self.clause.to
            && !self.read.tokens[at].ends_part()
            && self.read.canonical[at + 1] == "group"
            && self.read.tokens[at].is_word()
    }

    /// What is left is the name of the thing.
    pub(super) fn names(&mut self, before: &Parameters) {
        for n in 0..self.entry.parameters.len() {
            let parameter = &self.entry.parameters[n];
            let is_name = parameter.kind == Type::Str
                && parameter.choices.is_empty()
                && !value::is_path(parameter)
                && !takes_schedule(parameter)
                && !value::takes_several_words(parameter);
            let wanted = parameter.required || self.entry.parameters.len() == 1;
            if !is_name || !wanted || !self.is_open(parameter) {
                continue;
            }
            let mut groups = self.groups(n, self.range());
            let told: Vec<Vec<usize>> = groups
                .extract_if(.., |group| self.clause.is_aside(group[0]))
                .collect();
            let is_known = |group: &Vec<usize>| group.iter().any(|at| self.is_software(*at));
            if groups.iter().any(is_known) {
                groups.retain(is_known);
            }
            if groups.is_empty() && told.iter().any(is_known) {
                groups = told.into_iter().filter(is_known).take(1).collect();
            } else if groups.is_empty() {
                groups = told
                    .into_iter()
                    .filter(|group| self.is_subject(group[0], n))
                    .take(1)
                    .collect();
            }
            let name = parameter.name.to_string();
            let picked = self.pick(n, &groups);
            let picked = picked.map(|group| (group, self.placed(n, group)));
            if let Some((group, placed)) = picked.filter(|(_, placed)| *placed != Placed::Not) {
                let is_ordinary =
                    |at: &&usize| !self.is_announced(n, **at) && is_ordinary(self.read, **at);
                match name == "name" {
                    true if placed == Placed::Perhaps => self.filled.plain.extend(group),
                    true => {
                        let ordinary: Vec<usize> =
                            group.iter().filter(is_ordinary).copied().collect();
                        self.filled.plain.extend(ordinary);
                    }
                    false => {}
                }
                let values: Vec<Value> = group
                    .iter()
                    .filter_map(|at| self.named(parameter, *at))
                    .collect();
                self.filled.used.extend(group.iter().copied());
                if !parameter.required {
                    self.filled.optional.extend(group.iter().copied());
                }
                let is_doubtful = group
                    .iter()
                    .any(|at| self.read.kind(*at) == Some(Kind::Noun) && !self.read.slipped[*at]);
                self.filled.doubtful = is_doubtful.then_some(n);
                match &values[..] {
                    [one] => {
                        self.filled.parameters.insert(name, one.clone());
                    }
                    _ => self.filled.several = Some((name, values)),
                }
                continue;
            }
            let says_it = self.range().any(|at| {
                self.read.is_mark(at, "it") || words::is_in("again", &self.read.tokens[at].folded)
            });
            if !says_it {
                continue;
            }
            let known = before.get(&name).cloned();
            let earlier = self.groups(n, 0..self.clause.from).pop();
            let earlier = earlier
                .filter(|group| group.len() == 1)
                .and_then(|group| self.named(parameter, group[0]));
            if let Some(value) = known.or(earlier) {
                self.filled.parameters.insert(name, value);
            }
        }
    }

    /// A thing that comes from a file is called like the file, or like its folder where every such file is called the same.
    pub(super) fn name_of_source(&mut self) {
        let find = |name: &str| {
            let mut all = self.entry.parameters.iter();
            all.find(|p| p.name.as_str() == name && p.required)
        };
        let (Some(name), Some(source)) = (find("name"), find("source")) else {
            return;
        };
        let given = self.filled.parameters.get(source.name.as_str());
        let Some(source) = given.and_then(Value::as_str).filter(|_| self.is_open(name)) else {
            return;
        };
        let parts = source.rsplit('/').filter(|part| !part.is_empty());
        let mut stems = parts.take(2).map(|part| {
            let stem = part.strip_suffix(".yml").or(part.strip_suffix(".yaml"));
            stem.unwrap_or(part).to_lowercase()
        });
        let is_common =
            |stem: &String| ["compose", "docker-compose", "stack"].contains(&stem.as_str());
        let stem = stems.find(|stem| !is_common(stem));
        if let Some(value) = stem.and_then(|stem| value::of(name, &stem)) {
            self.filled.parameters.insert(name.name.to_string(), value);
        }
    }

    /// A name as a value. Sentences write "Jellyfin" and "SSH" where machines say `jellyfin` and `ssh`; what is in quotes, or
    /// in both cases like `pihole-FTL`, is meant as it stands.
    fn named(&self, parameter: &Parameter, at: usize) -> Option<Value> {
        let token = &self.read.tokens[at];
        if token.is_word()
            && let Some(mended) = words::mended(&token.folded)
        {
            return value::of(parameter, mended);
        }
        let rest = token.written.chars().skip(1);
        let is_title =
            token.written.starts_with(char::is_uppercase) && !rest.clone().any(char::is_uppercase);
        let is_loud = token.written.chars().any(char::is_uppercase)
            && !token.written.chars().any(char::is_lowercase);
        let lower =
            (token.is_word() && (is_title || is_loud)).then(|| token.written.to_lowercase());
        lower
            .and_then(|lower| value::of(parameter, owner(&lower)))
            .or_else(|| value::of(parameter, owner(token.written)))
    }

    /// Whether a word is what a statement is about: its first, or beside a word that announces the parameter.
    fn is_subject(&self, at: usize, n: usize) -> bool {
        let begin = self
            .clause
            .asides
            .iter()
            .find(|(from, to)| (*from..*to).contains(&at))
            .map_or(at, |(from, _)| *from);
        let is_cue = |at: usize| self.indexed.cues[n].contains(&self.read.canonical[at]);
        let is_grammar = |at: usize| matches!(self.read.kind(at), Some(Kind::Stop | Kind::Filler));
        (begin..at).all(|before| is_grammar(before) || is_cue(before))
    }

    /// Words that could be the value, those that are joined together.
    fn groups(&self, n: usize, range: std::ops::Range<usize>) -> Vec<Vec<usize>> {
        let parameter = &self.entry.parameters[n];
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for at in range {
            let token = &self.read.tokens[at];
            let fits = self.is_name(at)
                && !self.is_place(at)
                && !self.is_any(at)
                && !self.is_group(at)
                && !self.describes(n, at)
                && value::of(parameter, owner(token.written)).is_some();
            // A size or a number by itself names nothing.
            let is_number = token.is_word() && !token.folded.contains(|c: char| c.is_alphabetic());
            if !fits || is_number {
                continue;
            }
            let joins = groups
                .last()
                .and_then(|group| group.last())
                .is_some_and(|last| {
                    let between = last + 1..at;
                    let comma = self.read.tokens[*last].after == Some(',');
                    let joined = between.clone().any(|at| self.read.is_mark(at, "and"));
                    between.clone().all(|at| self.read.is_mark(at, "and"))
                        && (joined || comma && between.is_empty())
                });
            match groups.last_mut() {
                Some(group) if joins => group.push(at),
                _ => groups.push(vec![at]),
            }
        }
        groups
    }

    /// The group beside a word that announces the parameter, or the first behind the action, or the nearest before it.
    fn pick<'g>(&self, n: usize, groups: &'g [Vec<usize>]) -> Option<&'g Vec<usize>> {
        let cues = &self.indexed.cues[n];
        let is_cue = |at: Option<usize>| {
            at.is_some_and(|at| {
                self.range().contains(&at) && cues.contains(&self.read.canonical[at])
            })
        };
        let mut beside = groups.iter().filter(|group| {
            let (first, last) = (group[0], group[group.len() - 1]);
            is_cue(first.checked_sub(1))
                || is_cue(Some(last + 1)) && !self.read.tokens[last].ends_part()
        });
        let quoted = groups
            .iter()
            .find(|group| self.read.tokens[group[0]].shape == Shape::Quoted);
        let verb = self.clause.verbs.first().copied();
        let behind = groups
            .iter()
            .find(|group| verb.is_none_or(|verb| group[0] > verb));
        beside.next().or(quoted).or(behind).or(groups.last())
    }
}
