//! Holding parameters against the declaration of an entry: the one gate through which values of persons,
//! models and programs pass (S2). Nothing undeclared passes, nothing is guessed, no default is filled in.

use chiffon_common::{ErrorCode, FieldError, Parameters, Problem, forbidden_key, is_exact};
use serde_json::Value;

use super::{
    entry::Entry,
    metadata::nearest,
    parameter::{Kind, Parameter},
};

const MAX_TEXT_BYTES: usize = 64 * 1024;
const MAX_ALL_BYTES: usize = 256 * 1024;
const MAX_DEPTH: usize = 16;
/// Plans are compared as canonical JSON, which knows doubles only.
const INEXACT: &str =
    "a number beyond 9007199254740992 is not exact; give it as text, where text is declared";

impl Entry {
    /// The parameters as the entry declares them. Text becomes a number or yes/no where the type asks for
    /// it and nothing is lost by it. Every problem is named, not only the first.
    pub fn check(&self, given: &Parameters) -> Result<Parameters, Vec<Problem>> {
        let mut check = Check {
            entry: self,
            problems: Vec::new(),
        };
        check.bounds(given);
        if !check.problems.is_empty() {
            return Err(check.problems);
        }
        let checked = check.map(given, &self.parameters, "");
        if check.problems.is_empty() {
            Ok(checked)
        } else {
            Err(check.problems)
        }
    }

    /// The first name among these parameters that the entry does not declare or that is missing, in words. Their
    /// values are not looked at: they may hold placeholders.
    pub(super) fn misfit(&self, given: &Parameters) -> Option<String> {
        let mut check = Check {
            entry: self,
            problems: Vec::new(),
        };
        for key in given.keys() {
            if self.parameter(key).is_none() {
                check.undeclared(key, &self.parameters, "");
            }
        }
        let undeclared = check.problems.pop().map(|problem| problem.detail);
        let missing = || {
            let missing = self.missing(given).next()?;
            Some(format!("{} needs {:?}", self.id, missing.name.as_str()))
        };
        undeclared.or_else(missing)
    }

    /// The declared parameters that must be given and are not.
    pub fn missing<'e>(&'e self, given: &'e Parameters) -> impl Iterator<Item = &'e Parameter> {
        let required = self.parameters.iter().filter(|p| p.required);
        required.filter(|p| given.get(p.name.as_str()).is_none_or(Value::is_null))
    }
}

struct Check<'e> {
    entry: &'e Entry,
    problems: Vec<Problem>,
}

