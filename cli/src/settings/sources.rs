//! The sources of the configuration, read in their order and laid over each other, each value with where
//! it comes from. What a value must be is left to the caller.

use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};
use config::{Environment, Map, Source, Value, ValueKind};

use super::{Flag, file, invalid, keys};
use crate::env::Env;

/// Variables of the same prefix that are no settings.
const NO_SETTINGS: [&str; 3] = ["CHIFFON_HOME", "CHIFFON_NO_COLOR", "CHIFFON_RUN"];

#[derive(Debug, Clone)]
enum Origin {
    Default,
    File(PathBuf),
    Environment,
    Flag(&'static str),
}

/// Where a key was found, for a sentence.
struct Place<'a>(&'a Origin, &'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(origin, key) = self;
        match origin {
            Origin::Default => write!(f, "the built-in defaults"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment => {
                write!(
                    f,
                    "the environment (CHIFFON_{})",
                    key.to_uppercase().replace('.', "__")
                )
            }
            Origin::Flag(flag) => write!(f, "the flag {flag}"),
        }
    }
}

/// All keys with their winning values.
pub(super) struct Sources {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Sources {
    pub(super) fn read(path: &Path, env: &Env, flags: &[Flag]) -> Result<Self, Problem> {
        let mut sources = Self {
            values: BTreeMap::new(),
        };
        for key in keys::KEYS {
            if let Ok(value) = serde_saphyr::from_str(key.default) {
                sources.put(key.name, value, &Origin::Default)?;
            }
        }
        sources.lay(file::read(path)?, &Origin::File(path.to_owned()))?;
        sources.lay(from_environment(env)?, &Origin::Environment)?;
        for flag in flags {
            let value = Value::new(None, ValueKind::String(flag.value.clone()));
            sources.put(flag.key, value, &Origin::Flag(flag.flag))?;
        }
        Ok(sources)
    }

    fn lay(&mut self, map: Map<String, Value>, origin: &Origin) -> Result<(), Problem> {
        let mut leaves = Vec::new();
        flatten(String::new(), map, &mut leaves);
        for (name, value) in leaves {
            self.put(&name, value, origin)?;
        }
        Ok(())
    }

    fn put(&mut self, name: &str, value: Value, origin: &Origin) -> Result<(), Problem> {
        if keys::key(name).is_none() {
            return Err(unknown(name, &Place(origin, name)));
        }
        // `key:` with nothing after it is what is left when somebody takes a value away.
        if value.kind != ValueKind::Nil {
            self.values.insert(name.to_owned(), (value, origin.clone()));
        }
        Ok(())
    }

    /// A number within bounds.
    pub(super) fn number(&self, name: &str, bounds: RangeInclusive<u32>) -> Result<u32, Problem> {
        self.value(name, |value| {
            let number = u32::try_from(value.into_uint().ok()?).ok()?;
            bounds.contains(&number).then_some(number)
        })
    }

    /// A text that means something.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Problem> {
        self.value(name, |value| parse(value.into_string().ok()?.trim()))
    }

    /// A list of absolute folders.
    pub(super) fn folders(&self, name: &str) -> Result<Vec<PathBuf>, Problem> {
        self.value(name, |value| {
            let texts: Vec<String> = match value.kind {
                ValueKind::String(text) => text.split(':').map(str::to_owned).collect(),
                _ => {
                    let items = value.into_array().ok()?;
                    items
                        .into_iter()
                        .map(|item| item.into_string().ok())
                        .collect::<Option<_>>()?
                }
            };
            let paths = texts
                .into_iter()
                .filter(|text| !text.is_empty())
                .map(PathBuf::from);
            paths
                .map(|path| path.is_absolute().then_some(path))
                .collect()
        })
    }

    fn value<T>(&self, name: &str, read: impl Fn(Value) -> Option<T>) -> Result<T, Problem> {
        let permitted = keys::key(name).map_or("", |key| key.permitted);
        let Some((value, origin)) = self.values.get(name) else {
            return Err(invalid(format!("{name} has no value"), permitted));
        };
        read(value.clone()).ok_or_else(|| {
            let shown = chiffon_common::visible(&shown(value));
            let place = Place(origin, name);
            let detail = format!("{name} in {place} is {shown}, which is not permitted.");
            invalid(detail, &format!("Permitted: {permitted}."))
        })
    }
}

fn unknown(name: &str, place: &Place<'_>) -> Problem {
    let shown: String = chiffon_common::visible(&name.chars().take(80).collect::<String>());
    let todo = match keys::nearest(name) {
        Some(near) => format!("Did you mean {near}?"),
        None => "Remove it; a new chiffon.yaml lists the keys there are.".to_owned(),
    };
    let detail = format!("There is no key {shown:?}, but {place} has it.");
    Problem::new(ErrorCode::UnknownKey, detail, todo)
}

/// Tables become dotted names; everything else is a value. An empty table is nothing.
fn flatten(prefix: String, map: Map<String, Value>, leaves: &mut Vec<(String, Value)>) {
    for (name, value) in map {
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value.kind {
            ValueKind::Table(inner) if keys::key(&name).is_none() => flatten(name, inner, leaves),
            // `http:` with only comments below it.
            ValueKind::Nil if keys::is_section(&name) => {}
            _ => leaves.push((name, value)),
        }
    }
}

fn from_environment(env: &Env) -> Result<Map<String, Value>, Problem> {
    let mut ours = Map::new();
    for (name, value) in env.iter() {
        if !name.starts_with("CHIFFON_") || NO_SETTINGS.contains(&name) || value.is_empty() {
            continue;
        }
        let Some(text) = value.to_str() else {
            let detail = format!("{name} in the environment is no text.");
            return Err(invalid(detail, "Set it to text, or unset it."));
        };
        ours.insert(name.to_owned(), text.to_owned());
    }
    let source = Environment::with_prefix("CHIFFON")
        .prefix_separator("_")
        .separator("__")
        .source(Some(ours));
    source
        .collect()
        .map_err(|error| invalid(error.to_string(), "Unset that variable."))
}

fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
