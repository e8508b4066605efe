//! The metadata of an entry, `playbooks/<id>.chiffon.yml`. An unknown key is an error that names the
//! nearest known one: a misspelt `tier` must not silently become the default.

use chiffon_common::{
    EntryId, Fidelity, OnInterrupt, ParameterName, Parameters, ResourcesRequired, Tier, visible,
};
use serde_json::Value;

use super::{
    parameter::{Parameter, expected},
    verify::{Check, checks},
    yaml::{Fault, Key, Node},
};

const KEYS: [&str; 15] = [
    "title",
    "description",
    "examples",
    "tier",
    "preview",
    "resources",
    "timeout_seconds",
    "on_interrupt",
    "verify",
    "undo",
    "parameters",
    "requires_become",
    "listed",
    "keeps_daemons",
    "verifies_only",
];
const MAX_TIMEOUT_SECONDS: u64 = 7 * 24 * 3600;

/// What the metadata says; every key is optional.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) examples: Vec<String>,
    pub(super) tier: Option<Tier>,
    pub(super) preview: Option<Fidelity>,
    pub(super) resources: ResourcesRequired,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) on_interrupt: Option<OnInterrupt>,
    pub(super) verify: Vec<Check>,
    pub(super) undo: Option<UndoRule>,
    pub(super) requires_become: bool,
    pub(super) unlisted: bool,
    pub(super) keeps_daemons: bool,
    pub(super) verifies_only: bool,
    limits: Vec<Limits>,
}

/// Another entry with parameters, in which `{name}` stands for a parameter of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The entry.
    pub entry: EntryId,
    /// Its parameters.
    pub parameters: Parameters,
}

/// How a run is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoRule {
    /// By another entry.
    Entry(Call),
    /// Not at all, and why.
    None(String),
}

/// What a spec cannot say of a parameter.
#[derive(Debug, Clone)]
struct Limits {
    name: Key,
    pattern: Option<regex::Regex>,
    max_length: Option<usize>,
    secret: Option<bool>,
}

impl Metadata {
    pub(super) fn read(node: &Node) -> Result<Self, Fault> {
        let entries = entries(node, "the metadata", &KEYS)?;
        let mut read = Self::default();
        for (key, node) in entries {
            read.set(&key.text, node)?;
        }
        Ok(read)
    }

    fn set(&mut self, key: &str, node: &Node) -> Result<(), Fault> {
        match key {
            "title" => self.title = Some(text(node, key)?),
            "description" => self.description = Some(text(node, key)?),
            "examples" => self.examples = texts(node, key)?,
            "tier" => self.tier = Some(value(node, key)?),
            "preview" => self.preview = Some(value(node, key)?),
            "resources" => {
                entries(node, key, &["memory_gb", "gpu"])?;
                self.resources = value(node, key)?;
            }
            "timeout_seconds" => self.timeout_seconds = Some(timeout(node)?),
            "on_interrupt" => self.on_interrupt = Some(value(node, key)?),
            "verify" => self.verify = checks(node)?,
            "undo" => self.undo = Some(undo(node)?),
            "parameters" => self.limits = limits(node)?,
            "requires_become" => self.requires_become = value(node, key)?,
            "keeps_daemons" => self.keeps_daemons = value(node, key)?,
            "verifies_only" => self.verifies_only = value(node, key)?,
            _ => self.unlisted = !value::<bool>(node, "listed")?,
        }
        Ok(())
    }

    /// Goes through the entries that it names.
    pub(super) fn calls(&mut self, each: impl Fn(&mut Call)) {
        if let Some(UndoRule::Entry(call)) = &mut self.undo {
            each(call);
        }
        self.verify
            .iter_mut()
            .for_each(|check| each(&mut check.call));
    }

    /// Adds what the metadata says of the parameters that the role declares.
    pub(super) fn limit(&self, parameters: &mut [Parameter]) -> Result<(), Fault> {
        for example in &self.examples {
            if let Some(stranger) = undeclared(example, parameters) {
                let reason = format!(
                    "the example {example:?} names {{{stranger}}}, which is no parameter of the role"
                );
                return Err(Fault::whole(reason));
            }
        }
        self.verify
            .iter()
            .try_for_each(|check| check.fits(parameters))?;
        for limits in &self.limits {
            let name = &limits.name;
            let declared = parameters.iter_mut().find(|p| p.name.as_str() == name.text);
            let Some(parameter) = declared else {
                let reason = format!("the role declares no parameter {:?}", name.text);
                return Err(Fault::at(name.line, reason));
            };
            parameter.pattern.clone_from(&limits.pattern);
            parameter.max_length = limits.max_length;
            parameter.secret = limits.secret.unwrap_or(parameter.secret);
        }
        Ok(())
    }
}

/// The first `{name}` of an example that is no parameter: a sentence like it would never fill anything.
fn undeclared<'e>(example: &'e str, parameters: &[Parameter]) -> Option<&'e str> {
    let names = example
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'));
    names.map(|(name, _)| name).find(|name| {
        parameters
            .iter()
            .all(|parameter| parameter.name.as_str() != *name)
    })
}

