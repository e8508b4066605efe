//! Laying a sentence along an example: which words are the same, which fill a `{hole}`, which are left
//! over on either side. The best alignment is found by dynamic programming over tokens and parts.

use super::{
    index::{Index, Indexed, Part, Pattern},
    lexicon::{self, Class},
    sentence::{Shape, Token},
    text, value,
};
use crate::catalogue::{Entry, Parameter};
use chiffon_common::{Parameters, Tier};

/// A sentence without the tokens that name hosts.
#[derive(Debug)]
pub(super) struct Words<'s, 't> {
    pub(super) sentence: &'s str,
    pub(super) tokens: Vec<&'s Token<'t>>,
    /// Stands where a host would stand.
    pub(super) host_like: Vec<bool>,
    /// Follows a preposition that would mark a host.
    pub(super) after_preposition: Vec<bool>,
    /// Whether the sentence says it of a machine, not of something on one.
    pub(super) of_machine: bool,
}

/// How well a sentence fits an entry, and what it says of its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    /// 0 to 1.
    pub(super) score: f32,
    pub(super) parameters: Parameters,
    /// The words that decided.
    pub(super) words: Vec<String>,
    /// The example that fitted.
    pub(super) example: String,
    /// Positions of tokens that the fit uses.
    pub(super) used: Vec<bool>,
}

/// Costs of what is left over; a change must be said more exactly than a report.
struct Costs {
    known_word: f32,
    left_part: f32,
}

#[derive(Clone, Copy, PartialEq)]
enum Move {
    Start,
    SkipToken,
    SkipPart,
    Match,
    Enter,
    Extend,
    Close,
}

#[derive(Clone, Copy)]
struct Cell {
    score: f32,
    by: Move,
}

const NOWHERE: Cell = Cell {
    score: f32::NEG_INFINITY,
    by: Move::Start,
};
const EXTEND: f32 = 0.12;
const HOLE_COST: f32 = 0.3;
const NEARLY_NOTHING: f32 = 0.1;
const ALIKE: f32 = 0.05;
const CHOICE_GAIN: f32 = 0.7;

/// The best fit over all examples of an entry.
pub(super) fn fit(words: &Words<'_, '_>, entry: &Entry, indexed: &Indexed, index: &Index) -> Fit {
    let costs = match entry.tier {
        Tier::Zero => Costs {
            known_word: 0.3,
            left_part: 0.45,
        },
        _ => Costs {
            known_word: 0.6,
            left_part: 0.8,
        },
    };
    let aligner = Aligner {
        words,
        entry,
        indexed,
        index,
        costs,
    };
    let best = aligner.best();
    let bag = match entry.tier {
        Tier::Zero => aligner.bag(),
        _ => Fit::default(),
    };
    let mut best = if bag.score > best.score { bag } else { best };
    aligner.add_choices(&mut best);
    best
}

pub(super) struct Aligner<'a, 's, 't> {
    pub(super) words: &'a Words<'s, 't>,
    pub(super) entry: &'a Entry,
    pub(super) indexed: &'a Indexed,
    pub(super) index: &'a Index,
    costs: Costs,
}

