//! YAML as Ansible writes it: nodes that remember their line and their tag (`!vault`, `!unsafe`).
//!
//! Parsing, duplicate keys, merge keys and the budgets against YAML bombs are `serde-saphyr`'s; here its
//! YAML 1.2 scalars are read as Ansible's YAML 1.1 does where the two differ. What a file must hold is
//! left to its readers.

use std::{cell::RefCell, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::Number;
use serde_saphyr::{Options, Spanned, Tagged, options::NonFiniteFloatPolicy};

/// Levels for which the stack of any thread is enough.
const SHALLOW: usize = 20;
/// Enough for the deepest that is read.
const STACK: usize = 16 * 1024 * 1024;

/// Tags that Ansible's own loader knows.
const KNOWN_TAGS: [&str; 3] = ["!unsafe", "!vault", "!vault-encrypted"];

/// One node of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where it is used, from 1.
    pub(crate) line: u32,
    /// One of [`KNOWN_TAGS`].
    pub(crate) tag: Option<String>,
    /// What it holds.
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key stands twice.
    Map(Vec<(Key, Node)>),
}

/// A key, as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) line: u32,
    pub(crate) text: String,
}

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Fault {
    /// From 1; absent where the whole file is meant.
    pub(crate) line: Option<u32>,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn at(line: u32, reason: impl Into<String>) -> Self {
        Self {
            line: (line > 0).then_some(line),
            reason: reason.into(),
        }
    }

    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self::at(0, reason)
    }
}

thread_local! {
    /// The text being parsed: how a plain scalar was written decides what Ansible makes of it, and a
    /// serde visitor sees the value only.
    static SOURCE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Reads one document. An empty one is `Null`. The mark that some editors put before a text is none of it, as for Ansible.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !may_be_deep(text) {
        return parse_here(text);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let read = thread.spawn_scoped(scope, || parse_here(text));
        let read = read.map_err(|error| error.to_string());
        let read = read.and_then(|read| read.join().map_err(|_| "the reader ended".to_owned()));
        read.unwrap_or_else(|why| Err(Fault::whole(format!("it cannot be read now: {why}"))))
    })
}

/// Whether reading it may take more of the stack than a thread has as a rule. The bound on depth is kept in any case; each
/// level costs some 50 KiB in a build for tests. Says yes too often rather than once too rarely: a block lies deeper than
/// the one around it by a column at least, or is a list at the column of its key.
fn may_be_deep(text: &str) -> bool {
    let flow = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    let (mut columns, mut most): (Vec<usize>, usize) = (Vec::new(), 0);
    for line in text.lines() {
        let mut rest = line;
        let mut column = 0;
        loop {
            let inner = rest.trim_start_matches(' ');
            column += rest.len() - inner.len();
            while columns.last().is_some_and(|last| *last > column) {
                columns.pop();
            }
            if columns.last() != Some(&column) && !inner.is_empty() {
                columns.push(column);
            }
            most = most.max(columns.len());
            // Keys and items that begin others within their line.
            let Some(next) = inner
                .strip_prefix(['-', '?', ':'])
                .filter(|next| next.starts_with(' '))
            else {
                break;
            };
            column += 1;
            rest = next;
        }
    }
    flow.take(SHALLOW + 1).count() + 2 * most > SHALLOW
}

fn parse_here(text: &str) -> Result<Node, Fault> {
    SOURCE.with_borrow_mut(|source| text.clone_into(source));
    let read = serde_saphyr::from_str_with_options::<Node>(text, options());
    SOURCE.with_borrow_mut(String::clear);
    let node = read.map_err(|error| super::refusal::fault(&error))?;
    refuse_unknown_tags(&node)?;
    Ok(node)
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 250_000,
            max_documents: 1,
            max_anchors: 1_000,
            max_aliases: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn refuse_unknown_tags(node: &Node) -> Result<(), Fault> {
    if let Some(tag) = &node.tag
        && !KNOWN_TAGS.contains(&tag.as_str())
    {
        return Err(Fault::at(
            node.line,
            format!("Ansible knows no tag {tag} (it knows !vault and !unsafe)"),
        ));
    }
    match &node.value {
        Value::List(items) => items.iter().try_for_each(refuse_unknown_tags),
        Value::Map(entries) => entries
            .iter()
            .try_for_each(|(_, node)| refuse_unknown_tags(node)),
        _ => Ok(()),
    }
}

impl Node {
    /// The text, where it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, where it is a list.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, where it is a mapping; an absent value counts as an empty one.
    pub(crate) fn map(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null => Some(&[]),
            _ => None,
        }
    }

    /// The value behind a key, where it is a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.map()?.iter().find(|(at, _)| at.text == key);
        found.map(|(_, node)| node)
    }

    /// The kind of its value, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "yes or no",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The same as JSON; tags are lost.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(is) => (*is).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, node)| (key.text.clone(), node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Tagged(spanned, tag) = Tagged::<Spanned<Value>>::deserialize(from)?;
        let value = as_ansible_reads(spanned.value, &spanned.defined);
        Ok(Self {
            line: line(&spanned.referenced),
            tag: tag.filter(|tag| !tag.starts_with("tag:yaml.org,2002:")),
            value,
        })
    }
}

