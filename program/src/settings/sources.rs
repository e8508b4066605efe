//! The sources of the configuration, read in their order and laid over each other, each value with where
//! it comes from. Reading one source is left to `said`; what a value must be is left to the caller.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};
use config::{Value, ValueKind};

use super::{
    Flag, invalid,
    keys::{self, Key},
    said::{Leaf, Origin, Place, Said},
};
use crate::env::Env;

/// What is shown in place of a secret value.
pub const SECRET: &str = "[secret]";

/// All keys with their winning values.
pub struct Sources {
    values: BTreeMap<String, (Value, Origin)>,
}

impl Sources {
    /// All sources in their order; the file may be missing.
    ///
    /// # Errors
    /// What is not understood: 5801 for an unknown key, 5802 for anything else.
    pub fn read(path: &Path, env: &Env, flags: &[Flag]) -> Result<Self, Problem> {
        let mut sources = Self::defaults();
        sources.lay(Said::by_file(path))?;
        sources.lay(Said::by_environment(env))?;
        for flag in flags {
            sources.lay(Said::by_flag(flag))?;
        }
        Ok(sources)
    }

    /// What is built in.
    fn defaults() -> Self {
        let built_in = |key: &Key| {
            let value = serde_saphyr::from_str(key.default).ok()?;
            Some((key.name.to_owned(), (value, Origin::Default)))
        };
        Self {
            values: keys::KEYS.iter().filter_map(built_in).collect(),
        }
    }

    /// One value over the defaults: whatever is wrong then is wrong with this value.
    pub(super) fn only(leaf: Leaf) -> Result<Self, Problem> {
        let mut sources = Self::defaults();
        sources.put(leaf)?;
        Ok(sources)
    }

    fn lay(&mut self, said: Said) -> Result<(), Problem> {
        if let Some(fault) = said.faults.into_iter().next() {
            return Err(fault);
        }
        said.leaves.into_iter().try_for_each(|leaf| self.put(leaf))
    }

    fn put(&mut self, leaf: Leaf) -> Result<(), Problem> {
        if keys::key(&leaf.name).is_none() {
            return Err(unknown(&leaf));
        }
        // `key:` with nothing after it is what is left when somebody takes a value away.
        if leaf.value.kind != ValueKind::Nil {
            self.values.insert(leaf.name, (leaf.value, leaf.origin));
        }
        Ok(())
    }

    /// The winning value of a key, and where it comes from.
    pub(super) fn winner(&self, key: &Key) -> Option<&(Value, Origin)> {
        self.values.get(key.name)
    }

    /// Where a key was given its value; nothing where it has the one that is built in.
    pub fn place_of(&self, name: &str) -> Option<Place<'_>> {
        let (_, origin) = self.values.get(name)?;
        (!matches!(origin, Origin::Default)).then_some(Place(origin))
    }

    /// A number within bounds.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn number(&self, name: &str, bounds: RangeInclusive<u32>) -> Result<u32, Problem> {
        self.value(name, |value| {
            let number = u32::try_from(whole(&value)?).ok()?;
            bounds.contains(&number).then_some(number)
        })
    }

    /// A whole number from 1 to `most`.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn count(&self, name: &str, most: u32) -> Result<NonZeroU32, Problem> {
        let number = self.number(name, 1..=most)?;
        Ok(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }

    /// A list of host names.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn names(&self, name: &str) -> Result<Vec<String>, Problem> {
        let is_name = |text: &String| {
            let is_permitted = |c: char| c.is_ascii_alphanumeric() || "-.[]".contains(c);
            !text.is_empty() && text.len() <= 253 && text.chars().all(is_permitted)
        };
        self.list(name, is_name)
    }

    /// A list of texts that are permitted.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn list(
        &self,
        name: &str,
        is_permitted: impl Fn(&String) -> bool,
    ) -> Result<Vec<String>, Problem> {
        self.value(name, |value| {
            let texts: Vec<String> = match value.kind {
                ValueKind::String(text) => {
                    text.split(',').map(|one| one.trim().to_owned()).collect()
                }
                _ => texts(value)?,
            };
            let names: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
            names.iter().all(&is_permitted).then_some(names)
        })
    }

    /// A text that means something.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn parsed<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Problem> {
        self.value(name, |value| parse(value.into_string().ok()?.trim()))
    }

    /// A list of absolute folders.
    ///
    /// # Errors
    /// 5802 where it is none.
    pub fn folders(&self, name: &str) -> Result<Vec<PathBuf>, Problem> {
        self.value(name, |value| {
            let texts: Vec<String> = match value.kind {
                ValueKind::String(text) => text.split(':').map(str::to_owned).collect(),
                _ => texts(value)?,
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
        let key = keys::key(name);
        let permitted = key.map_or("", |key| key.permitted);
        let Some((value, origin)) = self.values.get(name) else {
            return Err(invalid(format!("{name} has no value"), permitted));
        };
        read(value.clone()).ok_or_else(|| {
            let shown = match key {
                Some(key) if key.secret => SECRET.to_owned(),
                _ => chiffon_common::visible(&shown(value)),
            };
            let place = Place(origin);
            let detail = format!("{name} in {place} is {shown}, which is not permitted.");
            invalid(detail, &format!("Permitted: {permitted}."))
        })
    }
}

fn unknown(leaf: &Leaf) -> Problem {
    let name = &leaf.name;
    let shown: String = chiffon_common::visible(&name.chars().take(80).collect::<String>());
    let todo = match keys::nearest(name) {
        Some(near) => format!("Did you mean {near}?"),
        None => "Remove it; `chiffon config show` lists the keys there are.".to_owned(),
    };
    let place = Place(&leaf.origin);
    let detail = format!("There is no key {shown:?}, but {place} has it.");
    Problem::new(ErrorCode::UnknownKey, detail, todo)
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

/// A whole number as it stands: 1.5 is none, and the environment knows only texts.
fn whole(value: &Value) -> Option<u64> {
    match &value.kind {
        ValueKind::I64(number) => u64::try_from(*number).ok(),
        ValueKind::U64(number) => Some(*number),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The items of a list, where each is a text.
fn texts(value: Value) -> Option<Vec<String>> {
    let items = value.into_array().ok()?;
    items
        .into_iter()
        .map(|item| item.into_string().ok())
        .collect()
}
