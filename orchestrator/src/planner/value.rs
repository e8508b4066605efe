//! Turning a piece of a sentence into the value of a declared parameter. What comes out is data; the last
//! word has `Entry::check`.

use serde_json::Value;

use super::{index::canonical, text};
use crate::catalogue::{Kind, Parameter};

/// The value, where the piece could be one of this parameter.
pub(super) fn of(parameter: &Parameter, piece: &str) -> Option<Value> {
    if !parameter.choices.is_empty() {
        return choice(parameter, piece);
    }
    match parameter.kind {
        Kind::Int => piece.parse::<i64>().ok().map(Value::from),
        Kind::Float => piece
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::from),
        Kind::Bool => match text::fold(piece).as_str() {
            "yes" | "true" | "on" | "ja" | "oui" => Some(true.into()),
            "no" | "false" | "off" | "nein" | "non" => Some(false.into()),
            _ => None,
        },
        Kind::Dict => None,
        Kind::List => Some(vec![fitting(parameter, piece)?].into()),
        Kind::Path if !piece.starts_with(['/', '~']) => None,
        Kind::Str | Kind::Path | Kind::Raw => fitting(parameter, piece).map(Value::from),
    }
}

/// As written, or in lower case where only that has the permitted form: "Htop" begins a sentence.
fn fitting(parameter: &Parameter, piece: &str) -> Option<String> {
    let fits = |piece: &str| {
        parameter
            .pattern
            .as_ref()
            .is_none_or(|pattern| pattern.is_match(piece))
    };
    if piece.is_empty()
        || parameter
            .max_length
            .is_some_and(|most| piece.chars().count() > most)
    {
        return None;
    }
    if fits(piece) {
        return Some(piece.to_owned());
    }
    let lower = piece.to_lowercase();
    fits(&lower).then_some(lower)
}

fn choice(parameter: &Parameter, piece: &str) -> Option<Value> {
    let folded = text::fold(piece);
    let meant = canonical(&folded);
    let same = |choice: &&Value| match choice.as_str() {
        Some(choice) => {
            let choice = text::fold(choice);
            choice == folded || canonical(&choice) == meant
        }
        None => serde_json::from_str::<Value>(piece).is_ok_and(|given| given == **choice),
    };
    parameter.choices.iter().find(same).cloned()
}

/// Whether several words can be one value of it.
pub(super) fn takes_several_words(parameter: &Parameter) -> bool {
    let is_text = matches!(parameter.kind, Kind::Str | Kind::Raw);
    is_text && parameter.choices.is_empty() && of(parameter, "some words").is_some()
}

/// Whether it names a file: by its type, or because its pattern takes `/a/b` and not `a`.
pub(super) fn is_path(parameter: &Parameter) -> bool {
    let by_pattern = parameter
        .pattern
        .as_ref()
        .is_some_and(|p| p.is_match("/a/b") && !p.is_match("a"));
    parameter.kind == Kind::Path || parameter.name.as_str() == "path" || by_pattern
}
