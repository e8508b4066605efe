//! The redactor: secret values known to a run, struck out of every text that leaves it (S11).
//!
//! Exact values only, each also as it looks in base64 (at all three alignments), URL-encoded, escaped
//! for JSON, for a shell, for Python, for HTML and XML, and with its quotes doubled as YAML and CSV do. Which values are secret is for the caller to say.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Map, Value};

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// Values shorter than this (in bytes) are not struck out: they would shred every text and hide nothing.
pub const MIN_SECRET_BYTES: usize = 4;

/// A line of a secret of several lines is struck out alone from this length (in bytes) on.
const MIN_LINE_BYTES: usize = 8;

/// The part of a base64 form that does not depend on its neighbours must have this length to count.
const MIN_BASE64_CHARS: usize = 6;

/// Strikes secrets out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Redactor(Finder);

#[derive(Debug, Clone)]
enum Finder {
    /// There are no secrets.
    Nothing,
    Patterns {
        automaton: AhoCorasick,
        longest: usize,
    },
    /// The automaton could not be built: nothing passes.
    Everything,
}

impl Redactor {
    /// A redactor for these values. Those under [`MIN_SECRET_BYTES`] are left out.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            forms_of(secret.as_ref(), &mut forms);
        }
        let Some(longest) = forms.iter().map(String::len).max() else {
            return Self(Finder::Nothing);
        };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms);
        Self(match automaton {
            Ok(automaton) => Finder::Patterns { automaton, longest },
            Err(_) => Finder::Everything,
        })
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        match &self.0 {
            Finder::Nothing => text.to_owned(),
            Finder::Everything => REDACTED.to_owned(),
            Finder::Patterns { automaton, .. } => {
                let mut clean = String::with_capacity(text.len());
                automaton.replace_all_with(text, &mut clean, |_, _, clean| {
                    clean.push_str(REDACTED);
                    true
                });
                clean
            }
        }
    }

    /// The value without the secrets, in strings and keys at any depth, and in numbers as they are written.
    pub fn redact_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Array(items) => items.iter().map(|item| self.redact_value(item)).collect(),
            Value::Object(fields) => Value::Object(self.redact_map(fields)),
            Value::Number(number) => {
                let written = number.to_string();
                let clean = self.redact(&written);
                if clean == written {
                    value.clone()
                } else {
                    Value::String(clean)
                }
            }
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }

    /// As [`redact_value`](Self::redact_value), for the fields of an object.
    pub fn redact_map(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let clean = |(key, value): (&String, &Value)| (self.redact(key), self.redact_value(value));
        fields.iter().map(clean).collect()
    }

    /// For text that comes in chunks.
    pub fn stream(&self) -> RedactStream {
        RedactStream {
            redactor: self.clone(),
            held: String::new(),
        }
    }
}

/// Redacts text that comes in chunks, also where a secret spans several of them.
#[derive(Debug)]
pub struct RedactStream {
    redactor: Redactor,
    /// What may be the beginning of a secret; shorter than the longest secret.
    held: String,
}

impl RedactStream {
    /// Takes a chunk and returns what can be given away by now.
    pub fn push(&mut self, chunk: &str) -> String {
        self.held.push_str(chunk);
        let Finder::Patterns { automaton, longest } = &self.redactor.0 else {
            return self.finish();
        };
        // A secret that begins before this place lies wholly in what is held.
        let mut safe = self.held.len().saturating_sub(longest - 1);
        while !self.held.is_char_boundary(safe) {
            safe -= 1;
        }
        let mut clean = String::with_capacity(safe);
        let mut done = 0;
        for found in automaton.find_iter(&self.held) {
            if found.start() >= safe {
                break;
            }
            clean.push_str(&self.held[done..found.start()]);
            clean.push_str(REDACTED);
            done = found.end();
        }
        if done < safe {
            clean.push_str(&self.held[done..safe]);
            done = safe;
        }
        self.held.drain(..done);
        clean
    }

    /// The rest. The stream can be used on for another text.
    pub fn finish(&mut self) -> String {
        let rest = self.redactor.redact(&self.held);
        let was_empty = self.held.is_empty();
        self.held.clear();
        if was_empty { String::new() } else { rest }
    }
}

fn forms_of(secret: &str, forms: &mut BTreeSet<String>) {
    let lines = secret
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= MIN_LINE_BYTES);
    for value in [secret, secret.trim()].into_iter().chain(lines) {
        if value.trim().len() < MIN_SECRET_BYTES {
            continue;
        }
        let json = escaped_for_json(value);
        forms.extend([
            value.to_owned(),
            escaped_for_json(&json),
            escaped_to_ascii(value),
            escaped_for_python(value),
            json,
            value.replace('\'', r#"'"'"'"#),
            value.replace('\'', r"'\''"),
            value.replace('\'', "''"),
            value.replace('"', "\"\""),
            escaped_for_html(value, "&#34;", "&#39;"),
            escaped_for_html(value, "&quot;", "&apos;"),
            escaped_for_html(value, "&quot;", "&#x27;"),
            escaped_for_html(value, "\"", "'"),
        ]);
        forms.extend(url_encoded(value));
        forms.extend(in_base64(value));
    }
}

fn escaped_for_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// HTML and XML: by Jinja's `e` and by others, which write the quotes otherwise or leave them.
fn escaped_for_html(text: &str, double: &str, single: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    let escaped = escaped.replace('>', "&gt;");
    escaped.replace('"', double).replace('\'', single)
}

