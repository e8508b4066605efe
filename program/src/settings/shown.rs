//! The configuration in force, for people and programs: each key with its value and where that comes from.
//! Secret values stay here.

use config::{Value, ValueKind};
use serde::Serialize;

use super::{
    keys::{KEYS, Key},
    sources::{SECRET, Sources},
};

/// One key with its value in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, dotted.
    pub key: &'static str,
    /// Its value; that of a secret one is only said to be there.
    pub value: serde_json::Value,
    /// `default`, the path of the file, the variable, or the flag.
    pub origin: String,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// What holds where nobody says anything.
    pub default: serde_json::Value,
    /// Which values are taken.
    pub permitted: &'static str,
}

/// All of them. The values have been found to be permitted.
pub fn settings(sources: &Sources) -> Vec<Setting> {
    let setting = |key: &'static Key| {
        let (value, origin) = sources.winner(key)?;
        Some(Setting {
            key: key.name,
            value: shown(key, value),
            origin: origin.to_string(),
            meaning: key.meaning,
            default: default(key),
            permitted: key.permitted,
        })
    };
    KEYS.iter().filter_map(setting).collect()
}

fn default(key: &Key) -> serde_json::Value {
    serde_saphyr::from_str(key.default).unwrap_or_default()
}

fn shown(key: &Key, value: &Value) -> serde_json::Value {
    let is_empty = matches!(&value.kind, ValueKind::String(text) if text.trim().is_empty());
    if key.secret && !is_empty {
        return SECRET.into();
    }
    match &value.kind {
        ValueKind::String(text) => like(&default(key), text.trim()),
        _ => value.clone().try_deserialize().unwrap_or_default(),
    }
}

/// The environment and flags have only text: it is shown as what it was read as, which is what the default is.
fn like(default: &serde_json::Value, text: &str) -> serde_json::Value {
    use serde_json::Value;
    match default {
        Value::Array(_) => text.split(':').filter(|part| !part.is_empty()).collect(),
        Value::Number(_) | Value::Bool(_) => text.parse().unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_secret_key_is_never_shown() {
        let key = |secret| Key {
            name: "a.token",
            default: "''",
            permitted: "any text",
            meaning: "",
            secret,
        };
        let value = Value::new(None, "hunter2");
        assert_eq!(shown(&key(true), &value), "[secret]");
        assert_eq!(shown(&key(false), &value), "hunter2");
        assert_eq!(
            shown(&key(true), &Value::new(None, "")),
            "",
            "none is there"
        );
    }

    #[test]
    fn text_is_shown_as_what_it_was_read_as() {
        assert_eq!(like(&5.into(), "7"), 7);
        assert_eq!(like(&"x".into(), "7"), "7");
        let none: serde_json::Value = Vec::<String>::new().into();
        assert_eq!(like(&none, "/a:/b"), serde_json::json!(["/a", "/b"]));
    }
}
