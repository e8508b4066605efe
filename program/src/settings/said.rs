//! What one source of the configuration has, value by value, and what of it cannot be understood. Which
//! source wins, and whether there is such a key, is left to `sources`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use chiffon_common::Problem;
use config::{Map, Value, ValueKind};

use super::{
    Flag, file, invalid,
    keys::{self, PREFIX},
};
use crate::env::Env;

/// Variables of the same prefix that are no settings.
const NO_SETTINGS: [&str; 3] = ["CHIFFON_HOME", "CHIFFON_NO_COLOR", "CHIFFON_RUN"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File(PathBuf),
    /// The variable.
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Where a key was found, for a sentence.
pub struct Place<'a>(pub(super) &'a Origin);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Origin::Default => write!(f, "the built-in defaults"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(variable) => write!(f, "the environment ({variable})"),
            Origin::Flag(flag) => write!(f, "the flag {flag}"),
        }
    }
}

/// One value that a source has.
pub(super) struct Leaf {
    /// Dotted.
    pub name: String,
    pub value: Value,
    pub origin: Origin,
}

/// What one source has, and what of it cannot be understood.
pub(super) struct Said {
    pub leaves: Vec<Leaf>,
    pub faults: Vec<Problem>,
}

impl Said {
    /// By the file, which may be missing.
    pub fn by_file(path: &Path) -> Self {
        let (sections, faults) = file::read(path);
        let mut found = Vec::new();
        flatten(String::new(), sections, &mut found);
        // The map has no order, and the same file shall give the same first fault.
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        let leaf = |(name, value)| Leaf {
            name,
            value,
            origin: Origin::File(path.to_owned()),
        };
        let leaves = found.into_iter().map(leaf).collect();
        Self { leaves, faults }
    }

    /// By the environment.
    pub fn by_environment(env: &Env) -> Self {
        let (mut leaves, mut faults) = (Vec::new(), Vec::new());
        for (variable, value) in env.iter() {
            let ours = variable.strip_prefix(PREFIX);
            let Some(name) = ours.filter(|_| !NO_SETTINGS.contains(&variable)) else {
                continue;
            };
            match value.to_str() {
                // Set to nothing is not set.
                Some("") => {}
                Some(text) => leaves.push(Leaf {
                    name: name.to_lowercase().replace("__", "."),
                    value: Value::new(None, ValueKind::String(text.to_owned())),
                    origin: Origin::Environment(variable.to_owned()),
                }),
                None => {
                    let detail = format!("{variable} in the environment is no text.");
                    faults.push(invalid(detail, "Set it to text, or unset it."));
                }
            }
        }
        Self { leaves, faults }
    }

    /// By a flag.
    pub fn by_flag(flag: &Flag) -> Self {
        let leaf = Leaf {
            name: flag.key.clone(),
            value: Value::new(None, ValueKind::String(flag.value.clone())),
            origin: Origin::Flag(flag.flag),
        };
        Self {
            leaves: vec![leaf],
            faults: Vec::new(),
        }
    }
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
