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

/// The sections of the file; none where it is missing or holds only comments.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, Problem> {
    let Some(text) = text_of(path)? else {
        return Ok(Map::new());
    };
    parse(&text).map_err(|fault| {
        let line = fault.line.map(|line| format!(" line {line}"));
        let place = format!("{}{}", path.display(), line.unwrap_or_default());
        invalid(format!("{place}: {}.", visible(&fault.reason)), FORM)
    })
}

/// What is wrong, and in which line from 1.
#[derive(Debug)]
struct Fault {
    line: Option<u64>,
    reason: String,
}

fn text_of(path: &Path) -> Result<Option<String>, Problem> {
    let unreadable = |why: &dyn std::fmt::Display| {
        let detail = format!("{} cannot be read: {why}.", path.display());
        invalid(detail, "Make it a readable text file.")
    };
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

fn parse(text: &str) -> Result<Map<String, Value>, Fault> {
    type Sections = BTreeMap<String, Spanned<serde_json::Value>>;
    let read = serde_saphyr::from_str_with_options::<Option<Sections>>(text, options());
    let sections = read.map_err(|error| fault(&error))?.unwrap_or_default();
    let mut map = Map::new();
    for (name, section) in sections {
        let line = Some(section.referenced.line()).filter(|line| *line > 0);
        let value = section.value;
        hold_mappings(&name, &value).map_err(|reason| Fault { line, reason })?;
        let value = serde_json::from_value(value).map_err(|error| Fault {
            line,
            reason: error.to_string(),
        })?;
        map.insert(name, value);
    }
    Ok(map)
}

/// Sections hold keys: a list or a text in place of one would only be called an unknown key later.
fn hold_mappings(name: &str, value: &serde_json::Value) -> Result<(), String> {
    use serde_json::Value;
    let kind = match value {
        _ if !keys::is_section(name) => return Ok(()),
        Value::Null => return Ok(()),
        Value::Object(inner) => {
            let mut inner = inner.iter();
            return inner
                .try_for_each(|(key, value)| hold_mappings(&format!("{name}.{key}"), value));
        }
        Value::Array(_) => "a list",
        Value::String(_) => "text",
        Value::Number(_) => "a number",
        Value::Bool(_) => "yes or no",
    };
    Err(format!(
        "{name} is {kind}, but it is a section and holds keys"
    ))
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
    let reason = UserMessageFormatter.format_message(error);
    let reason = reason.lines().next().unwrap_or("it is no YAML");
    Fault {
        line: error.location().map(|at| at.line()),
        reason: reason.trim_end_matches('.').to_owned(),
    }
}
