//! A sentence as tokens: plain words, quoted texts, paths, addresses, keys and templates, each with its place. Quoted
//! texts and templates are data: no word in them decides anything.

use super::{text, words};

/// More words than this are no request but a text.
pub(super) const MAX_TOKENS: usize = 120;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Word,
    /// Begins with `/` or `~/`.
    Path,
    /// Begins with `http://` or `https://`.
    Url,
    /// A public SSH key: kind, key, and perhaps a comment.
    Key,
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
    /// Where it begins and ends, quotes included, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The punctuation that follows it.
    pub(super) after: Option<char>,
}

impl Token<'_> {
    pub(super) fn is_word(&self) -> bool {
        self.shape == Shape::Word
    }

    /// Whether a part of the sentence ends here.
    pub(super) fn ends_part(&self) -> bool {
        self.after.is_some()
    }

    /// Whether a sentence ends here.
    pub(super) fn ends_sentence(&self) -> bool {
        matches!(self.after, Some('.' | '!' | '?' | ';'))
    }
}

/// What French puts behind a verb with a hyphen.
const BEHIND: [&str; 17] = [
    "-t-il", "-t-elle", "-t-on", "-moi", "-toi", "-nous", "-vous", "-les", "-le", "-la", "-lui",
    "-tu", "-il", "-elle", "-on", "-ce", "-y",
];
/// Kinds of things that make such a word German however it is written.
const GERMAN_KINDS: [&str; 10] = [
    "dienst", "dienste", "dienstes", "paket", "pakete", "pakets", "datei", "ordner", "reste",
    "leichen",
];
/// What French puts before a word with an apostrophe.
const ELIDED: [&str; 9] = ["l", "d", "j", "n", "s", "c", "m", "t", "qu"];

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
    join_keys(sentence, &mut tokens);
    join_texts(sentence, &mut tokens);
    punctuate(sentence, &mut tokens);
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
        // French puts a blank inside of its quotes.
        match whole.starts_with('\u{ab}') {
            true => chars.as_str().trim(),
            false => chars.as_str(),
        }
    };
    Token {
        shape: Shape::Quoted,
        written,
        folded: String::new(),
        start,
        end,
        after: None,
    }
}

fn push_words<'t>(piece: &'t str, base: usize, tokens: &mut Vec<Token<'t>>) {
    for word in text::words(piece) {
        let start = base + word.start;
        for (at, written) in pieces(word.written, &word.folded) {
            let is_path = written.starts_with('/') || written.starts_with("~/");
            let shape = match is_path {
                true => Shape::Path,
                false if is_url(written) => Shape::Url,
                false => Shape::Word,
            };
            tokens.push(Token {
                shape,
                written,
                folded: text::fold(written),
                start: start + at,
                end: start + at + written.len(),
                after: None,
            });
        }
    }
}

fn is_url(written: &str) -> bool {
    let rest = written
        .strip_prefix("http://")
        .or_else(|| written.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty())
}

/// A word, or its parts where French joins two: `d'installer`, `relance-le`.
fn pieces<'t>(written: &'t str, folded: &str) -> Vec<(usize, &'t str)> {
    if words::meaning(folded, None).is_some() {
        return vec![(0, written)];
    }
    if let Some((before, _)) = folded.split_once('\'')
        && ELIDED.contains(&before)
        && let Some((at, c)) = written
            .char_indices()
            .find(|(_, c)| matches!(c, '\'' | '\u{2019}'))
        && at + c.len_utf8() < written.len()
    {
        let at = at + c.len_utf8();
        let mut all = vec![(0, &written[..at])];
        let rest = pieces(&written[at..], &text::fold(&written[at..]));
        all.extend(rest.into_iter().map(|(n, piece)| (n + at, piece)));
        return all;
    }
    if let Some(at) = compound(written) {
        return vec![(0, &written[..at]), (at + 1, &written[at + 1..])];
    }
    let behind = BEHIND.iter().find(|end| {
        let stem = folded.strip_suffix(**end).unwrap_or_default();
        let is_verb = |meaning: words::Meaning| !meaning.is_name;
        // A verb that the list lacks: "-le" and "-moi" stand behind nothing else.
        let is_plain = matches!(**end, "-le" | "-la" | "-les" | "-moi" | "-lui")
            && stem.len() >= 4
            && stem.bytes().all(|byte| byte.is_ascii_lowercase());
        written.ends_with(**end) && (is_plain || words::meaning(stem, None).is_some_and(is_verb))
    });
    match behind {
        Some(end) => {
            let at = written.len() - end.len();
            vec![(0, &written[..at]), (at, &written[at..])]
        }
        None => vec![(0, written)],
    }
}

