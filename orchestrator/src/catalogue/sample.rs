//! Examples as a person can type them: values in place of `{name}`.
//!
//! What the values are is a guess from name, meaning and limits of a parameter; which host is meant is left
//! to the planner.

use chiffon_common::Parameters;
use serde_json::Value;

use super::{
    entry::Entry,
    parameter::{Kind, Parameter},
};

/// A public key that belongs to nobody.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ada@laptop";
/// By the name of a parameter, or by a word of its description.
const BY_MEANING: [(&str, &str); 19] = [
    ("schedule", "30 2 * * *"),
    ("command", "/usr/local/bin/report"),
    ("key", KEY),
    ("snapshot", "2025-01-31"),
    ("source", "/srv/web/compose.yml"),
    ("repository", "/srv/backups"),
    ("target", "/srv/restored"),
    ("stack", "web"),
    ("service", "cron"),
    ("package", "htop"),
    ("path", "/tmp/hello.txt"),
    ("content", "hello"),
    ("mode", "0644"),
    ("owner", "root"),
    ("user", "ada"),
    ("group", "users"),
    ("port", "8080"),
    ("url", "https://example.org"),
    ("urls", "https://example.org"),
];
/// Where the name tells nothing, the first of these that the limits permit.
const OTHERWISE: [&str; 7] = [
    "example",
    "hello",
    "/tmp/example",
    "example.org",
    "1",
    "0644",
    "a",
];

impl Entry {
    /// An example with values in place of the parameters; the title where it has none that can be filled.
    pub fn sentence(&self) -> String {
        let mut filled = self.examples.iter().filter_map(|text| self.filled(text));
        filled.next().unwrap_or_else(|| self.title.clone())
    }

    /// These parameters, and guesses for those that have to be given beside them; the names of those for which none
    /// is known.
    pub fn samples(&self, given: &Parameters) -> (Parameters, Vec<String>) {
        let mut samples = given.clone();
        let mut unknown = Vec::new();
        for parameter in self.missing(given) {
            let name = parameter.name.to_string();
            match (sample(parameter), parameter.kind) {
                (Some(value), Kind::List) => drop(samples.insert(name, vec![value].into())),
                (Some(value), _) => drop(samples.insert(name, value.into())),
                (None, _) => unknown.push(name),
            }
        }
        (samples, unknown)
    }

    /// One of the examples filled; nothing where no value is known for one of its parameters.
    pub fn filled(&self, example: &str) -> Option<String> {
        let mut text = example.to_owned();
        for parameter in &self.parameters {
            let hole = format!("{{{}}}", parameter.name);
            if !text.contains(&hole) {
                continue;
            }
            let value = sample(parameter)?;
            let is_quoted = text.contains(&format!("\"{hole}\""));
            let is_free = parameter.kind == Kind::Str
                && parameter.pattern.is_none()
                && parameter.choices.is_empty();
            let written = match is_free && !is_quoted {
                true => format!("\"{value}\""),
                false => value,
            };
            text = text.replace(&hole, &written);
        }
        (!text.contains('{')).then_some(text)
    }
}

/// A value that the declaration permits.
fn sample(parameter: &Parameter) -> Option<String> {
    let is_default = |choice: &&Value| parameter.default.as_ref() == Some(*choice);
    let choices = &parameter.choices;
    if let Some(choice) = choices.iter().find(|choice| !is_default(choice)) {
        return Some(plain(choice));
    }
    let known = |name: &str| {
        let found = BY_MEANING.iter().find(|(word, _)| *word == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let by_name = known(parameter.name.as_str());
    let description = parameter.description.to_lowercase();
    let by_meaning = description
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(known);
    let default = parameter.default.iter().map(plain);
    by_name
        .into_iter()
        .chain(by_meaning)
        .chain(default)
        .chain(OTHERWISE.map(str::to_owned))
        .find(|value| permits(parameter, value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn permits(parameter: &Parameter, value: &str) -> bool {
    let is_kind = match parameter.kind {
        Kind::Str | Kind::Raw => !value.is_empty(),
        Kind::Path => value.starts_with('/'),
        Kind::Int => value.parse::<i64>().is_ok(),
        Kind::Float => value.parse::<f64>().is_ok(),
        Kind::Bool => ["true", "false"].contains(&value),
        Kind::List => !value.is_empty() && parameter.elements.is_none_or(|kind| kind == Kind::Str),
        Kind::Dict => false,
    };
    let pattern = parameter.pattern.as_ref();
    is_kind
        && pattern.is_none_or(|pattern| pattern.is_match(value))
        && parameter
            .max_length
            .is_none_or(|most| value.chars().count() <= most)
}
