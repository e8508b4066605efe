//! `verify` in the metadata: what must hold after a run. A check is another entry (`entry`), or one of five
//! short forms (`http`, `port`, `unit`, `file`, `command`), each of which calls the shipped entry of its name.
//!
//! Everything that can be known to be wrong without a run is refused here, with its line. Making steps of the
//! checks is left to the engine, making them to the roles `check_*`.

use chiffon_common::{EntryId, Parameters};
use serde_json::Value;

use super::{
    entry::placeholders,
    metadata::{Call, call, entries},
    parameter::{Parameter, expected},
    yaml::{Fault, Key, Node},
};

/// Longest time that a check keeps trying, in seconds: it holds up the end of the request.
const MAX_WITHIN: i64 = 3600;
/// Most words of a command.
const MAX_WORDS: usize = 200;

/// What must hold after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The entry that looks, with its parameters.
    pub call: Call,
    /// Whether it is one of the short forms: only those may name an entry that does nothing but check.
    pub short: bool,
    /// Where it stands, from 1.
    pub(super) line: u32,
}

/// What the value of a key must be.
enum Form {
    Text,
    /// Between these, both included.
    Number(i64, i64),
    Flag,
    Words,
    /// Beginning with one of these.
    Begins(&'static [&'static str]),
    Sha256,
}

/// A short form: its name, the shipped entry, and the keys with what they must be; the required ones first.
struct Short {
    name: &'static str,
    entry: &'static str,
    keys: &'static [(&'static str, Form)],
    required: usize,
}

const WITHIN: (&str, Form) = ("within", Form::Number(0, MAX_WITHIN));

const SHORT: [Short; 5] = [
    Short {
        name: "http",
        entry: "check_http",
        keys: &[
            ("url", Form::Begins(&["http://", "https://"])),
            ("status", Form::Number(100, 599)),
            ("contains", Form::Text),
            WITHIN,
        ],
        required: 1,
    },
    Short {
        name: "port",
        entry: "check_port",
        keys: &[
            ("port", Form::Number(1, 65_535)),
            ("host", Form::Text),
            WITHIN,
        ],
        required: 1,
    },
    Short {
        name: "unit",
        entry: "check_unit",
        keys: &[("name", Form::Text), WITHIN],
        required: 1,
    },
    Short {
        name: "file",
        entry: "check_file",
        keys: &[
            ("path", Form::Begins(&["/"])),
            ("sha256", Form::Sha256),
            WITHIN,
        ],
        required: 2,
    },
    Short {
        name: "command",
        entry: "check_command",
        keys: &[("argv", Form::Words), ("as_root", Form::Flag), WITHIN],
        required: 1,
    },
];

impl Check {
    /// The call with the values of a run in place of the placeholders. Words of a command are text.
    pub fn filled(&self, known: &Parameters) -> Parameters {
        let mut filled = self.call.filled(known);
        if let Some(Value::Array(words)) = filled.get_mut("argv").filter(|_| self.short) {
            for word in words {
                if word.is_number() || word.is_boolean() {
                    *word = Value::String(word.to_string());
                }
            }
        }
        filled
    }

    /// A placeholder that stands for no parameter would be looked for on the host as it is written.
    pub(super) fn fits(&self, parameters: &[Parameter]) -> Result<(), Fault> {
        let is_known = |name: &str| parameters.iter().any(|p| p.name.as_str() == name);
        let mut texts = Vec::new();
        self.call
            .parameters
            .values()
            .for_each(|value| texts_of(value, &mut texts));
        let mut named = texts.iter().flat_map(|text| placeholders(text));
        match named.find(|name| !is_known(name)) {
            None => Ok(()),
            Some(stranger) => Err(Fault::at(
                self.line,
                format!("verify names {{{stranger}}}, which is no parameter of the role"),
            )),
        }
    }
}

