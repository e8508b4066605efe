//! A declared parameter, and reading declarations from a role's `meta/argument_specs.yml`.
//!
//! Holding values against a declaration is left to `check`.

use std::fmt;

use chiffon_common::{ParameterName, api::ParameterView};
use serde_json::Value;

use super::yaml::{Fault, Node};

const MAX_OPTIONS_DEPTH: usize = 16;

/// Type of a parameter, in Ansible's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Str,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Yes or no.
    Bool,
    /// A list, of `elements` where they are declared.
    List,
    /// A mapping, of `options` where they are declared.
    Dict,
    /// Text that names a file.
    Path,
    /// Anything.
    Raw,
}

impl Kind {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "str" | "bytes" | "bits" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "list" => Self::List,
            "dict" => Self::Dict,
            "path" => Self::Path,
            "raw" | "json" | "jsonarg" => Self::Raw,
            _ => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Path => "path",
            Self::Raw => "raw",
        })
    }
}

/// A declared parameter of an entry, or an option within one of type dict.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name; never one that Ansible obeys.
    pub name: ParameterName,
    /// Its type.
    pub kind: Kind,
    /// Type of the items, where it is a list.
    pub elements: Option<Kind>,
    /// Whether it must be given.
    pub required: bool,
    /// The permitted values; empty where any fits.
    pub choices: Vec<Value>,
    /// What Ansible takes where it is not given.
    pub default: Option<Value>,
    /// Declared keys, where it is a dict or a list of them; empty where any key fits.
    pub options: Vec<Parameter>,
    /// What the whole of a text must match.
    pub pattern: Option<regex::Regex>,
    /// Longest text, in characters.
    pub max_length: Option<usize>,
    /// Whether its value is never shown or logged.
    pub secret: bool,
    /// For people.
    pub description: String,
}

impl Parameter {
    /// The form of the HTTP API.
    pub fn view(&self) -> ParameterView {
        ParameterView {
            name: self.name.to_string(),
            kind: self.kind.to_string(),
            required: self.required,
            description: self.description.clone(),
            default: self.default.clone(),
            choices: self.choices.clone(),
        }
    }
}

/// The parameters of the main entry point; `specs` is what stands under `argument_specs`.
pub(super) fn read_specs(specs: &Node) -> Result<Vec<Parameter>, Fault> {
    let Some(main) = specs.get("main") else {
        return Ok(Vec::new());
    };
    match main.get("options") {
        Some(options) => read_options(options, 0),
        None if main.map().is_some() => Ok(Vec::new()),
        None => Err(expected(main, "main", "a mapping")),
    }
}

fn read_options(node: &Node, depth: usize) -> Result<Vec<Parameter>, Fault> {
    if depth > MAX_OPTIONS_DEPTH {
        return Err(Fault::at(node.line, "the options are nested too deeply"));
    }
    let entries = node
        .map()
        .ok_or_else(|| expected(node, "options", "a mapping"))?;
    entries
        .iter()
        .map(|(key, spec)| {
            let name = key
                .text
                .parse()
                .map_err(|error| Fault::at(key.line, format!("{error}")))?;
            read_one(name, spec, depth)
        })
        .collect()
}

fn read_one(name: ParameterName, spec: &Node, depth: usize) -> Result<Parameter, Fault> {
    if spec.map().is_none() {
        return Err(expected(spec, name.as_str(), "a mapping"));
    }
    let options = spec
        .get("options")
        .map(|node| read_options(node, depth + 1));
    let of = kind(spec, "type")?.unwrap_or(Kind::Str);
    // Who says nothing of it means no secret to be shown.
    let is_unsaid = spec.get("no_log").is_none() && matches!(of, Kind::Str | Kind::Raw);
    Ok(Parameter {
        kind: of,
        elements: kind(spec, "elements")?,
        required: flag(spec, "required")?,
        choices: choices(spec)?,
        default: spec.get("default").map(Node::to_json),
        options: options.transpose()?.unwrap_or_default(),
        pattern: None,
        max_length: None,
        secret: flag(spec, "no_log")? || is_unsaid && sounds_secret(name.as_str()),
        description: description(spec),
        name,
    })
}

/// Whether what is called so is a secret: `vault_token`, `db_pass`.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let within = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "apikey",
        "private_key",
        "credential",
    ];
    let whole = ["pass", "pwd", "psk", "pin"];
    within.iter().any(|part| name.contains(part))
        || name.split('_').any(|part| whole.contains(&part))
}

fn kind(spec: &Node, key: &str) -> Result<Option<Kind>, Fault> {
    let Some(node) = spec.get(key) else {
        return Ok(None);
    };
    let text = node.text().ok_or_else(|| expected(node, key, "text"))?;
    let unknown = || Fault::at(node.line, format!("there is no parameter type {text:?}"));
    Kind::read(text).map(Some).ok_or_else(unknown)
}

fn flag(spec: &Node, key: &str) -> Result<bool, Fault> {
    match spec.get(key) {
        None => Ok(false),
        Some(node) => node
            .to_json()
            .as_bool()
            .ok_or_else(|| expected(node, key, "yes or no")),
    }
}

fn choices(spec: &Node) -> Result<Vec<Value>, Fault> {
    let Some(node) = spec.get("choices") else {
        return Ok(Vec::new());
    };
    let items = node
        .list()
        .ok_or_else(|| expected(node, "choices", "a list"))?;
    Ok(items.iter().map(Node::to_json).collect())
}

/// One text, or Ansible's list of paragraphs.
fn description(spec: &Node) -> String {
    let Some(node) = spec.get("description") else {
        return String::new();
    };
    let paragraphs = node.list().map(|items| {
        let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
        texts.join(" ")
    });
    paragraphs.unwrap_or_else(|| node.text().unwrap_or_default().to_owned())
}

pub(super) fn expected(node: &Node, what: &str, wanted: &str) -> Fault {
    let found = node.kind();
    Fault::at(node.line, format!("{what} must be {wanted}, not {found}"))
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    fn read(text: &str) -> Result<Vec<Parameter>, Fault> {
        read_specs(&yaml::parse(text).unwrap())
    }

    #[test]
    fn declarations_are_read_with_nested_options() {
        let read = read(
            "main:\n  options:\n    unit:\n      type: dict\n      required: true\n      options:\n        \
             size: {type: int, choices: [1, 2]}\n    pass: {no_log: true, description: [One., Two.]}\n",
        )
        .unwrap();
        assert_eq!((read[0].kind, read[0].required), (Kind::Dict, true));
        assert_eq!(read[0].options[0].choices, [1, 2]);
        assert_eq!((read[1].kind, read[1].secret), (Kind::Str, true));
        for (name, is_secret) in [
            ("vault_token", true),
            ("db_pass", true),
            ("ADMIN_PASSWORD", true),
            ("bypass", false),
            ("passive", false),
            ("pinned", false),
        ] {
            assert_eq!(sounds_secret(name), is_secret, "{name}");
        }
        assert_eq!(read[1].description, "One. Two.");
    }

    #[test]
    fn a_declaration_that_ansible_would_obey_or_cannot_be_meant_is_refused() {
        let line = |text: &str| read(text).unwrap_err().line;
        assert_eq!(line("main:\n  options:\n    ansible_user: {}\n"), Some(3));
        assert_eq!(
            line("main:\n  options:\n    x:\n      type: integer\n"),
            Some(4)
        );
        assert_eq!(
            line("main:\n  options:\n    x:\n      required: maybe\n"),
            Some(4)
        );
        assert_eq!(line("main:\n  options: [x]\n"), Some(2));
    }
}
