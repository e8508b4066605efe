//! What a sentence tells without regard to the order of its words: how much of it an entry knows, and which
//! of the declared choices it names.

use serde_json::Value;

use super::{
    align::{Aligner, Fit},
    lexicon::{self, Class},
    sentence::Shape,
};

impl Aligner<'_, '_, '_> {
    /// How much of the sentence the entry knows, whatever the order: enough for a report.
    pub(super) fn bag(&self) -> Fit {
        let mut fit = Fit {
            used: vec![false; self.words.tokens.len()],
            example: self.entry.title.clone(),
            ..Fit::default()
        };
        let (mut known, mut unknown) = (0.0, 0.0);
        for (i, token) in self.words.tokens.iter().enumerate() {
            let is_content =
                token.shape == Shape::Word && lexicon::class(&token.canonical) == Class::Content;
            if is_content && self.indexed.vocabulary.contains(&token.canonical) {
                known += self.index.weight(&token.canonical);
                fit.used[i] = true;
                fit.words.push(token.written.to_owned());
            } else {
                unknown += self.token_cost(i);
            }
        }
        let enough = known >= 0.6 && self.entry.parameters.iter().all(|p| !p.required);
        fit.score = if enough {
            0.85 * known / (known + unknown)
        } else {
            0.0
        };
        fit
    }

    /// Words that are a choice of a parameter choose it, unless two choose differently.
    pub(super) fn add_choices(&self, fit: &mut Fit) {
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for token in &self.words.tokens {
            if let Some(choice) = self.indexed.choices.get(&token.canonical)
                && token.shape == Shape::Word
                && !chosen.contains(choice)
            {
                chosen.push(*choice);
            }
        }
        for (parameter, choice) in &chosen {
            let declared = &self.entry.parameters[*parameter];
            let is_only = chosen
                .iter()
                .filter(|(other, _)| other == parameter)
                .count()
                == 1;
            let value: Option<&Value> = declared.choices.get(*choice);
            match value {
                Some(value) if is_only => {
                    fit.parameters
                        .insert(declared.name.to_string(), value.clone());
                }
                _ => {
                    fit.parameters.remove(declared.name.as_str());
                }
            }
        }
    }
}