/// The entries of a mapping that may hold only these keys.
pub(super) fn entries<'n>(
    node: &'n Node,
    what: &str,
    known: &[&str],
) -> Result<&'n [(Key, Node)], Fault> {
    let entries = node
        .map()
        .ok_or_else(|| expected(node, what, "a mapping"))?;
    let stranger = entries
        .iter()
        .find(|(key, _)| !known.contains(&key.text.as_str()));
    match stranger {
        None => Ok(entries),
        Some((key, _)) => {
            let hint = match nearest(&key.text, known.iter().copied()) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => format!("; there are {}", known.join(", ")),
            };
            let reason = format!("{what} has no key {:?}{hint}", key.text);
            Err(Fault::at(key.line, reason))
        }
    }
}

/// The known word that a misspelt one is nearest to, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}

fn text(node: &Node, what: &str) -> Result<String, Fault> {
    let text = node.text().ok_or_else(|| expected(node, what, "text"))?;
    Ok(text.trim().to_owned())
}

fn texts(node: &Node, what: &str) -> Result<Vec<String>, Fault> {
    let items = node.list().ok_or_else(|| expected(node, what, "a list"))?;
    items.iter().map(|item| text(item, what)).collect()
}

fn value<T: serde::de::DeserializeOwned>(node: &Node, what: &str) -> Result<T, Fault> {
    serde_json::from_value(node.to_json()).map_err(|_| {
        let found = match node.to_json() {
            Value::String(text) => {
                format!("{:?}", visible(&text.chars().take(60).collect::<String>()))
            }
            Value::Number(number) => number.to_string(),
            _ => node.kind().to_owned(),
        };
        Fault::at(
            node.line,
            format!("{what} must be {}, not {found}", wanted(what)),
        )
    })
}

/// What a key takes, for people.
fn wanted(key: &str) -> &'static str {
    match key {
        "tier" => "0 (reads), 1 (changes) or 2 (dangerous)",
        "preview" => "exact, simulated, blind or acts",
        "on_interrupt" => "retry, ask or fail",
        "resources" => "memory_gb (a number of GiB) and gpu (true or false)",
        "timeout_seconds" | "max_length" => "a whole number",
        "undo" | "verify" | "entry" => "the id of an entry: small letters, digits and _",
        _ => "true or false",
    }
}

fn timeout(node: &Node) -> Result<u64, Fault> {
    let seconds: u64 = value(node, "timeout_seconds")?;
    if (1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    let reason = format!("timeout_seconds must be 1 to {MAX_TIMEOUT_SECONDS}, not {seconds}");
    Err(Fault::at(node.line, reason))
}

/// `entry`, or `{entry, parameters}`.
pub(super) fn call(node: &Node, what: &str) -> Result<Call, Fault> {
    if node.text().is_some() {
        return Ok(Call {
            entry: value(node, what)?,
            parameters: Parameters::new(),
        });
    }
    entries(node, what, &["entry", "parameters"])?;
    let entry = node
        .get("entry")
        .ok_or_else(|| Fault::at(node.line, format!("{what} names no entry")))?;
    let parameters = match node.get("parameters").map(|node| (node, node.to_json())) {
        None | Some((_, Value::Null)) => Parameters::new(),
        Some((_, Value::Object(map))) => map,
        Some((node, _)) => return Err(expected(node, "parameters", "a mapping")),
    };
    Ok(Call {
        entry: value(entry, "entry")?,
        parameters,
    })
}

/// `none`, `{none: why}`, or a call.
fn undo(node: &Node) -> Result<UndoRule, Fault> {
    if node.text() == Some("none") {
        return Ok(UndoRule::None(
            "The catalogue names no way back.".to_owned(),
        ));
    }
    if let Some(why) = node.get("none") {
        entries(node, "undo", &["none"])?;
        let reason = text(why, "none")?;
        if reason.is_empty() {
            let fault = "undo: `none` says no reason; write why there is no way back";
            return Err(Fault::at(why.line, fault));
        }
        return Ok(UndoRule::None(reason));
    }
    if node.map().is_some() {
        entries(node, "undo", &["entry", "parameters", "none"])?;
    }
    Ok(UndoRule::Entry(call(node, "undo")?))
}

fn limits(node: &Node) -> Result<Vec<Limits>, Fault> {
    let named = node
        .map()
        .ok_or_else(|| expected(node, "parameters", "a mapping"))?;
    named
        .iter()
        .map(|(name, node)| {
            name.text
                .parse::<ParameterName>()
                .map_err(|error| Fault::at(name.line, error.to_string()))?;
            entries(node, &name.text, &["pattern", "max_length", "secret"])?;
            let max_length = node.get("max_length").map(|node| value(node, "max_length"));
            let secret = node.get("secret").map(|node| value(node, "secret"));
            Ok(Limits {
                name: name.clone(),
                pattern: node.get("pattern").map(pattern).transpose()?,
                max_length: max_length.transpose()?,
                secret: secret.transpose()?,
            })
        })
        .collect()
}

/// The whole text must match, whether or not the author anchored the pattern.
fn pattern(node: &Node) -> Result<regex::Regex, Fault> {
    let written = node
        .text()
        .ok_or_else(|| expected(node, "pattern", "text"))?;
    regex::RegexBuilder::new(&format!(r"\A(?:{written})\z"))
        .size_limit(1 << 20)
        .build()
        .map_err(|error| Fault::at(node.line, format!("the pattern cannot be used: {error}")))
}
