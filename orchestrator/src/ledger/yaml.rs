//! Values as YAML for people, the same bytes for ever.
//!
//! Own code on purpose: a ledger commit is a pure function of stored rows, and every orchestrator must reach the
//! same hash years apart, so the form may not follow a library's versions. Reading YAML is left to libraries.
//! Anything that a reader could take for something else is written as a double-quoted JSON string,
//! which is YAML; control, direction and zero-width characters are escapes there (S21).

use std::fmt::Write as _;

use chiffon_common::visible;
use serde_json::Value;

/// What is written: maps keep the order they are given in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A number, a truth value or nothing.
    Scalar(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }
}

/// Maps sorted by key, whatever order the JSON library keeps.
impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Scalar(value.to_string()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                let mut pairs: Vec<_> = map
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from(value)))
                    .collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                Self::Map(pairs)
            }
        }
    }
}

/// A document of these pairs.
pub(super) fn document(pairs: &[(String, Node)]) -> String {
    let mut out = String::new();
    write_map(&mut out, pairs, 0);
    out
}

fn write_map(out: &mut String, pairs: &[(String, Node)], indent: usize) {
    for (key, value) in pairs {
        push_indent(out, indent);
        out.push_str(&one_line(key));
        out.push(':');
        write_value(out, value, indent);
    }
}

/// What stands after `key:` or `-`, line end included.
fn write_value(out: &mut String, value: &Node, indent: usize) {
    match value {
        Node::Scalar(text) => push_line(out, text),
        Node::Text(text) => match block(text, indent + 2) {
            Some(block) => push_line(out, &block),
            None => push_line(out, &one_line(text)),
        },
        Node::List(items) if items.is_empty() => push_line(out, "[]"),
        Node::Map(pairs) if pairs.is_empty() => push_line(out, "{}"),
        Node::List(items) => {
            out.push('\n');
            write_list(out, items, indent + 2);
        }
        Node::Map(pairs) => {
            out.push('\n');
            write_map(out, pairs, indent + 2);
        }
    }
}

fn write_list(out: &mut String, items: &[Node], indent: usize) {
    for item in items {
        let mut inner = String::new();
        match item {
            Node::Map(pairs) if !pairs.is_empty() => write_map(&mut inner, pairs, indent + 2),
            Node::List(items) if !items.is_empty() => write_list(&mut inner, items, indent + 2),
            scalar => {
                push_indent(out, indent);
                out.push('-');
                write_value(out, scalar, indent);
                continue;
            }
        }
        // The first line of the inner block begins on the line of the dash.
        push_indent(out, indent);
        out.push_str("- ");
        out.push_str(inner.get(indent + 2..).unwrap_or_default());
    }
}

fn push_indent(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn push_line(out: &mut String, text: &str) {
    out.push(' ');
    out.push_str(text);
    out.push('\n');
}

/// Several lines as a literal block, if nothing in them needs an escape; without the last line end.
fn block(text: &str, indent: usize) -> Option<String> {
    let body = text.trim_end_matches('\n');
    let readable = |c: char| c == '\n' || !(needs_escape(c) || c == '\t');
    // A first line that is empty or begins with a space would need its indentation told.
    let fits = body.contains('\n') && !body.starts_with([' ', '\n']) && body.chars().all(readable);
    // More than one line end at the end is rare enough for the other form.
    let chomp = match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => return None,
    };
    if !fits {
        return None;
    }
    let mut out = chomp.to_owned();
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            push_indent(&mut out, indent);
            out.push_str(line);
        }
    }
    Some(out)
}

/// Text on one line: as it is where nobody can take it for anything else, otherwise quoted.
fn one_line(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => push_escape(&mut out, c),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn push_escape(out: &mut String, c: char) {
    let number = u32::from(c);
    let written = if number <= 0xffff {
        write!(out, "\\u{number:04x}")
    } else {
        write!(out, "\\U{number:08x}")
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

/// Line end and tab aside: characters that hide something, or that YAML does not take as they are.
fn needs_escape(c: char) -> bool {
    let mut buffer = [0; 4];
    let alone: &str = c.encode_utf8(&mut buffer);
    visible(alone) != alone || (u32::from(c) & 0xfffe) == 0xfffe
}

fn is_plain(text: &str) -> bool {
    /// What YAML 1.1 or 1.2 reads as something other than text.
    const WORDS: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nil",
    ];
    let inner = |c: char| c.is_alphanumeric() || " _./@+(),=-:".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, expected: &str) {
        let Node::Map(pairs) = Node::from(&value) else {
            panic!("a document is a map");
        };
        let written = document(&pairs);
        assert_eq!(written, expected);
        assert_eq!(read(&written), value, "it reads back: {written}");
    }

    fn read(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}: {yaml}"))
    }

    #[test]
    fn people_can_read_it() {
        check(
            json!({
                "path": "/etc/motd",
                "content": "hello\n\n  indented # no comment\nlast: line\n",
                "mode": "0644",
                "list": ["a", 1, null, {"b": [], "c": {}}, ["x", ["y"]]],
                "force": true,
                "plain": {"inner": {"deep": 1.5}},
                "open": "a\nb",
            }),
            r#"content: |
  hello

    indented # no comment
  last: line
force: true
list:
  - a
  - 1
  - null
  - b: []
    c: {}
  - - x
    - - "y"
mode: "0644"
open: |-
  a
  b
path: /etc/motd
plain:
  inner:
    deep: 1.5
"#,
        );
    }

    #[test]
    fn whatever_could_be_mistaken_is_quoted_and_reads_back() {
        let awkward = [
            "",
            " ",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "1e3",
            "0x1",
            ".5",
            "-",
            "- a",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "'",
            "\"",
            "\\",
            "*a",
            "&a",
            "!a",
            "!unsafe",
            "%a",
            "@a",
            "`a",
            "{a}",
            "[a]",
            "{{ lookup('pipe', 'id') }}",
            "a\r\nb",
            "\n",
            "\n\n",
            "a\n\n",
            " a\nb",
            "\ta\nb",
            "a\tb",
            "\u{0}",
            "\u{1b}[31m",
            "\u{7f}",
            "\u{85}",
            "\u{202e}b",
            "\u{feff}",
            "\u{fffe}",
            "\u{2028}",
            "\u{1f600}",
            "ü ä",
            "---",
            "...",
            "a\n---\nb",
            "a\n...\nb",
            "2026-01-01",
            "12:30:45",
            "a \nb ",
            "|",
            ">",
            "?",
            "? a",
            ":",
            "=",
            "<<",
            "sha256:00ff",
        ];
        for text in awkward {
            let pairs = [
                ("key".to_owned(), Node::text(text)),
                ("list".to_owned(), Node::List(vec![Node::text(text)])),
                (text.to_owned(), Node::Scalar("1".to_owned())),
            ];
            let written = document(&pairs);
            let mut expected = serde_json::Map::new();
            expected.insert("key".to_owned(), json!(text));
            expected.insert("list".to_owned(), json!([text]));
            expected.insert(text.to_owned(), json!(1));
            assert_eq!(
                read(&written),
                Value::Object(expected),
                "{text:?}: {written}"
            );
            let hidden = |c: char| c != '\n' && needs_escape(c);
            assert!(!written.contains(hidden), "{written:?} hides nothing");
        }
    }
}
