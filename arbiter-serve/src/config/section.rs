//! Taking a mapping of the configuration apart key by key: each key is asked for with its bounds, and what nobody asked
//! for is unknown and named with the nearest that was. All faults are gathered, so that one look shows them all.

use std::{fmt::Display, ops::RangeInclusive};

use chiffon_common::{ErrorCode, Problem, visible};
use serde_json::{Map, Value};

/// Below this likeness (Jaro-Winkler) a guess would only confuse.
const ALIKE: f64 = 0.75;

/// All faults of a configuration, and every key that it may have.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) found: Vec<Problem>,
    /// What is permitted, and does not do what somebody may expect.
    pub(super) warnings: Vec<String>,
    /// Dotted names, for the page that lists them.
    pub(super) known: Vec<String>,
    /// Keys that nobody asked for where they stand, with the place of their fault.
    strange: Vec<(usize, String)>,
}

impl Faults {
    pub(super) fn invalid(&mut self, name: &str, found: impl Display, permitted: &str) {
        let detail = format!("{name} is {}", visible(&found.to_string()));
        let todo = format!("permitted: {permitted}");
        self.found
            .push(Problem::new(ErrorCode::InvalidValue, detail, todo));
    }

    /// Once all keys are known: what stands in the wrong place is told its own.
    pub(super) fn place_strange(&mut self) {
        for (at, key) in std::mem::take(&mut self.strange) {
            let is_it = |known: &&String| {
                let section = known.strip_suffix(key.as_str());
                // Those of a list are many.
                let is_section = |section: &str| section.is_empty() || section.ends_with('.');
                section.is_some_and(|section| is_section(section) && !section.contains('['))
            };
            let place = self.known.iter().find(is_it);
            if let (Some(place), Some(fault)) = (place, self.found.get_mut(at)) {
                fault.todo = format!("did you mean {place}?");
            }
        }
    }

    pub(super) fn contradiction(&mut self, detail: impl Into<String>, todo: impl Into<String>) {
        self.found
            .push(Problem::new(ErrorCode::SettingsContradict, detail, todo));
    }
}

/// One mapping that is being taken apart.
pub(super) struct Section {
    /// Dotted; empty for the whole file.
    name: String,
    left: Map<String, Value>,
    asked: Vec<String>,
}

impl Section {
    /// A whole file.
    pub(super) fn whole(map: Map<String, Value>) -> Self {
        Self {
            name: String::new(),
            left: map,
            asked: Vec::new(),
        }
    }

