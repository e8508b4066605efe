//! What kind of sentence it is. Only a plain request may start a change: no negation, no question, no
//! story about the past, no condition, no second step.

use super::{
    lexicon,
    sentence::{Shape, Token},
};

/// Why a sentence starts no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It asks for something to be done now.
    Request,
    /// It says what is not to be done.
    Negated,
    /// It asks, tells, or puts a condition.
    Talk,
    /// It names another time.
    Elsewhen,
    /// It asks for several things.
    Several,
}

/// The mood of the plain words of a sentence.
pub(super) fn mood(sentence: &str, tokens: &[Token<'_>]) -> Mood {
    let words: Vec<&Token<'_>> = tokens.iter().filter(|t| t.shape == Shape::Word).collect();
    if words.iter().any(|word| lexicon::is_negation(&word.folded)) {
        return Mood::Negated;
    }
    let (is_polite, rest) = without_politeness(&words);
    if is_talk(&rest) || (!is_polite && sentence.trim_end().ends_with('?')) {
        return Mood::Talk;
    }
    if rest.iter().any(|word| lexicon::is_elsewhen(&word.folded)) {
        return Mood::Elsewhen;
    }
    if asks_for_several(&rest) {
        return Mood::Several;
    }
    Mood::Request
}

/// Whether the sentence is a question by its form.
pub(super) fn is_question(sentence: &str, tokens: &[Token<'_>]) -> bool {
    let first = tokens.first().map(|token| token.folded.as_str());
    sentence.trim_end().ends_with('?') || first.is_some_and(lexicon::is_question)
}

/// `could you please ...`, `I would like you to ...`.
fn without_politeness<'a, 't>(words: &[&'a Token<'t>]) -> (bool, Vec<&'a Token<'t>>) {
    let is_filler = |word: &&&Token<'_>| {
        let word = word.folded.as_str();
        matches!(
            word,
            "please"
                | "bitte"
                | "hey"
                | "hi"
                | "hello"
                | "hallo"
                | "bonjour"
                | "ok"
                | "okay"
                | "chiffon"
                | "now"
                | "then"
        )
    };
    let skipped = words.iter().take_while(is_filler).count();
    let words = &words[skipped..];
    let first = words.first().map_or("", |word| word.folded.as_str());
    let second = words.get(1).map_or("", |word| word.folded.as_str());
    let asks_kindly =
        lexicon::is_polite(first) && (lexicon::is_polite_to(second) || first.contains('-'));
    let wishes = (lexicon::begins_statement(first) || first == "i'd")
        && words
            .iter()
            .take(4)
            .any(|word| lexicon::is_wish(&word.folded));
    let count = match (asks_kindly, wishes) {
        (true, _) => 2,
        (_, true) => words
            .iter()
            .take(4)
            .position(|word| lexicon::is_wish(&word.folded))
            .map_or(0, |n| n + 1),
        _ => 0,
    };
    (asks_kindly || wishes, words[count..].to_vec())
}

fn is_talk(words: &[&Token<'_>]) -> bool {
    let first = words.first().map_or("", |word| word.folded.as_str());
    lexicon::is_question(first) || lexicon::begins_statement(first)
}

/// A word such as `then`, or two different verbs of change.
fn asks_for_several(words: &[&Token<'_>]) -> bool {
    let leads_on = |word: &&Token<'_>| {
        matches!(
            word.folded.as_str(),
            "then" | "afterwards" | "dann" | "danach" | "anschliessend" | "puis" | "ensuite"
        )
    };
    let mut verbs = words
        .iter()
        .map(|word| word.canonical.as_str())
        .filter(|word| lexicon::is_change(word));
    let first = verbs.next();
    words.iter().any(leads_on) || first.is_some_and(|first| verbs.any(|verb| verb != first))
}