impl Aligner<'_, '_, '_> {
    /// The best fit. Of examples that fit alike, the one is named that is said in the same words: "restart"
    /// and "redémarre" mean the same, and a person is shown the one that was said.
    fn best(&self) -> Fit {
        let patterns = self.indexed.patterns.iter();
        let fits: Vec<(&Pattern, Fit)> = patterns
            .map(|pattern| (pattern, self.along(pattern)))
            .collect();
        let mut best = Fit::default();
        for (_, fit) in &fits {
            if fit.score > best.score {
                best = fit.clone();
            }
        }
        let alike = fits
            .iter()
            .rev()
            .filter(|(_, fit)| best.score - fit.score < ALIKE && fit.parameters == best.parameters);
        // The last of equals is the first of the examples.
        if let Some((pattern, _)) = alike.max_by_key(|(pattern, _)| self.literally(pattern)) {
            best.example.clone_from(&pattern.text);
        }
        best
    }

    /// How many words stand in both as they are written, less those of the example that were not said.
    fn literally(&self, pattern: &Pattern) -> i32 {
        let said = |word: &text::Word<'_>| {
            let mut tokens = self.words.tokens.iter();
            tokens.any(|token| token.folded == word.folded)
        };
        let words = text::words(&pattern.text).filter(|word| !word.written.starts_with('{'));
        words.map(|word| if said(&word) { 2 } else { -1 }).sum()
    }

    fn along(&self, pattern: &Pattern) -> Fit {
        let (rows, columns) = (pattern.parts.len() + 1, self.words.tokens.len() + 1);
        let mut out = vec![NOWHERE; rows * columns];
        let mut within = vec![NOWHERE; rows * columns];
        out[0] = Cell {
            score: 0.0,
            by: Move::Start,
        };
        for j in 0..rows {
            for i in 0..columns {
                let at = j * columns + i;
                // A hole that ends here becomes a consumed part.
                if j > 0 {
                    improve(&mut out[at], within[at - columns].score, Move::Close);
                }
                self.leave(pattern, (j, i), columns, &mut out, &mut within);
            }
        }
        self.read_back(pattern, &out, &within, columns)
    }

    /// All moves from one cell. `within[j, i]`: token `i - 1` belongs to the hole that is part `j`.
    fn leave(
        &self,
        pattern: &Pattern,
        (j, i): (usize, usize),
        columns: usize,
        out: &mut [Cell],
        within: &mut [Cell],
    ) {
        let at = j * columns + i;
        let score = out[at].score;
        let has_token = i < self.words.tokens.len();
        if has_token {
            improve(
                &mut out[at + 1],
                score - self.token_cost(i),
                Move::SkipToken,
            );
        }
        let Some(part) = pattern.parts.get(j) else {
            return;
        };
        improve(
            &mut out[at + columns],
            score - self.part_cost(part),
            Move::SkipPart,
        );
        if !has_token {
            return;
        }
        match part {
            Part::Word { canonical, weight } => {
                if *canonical == self.words.tokens[i].canonical {
                    improve(&mut out[at + columns + 1], score + weight, Move::Match);
                }
            }
            Part::Hole { parameter } => {
                if let Some(gain) = self.gain(pattern, j, *parameter, i) {
                    improve(&mut within[at + 1], score + gain, Move::Enter);
                }
                let is_long = value::takes_several_words(&self.entry.parameters[*parameter]);
                if is_long && i > 0 && self.is_bare(i - 1) && self.is_bare(i) {
                    let longer = within[at].score - EXTEND;
                    improve(&mut within[at + 1], longer, Move::Extend);
                }
            }
        }
    }

    /// Whether a token may be one of several of a value: what stands in quotes is a value of its own.
    fn is_bare(&self, i: usize) -> bool {
        let token = self.words.tokens[i];
        match token.shape {
            Shape::Word => true,
            Shape::Path => false,
            Shape::Quoted => token.written.starts_with('{'),
        }
    }

    pub(super) fn token_cost(&self, i: usize) -> f32 {
        let token = self.words.tokens[i];
        match token.shape {
            Shape::Quoted => 0.6,
            Shape::Path => 0.8,
            Shape::Word if self.words.host_like[i] => 0.05,
            Shape::Word if lexicon::is_machine(&token.canonical) => 0.02,
            Shape::Word if self.indexed.choices.contains_key(&token.canonical) => 0.0,
            Shape::Word => match lexicon::class(&token.canonical) {
                Class::Stop => 0.02,
                Class::Generic => 0.08,
                Class::Content
                    if lexicon::is_pronoun(&token.folded)
                        && !self.indexed.vocabulary.contains(&token.canonical) =>
                {
                    0.05
                }
                Class::Content if self.indexed.vocabulary.contains(&token.canonical) => {
                    self.costs.known_word * self.index.weight(&token.canonical)
                }
                Class::Content => 1.0,
            },
        }
    }

    fn part_cost(&self, part: &Part) -> f32 {
        match part {
            Part::Hole { .. } => HOLE_COST,
            Part::Word { canonical, weight } => match lexicon::class(canonical) {
                Class::Content => self.costs.left_part * weight,
                _ => 0.3 * weight,
            },
        }
    }

    /// What it is worth to begin a value with this token; nothing where it cannot be one.
    fn gain(&self, pattern: &Pattern, j: usize, parameter: usize, i: usize) -> Option<f32> {
        let token = self.words.tokens[i];
        let parameter = &self.entry.parameters[parameter];
        if token.shape == Shape::Word {
            let is_small = lexicon::class(&token.canonical) == Class::Stop;
            if is_small || lexicon::is_pronoun(&token.folded) || lexicon::is_particle(&token.folded)
            {
                return None;
            }
            if self.words.after_preposition[i] && !expects_preposition(pattern, j) {
                return None;
            }
            // "Restart the server" names no service. A text may hold the word, and so may quotes.
            if lexicon::is_machine(&token.canonical) && !value::takes_several_words(parameter) {
                return None;
            }
        }
        let alone = value::of(parameter, token.written).is_some();
        if !alone && !value::takes_several_words(parameter) {
            return None;
        }
        Some(match (token.shape, value::is_path(parameter)) {
            (Shape::Path, true) | (Shape::Quoted, false) => 0.95,
            (Shape::Quoted, true) => 0.8,
            (Shape::Path, false) => 0.3,
            (Shape::Word, _) => 0.7,
        })
    }

    /// The fit along the way that ends with everything consumed.
    fn read_back(&self, pattern: &Pattern, out: &[Cell], within: &[Cell], columns: usize) -> Fit {
        let mut fit = Fit {
            used: vec![false; self.words.tokens.len()],
            example: pattern.text.clone(),
            ..Fit::default()
        };
        let (mut gained, mut lost, mut decided, mut generic) = (0.0, 0.0, false, false);
        let (mut j, mut i, mut inside) = (pattern.parts.len(), self.words.tokens.len(), false);
        let (mut hole_end, mut holes) = (0, Vec::new());
        let mut matched = vec![false; pattern.parts.len()];
        loop {
            let cell = if inside {
                within[j * columns + i]
            } else {
                out[j * columns + i]
            };
            match cell.by {
                Move::Start => break,
                Move::SkipToken => {
                    i -= 1;
                    lost += self.token_cost(i);
                    if self
                        .indexed
                        .choices
                        .contains_key(&self.words.tokens[i].canonical)
                    {
                        gained += CHOICE_GAIN;
                        decided = true;
                        fit.used[i] = true;
                        fit.words.push(self.words.tokens[i].written.to_owned());
                    }
                }
                Move::SkipPart => {
                    j -= 1;
                    lost += self.part_cost(&pattern.parts[j]);
                }
                Move::Match => {
                    (j, i) = (j - 1, i - 1);
                    if let Part::Word { canonical, weight } = &pattern.parts[j] {
                        gained += weight;
                        let class = lexicon::class(canonical);
                        decided |= class == Class::Content;
                        generic |= class == Class::Generic;
                        if class != Class::Stop {
                            fit.words.push(self.words.tokens[i].written.to_owned());
                        }
                    }
                    fit.used[i] = true;
                    matched[j] = true;
                }
                Move::Close => {
                    (j, inside, hole_end) = (j - 1, true, i);
                }
                Move::Extend => {
                    i -= 1;
                    lost += EXTEND;
                }
                Move::Enter => {
                    i -= 1;
                    if let Part::Hole { parameter } = &pattern.parts[j] {
                        gained += self.gain(pattern, j, *parameter, i).unwrap_or_default();
                        holes.push((j, *parameter, (i, hole_end)));
                    }
                    inside = false;
                }
            }
        }
        for (j, parameter, place) in holes {
            if self.is_announced(pattern, j, parameter, &matched) {
                let (from, to) = self.widened(parameter, place, &fit.used);
                self.take(parameter, from, to, &mut fit);
            }
        }
        fit.words.reverse();
        // "How is nas doing" has only words that tell little, and is one of the examples all the same.
        decided |= generic && lost < NEARLY_NOTHING;
        fit.score = if decided && gained > 0.0 {
            gained / (gained + lost)
        } else {
            0.0
        };
        fit
    }

    /// A parameter that may be left out is meant only where every word of the example that leads to it was
    /// said; otherwise "make it executable" would name an owner.
    fn is_announced(
        &self,
        pattern: &Pattern,
        j: usize,
        parameter: usize,
        matched: &[bool],
    ) -> bool {
        let parameter = &self.entry.parameters[parameter];
        let leading = (0..j)
            .rev()
            .take_while(|at| matches!(pattern.parts[*at], Part::Word { .. }));
        parameter.required
            || !parameter.choices.is_empty()
            || leading.into_iter().all(|at| matched[at])
    }

    /// A text of several words reaches from the word that was matched before it to the one after it, so that
    /// nothing of it is dropped as if it were grammar.
    fn widened(
        &self,
        parameter: usize,
        (mut from, mut to): (usize, usize),
        used: &[bool],
    ) -> (usize, usize) {
        let is_word = |i: usize| self.is_bare(i);
        let takes = value::takes_several_words(&self.entry.parameters[parameter]);
        if !takes || !(from..to).all(is_word) {
            return (from, to);
        }
        if used[..from].contains(&true) {
            while from > 0 && !used[from - 1] && is_word(from - 1) {
                from -= 1;
            }
        }
        if used[to..].contains(&true) {
            while !used[to] && is_word(to) {
                to += 1;
            }
        }
        (from, to)
    }

    /// The tokens of a hole as a value: one token without its quotes, several as they stand in the sentence.
    fn take(&self, parameter: usize, from: usize, to: usize, fit: &mut Fit) {
        let parameter: &Parameter = &self.entry.parameters[parameter];
        let tokens = &self.words.tokens[from..to];
        let piece = match tokens {
            [one] => one.written,
            [first, .., last] => &self.words.sentence[first.start..last.end],
            [] => return,
        };
        if let Some(value) = value::of(parameter, piece) {
            fit.parameters.insert(parameter.name.to_string(), value);
            fit.used[from..to].fill(true);
        }
    }
}

fn improve(cell: &mut Cell, score: f32, by: Move) {
    if score > cell.score {
        *cell = Cell { score, by };
    }
}

/// Whether the example itself has a preposition right before the hole.
fn expects_preposition(pattern: &Pattern, j: usize) -> bool {
    let before = &pattern.parts[j.saturating_sub(2)..j];
    before.iter().any(|part| {
        matches!(part, Part::Word { canonical, .. } if lexicon::is_host_preposition(canonical))
    })
}
