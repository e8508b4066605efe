//! The explicit form, `<entry> key=value key="quoted value" key:=<json> on host1,host2`: exact, without any
//! guessing, for programs and for `catalogue run`.

use chiffon_common::{EntryCall, ErrorCode, HostName, Parameters, Problem};
use serde_json::Value;

/// What stands in the explicit form.
#[derive(Debug, PartialEq)]
pub(super) struct Explicit<'s> {
    pub(super) entry: &'s str,
    pub(super) parameters: Parameters,
    /// Hosts and groups as written.
    pub(super) hosts: Vec<&'s str>,
}

/// Reads the form. Nothing where the sentence is not in it; a problem where it is, with a mistake.
pub(super) fn read(sentence: &str) -> Option<Result<Explicit<'_>, Problem>> {
    let sentence = sentence.trim();
    let (entry, rest) = sentence
        .split_once(char::is_whitespace)
        .unwrap_or((sentence, ""));
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if entry.is_empty() || !entry.chars().all(is_id) {
        return None;
    }
    let rest = rest.trim_start();
    let begins = rest.is_empty() || key(rest).is_some() || is_on(rest);
    begins.then(|| read_rest(entry, rest))
}

/// The `key` and what follows its `=` or `:=`.
fn key(rest: &str) -> Option<(&str, bool, &str)> {
    let (key, value) = rest.split_once('=')?;
    let (key, is_json) = match key.strip_suffix(':') {
        Some(key) => (key, true),
        None => (key, false),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!key.is_empty() && key.len() <= 64 && key.chars().all(is_name))
        .then_some((key, is_json, value))
}

fn is_on(rest: &str) -> bool {
    rest.strip_prefix("on")
        .is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

fn read_rest<'s>(entry: &'s str, mut rest: &'s str) -> Result<Explicit<'s>, Problem> {
    let mut parameters = Parameters::new();
    while !rest.is_empty() && !is_on(rest) {
        let Some((key, is_json, after)) = key(rest) else {
            let shown: String = rest.chars().take(40).collect();
            return Err(mistake(&format!("{shown:?} is no key=value")));
        };
        let (value, after) = match is_json {
            true => json(after)?,
            false => text(after)?,
        };
        if parameters.insert(key.to_owned(), value).is_some() {
            return Err(mistake(&format!("{key:?} is given twice")));
        }
        rest = after.trim_start();
    }
    let named = rest.strip_prefix("on").unwrap_or_default();
    let hosts = named.split(|c: char| c == ',' || c.is_whitespace());
    Ok(Explicit {
        entry,
        parameters,
        hosts: hosts.filter(|host| !host.is_empty()).collect(),
    })
}

/// Only the values of the form, `key=value ... on host`, with the hosts as written. Nothing where the text does
/// not begin so.
pub(super) fn values(text: &str) -> Option<Result<Explicit<'_>, Problem>> {
    let text = text.trim();
    key(text).is_some().then(|| read_rest("", text))
}

/// A single word, or a single text within quotes.
pub(super) fn single(piece: &str) -> Option<String> {
    match text(piece.trim()).ok()? {
        (Value::String(value), rest) if rest.is_empty() && !value.is_empty() => Some(value),
        _ => None,
    }
}

/// A JSON value; the rest begins after it.
fn json(text: &str) -> Result<(Value, &str), Problem> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(value)) => {
            let at = stream.byte_offset();
            Ok((value, text.get(at..).unwrap_or_default()))
        }
        _ => Err(mistake("what follows := is no JSON")),
    }
}

/// Up to the next blank, or within double quotes, where `\"`, `\\`, `\n` and `\t` are escapes.
fn text(text: &str) -> Result<(Value, &str), Problem> {
    let Some(body) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].into(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return ended(value, &body[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err(mistake(r#"within quotes there are \", \\, \n and \t only"#)),
            },
            c => value.push(c),
        }
    }
    Err(mistake("a quote is not closed"))
}

fn ended(value: String, rest: &str) -> Result<(Value, &str), Problem> {
    if rest.is_empty() || rest.starts_with(char::is_whitespace) {
        return Ok((value.into(), rest));
    }
    Err(mistake("after a closing quote there must be a blank"))
}

fn mistake(what: &str) -> Problem {
    Problem::new(
        ErrorCode::ParameterInvalid,
        format!("the explicit form has a mistake: {what}"),
        "write: entry key=value key=\"quoted value\" on host1,host2",
    )
}

/// The form of a call, for people; with the values that are given, so secret ones are masked before.
pub(crate) fn written(call: &EntryCall) -> String {
    let mut text = call.entry.to_string();
    for (name, value) in &call.parameters {
        text += &match value {
            Value::String(value) => format!(" {name}={}", quoted(value)),
            other => format!(" {name}:={other}"),
        };
    }
    if !call.hosts.is_empty() {
        let hosts: Vec<&str> = call.hosts.iter().map(HostName::as_str).collect();
        text += &format!(" on {}", hosts.join(","));
    }
    text
}

fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._-/:@+,%~".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_is_exact() {
        let read_one = |text| read(text).unwrap().unwrap();
        let full = read_one(
            r#"write_file path=/tmp/x content="a \"b\" on nas\n" n:=[1, {"a": 2}] on nas, tower"#,
        );
        assert_eq!(full.entry, "write_file");
        assert_eq!(
            json!(full.parameters),
            json!({"path": "/tmp/x", "content": "a \"b\" on nas\n", "n": [1, {"a": 2}]})
        );
        assert_eq!(full.hosts, ["nas", "tower"]);
        assert_eq!(read_one("ping").hosts, [""; 0]);
        assert_eq!(
            json!(read_one("x a={{x}} b=").parameters),
            json!({"a": "{{x}}", "b": ""})
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let call = EntryCall {
            entry: "write_file".parse().unwrap(),
            hosts: vec!["nas".parse().unwrap(), "tower".parse().unwrap()],
            parameters: Parameters::from_iter([
                ("content".to_owned(), json!("a \"b\" \\ on nas\n\tc")),
                ("empty".to_owned(), json!("")),
                ("n".to_owned(), json!([1, {"a": "b c"}])),
                ("path".to_owned(), json!("/tmp/x")),
            ]),
        };
        let text = written(&call);
        let read = read(&text).unwrap().unwrap();
        assert_eq!(read.entry, "write_file");
        assert_eq!(read.parameters, call.parameters, "{text}");
        assert_eq!(read.hosts, ["nas", "tower"]);
    }

    #[test]
    fn sentences_are_not_in_it_and_mistakes_are_named() {
        assert!(read("ping nas").is_none());
        assert!(read("Install htop").is_none());
        for wrong in [
            "x a=\"b",
            "x a=\"b\"c",
            "x a=1 a=2",
            "x a=1 then b",
            "x a:=[1",
        ] {
            assert!(read(wrong).unwrap().is_err(), "{wrong}");
        }
    }
}