fn line(at: &serde_saphyr::Location) -> u32 {
    u32::try_from(at.line()).unwrap_or_default()
}

/// `y`, `n`, `0o17` and `12e5` are text to Ansible's YAML 1.1, so a version or a commit keeps its letters.
fn as_ansible_reads(value: Value, at: &serde_saphyr::Location) -> Value {
    let is_other = |raw: &str| match &value {
        Value::Bool(_) => raw.len() == 1,
        Value::Number(number) if number.is_f64() => !raw.contains('.'),
        Value::Number(_) => raw.contains(['o', 'O']),
        _ => false,
    };
    match written(at).filter(|raw| is_other(raw)) {
        Some(raw) => Value::Text(raw),
        None => value,
    }
}

/// How a short scalar stands in the file.
fn written(at: &serde_saphyr::Location) -> Option<String> {
    let span = at.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let len = usize::try_from(span.byte_len()?).ok()?;
    SOURCE.with_borrow(|source| Some(source.get(start..start.checked_add(len)?)?.to_owned()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Value, E> {
        Ok(Value::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        let text = || Value::Text(number.to_string());
        Ok(Number::from_f64(number).map_or_else(text, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                line: line(&key.referenced),
                text: key.value,
            };
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_know_their_lines_and_tags() {
        let node = parse(
            "a: 1\nsecret: !vault |\n  $ANSIBLE_VAULT;1.1\n  6162\nb:\n  - !unsafe '{{ x }}'\n",
        )
        .unwrap();
        let secret = node.get("secret").unwrap();
        assert_eq!(secret.tag.as_deref(), Some("!vault"));
        assert_eq!(secret.text(), Some("$ANSIBLE_VAULT;1.1\n6162\n"));
        let item = &node.get("b").unwrap().list().unwrap()[0];
        assert_eq!((item.line, item.tag.as_deref()), (6, Some("!unsafe")));
        let lines: Vec<u32> = node
            .map()
            .unwrap()
            .iter()
            .map(|(key, _)| key.line)
            .collect();
        assert_eq!(lines, [1, 2, 5]);
    }

    #[test]
    fn scalars_are_what_ansible_makes_of_them() {
        let text = "[yes, 'yes', y, no, on, 0644, 08, 0x1f, 1.10, 12e5, 0o17, ~, 1.2.3, !!str 5, '5', 1_000]";
        let read = parse(text).unwrap().to_json();
        assert_eq!(
            read,
            json!([
                true, "yes", "y", false, true, 420, "08", 31, 1.1, "12e5", "0o17", null, "1.2.3",
                "5", "5", 1000
            ])
        );
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n";
        assert_eq!(
            parse(text).unwrap().get("use").unwrap().to_json(),
            json!({"x": 1, "y": 3})
        );
    }

    #[test]
    fn faults_name_their_line() {
        let line = |text: &str| parse(text).unwrap_err().line;
        assert_eq!(line("a: 1\na: 2\n"), Some(2));
        assert_eq!(line("a: 1\nb: [1, 2\n"), Some(2));
        assert_eq!(line("a: 1\nb: !python/object x\n"), Some(2));
        assert!(line("a: 1\n\tb: 2\n").is_some());
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        let fault = parse("a:\n  x: 1\n  y: 2\n  x: 3\n").unwrap_err();
        assert_eq!(fault.line, Some(4));
        assert!(fault.reason.starts_with("\"x\" stands here"), "{fault}");
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let before = n - 1;
            bomb.push_str(&format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{before}"); 9].join(",")
            ));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(5_000)).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_whoever_writes_the_file() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        let mut blocks = String::new();
        for level in 0..100 {
            blocks.push_str(&format!("{}a:\n", " ".repeat(level)));
        }
        let dashes = "- ".repeat(100) + "x";
        let many = format!("[{}]", "x,".repeat(260_000));
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..12 {
            let all = vec![format!("*a{}", n - 1); 9].join(",");
            bomb.push_str(&format!("a{n}: &a{n} [{all}]\n"));
        }
        for (text, wanted) in [
            (deep.as_str(), "more than 64 deep"),
            (blocks.as_str(), "more than 64 deep"),
            (dashes.as_str(), "more than 64 deep"),
            (many.as_str(), "250,000 values"),
            (bomb.as_str(), "write the values out"),
            ("a: 1\n---\nb: 2\n", "a second document"),
            ("a: *b\n", "no anchor (&name) of that name"),
            ("a: [1, 2\n", ""),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.reason.contains(wanted), "{wanted}: {fault}");
            for word in ["budget", "breach", "replay", "max_", "serde", "u8"] {
                assert!(!fault.reason.contains(word), "{fault}");
            }
        }
        let most = "[".repeat(60) + &"]".repeat(60);
        assert!(parse(&most).is_ok());
        let marked = parse("\u{feff}- hosts: all\n").unwrap();
        assert_eq!(marked.list().unwrap().len(), 1);
    }
}
