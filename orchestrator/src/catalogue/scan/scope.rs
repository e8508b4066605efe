//! What the places around a task say for it: play, role and block hand their words down.

use std::collections::BTreeMap;

use chiffon_common::{Fidelity, Tier};

use super::{
    files::is_template,
    findings::{Finding, Findings},
    lookups::builtin,
};
use crate::catalogue::yaml::{Node, Value};

/// How a task takes a check run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// As the run is started.
    Follows,
    /// `check_mode: true`: it never changes anything.
    Always,
    /// `check_mode: false`, or a template that may come to it: it acts.
    Never,
}

/// Texts of variables longer than this are not followed.
const MAX_VARIABLE: usize = 4096;

/// The words in force at a place.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) check: Check,
    /// A condition leaves it out of a check run.
    pub(super) hidden: bool,
    /// It acts on another host than the plan names.
    pub(super) elsewhere: bool,
    /// It shows no difference.
    pub(super) quiet: bool,
    /// Short names may mean modules of a collection.
    pub(super) renamed: bool,
    /// Variables whose text is known.
    vars: BTreeMap<String, Vec<String>>,
}

impl Scope {
    pub(super) fn outermost() -> Self {
        Self {
            check: Check::Follows,
            hidden: false,
            elsewhere: false,
            quiet: false,
            renamed: false,
            vars: BTreeMap::new(),
        }
    }

    /// What changes how the same file is judged.
    pub(super) fn mark(&self) -> (Check, [bool; 4]) {
        let marks = [self.hidden, self.elsewhere, self.quiet, self.renamed];
        (self.check, marks)
    }

    /// The words of a play, role, block or task, within these.
    pub(super) fn within(&self, file: &str, node: &Node, findings: &mut Findings) -> Self {
        let mut scope = self.clone();
        for (key, value) in node.map().unwrap_or_default() {
            let mut say = |fidelity, tier, what: &str| {
                findings.add(Finding::new(fidelity, file, key.line, what).raising(tier));
            };
            match key.text.as_str() {
                "check_mode" => scope.check = check(value),
                "always_run" if truth(value) != Some(false) => scope.check = Check::Never,
                "when" => scope.hidden |= asks_for_check_mode(value),
                "delegate_to" if !is_itself(value) => {
                    scope.elsewhere = true;
                    say(
                        Fidelity::Simulated,
                        Tier::Zero,
                        "`delegate_to` leads to a host that the plan does not name",
                    );
                }
                "local_action" => {
                    scope.elsewhere = true;
                    let what = "`local_action` acts where Ansible runs, not on the plan's host";
                    say(Fidelity::Simulated, Tier::Zero, what);
                }
                "connection" => match value.text() {
                    Some("ssh" | "smart" | "ansible.builtin.ssh") => {}
                    Some("local" | "ansible.builtin.local") => {
                        scope.elsewhere = true;
                        let what =
                            "`connection: local` acts where Ansible runs, not on the plan's host";
                        say(Fidelity::Simulated, Tier::Zero, what);
                    }
                    _ => say(
                        Fidelity::Blind,
                        Tier::Zero,
                        "nobody can say what this `connection` does in a check run",
                    ),
                },
                "run_once" if truth(value) != Some(false) => say(
                    Fidelity::Simulated,
                    Tier::Zero,
                    "`run_once` is done on one host for all of them",
                ),
                "collections" => scope.renamed |= names_strangers(value),
                "no_log" | "diff" => {
                    let quiet_by = key.text == "no_log";
                    scope.quiet |= truth(value) != Some(!quiet_by);
                }
                "become_exe" | "become_flags" | "strategy" if !is_usual(value) => say(
                    Fidelity::Blind,
                    Tier::Zero,
                    &format!(
                        "`{}` changes what Ansible itself runs, in a check run too",
                        key.text
                    ),
                ),
                "environment" => {
                    if let Some((fidelity, what)) = environment(value) {
                        say(fidelity, Tier::One, what);
                    }
                }
                "vars" => scope.know(value),
                _ => {}
            }
        }
        scope.know_loop(node);
        scope
    }

    fn know(&mut self, vars: &Node) {
        for (name, value) in vars.map().unwrap_or_default() {
            let text = value.text().filter(|text| text.len() <= MAX_VARIABLE);
            let texts = text.map(|text| vec![text.to_owned()]).unwrap_or_default();
            self.vars.insert(name.text.clone(), texts);
        }
    }