/// Where German joins a name and what kind of thing it is: `Nginx-Dienst`, `Docker-Images`.
fn compound(written: &str) -> Option<usize> {
    let at = written.rfind('-').filter(|at| *at > 1)?;
    let kind = &written[at + 1..];
    let folded = text::fold(kind);
    let meaning = words::meaning(&folded, None)?;
    let is_kind = [
        "service", "package", "file", "folder", "image", "stack", "updates", "volumes", "restart",
        "reboot", "backup", "unused",
    ]
    .contains(&meaning.name);
    let is_german = kind.starts_with(char::is_uppercase) && kind.contains(char::is_lowercase)
        || GERMAN_KINDS.contains(&folded.as_str());
    (is_kind && is_german).then_some(at)
}

/// A text behind "Inhalt:", "saying:" or "Befehl:" is one piece of data up to the end.
fn join_texts<'t>(sentence: &'t str, tokens: &mut Vec<Token<'t>>) {
    let leads = |pair: &[Token<'_>]| {
        let between = &sentence[pair[0].end..pair[1].start];
        let is_lead = words::meaning(&pair[0].folded, None)
            .is_some_and(|meaning| matches!(meaning.name, "content" | "command"));
        pair[0].is_word() && is_lead && between.trim() == ":"
    };
    let Some(at) = tokens.windows(2).position(leads) else {
        return;
    };
    let rest = &tokens[at + 1..];
    if rest.iter().any(|token| token.shape == Shape::Quoted) {
        return;
    }
    let start = rest[0].start;
    let written = sentence[start..].trim_end();
    tokens.truncate(at + 1);
    tokens.push(Token {
        shape: Shape::Quoted,
        written,
        folded: String::new(),
        start,
        end: start + written.len(),
        after: None,
    });
}

/// A kind of key with the key, and its comment, are one token.
fn join_keys<'t>(sentence: &'t str, tokens: &mut Vec<Token<'t>>) {
    let is_kind = |word: &str| {
        ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|kind| word.starts_with(kind))
    };
    let mut at = 0;
    while at + 1 < tokens.len() {
        let (kind, key) = (&tokens[at], &tokens[at + 1]);
        // A sign in between says something, which no key does.
        let is_next = |before: &Token<'_>, next: &Token<'_>| {
            let between = sentence.get(before.end..next.start);
            between.is_some_and(|between| between.chars().all(char::is_whitespace))
        };
        if kind.is_word()
            && key.is_word()
            && is_kind(kind.written)
            && key.written.starts_with("AAAA")
            && is_next(kind, key)
        {
            let comment = tokens
                .get(at + 2)
                .filter(|next| next.is_word() && next.written.contains('@'))
                .filter(|next| is_next(key, next));
            let to = if comment.is_some() { at + 3 } else { at + 2 };
            let (start, end) = (tokens[at].start, tokens[to - 1].end);
            let whole = Token {
                shape: Shape::Key,
                written: &sentence[start..end],
                folded: String::new(),
                start,
                end,
                after: None,
            };
            tokens.splice(at..to, [whole]);
        }
        at += 1;
    }
}

fn punctuate(sentence: &str, tokens: &mut [Token<'_>]) {
    for n in 0..tokens.len() {
        let until = tokens.get(n + 1).map_or(sentence.len(), |next| next.start);
        let Some(between) = sentence.get(tokens[n].end..until) else {
            continue;
        };
        let strongest = |c: &char| match c {
            '.' | '!' | '?' | ';' => 2,
            _ => 1,
        };
        let signs = between
            .chars()
            .filter(|c| ",;:.!?\u{2013}\u{2014}".contains(*c));
        tokens[n].after = match signs.max_by_key(strongest) {
            None if between.trim() == "-" => Some(','),
            sign => sign,
        };
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
