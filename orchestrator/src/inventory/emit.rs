//! Writing resolved variables as YAML that is JSON but for the tags, byte for byte the same every time:
//! these bytes are under the digest that a person approves.

use std::fmt::Write as _;

use serde_json::Number;

use crate::catalogue::yaml::{Node, Value};

/// Appends a node.
pub(super) fn node(node: &Node, to: &mut String) {
    if let Some(tag) = &node.tag {
        to.push_str(tag);
        to.push(' ');
    }
    match &node.value {
        Value::Null => to.push_str("null"),
        Value::Bool(is) => to.push_str(if *is { "true" } else { "false" }),
        Value::Number(value) => number(value, to),
        Value::Text(value) => text(value, to),
        Value::List(items) => {
            to.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    to.push_str(", ");
                }
                self::node(item, to);
            }
            to.push(']');
        }
        Value::Map(entries) => {
            to.push('{');
            for (n, (key, value)) in entries.iter().enumerate() {
                if n > 0 {
                    to.push_str(", ");
                }
                text(&key.text, to);
                to.push_str(": ");
                self::node(value, to);
            }
            to.push('}');
        }
    }
}

/// Appends a text in double quotes. JSON leaves some characters bare that YAML folds or does not take.
pub(super) fn text(value: &str, to: &mut String) {
    to.push('"');
    for c in value.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\t' => to.push_str("\\t"),
            '\r' => to.push_str("\\r"),
            c if is_bare(c) => to.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    // Writing to a String cannot fail.
                    let _ = write!(to, "\\u{unit:04x}");
                }
            }
        }
    }
    to.push('"');
}

/// What every YAML reader takes within quotes as it stands. Unpaired surrogates do not occur: what
/// needs an escape lies below U+10000.
fn is_bare(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// YAML 1.1 takes `1e16` as text: it wants a point in the number and a sign in the exponent.
fn number(value: &Number, to: &mut String) {
    let written = value.to_string();
    let Some((mantissa, exponent)) = written.split_once('e') else {
        return to.push_str(&written);
    };
    to.push_str(mantissa);
    if !mantissa.contains('.') {
        to.push_str(".0");
    }
    to.push('e');
    if !exponent.starts_with(['-', '+']) {
        to.push('+');
    }
    to.push_str(exponent);
}