/// JSON as many write it, with nothing but ASCII.
fn escaped_to_ascii(text: &str) -> String {
    let mut escaped = String::new();
    for c in escaped_for_json(text).chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

fn escaped_for_python(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('\n', r"\n");
    escaped.replace('\t', r"\t").replace('\'', r"\'")
}

/// With upper-case and lower-case digits, a blank as `%20` and as `+`, a slash kept and encoded.
fn url_encoded(text: &str) -> Vec<String> {
    let encode = |keep: &[u8], upper: bool, plus: bool| {
        let mut encoded = String::new();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
                encoded.push(char::from(byte));
            } else if plus && byte == b' ' {
                encoded.push('+');
            } else if upper {
                encoded.push_str(&format!("%{byte:02X}"));
            } else {
                encoded.push_str(&format!("%{byte:02x}"));
            }
        }
        encoded
    };
    let mut forms = Vec::new();
    for keep in [&b"-_.~"[..], b"-_.~/", b"-_.*"] {
        for upper in [true, false] {
            forms.push(encode(keep, upper, false));
            forms.push(encode(keep, upper, true));
        }
    }
    forms
}

/// The characters that do not depend on what stands before and after the value.
fn in_base64(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        // A character holds six bits: skip those that hold bits of the bytes before, and of those after.
        let first = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        for encoded in [
            BASE64_STANDARD_NO_PAD.encode(&bytes),
            BASE64_URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            if end.saturating_sub(first) >= MIN_BASE64_CHARS {
                forms.push(encoded[first..end].to_owned());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2 & \"ü\"/'x'\\";

    #[test]
    fn no_form_of_a_secret_survives() {
        let redactor = Redactor::new([SECRET]);
        let once = serde_json::to_string(SECRET).unwrap();
        let twice = serde_json::to_string(&once).unwrap();
        for text in [SECRET.to_owned(), once, twice] {
            let clean = redactor.redact(&format!("password is {text}!"));
            assert!(!clean.contains("hunter2"), "{clean}");
            assert!(clean.starts_with("password is ") && clean.ends_with('!'));
        }
        for encoded in url_encoded(SECRET) {
            assert_eq!(redactor.redact(&encoded), REDACTED);
        }
        let ascii = r#"hunter2 & \"\u00fc\"/'x'\\"#;
        assert_eq!(redactor.redact(ascii), REDACTED);
        for escaped in [
            r#"hunter2 &amp; &#34;ü&#34;/&#39;x&#39;\"#,
            r#"hunter2 &amp; &quot;ü&quot;/&apos;x&apos;\"#,
            r#"hunter2 & "ü"/''x''\"#,
            r#"hunter2 & ""ü""/'x'\"#,
        ] {
            assert_eq!(redactor.redact(escaped), REDACTED, "{escaped}");
        }
    }

    #[test]
    fn base64_is_found_at_every_alignment() {
        let redactor = Redactor::new(["correct horse battery"]);
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "z", "zz"] {
                let text = BASE64_STANDARD.encode(format!("{before}correct horse battery{after}"));
                let clean = redactor.redact(&text);
                assert!(clean.contains(REDACTED), "{before}|{after}: {clean}");
                assert!(clean.len() <= REDACTED.len() + 12, "{clean}");
            }
        }
    }

    #[test]
    fn a_stream_gives_the_same_as_the_whole_wherever_it_is_cut() {
        let redactor = Redactor::new(["geheimnis", "geheimnisvoll", "ünicode-sécret"]);
        let text = "a geheimnis, ein geheimnisvolles, ünicode-sécret und geheim";
        let whole = redactor.redact(text);
        let cuts = || (0..=text.len()).filter(|at| text.is_char_boundary(*at));
        for first in cuts() {
            for second in cuts().filter(|at| *at >= first) {
                let mut stream = redactor.stream();
                let mut clean = stream.push(&text[..first]);
                clean += &stream.push(&text[first..second]);
                clean += &stream.push(&text[second..]);
                clean += &stream.finish();
                assert_eq!(clean, whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_stream_holds_back_less_than_the_longest_secret() {
        let redactor = Redactor::new(["0123456789"]);
        let mut stream = redactor.stream();
        let out = stream.push(&"x".repeat(100_000));
        assert!(out.len() > 99_900);
    }

    #[test]
    fn lines_of_a_key_are_secret_one_by_one_and_short_values_are_not() {
        let key = "-----BEGIN-----\nAAAAB3NzaC1yc2E\nshort\n";
        let redactor = Redactor::new([key, "abc"]);
        assert_eq!(redactor.redact("| AAAAB3NzaC1yc2E"), "| [redacted]");
        assert_eq!(redactor.redact("short abc"), "short abc");
    }

    #[test]
    fn values_are_cleaned_in_keys_numbers_and_nested_lists() {
        let redactor = Redactor::new(["swordfish", "123456"]);
        let value = json!({"swordfish": [{"a": "my swordfish"}, 123_456, 7, null, true]});
        let clean = redactor.redact_value(&value);
        assert_eq!(
            clean,
            json!({"[redacted]": [{"a": "my [redacted]"}, "[redacted]", 7, null, true]})
        );
    }

    #[test]
    fn without_secrets_nothing_changes() {
        let redactor = Redactor::new(Vec::<String>::new());
        assert_eq!(redactor.redact("a"), "a");
        let mut stream = redactor.stream();
        assert_eq!(stream.push("a") + &stream.finish(), "a");
    }
}