    /// The variable of a loop over texts that stand there.
    fn know_loop(&mut self, task: &Node) {
        let Some(items) = task.get("loop").or_else(|| task.get("with_items")) else {
            return;
        };
        let name = task
            .get("loop_control")
            .and_then(|node| node.get("loop_var"));
        let name = name.and_then(Node::text).unwrap_or("item");
        let items = items.list().unwrap_or_default();
        let texts: Option<Vec<String>> = items
            .iter()
            .map(|item| item.text().map(str::to_owned))
            .collect();
        self.vars.insert(name.to_owned(), texts.unwrap_or_default());
    }

    /// Whether a text surely begins like this, seen through variables that are nothing but texts.
    pub(super) fn begins_with(&self, text: &str, prefix: &str) -> bool {
        self.begins(text, prefix, 8)
    }

    fn begins(&self, text: &str, prefix: &str, depth: usize) -> bool {
        if text.starts_with(prefix) {
            return !text.split('/').any(|part| part == "..");
        }
        let name = text
            .strip_prefix("{{")
            .and_then(|rest| rest.split_once("}}"));
        let Some((name, rest)) = name else {
            return false;
        };
        let known = self.vars.get(name.trim());
        depth > 0
            && !rest.split('/').any(|part| part == "..")
            && known.is_some_and(|texts| {
                let begins = |text: &String| {
                    // The folder itself may stand there without its last stroke.
                    let folder = prefix.trim_end_matches('/');
                    text == folder || self.begins(text, prefix, depth - 1)
                };
                !texts.is_empty() && texts.iter().all(begins)
            })
    }
}

/// A literal yes or no, also as text.
pub(super) fn truth(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(is) => Some(*is),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "y" | "t" | "1" => Some(true),
            "no" | "false" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        },
        Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn check(value: &Node) -> Check {
    match truth(value) {
        Some(true) => Check::Always,
        Some(false) | None => Check::Never,
    }
}

/// Variables by which every program loads code of their choice.
const LOADED: [&str; 4] = ["LD_", "PYTHON", "BASH_ENV", "PERL5"];

/// What an environment makes of the modules that run in it, which are programs too.
fn environment(value: &Node) -> Option<(Fidelity, &'static str)> {
    let nodes = match &value.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![value],
    };
    let is_loaded = |name: &str| LOADED.iter().any(|begin| name.starts_with(begin));
    let names = || {
        let maps = nodes.iter().filter_map(|node| node.map());
        maps.flatten().map(|(name, _)| name.text.as_str())
    };
    let is_open = nodes
        .iter()
        .any(|node| node.text().is_some_and(is_template));
    if names().any(is_loaded) {
        let what = "its `environment` makes programs load code that nobody can read beforehand";
        return Some((Fidelity::Blind, what));
    }
    if is_open || names().any(|name| name == "PATH" || is_template(name)) {
        let what = "its `environment` may say which programs run";
        return Some((Fidelity::Simulated, what));
    }
    None
}

/// `when: not ansible_check_mode` and all else that looks at it.
fn asks_for_check_mode(value: &Node) -> bool {
    match &value.value {
        Value::Text(text) => text.contains("ansible_check_mode"),
        Value::List(items) => items.iter().any(asks_for_check_mode),
        _ => false,
    }
}

fn is_itself(value: &Node) -> bool {
    let name = value.text().and_then(|text| text.trim().strip_prefix("{{"));
    let name = name.and_then(|text| text.strip_suffix("}}"));
    name.is_some_and(|name| name.trim() == "inventory_hostname")
}

fn names_strangers(value: &Node) -> bool {
    let own = ["ansible.builtin", "ansible.legacy"];
    let items = value.list().unwrap_or_default();
    let is_own = |item: &Node| item.text().is_some_and(|name| own.contains(&name));
    items.is_empty() && value.text().is_some() || !items.iter().all(is_own)
}

fn is_usual(value: &Node) -> bool {
    let usual = ["linear", "free", "host_pinned"];
    let name = value.text().filter(|text| !is_template(text));
    name.is_some_and(|name| usual.contains(&builtin(name)))
}
