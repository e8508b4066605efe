//! Lookups and other things within Jinja code that are more than a value. Lookups run where Ansible runs,
//! also in a check run.

use chiffon_common::{Fidelity, Tier};

/// What a check run is worth beside a piece of code, the lowest tier that it allows, and why.
pub(super) type Judged = (Fidelity, Tier, String);

/// Lookups that give what stands in a file. They read where Ansible runs, with the rights of whoever runs it. The last two
/// name the file by a word of its own, which is not followed.
const READERS: [&str; 4] = ["file", "unvault", "csvfile", "ini"];

/// The lookups of ansible-core: name, and what a check run is worth beside one. A test holds the names against a
/// real Ansible.
const TABLE: &str = include_str!("lookups.tsv");

fn worth(name: &str) -> Option<&'static str> {
    let mut rows = TABLE.lines().filter_map(|line| line.split_once('\t'));
    rows.find(|(known, _)| *known == name)
        .map(|(_, worth)| worth)
}

/// What a lookup of this name comes to; nothing for a harmless one. One that runs code or writes does so on a machine
/// that the plan does not name; one that reads what the catalogue does not hold shows what no acceptance has seen.
pub(super) fn named(name: &str, argument: Option<&str>) -> Option<Judged> {
    let short = builtin(name);
    let is_plain = |text: &str| super::files::is_within(text) && !super::files::is_template(text);
    let is_within = argument.is_some_and(is_plain);
    match worth(short) {
        Some("exact")
            if READERS[2..].contains(&short) || READERS.contains(&short) && !is_within =>
        {
            let what = format!(
                "the lookup `{short}` reads a file where Ansible runs that may be none of the catalogue's"
            );
            Some((Fidelity::Exact, Tier::One, what))
        }
        Some("exact") => None,
        Some("simulated") => {
            let what = differs(&format!("the lookup `{short}`"));
            Some((Fidelity::Simulated, Tier::Zero, what))
        }
        // It reads a template, which is read by the scan where it is one of the catalogue's.
        Some("within") if is_within => None,
        Some("within") => {
            let what = format!("the lookup `{short}` reads a file that cannot be named beforehand");
            Some((Fidelity::Blind, Tier::One, what))
        }
        Some(_) => {
            let what = format!("the lookup `{short}` acts where Ansible runs, in a check run too");
            let tier = if short == "url" { Tier::One } else { Tier::Two };
            Some((Fidelity::Acts, tier, what))
        }
        None => {
            let what = format!("nobody can say what the lookup `{name}` does in a check run");
            Some((Fidelity::Blind, Tier::Two, super::text::shortened(what)))
        }
    }
}

fn differs(what: &str) -> String {
    format!("{what} gives something else in every run")
}

/// A name without the prefixes of ansible-core's own.
pub(super) fn builtin(name: &str) -> &str {
    let legacy = || name.strip_prefix("ansible.legacy.");
    let short = name.strip_prefix("ansible.builtin.").or_else(legacy);
    short.unwrap_or(name)
}

/// A piece of Jinja code.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'c> {
    Name(&'c str),
    /// A literal, without its quotes.
    Literal(&'c str),
    Sign(char),
}

/// What a piece of Jinja code does beyond giving a value.
pub(super) fn in_code(code: &str) -> Vec<Judged> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        let before = at.checked_sub(1).and_then(|at| tokens.get(at)).copied();
        let judged = if name.starts_with("__")
            || before == Some(Token::Sign('.')) && name.starts_with('_')
        {
            let what = "the template reaches into what Jinja is made of";
            Some((Fidelity::Blind, Tier::Two, what.to_owned()))
        } else {
            word(name, before, &tokens[at + 1..])
        };
        found.extend(judged);
    }
    found
}

/// The lookups in a text that becomes code only where a condition names its variable.
pub(super) fn in_prose(text: &str) -> Vec<Judged> {
    let tokens = tokens(text);
    let windows = tokens.windows(3).enumerate();
    let calls = windows.filter_map(|(at, window)| match window {
        [
            Token::Name("lookup" | "query" | "q"),
            Token::Sign('('),
            Token::Literal(_),
        ] => called(&tokens[at + 2..]),
        _ => None,
    });
    calls.collect()
}