fn texts_of<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| texts_of(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One check, or a list of them.
pub(super) fn checks(node: &Node) -> Result<Vec<Check>, Fault> {
    match node.list() {
        Some([]) => Err(Fault::at(node.line, "verify is an empty list")),
        Some(items) => items.iter().map(check).collect(),
        None => Ok(vec![check(node)?]),
    }
}

fn check(node: &Node) -> Result<Check, Fault> {
    let is_entry = node.text().is_some() || node.get("entry").is_some();
    let map = node.map().unwrap_or_default();
    let is_short = |key: &Key| SHORT.iter().any(|form| form.name == key.text);
    if is_entry || !map.iter().any(|(key, _)| is_short(key)) {
        if !is_entry && node.map().is_some() {
            let mut known = vec!["entry", "parameters"];
            known.extend(SHORT.map(|form| form.name));
            entries(node, "verify", &known)?;
        }
        return Ok(Check {
            call: call(node, "verify")?,
            short: false,
            line: node.line,
        });
    }
    let [(key, value)] = map else {
        let reason = "verify names more than one check in one mapping; make a list of them";
        return Err(Fault::at(node.line, reason));
    };
    let Some(form) = SHORT.iter().find(|form| form.name == key.text) else {
        return Err(expected(node, "verify", "a check"));
    };
    Ok(Check {
        call: Call {
            entry: entry_of(form, key)?,
            parameters: fields(form, value, key)?,
        },
        short: true,
        line: key.line,
    })
}

fn entry_of(form: &Short, key: &Key) -> Result<EntryId, Fault> {
    let entry = form.entry.parse::<EntryId>();
    entry.map_err(|error| Fault::at(key.line, error.to_string()))
}

fn fields(form: &Short, node: &Node, key: &Key) -> Result<Parameters, Fault> {
    let known: Vec<&str> = form.keys.iter().map(|(name, _)| *name).collect();
    let given = entries(node, form.name, &known)?;
    for name in known.iter().take(form.required) {
        if node.get(name).is_none() {
            let reason = format!("the check {} needs {name}", form.name);
            return Err(Fault::at(key.line, reason));
        }
    }
    let mut fields = Parameters::new();
    for (key, node) in given {
        let wanted = form.keys.iter().find(|(name, _)| *name == key.text);
        if let Some((_, wanted)) = wanted {
            let what = format!("{} of the check {}", key.text, form.name);
            fields.insert(key.text.clone(), wanted.read(node, &what)?);
        }
    }
    Ok(fields)
}

impl Form {
    fn read(&self, node: &Node, what: &str) -> Result<Value, Fault> {
        let value = node.to_json();
        let refuse = |wanted: &str| {
            let found = match &value {
                Value::Array(_) | Value::Object(_) => node.kind().to_owned(),
                other => other.to_string(),
            };
            Fault::at(node.line, format!("{what} must be {wanted}, not {found}"))
        };
        if let Self::Words = self {
            return words(node, what);
        }
        // What a placeholder stands for is known when it is planned; it is held against the entry's
        // declaration then.
        if node.text().is_some_and(is_placeholder) {
            return Ok(value);
        }
        match (self, &value) {
            (Self::Text, Value::String(text)) if !text.is_empty() => Ok(value),
            (Self::Text | Self::Words, _) => Err(refuse("text")),
            (Self::Number(least, most), _) => match value.as_i64() {
                Some(number) if (*least..=*most).contains(&number) => Ok(value),
                _ => Err(refuse(&format!("a whole number from {least} to {most}"))),
            },
            (Self::Flag, Value::Bool(_)) => Ok(value),
            (Self::Flag, _) => Err(refuse("true or false")),
            (Self::Begins(begins), Value::String(text))
                if text.starts_with('{') || begins.iter().any(|begin| text.starts_with(begin)) =>
            {
                Ok(value)
            }
            (Self::Begins(begins), _) => Err(refuse(&format!(
                "text that begins with {}",
                begins.join(" or ")
            ))),
            (Self::Sha256, Value::String(text)) if is_sha256(text) => Ok(value),
            (Self::Sha256, _) => Err(refuse("a SHA-256 in 64 hexadecimal digits")),
        }
    }
}

/// A command is its author's: its program is written down, and a parameter is a whole word or none, so that no
/// value can become two words, an option glued to one, or another program.
fn words(node: &Node, what: &str) -> Result<Value, Fault> {
    let list = node.list().filter(|items| !items.is_empty());
    let items = list.ok_or_else(|| {
        Fault::at(
            node.line,
            format!("{what} must be a list of words, the program first"),
        )
    })?;
    if items.len() > MAX_WORDS {
        let reason = format!("{what} has more than {MAX_WORDS} words");
        return Err(Fault::at(node.line, reason));
    }
    let mut words = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let word = match item.to_json() {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Err(expected(item, what, "a list of texts")),
        };
        let names_any = !placeholders(&word).is_empty();
        if at == 0 && (names_any || !word.starts_with('/')) {
            let reason = format!(
                "{what}: the program must be an absolute path without placeholders, not {word:?}"
            );
            return Err(Fault::at(item.line, reason));
        }
        if names_any && !is_placeholder(&word) {
            let reason =
                format!("{what}: a placeholder must be a whole word, not a part of {word:?}");
            return Err(Fault::at(item.line, reason));
        }
        words.push(Value::String(word));
    }
    Ok(Value::Array(words))
}

