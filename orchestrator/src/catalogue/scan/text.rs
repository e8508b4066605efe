//! Templates in texts: every value of a YAML file, and files that are templates as a whole.

use chiffon_common::{Fidelity, Tier};

use super::{
    files::{is_template, is_within},
    findings::Finding,
    lookups::{self, Judged, literal_length},
};
use crate::catalogue::yaml::{Node, Value};

/// Keys whose values are Jinja code without braces.
const CONDITIONS: [&str; 7] = [
    "when",
    "changed_when",
    "failed_when",
    "until",
    "break_when",
    "that",
    "var",
];

/// Names that steer how Ansible itself reaches and runs things, and are harmless.
const STEERING: [&str; 7] = [
    "ansible_user",
    "ansible_port",
    "ansible_become",
    "ansible_become_user",
    "ansible_become_method",
    "ansible_facts",
    "ansible_connection",
];

const MAX_DEPTH: usize = 64;

/// What was judged, as a finding at its place.
fn placed(file: &str, line: u32, (fidelity, tier, what): Judged) -> Finding {
    Finding::new(fidelity, file, line, what).raising(tier)
}

/// The findings in a YAML file.
pub(super) fn of_node(file: &str, node: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(file, node, "", 0, &mut found);
    found
}

fn walk(file: &str, node: &Node, key: &str, depth: usize, found: &mut Vec<Finding>) {
    if depth > MAX_DEPTH {
        return;
    }
    match &node.value {
        // Never a template.
        Value::Text(_) if node.tag.is_some() => {}
        Value::Text(text) => {
            let judged = in_value(text, CONDITIONS.contains(&key));
            let judged = judged.into_iter();
            found.extend(judged.map(|one| placed(file, node.line, one)));
        }
        Value::List(items) => {
            for item in items {
                walk(file, item, key, depth + 1, found);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let name = Node {
                    line: key.line,
                    tag: None,
                    value: Value::Text(key.text.clone()),
                };
                if key.text.contains('{') {
                    walk(file, &name, "", depth + 1, found);
                }
                if let Some(plugin) = key.text.strip_prefix("with_") {
                    let judged = lookups::named(plugin, argument(value));
                    found.extend(judged.map(|one| placed(file, key.line, one)));
                }
                found.extend(steers(file, key.line, &key.text, value));
                walk(file, value, &key.text, depth + 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a `with_...` is given, where that is one text, or texts of which each is as good as the first.
fn argument(value: &Node) -> Option<&str> {
    let Some(items) = value.list() else {
        return value.text();
    };
    let texts: Option<Vec<&str>> = items.iter().map(Node::text).collect();
    let texts = texts?;
    let outside = texts.iter().find(|text| !is_within(text));
    outside.or(texts.first()).copied()
}

/// A variable by which a catalogue changes what Ansible itself runs, also in a check run.
fn steers(file: &str, line: u32, name: &str, value: &Node) -> Option<Finding> {
    if !name.starts_with("ansible_") {
        return None;
    }
    let text = value.text().unwrap_or_default();
    let harmless = match name {
        "ansible_python_interpreter" => {
            text.starts_with("auto") || text.starts_with("/usr/bin/python") && !text.contains("..")
        }
        "ansible_become_method" => ["sudo", "su", "doas"].contains(&text),
        "ansible_connection" => ["ssh", "smart", "local"].contains(&text),
        name => STEERING.contains(&name),
    };
    let what = format!("`{name}` changes what Ansible itself runs, in a check run too");
    if name == "ansible_connection" && text == "local" {
        let what = "`ansible_connection: local` acts where Ansible runs, not on the plan's host";
        return Some(Finding::new(Fidelity::Simulated, file, line, what));
    }
    let found = || Finding::new(Fidelity::Blind, file, line, shortened(what)).raising(Tier::One);
    (!harmless).then(found)
}

/// The findings in a file that is no YAML; what is no text holds no template.
pub(super) fn of_bytes(file: &str, bytes: &[u8]) -> Vec<Finding> {
    if bytes.starts_with(b"$ANSIBLE_VAULT") {
        let what = "is encrypted, so nobody can read what is in it";
        return vec![Finding::new(Fidelity::Blind, file, 0, what)];
    }
    if bytes.contains(&0) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    if text.starts_with("#jinja2:") && text.lines().next().is_some_and(|l| l.contains("_string")) {
        let what = "marks its templates in a way of its own";
        found.push(Finding::new(Fidelity::Blind, file, 1, what));
    }
    let (mut line, mut counted) = (1, 0);
    for (at, code) in pieces(&text) {
        let lines = text[counted..at].bytes().filter(|byte| *byte == b'\n');
        line += u32::try_from(lines.count()).unwrap_or_default();
        counted = at;
        let judged = lookups::in_code(code).into_iter();
        found.extend(judged.map(|one| placed(file, line, one)));
    }
    found
}

/// What a value would do when Ansible templates it.
fn in_value(text: &str, is_condition: bool) -> Vec<Judged> {
    let mut found: Vec<_> = pieces(text)
        .into_iter()
        .flat_map(|(_, code)| lookups::in_code(code))
        .collect();
    if is_condition && !is_template(text) {
        found = lookups::in_code(text);
    } else if found.is_empty() {
        // A condition may name a variable: `when: x` with x: "lookup(...)".
        found = lookups::in_prose(&without_comments(text));
    }
    found
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("{#") {
        kept.push_str(before);
        rest = comment.split_once("#}").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// The code between `{{` and `}}` and between `{%` and `%}`, with where it begins. That of a statement
/// keeps its `%`, by which its first word is known.
fn pieces(text: &str) -> Vec<(usize, &str)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{") {
        let start = at + open;
        let rest = &text[start..];
        let (kind, close) = match rest.as_bytes().get(1) {
            Some(b'{') => (2, "}}"),
            Some(b'%') => (1, "%}"),
            Some(b'#') => {
                at = rest.find("#}").map_or(text.len(), |end| start + end + 2);
                continue;
            }
            _ => {
                at = start + 1;
                continue;
            }
        };
        let code = &rest[kind..];
        let length = code_length(code, close);
        pieces.push((start, &code[..length]));
        at = start + kind + length;
    }
    pieces
}

/// Up to the closing mark; one within a literal does not close.
fn code_length(code: &str, close: &str) -> usize {
    let mut at = 0;
    // The `%` that a statement begins with is no part of its end.
    let first = usize::from(code.starts_with('%'));
    while let Some(c) = code[at..].chars().next() {
        if at >= first && code[at..].starts_with(close) {
            return at;
        }
        at += match c {
            '"' | '\'' => literal_length(&code[at..], c),
            c => c.len_utf8(),
        };
    }
    code.len()
}

/// A reason that holds somebody's words, bounded and on one line.
pub(super) fn shortened(what: String) -> String {
    let clean = chiffon_common::visible(&what).replace(['\n', '\t'], " ");
    match clean.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}