fn word(name: &str, before: Option<Token<'_>>, after: &[Token<'_>]) -> Option<Judged> {
    let is_called = after.first() == Some(&Token::Sign('('));
    let is_attribute = before == Some(Token::Sign('.'));
    let is_filter = before == Some(Token::Sign('|'));
    match name {
        "lookup" | "query" | "q" if !is_attribute && is_called => called(&after[1..]),
        "lookup" | "query" | "q" if !is_attribute && !is_keyword(after) => {
            let what = format!("`{name}` without its arguments may be a lookup under another name");
            Some((Fidelity::Blind, Tier::Two, what))
        }
        "random" | "shuffle" | "password_hash" if is_filter || is_attribute => Some((
            Fidelity::Simulated,
            Tier::Zero,
            differs(&format!("the filter `{name}`")),
        )),
        "now" if is_called && !is_attribute => {
            Some((Fidelity::Simulated, Tier::Zero, differs("`now()`")))
        }
        "ansible_date_time" => Some((
            Fidelity::Simulated,
            Tier::Zero,
            differs("`ansible_date_time`"),
        )),
        // A filter of a collection is code that nobody here has read.
        namespace if is_filter && is_foreign(namespace, after) => {
            let what = format!("the filter `{namespace}...` is not of ansible-core");
            Some((Fidelity::Blind, Tier::One, super::text::shortened(what)))
        }
        "include" | "import" | "from" | "extends" if before == Some(Token::Sign('%')) => {
            let within = |token: &Token<'_>| matches!(token, Token::Literal(name) if super::files::is_within(name));
            let what = format!("`{name}` leads to a template that cannot be named beforehand");
            (!after.first().is_some_and(within)).then_some((Fidelity::Blind, Tier::One, what))
        }
        _ => None,
    }
}

/// A filter with a full name that is not of ansible-core.
fn is_foreign(namespace: &str, after: &[Token<'_>]) -> bool {
    let own = |token: &Token<'_>| matches!(token, Token::Name("builtin" | "legacy"));
    let is_full = after.first() == Some(&Token::Sign('.'));
    is_full && !(namespace == "ansible" && after.get(1).is_some_and(own))
}

/// `query=...` in a call.
fn is_keyword(after: &[Token<'_>]) -> bool {
    after.first() == Some(&Token::Sign('=')) && after.get(1) != Some(&Token::Sign('='))
}

/// Judged by what stands behind the bracket.
fn called(after: &[Token<'_>]) -> Option<Judged> {
    match after {
        [Token::Literal(name), Token::Sign(',' | ')'), rest @ ..] => named(name, argument(rest)),
        _ => {
            let what = "a lookup whose name is found only by the run may be one that acts";
            Some((Fidelity::Acts, Tier::Two, what.to_owned()))
        }
    }
}

/// What a lookup is given, where that is one text, or texts of which each is as good as the first. Words by name are of
/// no weight.
fn argument<'c>(given: &[Token<'c>]) -> Option<&'c str> {
    let [Token::Literal(first), rest @ ..] = given else {
        return None;
    };
    let mut rest = rest;
    loop {
        match rest {
            [Token::Sign(')'), ..] | [Token::Sign(','), Token::Name(_), Token::Sign('='), ..] => {
                return Some(first);
            }
            [Token::Sign(','), Token::Literal(more), after @ ..] => {
                if !super::files::is_within(more) {
                    return Some(more);
                }
                rest = after;
            }
            _ => return None,
        }
    }
}

/// Names, literals and signs; blanks and numbers part them and are left out.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        if c == '"' || c == '\'' {
            let length = literal_length(rest, c);
            tokens.push(Token::Literal(rest[1..length].trim_end_matches(c)));
            at += length;
        } else if c.is_alphabetic() || c == '_' {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(Token::Name(&rest[..length]));
            at += length;
        } else {
            if !c.is_whitespace() && !c.is_ascii_digit() && c != '-' && c != '+' {
                tokens.push(Token::Sign(c));
            }
            at += c.len_utf8();
        }
    }
    tokens
}

/// Length of a literal with its quotes; one that is never closed reaches to the end.
pub(super) fn literal_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}
