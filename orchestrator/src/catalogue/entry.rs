//! An entry: what may run, with everything that is declared about it and every file it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use chiffon_common::{
    Bundle, BundleError, BundleFile, Digest, EntryId, Fidelity, OnInterrupt, Parameters,
    ResourcesRequired, Tier, Undo,
    api::{EntryView, Nearest},
};
use serde_json::Value;

use super::{
    load::Trust,
    metadata::{Call, UndoRule},
    parameter::Parameter,
    tree::TreeFile,
    verify::Check,
};

/// Where the metadata of an undo says "the run that is to be taken back".
const RUN_ID: &str = "chiffon_run_id";

/// A plan is read by a person; the catalogue shows the rest.
const REASONS_IN_A_PLAN: usize = 3;

/// One entry of the catalogue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id, which is also the name of its playbook.
    pub id: EntryId,
    /// What it does, in a few words.
    pub title: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// Sentences that reach it; `{name}` stands for a parameter.
    pub examples: Vec<String>,
    /// Its risk.
    pub tier: Tier,
    /// How much a check run tells: what the metadata says, lowered by what the scan found.
    pub preview: Fidelity,
    /// Why it tells no more, the gravest reason first, each with its place.
    pub preview_because: Vec<String>,
    /// Why the tier is higher than the metadata says, each with its place.
    pub tier_because: Vec<String>,
    /// What it needs of the agent's host.
    pub resources: ResourcesRequired,
    /// Longest run.
    pub timeout_seconds: u64,
    /// What happens after an interruption.
    pub on_interrupt: OnInterrupt,
    /// What must hold afterwards, in order.
    pub verify: Vec<Check>,
    /// How a run is taken back.
    pub undo: UndoRule,
    /// Declared parameters, in the order of the declaration.
    pub parameters: Vec<Parameter>,
    /// Whether it needs to become root on the host.
    pub requires_become: bool,
    /// Whether daemons that it starts on the agent's machine outlive a run that completed.
    pub keeps_daemons: bool,
    /// Whether a sentence may reach it; otherwise only its id does.
    pub listed: bool,
    /// Whether it does nothing but check the work of others, and nobody may ask for it.
    pub verifies_only: bool,
    /// Whether its own words count: it was shipped, or a person has accepted it as it is.
    pub accepted: bool,
    /// Its parameters were guessed: no role of it declares any.
    pub guessed: bool,
    /// Name of the root it came from.
    pub origin: String,
    /// How far that root is trusted.
    pub trust: Trust,
    /// The playbook, relative to the root: what `ansible-playbook` is to run within the bundle.
    pub playbook: String,
    /// Digest over every file it needs and over its metadata.
    pub digest: Digest,
    /// The folder of that root.
    pub root: PathBuf,
    /// Folders of roles that the repository's own `ansible.cfg` names.
    pub(super) roles_path: Vec<String>,
    pub(super) files: Arc<BTreeMap<String, TreeFile>>,
}

impl Entry {
    /// The files of the playbook and of all that it uses, by their paths within the root.
    pub fn bundle_files(&self) -> Result<Bundle, BundleError> {
        let mut bundle = bundle(&self.files)?;
        let mark = |text: String| BundleFile {
            executable: false,
            content: text.into_bytes(),
        };
        if self.playbook != format!("playbooks/{}.yml", self.id) {
            bundle.insert(Bundle::PLAYBOOK, mark(self.playbook.clone()))?;
        }
        if !self.roles_path.is_empty() {
            bundle.insert(Bundle::ROLES_PATH, mark(self.roles_path.join("\n")))?;
        }
        if self.keeps_daemons {
            bundle.insert(Bundle::KEEPS_DAEMONS, mark(String::new()))?;
        }
        Ok(bundle)
    }

