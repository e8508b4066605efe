//! `chiffon.yaml` as sections: read within bounds, so that no file can hang the program or eat its memory.
//! Which keys there are and what their values must be is left to `sources`.

use std::{collections::BTreeMap, fs::File, io, io::Read, path::Path};

use chiffon_common::{Problem, visible};
use config::{Map, Value};
use serde_saphyr::{MessageFormatter, Options, Spanned, UserMessageFormatter};

use super::{invalid, keys};

/// Every key with a long list of folders is a few KiB.
const MOST_BYTES: u64 = 1 << 20;

const FORM: &str = "Write `section:` and, indented below it, `key: value`.";
const ONCE: &str = "Keep one of the two, and everything that is to hold below it.";

/// The sections of the file, without those parts that are none; no sections where it is missing or holds
/// only comments.
pub fn read(path: &Path) -> (Map<String, Value>, Vec<Problem>) {
    let text = match text_of(path) {
        Ok(text) => text.unwrap_or_default(),
        Err(problem) => return (Map::new(), vec![problem]),
    };
    let (sections, faults) = parse(&text);
    let problem = |fault: Fault| {
        let line = fault.line.map(|line| format!(" line {line}"));
        let place = format!("{}{}", path.display(), line.unwrap_or_default());
        invalid(format!("{place}: {}.", visible(&fault.reason)), fault.todo)
    };
    (sections, faults.into_iter().map(problem).collect())
}

/// What is wrong, and in which line from 1.
#[derive(Debug)]
struct Fault {
    line: Option<u64>,
    reason: String,
    todo: &'static str,
}

fn text_of(path: &Path) -> Result<Option<String>, Problem> {
    let unreadable = |why: &dyn std::fmt::Display| {
        let detail = format!("{} cannot be read: {why}.", path.display());
        invalid(detail, "Make it a readable text file.")
    };
    // A pipe would be waited for.
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(unreadable(&"it is no file"));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut text = String::new();
    let read = file.take(MOST_BYTES + 1).read_to_string(&mut text);
    let length = read.map_err(|error| unreadable(&error))?;
    if u64::try_from(length).is_ok_and(|length| length <= MOST_BYTES) {
        return Ok(Some(text));
    }
    let detail = format!("{} is larger than 1 MiB.", path.display());
    Err(invalid(detail, "Keep only the keys that you changed."))
}

fn parse(text: &str) -> (Map<String, Value>, Vec<Fault>) {
    type Sections = BTreeMap<String, Spanned<serde_json::Value>>;
    let read = serde_saphyr::from_str_with_options::<Option<Sections>>(text, options());
    let sections = match read {
        Ok(sections) => sections.unwrap_or_default(),
        // Where the form is broken, the reader cannot tell what the rest would be.
        Err(error) => return (Map::new(), vec![fault(&error)]),
    };
    let (mut map, mut faults) = (Map::new(), Vec::new());
    for (name, section) in sections {
        let line = Some(section.referenced.line()).filter(|line| *line > 0);
        let mut reasons = Vec::new();
        let kept = only_mappings(&name, section.value, &mut reasons);
        let fault = |reason| Fault {
            line,
            reason,
            todo: FORM,
        };
        faults.extend(reasons.into_iter().map(fault));
        match kept.map(serde_json::from_value).transpose() {
            Ok(value) => map.extend(value.map(|value| (name, value))),
            Err(error) => faults.push(fault(error.to_string())),
        }
    }
    (map, faults)
}

/// Sections hold keys: a list or a text in place of one would only be called an unknown key later. It is
/// taken away, with its reason, and the rest stays.
fn only_mappings(
    name: &str,
    value: serde_json::Value,
    reasons: &mut Vec<String>,
) -> Option<serde_json::Value> {
    use serde_json::Value;
    let kind = match value {
        _ if !keys::is_section(name) => return Some(value),
        Value::Null => return Some(value),
        Value::Object(inner) => {
            let inner = inner.into_iter().filter_map(|(key, value)| {
                let value = only_mappings(&format!("{name}.{key}"), value, reasons)?;
                Some((key, value))
            });
            return Some(Value::Object(inner.collect()));
        }
        Value::Array(_) => "a list",
        Value::String(_) => "text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "yes or no",
    };
    reasons.push(format!(
        "{name} is {kind}, but it is a section and holds keys"
    ));
    None
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 16,
            max_nodes: 20_000,
            max_anchors: 100,
            max_aliases: 100,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        with_snippet: false,
    }
}

fn fault(error: &serde_saphyr::Error) -> Fault {
    Fault {
        line: error.location().map(|at| at.line()),
        reason: reason(error),
        todo: match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { .. } => ONCE,
            _ => FORM,
        },
    }
}

/// What a reader of YAML found, in one line without its end. A key that stands twice is named, and nothing else of the text.
pub fn reason(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.as_deref().unwrap_or("a key");
        return format!("{key:?} stands here for the second time: keep one of them");
    }
    let reason = UserMessageFormatter.format_message(error);
    let reason = reason.lines().next().unwrap_or("it is no YAML");
    reason.trim_end_matches('.').to_owned()
}
