//! One task: which module it calls, and with what.

use crate::catalogue::yaml::{Node, Value};

/// Keys of a task that are no module.
const KEYWORDS: [&str; 48] = [
    "always",
    "always_run",
    "any_errors_fatal",
    "args",
    "async",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "block",
    "break_when",
    "changed_when",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "delay",
    "delegate_facts",
    "delegate_to",
    "diff",
    "environment",
    "failed_when",
    "ignore_errors",
    "ignore_unreachable",
    "listen",
    "loop",
    "loop_control",
    "module_defaults",
    "name",
    "no_log",
    "notify",
    "poll",
    "port",
    "register",
    "remote_user",
    "rescue",
    "retries",
    "run_once",
    "static",
    "sudo",
    "sudo_user",
    "tags",
    "throttle",
    "timeout",
    "until",
    "vars",
    "when",
];

/// The module that a task calls.
#[derive(Debug, Clone)]
pub(super) struct Call<'n> {
    /// As it stands there.
    pub(super) module: &'n str,
    pub(super) line: u32,
    /// `key=value` and free words.
    free: Option<&'n str>,
    args: Vec<&'n Node>,
}

impl<'n> Call<'n> {
    /// The one module of a task; nothing where there is none or more than one.
    pub(super) fn of(task: &'n Node) -> Option<Self> {
        let is_module = |name: &str| !KEYWORDS.contains(&name) && !name.starts_with("with_");
        let mut modules = task
            .map()?
            .iter()
            .filter(|(key, _)| is_module(key.text.as_str()));
        let (key, value) = modules.next()?;
        if modules.next().is_some() {
            return None;
        }
        let mut call = Self {
            module: &key.text,
            line: key.line,
            free: value.text(),
            args: task.get("args").into_iter().collect(),
        };
        if value.map().is_some() {
            call.args.push(value);
        }
        if matches!(key.text.as_str(), "action" | "local_action") {
            call.name_by_value(value)?;
        }
        Some(call)
    }

    /// `action: module key=value`, or `action: {module: ..., key: value}`.
    fn name_by_value(&mut self, value: &'n Node) -> Option<()> {
        if let Some(text) = value.text() {
            let text = text.trim();
            let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            self.module = name;
            self.free = Some(rest);
        } else {
            self.module = value.get("module")?.text()?;
            self.free = None;
        }
        (!self.module.is_empty()).then_some(())
    }

    /// What is given beside keys: a command, the file of an include, the word of `meta`.
    pub(super) fn free(&self) -> Option<&'n str> {
        self.free.map(str::trim).filter(|text| !text.is_empty())
    }

    /// What a command begins with: the program, as far as that can be told.
    pub(super) fn program(&self) -> Option<&'n str> {
        let first = self.node("argv").and_then(|argv| argv.list()?.first());
        let listed = first.and_then(Node::text).or_else(|| self.free());
        listed
            .or_else(|| self.text("cmd"))
            .or_else(|| self.text("command"))
            .map(str::trim_start)
    }

    /// An argument that is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.node(name).is_some() || self.short(name).is_some()
    }

    /// An argument that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&'n str> {
        self.node(name)
            .and_then(Node::text)
            .or_else(|| self.short(name))
    }

    /// An argument.
    pub(super) fn node(&self, name: &str) -> Option<&'n Node> {
        let mut found = self.args.iter().filter_map(|args| args.get(name));
        found.find(|node| node.value != Value::Null)
    }

    fn short(&self, name: &str) -> Option<&'n str> {
        let mut words = self.free?.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}