    /// Why a check run tells no more than it does, in one line for a plan.
    pub fn fidelity_because(&self) -> Option<String> {
        let shown: Vec<&str> = self
            .preview_because
            .iter()
            .take(REASONS_IN_A_PLAN)
            .map(String::as_str)
            .collect();
        let more = self.preview_because.len() - shown.len();
        match (shown.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(shown.join("; ")),
            (false, more) => Some(format!(
                "{}; and {more} more (chiffon catalogue show {})",
                shown.join("; "),
                self.id
            )),
        }
    }

    /// A declared parameter.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name.as_str() == name)
    }

    /// Names of the parameters whose values are never shown.
    pub fn secret_parameters(&self) -> Vec<String> {
        let secret = self.parameters.iter().filter(|p| p.secret);
        secret.map(|p| p.name.to_string()).collect()
    }

    /// How a run with these parameters is taken back, as the plan says it: `{chiffon_run_id}` still stands
    /// where the id of the run will be.
    pub fn undo_planned(&self, parameters: &Parameters) -> Undo {
        self.undo_with(parameters)
    }

    /// How the run of this id with these parameters is taken back.
    pub fn undo_of_run(&self, parameters: &Parameters, run_id: &str) -> Undo {
        let mut known = parameters.clone();
        known.insert(RUN_ID.to_owned(), run_id.into());
        self.undo_with(&known)
    }

    fn undo_with(&self, known: &Parameters) -> Undo {
        match &self.undo {
            UndoRule::None(why) => Undo::None { why: why.clone() },
            UndoRule::Entry(call) => Undo::Entry {
                entry: call.entry.clone(),
                parameters: self.without_what_was_not_given(call, known).filled(known),
            },
        }
    }

    /// What stands for a parameter that may be left out, and was, is left out as well: nothing in its place would
    /// be a value, and the entry that is called has its own idea of what it does without.
    fn without_what_was_not_given(&self, call: &Call, known: &Parameters) -> Call {
        let stands_for_nothing = |value: &Value| {
            let name = value.as_str().and_then(|text| {
                let inner = text.strip_prefix('{')?;
                inner.strip_suffix('}')
            });
            name.and_then(|name| self.parameter(name))
                .is_some_and(|declared| !known.contains_key(declared.name.as_str()))
        };
        let mut call = call.clone();
        call.parameters
            .retain(|_, value| !stands_for_nothing(value));
        call
    }

    /// The title with the parameters that a person would want to see; secret ones are left out.
    pub fn title_with(&self, parameters: &Parameters) -> String {
        let shown = parameters.iter().filter_map(|(name, value)| {
            let declared = self.parameter(name)?;
            (!declared.secret).then(|| format!("{name} = {}", short(value)))
        });
        let shown: Vec<String> = shown.collect();
        match shown.is_empty() {
            true => self.title.clone(),
            false => format!("{} ({})", self.title, shown.join(", ")),
        }
    }

    /// The names of groups and hosts that its plays say they are for, as far as they are plain.
    pub fn targets(&self) -> BTreeSet<String> {
        let mut targets = BTreeSet::new();
        let yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
        for (_, file) in self.files.iter().filter(|(path, _)| yaml(path)) {
            let text = String::from_utf8_lossy(&file.content);
            let Some(plays) = super::yaml::parse(&text)
                .ok()
                .filter(|node| node.list().is_some())
            else {
                continue;
            };
            let plays = plays.list().unwrap_or_default();
            let hosts = plays.iter().filter_map(|play| play.get("hosts"));
            let texts = hosts.flat_map(|hosts| {
                let listed = hosts.list().unwrap_or_default().iter();
                listed
                    .chain([hosts])
                    .filter_map(super::yaml::Node::text)
                    .collect::<Vec<_>>()
            });
            for text in texts.map(str::to_owned).collect::<Vec<_>>() {
                targets.extend(text.split([':', ',']).map(|name| name.trim().to_owned()));
            }
        }
        targets.retain(|name| {
            let plain = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            plain && !["", "all", "localhost"].contains(&name.as_str())
        });
        targets
    }

    /// The form of the HTTP API.
    pub fn view(&self) -> EntryView {
        EntryView {
            id: self.id.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            examples: self.examples.clone(),
            tier: self.tier,
            preview: fidelity_word(self.preview).to_owned(),
            preview_because: self.preview_because.clone(),
            tier_because: self.tier_because.clone(),
            undo: match &self.undo {
                UndoRule::Entry(call) => format!("by {}", call.entry),
                UndoRule::None(why) => why.clone(),
            },
            timeout_seconds: self.timeout_seconds,
            parameters: self.parameters.iter().map(Parameter::view).collect(),
            origin: self.origin.clone(),
            playbook: self.playbook.clone(),
            digest: self.digest,
            accepted: self.accepted,
        }
    }

    /// As an answer to a sentence that comes near to it.
    pub fn nearest(&self) -> Nearest {
        Nearest {
            entry: self.id.clone(),
            title: self.title.clone(),
            example: self.sentence(),
        }
    }
}