impl Check<'_> {
    /// `name` is the parameter, with dots where it lies within another.
    fn problem(&mut self, code: ErrorCode, name: &str, detail: String) {
        let todo = format!(
            "`chiffon catalogue show {}` lists its parameters",
            self.entry.id
        );
        let pointer = pointer(name);
        let field = FieldError::body(pointer, detail.clone());
        self.problems
            .push(Problem::new(code, detail, todo).at(field));
    }

    fn invalid(&mut self, name: &str, what: impl std::fmt::Display) {
        let detail = format!("{name:?} of {}: {what}", self.entry.id);
        self.problem(ErrorCode::ParameterInvalid, name, detail);
    }

    /// What holds for every value, before any declaration is looked at.
    fn bounds(&mut self, given: &Parameters) {
        let mut bytes = 0;
        for (name, value) in given {
            // The keys of the first level are judged with the declaration.
            self.bound(name, value, 1, &mut bytes);
            bytes += name.len();
        }
        if bytes > MAX_ALL_BYTES {
            self.invalid("parameters", "together they are larger than 256 KiB");
        }
    }

    fn bound(&mut self, name: &str, value: &Value, depth: usize, bytes: &mut usize) {
        if depth > MAX_DEPTH {
            return self.invalid(&shown(name), "it is nested too deeply");
        }
        match value {
            Value::String(text) => {
                *bytes += text.len();
                if text.len() > MAX_TEXT_BYTES {
                    self.invalid(&shown(name), "a text in it is larger than 64 KiB");
                } else if text.contains('\0') {
                    self.invalid(&shown(name), "it holds a null character");
                }
            }
            Value::Array(items) => {
                *bytes += items.len();
                for item in items {
                    self.bound(name, item, depth + 1, bytes);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    *bytes += key.len();
                    if forbidden_key(key) {
                        self.forbidden(key);
                    } else if key.len() > MAX_TEXT_BYTES {
                        self.invalid(&shown(name), "a key in it is larger than 64 KiB");
                    }
                    self.bound(name, item, depth + 1, bytes);
                }
            }
            number => {
                *bytes += 8;
                if !is_exact(number) {
                    self.invalid(&shown(name), INEXACT);
                }
            }
        }
    }

    fn forbidden(&mut self, key: &str) {
        let detail = format!("{:?} is a name that Ansible itself obeys", shown(key));
        let problem = Problem::new(
            ErrorCode::ParameterForbidden,
            detail.clone(),
            "such names belong into the inventory or the playbook, never into parameters",
        )
        .at(FieldError::body(pointer(&shown(key)), detail));
        self.problems.push(problem);
    }

    /// The declared keys of a mapping; `path` is empty for the parameters themselves.
    fn map(&mut self, given: &Parameters, declared: &[Parameter], path: &str) -> Parameters {
        let mut checked = Parameters::new();
        for (key, value) in given {
            let found = declared.iter().find(|p| p.name.as_str() == key);
            match found {
                Some(_) if value.is_null() => {}
                Some(parameter) => {
                    if let Some(value) = self.value(parameter, value, &joined(path, key)) {
                        checked.insert(key.clone(), value);
                    }
                }
                None if forbidden_key(key) => self.forbidden(key),
                None => self.undeclared(key, declared, path),
            }
        }
        for parameter in declared.iter().filter(|p| p.required) {
            let name = parameter.name.as_str();
            if given.get(name).is_none_or(Value::is_null) {
                let name = joined(path, name);
                let detail = format!("{} needs {name:?}", self.entry.id);
                self.problem(ErrorCode::ParameterMissing, &name, detail);
            }
        }
        checked
    }

    fn undeclared(&mut self, key: &str, declared: &[Parameter], path: &str) {
        let names: Vec<&str> = declared.iter().map(|p| p.name.as_str()).collect();
        let hint = match nearest(key, names.iter().copied()) {
            Some(near) => format!("; did you mean {near:?}?"),
            None if names.is_empty() => "; it takes none".to_owned(),
            None => format!("; there are {}", names.join(", ")),
        };
        let name = joined(path, &shown(key));
        let detail = format!("{} declares no parameter {name:?}{hint}", self.entry.id);
        self.problem(ErrorCode::ParameterUndeclared, &name, detail);
    }

    fn value(&mut self, declared: &Parameter, value: &Value, name: &str) -> Option<Value> {
        let coerced = coerced(declared.kind, value);
        if coerced.as_ref().is_some_and(|value| !is_exact(value)) {
            self.invalid(name, INEXACT);
            return None;
        }
        let Some(value) = coerced else {
            self.invalid(name, format!("it must be {}", wanted(declared.kind)));
            return None;
        };
        let value = match value {
            Value::Object(map) if !declared.options.is_empty() => {
                Value::Object(self.map(&map, &declared.options, name))
            }
            Value::Array(items) => Value::Array(self.items(declared, items, name)?),
            other => other,
        };
        self.choice(declared, &value, name)?;
        self.text(declared, &value, name)?;
        Some(value)
    }

    fn items(&mut self, declared: &Parameter, items: Vec<Value>, name: &str) -> Option<Vec<Value>> {
        let Some(kind) = declared.elements else {
            return Some(items);
        };
        let mut checked = Vec::with_capacity(items.len());
        for item in &items {
            let Some(item) = coerced(kind, item) else {
                self.invalid(name, format!("each item must be {}", wanted(kind)));
                return None;
            };
            checked.push(match item {
                Value::Object(map) if !declared.options.is_empty() => {
                    Value::Object(self.map(&map, &declared.options, name))
                }
                other => other,
            });
        }
        Some(checked)
    }

    /// A list may hold only choices; anything else must be one.
    fn choice(&mut self, declared: &Parameter, value: &Value, name: &str) -> Option<()> {
        let is_one = |value: &Value| declared.choices.contains(value);
        let fits = match value {
            Value::Array(items) if declared.kind == Kind::List => items.iter().all(is_one),
            value => is_one(value),
        };
        if declared.choices.is_empty() || fits {
            return Some(());
        }
        let choices: Vec<String> = declared.choices.iter().map(plain).collect();
        let given = if declared.secret {
            String::new()
        } else {
            format!(", not {}", shown(&plain(value)))
        };
        self.invalid(
            name,
            format!("it must be one of {}{given}", choices.join(", ")),
        );
        None
    }

    fn text(&mut self, declared: &Parameter, value: &Value, name: &str) -> Option<()> {
        let Value::String(text) = value else {
            return Some(());
        };
        if let Some(most) = declared.max_length
            && text.chars().count() > most
        {
            self.invalid(name, format!("it may have {most} characters at most"));
            return None;
        }
        if let Some(pattern) = &declared.pattern
            && !pattern.is_match(text)
        {
            let given = if declared.secret {
                "the value".to_owned()
            } else {
                format!("{:?}", shown(text))
            };
            self.invalid(name, format!("{given} does not have the permitted form"));
            return None;
        }
        Some(())
    }
}

/// The value in this type, where nothing is lost by it.
fn coerced(kind: Kind, value: &Value) -> Option<Value> {
    match (kind, value) {
        (Kind::Raw, _)
        | (Kind::Str | Kind::Path, Value::String(_))
        | (Kind::Bool, Value::Bool(_))
        | (Kind::Float, Value::Number(_))
        | (Kind::List, Value::Array(_))
        | (Kind::Dict, Value::Object(_)) => Some(value.clone()),
        (Kind::Int, Value::Number(number)) => {
            (number.is_i64() || number.is_u64()).then(|| value.clone())
        }
        (Kind::Int, Value::String(text)) => {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == *text).then(|| number.into())
        }
        (Kind::Float, Value::String(text)) => {
            let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
            let number: f64 = text.parse().ok().filter(|_| text.chars().all(is_plain))?;
            Some(serde_json::Number::from_f64(number)?.into())
        }
        (Kind::Bool, Value::String(text)) => match text.to_lowercase().as_str() {
            "yes" | "true" | "on" => Some(true.into()),
            "no" | "false" | "off" => Some(false.into()),
            _ => None,
        },
        _ => None,
    }
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Str => "text",
        Kind::Path => "a path, as text",
        Kind::Int => "a whole number",
        Kind::Float => "a number",
        Kind::Bool => "yes or no",
        Kind::List => "a list",
        Kind::Dict => "a mapping",
        Kind::Raw => "a value",
    }
}

/// Where a parameter lies in the body of `catalogue run`.
fn pointer(name: &str) -> String {
    let parts = name.split('.').map(chiffon_common::pointer_part);
    parts.fold("/parameters".to_owned(), |path, part| {
        format!("{path}/{part}")
    })
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text from outside, short enough for a sentence and with nothing hidden in it.
fn shown(text: &str) -> String {
    chiffon_common::visible(&text.chars().take(80).collect::<String>())
}