    /// One without any key.
    pub(super) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            left: Map::new(),
            asked: Vec::new(),
        }
    }

    /// Dotted.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn dotted(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// The raw value of a key.
    fn take(&mut self, key: &str, faults: &mut Faults) -> Option<Value> {
        self.asked.push(key.to_owned());
        faults.known.push(self.dotted(key));
        self.left.remove(key)
    }

    /// The raw value of a key that must have one: left out it has its default, but `key:` with nothing after it may be a
    /// template whose variable was not set, and in a grant it would fit everybody.
    fn value(&mut self, key: &str, faults: &mut Faults) -> Option<Value> {
        let value = self.take(key, faults)?;
        if value.is_null() {
            let permitted = "a value, or no such key at all";
            faults.invalid(&self.dotted(key), "empty", permitted);
            return None;
        }
        Some(value)
    }

    /// A section below this one; an empty one where it is missing, or where nothing stands below its name.
    pub(super) fn section(&mut self, key: &str, faults: &mut Faults) -> Self {
        let name = self.dotted(key);
        if self.left.get(key).is_some_and(Value::is_null) {
            self.take(key, faults);
            return Self::empty(&name);
        }
        self.section_if_there(key, faults)
            .unwrap_or_else(|| Self::empty(&name))
    }

    /// A section below this one, where it is there.
    pub(super) fn section_if_there(&mut self, key: &str, faults: &mut Faults) -> Option<Self> {
        let name = self.dotted(key);
        match self.value(key, faults)? {
            Value::Object(left) => Some(Self {
                name,
                left,
                asked: Vec::new(),
            }),
            other => {
                faults.invalid(
                    &name,
                    other,
                    "a section: keys with their values, indented below it",
                );
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &str,
        bounds: RangeInclusive<u64>,
        default: u64,
        faults: &mut Faults,
    ) -> u64 {
        let Some(value) = self.value(key, faults) else {
            return default;
        };
        match value.as_u64().filter(|number| bounds.contains(number)) {
            Some(number) => number,
            None => {
                let permitted =
                    format!("a whole number from {} to {}", bounds.start(), bounds.end());
                faults.invalid(&self.dotted(key), value, &permitted);
                default
            }
        }
    }

    /// A decimal number as written, for those whose every digit counts.
    pub(super) fn decimal(&mut self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.value(key, faults)? {
            // Without an exponent, which a small one has in JSON.
            Value::Number(number) => Some(match number.as_f64() {
                Some(float) if number.is_f64() => float.to_string(),
                _ => number.to_string(),
            }),
            other => {
                faults.invalid(&self.dotted(key), other, "a number");
                None
            }
        }
    }

    /// A text that says something.
    pub(super) fn text(&mut self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.value(key, faults)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::String(_) => {
                let permitted = "a text that says something, or no such key at all";
                faults.invalid(&self.dotted(key), "empty", permitted);
                None
            }
            other => {
                let permitted = "a text; in quotes where it looks like a number";
                faults.invalid(&self.dotted(key), other, permitted);
                None
            }
        }
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// A text that nobody may read: no fault shows what was found.
    pub(super) fn secret(&mut self, key: &str, faults: &mut Faults) -> Option<String> {
        match self.value(key, faults)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => {
                let permitted = "a text; in quotes where it looks like a number";
                faults.invalid(&self.dotted(key), "no text", permitted);
                None
            }
        }
    }

    /// A text that means something.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        permitted: &str,
        parse: impl Fn(&str) -> Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        let text = self.text(key, faults)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            faults.invalid(&self.dotted(key), format!("{text:?}"), permitted);
        }
        parsed
    }

    /// What is left: mappings whose keys are names of the reader's own, such as roles and tenants.
    pub(super) fn entries(mut self, faults: &mut Faults) -> Vec<(String, Value)> {
        faults.known.push(self.dotted("*"));
        std::mem::take(&mut self.left).into_iter().collect()
    }

    /// What lists of mappings hold.
    pub(super) fn list(&mut self, key: &str, faults: &mut Faults) -> Vec<Self> {
        let name = self.dotted(key);
        let items = match self.value(key, faults) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                faults.invalid(&name, other, "a list of mappings");
                return Vec::new();
            }
        };
        let mut sections = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::Object(left) => sections.push(Self {
                    name: format!("{name}[{at}]"),
                    left,
                    asked: Vec::new(),
                }),
                other => faults.invalid(&format!("{name}[{at}]"), other, "a mapping"),
            }
        }
        sections
    }

    /// Names what nobody asked for, with the nearest key of this section.
    pub(super) fn finish(self, faults: &mut Faults) {
        for key in self.left.keys() {
            let name = visible(&self.dotted(key));
            let nearest = self
                .asked
                .iter()
                .map(|asked| (strsim::jaro_winkler(asked, key), asked))
                .filter(|(alike, _)| *alike >= ALIKE)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            let todo = match nearest {
                Some((_, nearest)) => format!("did you mean {}?", self.dotted(nearest)),
                None => {
                    let place = match self.name.as_str() {
                        "" => "the file",
                        name => name,
                    };
                    format!("{place} has these keys: {}", self.asked.join(", "))
                }
            };
            let detail = format!("there is no key {name}");
            faults.strange.push((faults.found.len(), key.clone()));
            faults
                .found
                .push(Problem::new(ErrorCode::UnknownKey, detail, todo));
        }
    }
}