impl Call {
    /// The parameters with every `{name}` replaced. One that is nothing but a placeholder keeps the type of
    /// what it stands for.
    pub fn filled(&self, known: &Parameters) -> Parameters {
        let filled = self.parameters.iter();
        filled
            .map(|(name, value)| (name.clone(), fill(value, known)))
            .collect()
    }
}

fn fill(value: &Value, known: &Parameters) -> Value {
    match value {
        Value::String(text) => fill_text(text, known),
        Value::Array(items) => items.iter().map(|item| fill(item, known)).collect(),
        Value::Object(fields) => {
            let filled = fields.iter();
            filled
                .map(|(name, value)| (name.clone(), fill(value, known)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The names that stand in braces in a text, where they could be those of parameters.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    let pieces = text.split('{').skip(1);
    let names = pieces.filter_map(|piece| piece.split_once('}'));
    let is_name = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    names.map(|(name, _)| name).filter(is_name).collect()
}

/// Values are put in once and never looked at again: a value that holds `{x}` stays as it is.
fn fill_text(text: &str, known: &Parameters) -> Value {
    let whole = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(value) = whole.and_then(|name| known.get(name)) {
        return value.clone();
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        filled.push_str(before);
        let placeholder = after[1..].split_once('}');
        let value = placeholder.and_then(|(name, left)| Some((known.get(name)?, left)));
        match value {
            Some((Value::String(value), left)) => {
                filled.push_str(value);
                rest = left;
            }
            Some((value, left)) => {
                filled.push_str(&value.to_string());
                rest = left;
            }
            None => {
                filled.push('{');
                rest = &after[1..];
            }
        }
    }
    filled.push_str(rest);
    Value::String(filled)
}

pub(super) fn bundle(files: &BTreeMap<String, TreeFile>) -> Result<Bundle, BundleError> {
    let mut bundle = Bundle::default();
    for (path, file) in files {
        let file = BundleFile {
            executable: file.executable,
            content: file.content.to_vec(),
        };
        bundle.insert(path, file)?;
    }
    Ok(bundle)
}

pub(super) fn fidelity_word(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Exact => "exact",
        Fidelity::Simulated => "simulated",
        Fidelity::Blind => "blind",
        Fidelity::Acts => "acts",
    }
}

/// A value on one line, cut at 60 characters. What is more than a name stands in quotes, so that no value can look like what
/// stands around it.
fn short(value: &Value) -> String {
    let (text, is_text) = match value {
        Value::String(text) => (text.clone(), true),
        other => (other.to_string(), false),
    };
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(60).collect();
    let rest = if cut.len() < text.len() { "..." } else { "" };
    let is_name = |c: char| c.is_alphanumeric() || "._-/:@+~%=".contains(c);
    match is_text && (cut.is_empty() || !cut.chars().all(is_name)) {
        true => format!("{cut:?}{rest}"),
        false => format!("{}{rest}", chiffon_common::visible(&cut)),
    }
}
