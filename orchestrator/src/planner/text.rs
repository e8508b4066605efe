//! Words of a sentence: as they were written, and folded for comparison (lower case, without accents).

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word<'t> {
    /// As written, without the punctuation around it.
    pub(crate) written: &'t str,
    /// Lower case, without accents; `ß` is `ss`.
    pub(crate) folded: String,
    /// Where it begins and ends in the text, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The words of a text. Signs within a word (`uptime-kuma`, `/etc/hosts`, `1.2.3`) stay.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let base = text.as_ptr() as usize;
    text.split(|c: char| c.is_whitespace() || is_apostrophe_break(c))
        .filter_map(move |piece| {
            let written = trim(piece);
            let start = written.as_ptr() as usize - base;
            (!written.is_empty()).then(|| Word {
                written,
                folded: fold(written),
                start,
                end: start + written.len(),
            })
        })
}

/// Signs that stand between words without a blank.
fn is_apostrophe_break(c: char) -> bool {
    matches!(c, '\u{2014}' | '\u{2026}')
}

fn trim(piece: &str) -> &str {
    let piece = piece.trim_start_matches(|c: char| {
        "\"'`(<[,;:!?\u{ab}\u{201c}\u{201e}\u{2018}\u{bf}\u{a1}".contains(c)
    });
    piece.trim_end_matches(|c: char| "\"'`)>],;:!?.\u{bb}\u{201d}\u{201c}\u{2019}".contains(c))
}

/// Lower case, without accents and without what cannot be seen.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for c in text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
    {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            '\u{2019}' => folded.push('\''),
            '\u{200b}'..='\u{200f}'
            | '\u{2060}'..='\u{206f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{feff}' => {}
            c => folded.push(c),
        }
    }
    folded
}

/// Without the ending of an English plural or possessive; more would join words that mean different things.
pub(crate) fn singular(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let is_plain = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_plain || ["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        return word.to_owned();
    }
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}