/// Whether the text is one placeholder and nothing else.
fn is_placeholder(text: &str) -> bool {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|name| placeholders(text) == [name])
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalogue::yaml;

    fn read(text: &str) -> Result<Vec<Check>, Fault> {
        checks(yaml::parse(text).unwrap().get("verify").unwrap())
    }

    #[test]
    fn every_form_calls_the_entry_of_its_name_and_a_list_keeps_its_order() {
        let read = read(
            "verify:\n  - http: {url: 'http://localhost:{port}/', status: 204, contains: up, within: 5}\n  \
             - port: {port: '{port}'}\n  - unit: {name: cron}\n  - file: {path: '{path}', sha256: '{digest}'}\n  \
             - command: {argv: [/bin/test, -e, '{path}', 3]}\n  - entry: ping\n  - ping\n",
        )
        .unwrap();
        let entries: Vec<&str> = read.iter().map(|check| check.call.entry.as_str()).collect();
        let expected = [
            "check_http",
            "check_port",
            "check_unit",
            "check_file",
            "check_command",
            "ping",
            "ping",
        ];
        assert_eq!(entries, expected);
        let known = json!({"port": 8080, "path": "/tmp/{port}", "digest": 7});
        let known = known.as_object().unwrap();
        assert_eq!(
            json!(read[0].filled(known)),
            json!({"url": "http://localhost:8080/", "status": 204, "contains": "up", "within": 5})
        );
        assert_eq!(json!(read[1].filled(known)), json!({"port": 8080}));
        assert_eq!(
            json!(read[4].filled(known)),
            json!({"argv": ["/bin/test", "-e", "/tmp/{port}", "3"]})
        );
        assert!(read[4].short && !read[5].short);
    }

    #[test]
    fn what_cannot_be_meant_is_named_with_its_line() {
        for (text, line, part) in [
            ("verify:\n  htpp: {url: x}\n", 2, "did you mean \"http\""),
            ("verify: []\n", 1, "empty list"),
            ("verify:\n  http: {status: 200}\n", 2, "needs url"),
            (
                "verify:\n  http:\n    url: ftp://x\n",
                3,
                "begins with http://",
            ),
            (
                "verify:\n  http:\n    url: http://x\n    status: ok\n",
                4,
                "100 to 599",
            ),
            (
                "verify:\n  http:\n    url: http://x\n    statsu: 200\n",
                4,
                "\"status\"",
            ),
            ("verify:\n  port: {port: 70000}\n", 2, "1 to 65535"),
            (
                "verify:\n  unit:\n    name: cron\n    within: -1\n",
                4,
                "0 to 3600",
            ),
            (
                "verify:\n  file: {path: x, sha256: y}\n",
                2,
                "begins with /",
            ),
            (
                "verify:\n  file: {path: /x, sha256: y}\n",
                2,
                "64 hexadecimal",
            ),
            ("verify:\n  command: {argv: ls -l}\n", 2, "a list of words"),
            ("verify:\n  command:\n    argv: [ls]\n", 3, "absolute path"),
            (
                "verify:\n  command:\n    argv: ['{path}']\n",
                3,
                "without placeholders",
            ),
            (
                "verify:\n  command:\n    argv: [/bin/ls, 'x{path}']\n",
                3,
                "a whole word",
            ),
            (
                "verify:\n  http: {url: http://x}\n  port: {port: 1}\n",
                2,
                "make a list",
            ),
            ("verify:\n  - unit: {name: x}\n  - 7\n", 3, ""),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.line, Some(line), "{text}: {}", fault.reason);
            assert!(fault.reason.contains(part), "{text}: {}", fault.reason);
        }
    }
}
