//! Data in the form that was asked for: a rendering for people, or the API's own documents for programs.

use serde::Serialize;
use serde_yaml_ng::with::singleton_map_recursive;

use crate::{
    failure::Failure,
    render,
    terminal::{Format, Terminal},
};

/// One document. `table` is only made where it is shown.
pub fn one<T: Serialize>(terminal: &Terminal, value: &T, table: impl FnOnce() -> String) {
    match terminal.format {
        Format::Table => terminal.data(&table()),
        Format::Json => terminal.data(&json(serde_json::to_string_pretty(value))),
        Format::Ndjson => terminal.data(&json(serde_json::to_string(value))),
        Format::Yaml => terminal.data(yaml(value).trim_end()),
    }
}

/// A list with what belongs to it: `items` is one line each in ndjson, `whole` is the one document of
/// the other forms.
pub fn list<T: Serialize, W: Serialize>(
    terminal: &Terminal,
    items: &[T],
    whole: &W,
    table: impl FnOnce() -> String,
) {
    match terminal.format {
        Format::Ndjson => {
            for item in items {
                terminal.data(&json(serde_json::to_string(item)));
            }
        }
        _ => one(terminal, whole, table),
    }
}

/// An error on standard error, as a document where documents were asked for.
pub fn failure(terminal: &Terminal, failure: &Failure) {
    match terminal.format {
        Format::Table => terminal.say(&render::failure_with_page(terminal.err, failure)),
        Format::Json | Format::Ndjson | Format::Yaml => {
            let mut error = serde_json::json!({
                "code": failure.code,
                "detail": failure.what,
                "todo": failure.todo,
                "exit_code": failure.exit.code(),
            });
            if !failure.errors.is_empty() {
                error["errors"] = serde_json::json!(failure.errors);
            }
            // One line of JSON is YAML too.
            let document = serde_json::json!({ "error": error });
            terminal.say(&document.to_string());
        }
    }
}

/// The API's views have text keys and finite numbers, so they have a form in every format.
fn json(text: Result<String, serde_json::Error>) -> String {
    text.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
}

/// The same data as in JSON: without the tags by which YAML would tell the variants of an enum, which hardly a
/// reader knows.
fn yaml<T: Serialize>(value: &T) -> String {
    let mut text = Vec::new();
    let written = {
        let mut writer = serde_yaml_ng::Serializer::new(&mut text);
        singleton_map_recursive::serialize(value, &mut writer)
    };
    match written {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use chiffon_common::Undo;

    use super::*;

    #[test]
    fn yaml_says_what_json_says() {
        let entry =
            serde_json::json!({"entry": {"entry": "x", "parameters": {"a": [1, null, "1"]}}});
        let none = serde_json::json!({"none": {"why": "yes"}});
        for value in [entry, none] {
            let undo: Undo = serde_json::from_value(value.clone()).unwrap();
            let text = yaml(&[undo]);
            let read: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
            assert_eq!(read[0], value, "{text}");
            assert!(!text.contains('!'), "{text}");
        }
    }
}
