//! A sentence as tokens: plain words, quoted texts, paths and templates, each with its place. Quoted texts
//! and templates are data: no word in them decides anything.

use std::borrow::Cow;

use super::{lexicon, text};

/// More words than this are no request but a text.
pub(super) const MAX_TOKENS: usize = 120;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Word,
    /// Begins with `/` or `~/`.
    Path,
    /// Stood in quotes, or is a `{{ template }}`: verbatim data.
    Quoted,
}

/// One token.
#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub(super) shape: Shape,
    /// What it says, without quotes and punctuation around it.
    pub(super) written: &'t str,
    pub(super) folded: String,
    /// The form that is compared; empty for quoted ones.
    pub(super) canonical: String,
    /// Where it begins and ends, quotes included, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a comma or the like follows it.
    pub(super) comma: bool,
}

/// The tokens of a sentence; nothing where there are more than [`MAX_TOKENS`].
pub(super) fn tokens(sentence: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < sentence.len() {
        let (start, end) = next_plain(sentence, at);
        push_words(&sentence[at..start], at, &mut tokens);
        if start < end {
            tokens.push(quoted(sentence, start, end));
        }
        if tokens.len() > MAX_TOKENS {
            return None;
        }
        at = end.max(start);
    }
    Some(tokens)
}

/// Where the next quoted text or template begins and ends; twice the end of the sentence without one.
fn next_plain(sentence: &str, from: usize) -> (usize, usize) {
    let mut before = sentence[..from].chars().next_back();
    for (n, c) in sentence[from..].char_indices() {
        let start = from + n;
        let rest = &sentence[start..];
        let opens = before.is_none_or(|b| b.is_whitespace() || "([{=:,".contains(b));
        let end = match c {
            '{' if rest.starts_with("{{") => closing_template(rest, "}}"),
            '{' if rest.starts_with("{%") => closing_template(rest, "%}"),
            _ if opens => closing_quote(c, rest),
            _ => None,
        };
        if let Some(len) = end {
            return (start, start + len);
        }
        before = Some(c);
    }
    (sentence.len(), sentence.len())
}

/// Several templates in a row are one value.
fn closing_template(rest: &str, closing: &str) -> Option<usize> {
    rest.find(closing).map(|at| at + closing.len())
}

fn closing_quote(open: char, rest: &str) -> Option<usize> {
    let closing: &[char] = match open {
        '"' => &['"'],
        '\'' => &['\''],
        '`' => &['`'],
        '\u{201c}' => &['\u{201d}'],
        '\u{201e}' => &['\u{201c}', '\u{201d}'],
        '\u{2018}' => &['\u{2019}'],
        '\u{ab}' => &['\u{bb}'],
        _ => return None,
    };
    let body = &rest[open.len_utf8()..];
    body.char_indices().find_map(|(n, c)| {
        let after = body[n + c.len_utf8()..].chars().next();
        // An apostrophe within a word closes nothing.
        let ends = after.is_none_or(|a| !a.is_alphanumeric());
        (closing.contains(&c) && ends).then(|| open.len_utf8() + n + c.len_utf8())
    })
}

fn quoted(sentence: &str, start: usize, end: usize) -> Token<'_> {
    let whole = &sentence[start..end];
    let mut chars = whole.chars();
    let written = if whole.starts_with('{') {
        whole
    } else {
        chars.next();
        chars.next_back();
        chars.as_str()
    };
    Token {
        shape: Shape::Quoted,
        written,
        folded: String::new(),
        canonical: String::new(),
        start,
        end,
        comma: false,
    }
}

fn push_words<'t>(piece: &'t str, base: usize, tokens: &mut Vec<Token<'t>>) {
    for word in text::words(piece) {
        let is_path = word.written.starts_with('/') || word.written.starts_with("~/");
        let canonical = match lexicon::canonical(&word.folded) {
            Cow::Borrowed(canonical) => canonical.to_owned(),
            Cow::Owned(canonical) => canonical,
        };
        let after = piece[word.end..].chars().next();
        tokens.push(Token {
            shape: if is_path { Shape::Path } else { Shape::Word },
            written: word.written,
            canonical: if is_path { String::new() } else { canonical },
            folded: word.folded,
            start: base + word.start,
            end: base + word.end,
            comma: after.is_some_and(|c| matches!(c, ',' | ';')),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(sentence: &str) -> Vec<&str> {
        tokens(sentence)
            .unwrap()
            .iter()
            .map(|token| token.written)
            .collect()
    }

    #[test]
    fn quotes_and_templates_are_one_token() {
        assert_eq!(
            written(r#"Write "don't, stop" to /tmp/x."#),
            ["Write", "don't, stop", "to", "/tmp/x"]
        );
        assert_eq!(
            written("put {{ lookup('pipe', 'id') }} in „die Datei“"),
            ["put", "{{ lookup('pipe', 'id') }}", "in", "die Datei"]
        );
        assert_eq!(
            written("don't touch nas' disks"),
            ["don't", "touch", "nas", "disks"]
        );
        assert_eq!(written("an \"open quote"), ["an", "open", "quote"]);
    }

    #[test]
    fn a_text_is_no_sentence() {
        assert!(tokens(&"word ".repeat(10_000)).is_none());
    }
}
