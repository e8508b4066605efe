//! From a fit to whole parameters: what the alignment did not place finds its place or is asked about, and
//! nothing that was said is passed over in silence where something would be changed.

use chiffon_common::{ErrorCode, Parameters, Tier, visible};

use super::{
    Given, Question,
    align::{Fit, Words},
    lexicon::{self, Class},
    propose::{Answer, Asked, ask},
    sentence::{Shape, Token},
    value,
};
use crate::{catalogue::Entry, inventory::Inventory};

/// The parameters of an entry, or the question that is left.
pub(super) fn parameters(
    entry: &Entry,
    fit: &Fit,
    words: &Words<'_, '_>,
    inventory: &Inventory,
    answer: &Answer,
    given: &Given,
) -> Asked<Parameters> {
    let (mut parameters, mut used) = (fit.parameters.clone(), fit.used.clone());
    for wanted in [Shape::Path, Shape::Quoted] {
        place(entry, words, wanted, &mut parameters, &mut used);
    }
    parameters.extend(given.parameters.clone());
    ask_for_missing(entry, &parameters, words, answer)?;
    let unused = words.tokens.iter().zip(&words.host_like).zip(&used);
    let left: Vec<(&Token<'_>, bool)> = unused
        .filter(|(_, used)| !**used)
        .map(|((token, host_like), _)| (*token, *host_like))
        .collect();
    if let Some((token, _)) = left.iter().find(|(_, host_like)| *host_like) {
        return Err(Box::new(Question {
            problem: inventory.unknown_host(token.written),
            nearest: answer.nearest.clone(),
            missing: Vec::new(),
            about: Some(entry.id.clone()),
        }));
    }
    match left.iter().find(|(token, _)| tells(token)) {
        Some((token, _)) if entry.tier > Tier::Zero => Err(ask(
            ErrorCode::NothingMatches,
            &format!(
                "{} fits, but I do not know what \"{}\" is to mean in it",
                entry.id,
                visible(token.written)
            ),
            &answer.how_to_say,
            &answer.nearest,
        )),
        _ => Ok(parameters),
    }
}

/// Whether a token says something that matters.
fn tells(token: &Token<'_>) -> bool {
    let is_word = token.shape == Shape::Word;
    let is_small = lexicon::class(&token.canonical) != Class::Content;
    !is_word || !(is_small || lexicon::is_pronoun(&token.folded))
}

/// A single unused path or quoted text belongs to the single required parameter that can take it.
fn place(
    entry: &Entry,
    words: &Words<'_, '_>,
    wanted: Shape,
    parameters: &mut Parameters,
    used: &mut [bool],
) {
    let is_free = |i: &usize| words.tokens[*i].shape == wanted && !used[*i];
    let free: Vec<usize> = (0..words.tokens.len()).filter(is_free).collect();
    let missing = entry.missing(parameters);
    let takers: Vec<_> = missing
        .filter(|parameter| (wanted == Shape::Path) == value::is_path(parameter))
        .collect();
    if let ([i], [taker]) = (&free[..], &takers[..])
        && let Some(value) = value::of(taker, words.tokens[*i].written)
    {
        let name = taker.name.to_string();
        parameters.insert(name, value);
        used[*i] = true;
    }
}

fn ask_for_missing(
    entry: &Entry,
    parameters: &Parameters,
    words: &Words<'_, '_>,
    answer: &Answer,
) -> Asked<()> {
    let missing: Vec<String> = entry
        .missing(parameters)
        .map(|parameter| parameter.name.to_string())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if words.of_machine {
        let detail = format!(
            "that is said of the machine itself, and no entry does it to a machine yet; the nearest is {}, which needs: {}",
            entry.id,
            missing.join(", ")
        );
        let code = ErrorCode::NothingMatches;
        return Err(ask(code, &detail, &answer.how_to_say, &answer.nearest));
    }
    let detail = format!("{}: which {}?", entry.title, missing.join(" and which "));
    let mut question = ask(
        ErrorCode::ParameterMissing,
        &detail,
        &answer.how_to_say,
        &answer.nearest,
    );
    question.missing = missing;
    question.about = Some(entry.id.clone());
    Err(question)
}
