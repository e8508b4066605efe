//! The judgement of one task: what a check run shows of it, and whether it acts in one.

use std::collections::BTreeMap;

use chiffon_common::{Fidelity, Tier};

use super::{
    files::{is_template, is_within},
    findings::Finding,
    lookups::builtin,
    modules::{self, Kind, Known, Module},
    scope::{Check, Scope, truth},
    task::Call,
    walk::{Here, Walk},
};
use crate::catalogue::yaml::{Node, Value};

/// Where Chiffon keeps its own records on a host. What is written there is no part of a change.
const RECORDS: &str = "/var/lib/chiffon/";

/// Words of `meta` that end the play early for somebody.
const ENDINGS: [&str; 5] = [
    "end_host",
    "end_play",
    "end_batch",
    "end_role",
    "refresh_inventory",
];

/// Modules that write texts, whose differences are shown whole.
const WRITERS: [&str; 3] = ["copy", "file", "template"];

impl Walk<'_, '_> {
    /// A task or a block.
    pub(super) fn task(&mut self, here: Here<'_>, task: &Node, scope: &Scope) {
        if task.map().is_none_or(<[_]>::is_empty) {
            return self.unseen(here, task.line, "is no task");
        }
        let scope = scope.within(here.file, task, &mut self.findings);
        if let Some(name) = task
            .get("name")
            .filter(|n| n.text().is_some_and(is_template))
        {
            let what =
                "the name of the task holds a template, and is printed whatever `no_log` says";
            self.say(Fidelity::Exact, here, name.line, what.to_owned());
        }
        if task.get("block").is_some() {
            return self.block(here, task, &scope);
        }
        let Some(call) = Call::of(task) else {
            return self.unseen(here, task.line, "names no module, or more than one");
        };
        if task
            .get("async")
            .is_some_and(|node| truth(node) != Some(false))
        {
            let what = "`async` cannot be used in a check run";
            self.blind(here, call.line, what);
        }
        match builtin(call.module) {
            "import_tasks" | "include_tasks" | "include" => self.include(here, &call, &scope),
            "import_role" | "include_role" => self.include_role(here, &call, &scope),
            "include_vars" => self.include_vars(here, &call),
            "meta" => self.meta(here, &call),
            _ => self.module(here, task, &call, &scope),
        }
    }

    fn block(&mut self, here: Here<'_>, block: &Node, scope: &Scope) {
        let here = Here {
            depth: here.depth + 1,
            ..here
        };
        for part in ["block", "rescue", "always"] {
            let Some(list) = block.get(part) else {
                continue;
            };
            let before = self.changing;
            self.tasks(here, list, scope);
            if part == "rescue" && self.changing > before {
                let what = "what `rescue` does is seen only where something fails";
                self.say(Fidelity::Simulated, here, list.line, what.to_owned());
            }
        }
    }

    fn include(&mut self, here: Here<'_>, call: &Call<'_>, scope: &Scope) {
        let scope = self.applied(here, call, scope);
        let name = call.text("file").or_else(|| call.free());
        let name = name.filter(|name| !is_template(name) && !name.contains('='));
        let Some(name) = name else {
            let what = "which tasks it includes cannot be read before it runs";
            return self.unseen(here, call.line, what);
        };
        let found = self.place(here).named(self.files, "tasks", name);
        if found.is_empty() && self.place(here).leads_out(name) {
            return self.outside(here, call.line, name);
        }
        if found.is_empty() {
            let what = format!("the tasks in `{name}` are not in the catalogue folder");
            return self.unseen(here, call.line, &what);
        }
        for file in found {
            self.task_file(here, &file, &scope);
        }
    }

    fn include_role(&mut self, here: Here<'_>, call: &Call<'_>, scope: &Scope) {
        let scope = self.applied(here, call, scope);
        let name = call.text("name").or_else(|| call.text("role"));
        let mut parts = BTreeMap::new();
        for (kind, key) in [("tasks", "tasks_from"), ("handlers", "handlers_from")] {
            parts.extend(call.text(key).map(|text| (kind, text)));
        }
        let is_known = |text: &str| !is_template(text) && is_within(text);
        match name.filter(|name| is_known(name) && parts.values().all(|part| is_known(part))) {
            Some(name) => self.role(here, call.line, name, &parts, &scope),
            None => {
                let elsewhere =
                    name.filter(|name| !is_template(name) && self.place(here).leads_out(name));
                if let Some(name) = elsewhere {
                    return self.outside(here, call.line, name);
                }
                let what = "which role it means cannot be read before it runs";
                self.unseen(here, call.line, what);
            }
        }
    }

    /// `apply:` hands words to what is included.
    fn applied(&mut self, here: Here<'_>, call: &Call<'_>, scope: &Scope) -> Scope {
        match call.node("apply") {
            Some(words) => scope.within(here.file, words, &mut self.findings),
            None => scope.clone(),
        }
    }

    fn include_vars(&mut self, here: Here<'_>, call: &Call<'_>) {
        match call.text("dir") {
            Some(dir)
                if !is_template(dir) && self.place(here).has_folder(self.files, "vars", dir) => {}
            Some(_) => self.variables(here, call.line, None),
            None => self.variables(here, call.line, call.text("file").or_else(|| call.free())),
        }
    }

    fn meta(&mut self, here: Here<'_>, call: &Call<'_>) {
        let word = call.free().unwrap_or_default();
        if ENDINGS.contains(&word) || is_template(word) {
            let what = format!("what comes after `meta: {word}` depends on the run");
            self.say(
                Fidelity::Simulated,
                here,
                call.line,
                super::text::shortened(what),
            );
        }
    }

    fn module(&mut self, here: Here<'_>, task: &Node, call: &Call<'_>, scope: &Scope) {
        let known = match scope.renamed && !call.module.contains('.') {
            true => Known::Unknown,
            false => modules::find(call.module, self.tree(), self.files),
        };
        let (kind, worth) = match known {
            Known::Builtin(module) => self.builtin(module, here, call),
            Known::Own(kind, worth) => (kind, worth),
            Known::Unknown => {
                let what = format!("what `{}` does in a check run is not known", call.module);
                self.changes(here, call.line, changes(call), scope.elsewhere);
                return self.blind(here, call.line, &what);
            }
        };
        match kind {
            Kind::Reads | Kind::Flow => self.reading(here, call, scope, (kind, worth)),
            Kind::Runs | Kind::Changes => {
                // Nobody vouches for a program that only the run names.
                let says_so = task.get("changed_when").and_then(truth) == Some(false)
                    && !call
                        .program()
                        .is_some_and(|program| program.starts_with("{{"));
                // A command that reads is the host's to bear; where Ansible runs nobody has asked for one.
                let only_reads = kind == Kind::Runs && says_so && !scope.elsewhere;
                if !only_reads {
                    self.changes(here, call.line, changes(call), scope.elsewhere);
                }
                self.changing(here, task, call, scope, (kind, worth));
            }
        }
    }

    /// What the arguments make of a module of ansible-core.
    fn builtin(&mut self, module: Module, here: Here<'_>, call: &Call<'_>) -> (Kind, Fidelity) {
        match builtin(call.module) {
            "uri" => {
                let method = call.text("method").unwrap_or("GET");
                let reads =
                    ["GET", "HEAD", "OPTIONS"].contains(&method.to_ascii_uppercase().as_str());
                if !reads || call.has("dest") {
                    return (Kind::Changes, Fidelity::Blind);
                }
            }
            "add_host" => {
                let what = "`add_host` brings in a host that the plan does not name";
                let found = Finding::new(Fidelity::Simulated, here.file, call.line, what);
                self.findings.add(found.raising(Tier::Two));
            }
            "fetch" => self.changes(here, call.line, changes(call), true),
            "setup" | "gather_facts" if call.has("fact_path") => self.runs_facts(here, call.line),
            _ => {}
        }
        (module.kind, module.worth)
    }

    /// Whatever is executable in that folder is run when facts are gathered.
    pub(super) fn runs_facts(&mut self, here: Here<'_>, line: u32) {
        let what = "`fact_path` runs programs of its own choice, in a check run too";
        let found = Finding::new(Fidelity::Acts, here.file, line, what);
        self.findings.add(found.raising(Tier::One));
    }

    /// A module that changes nothing on its host.
    fn reading(
        &mut self,
        here: Here<'_>,
        call: &Call<'_>,
        scope: &Scope,
        (kind, worth): (Kind, Fidelity),
    ) {
        let module = call.module;
        if scope.elsewhere && builtin(module) == "slurp" {
            let what = "`slurp` reads a file of a host that the plan does not name";
            let found = Finding::new(Fidelity::Exact, here.file, call.line, what);
            self.findings.add(found.raising(Tier::One));
        }
        if scope.hidden && kind == Kind::Flow {
            let what = format!("`{module}` does something else in a check run");
            self.say(
                Fidelity::Simulated,
                here,
                call.line,
                super::text::shortened(what),
            );
        } else if worth > Fidelity::Exact && scope.check == Check::Follows {
            let what = format!("`{module}` gives no result in a check run, or another one");
            self.say(
                Fidelity::Simulated,
                here,
                call.line,
                super::text::shortened(what),
            );
        }
    }

    /// A module that changes its host, or may.
    fn changing(
        &mut self,
        here: Here<'_>,
        task: &Node,
        call: &Call<'_>,
        scope: &Scope,
        (kind, worth): (Kind, Fidelity),
    ) {
        let module = call.module;
        let is_writer = WRITERS.contains(&builtin(module));
        let (fidelity, what) = match scope.check {
            Check::Always => return,
            Check::Never => {
                let what = format!("`{module}` runs in a check run too (`check_mode: false`)");
                (Fidelity::Acts, what)
            }
            Check::Follows if is_writer && is_record(call, scope) => return,
            Check::Follows if scope.hidden => {
                let what = format!("`{module}` is left out of a check run (`ansible_check_mode`)");
                (Fidelity::Blind, what)
            }
            Check::Follows if kind == Kind::Runs => {
                match worth == Fidelity::Blind
                    && !["raw", "expect"].contains(&builtin(module))
                    && (call.has("creates") || call.has("removes"))
                {
                    true => {
                        let what = format!(
                            "`{module}` with `creates` or `removes` says whether it would run, not what it would do"
                        );
                        (Fidelity::Simulated, what)
                    }
                    false => (
                        Fidelity::Blind,
                        format!("`{module}` does nothing in check mode"),
                    ),
                }
            }
            Check::Follows if builtin(module) == "assemble" && call.has("validate") => {
                let what = "`assemble` runs its `validate` in a check run too".to_owned();
                (Fidelity::Acts, what)
            }
            Check::Follows => match worth {
                Fidelity::Exact => return self.exact(here, task, call, scope),
                Fidelity::Simulated => (
                    worth,
                    format!("`{module}` in check mode predicts, and does not show all of it"),
                ),
                _ => (
                    Fidelity::Blind,
                    format!("`{module}` does nothing in check mode"),
                ),
            },
        };
        self.say(fidelity, here, call.line, super::text::shortened(what));
    }

    /// A module that shows what it would do, unless the task keeps it from that.
    fn exact(&mut self, here: Here<'_>, task: &Node, call: &Call<'_>, scope: &Scope) {
        let module = builtin(call.module);
        if module == "template" {
            let src = call.text("src");
            let marks = [
                "variable_start_string",
                "block_start_string",
                "comment_start_string",
            ];
            if marks.iter().any(|mark| call.has(mark)) || !src.is_some_and(is_within) {
                self.unseen(
                    here,
                    call.line,
                    "the template cannot be read before it runs",
                );
            }
        }
        let is_remote = call
            .node("remote_src")
            .is_some_and(|node| truth(node) != Some(false));
        if module == "copy" && is_remote {
            let what = "`copy` with `remote_src` shows that it would change something, not what";
            self.say(Fidelity::Simulated, here, call.line, what.to_owned());
        }
        if scope.quiet {
            let what = format!("`{module}` shows no difference here (`diff` or `no_log`)");
            self.say(Fidelity::Simulated, here, call.line, what);
        }
        if task.get("changed_when").is_some() {
            let what = format!(
                "`{module}` does not say by itself whether it would change something (`changed_when`)"
            );
            self.say(Fidelity::Simulated, here, call.line, what);
        }
    }
}

fn changes(call: &Call<'_>) -> String {
    super::text::shortened(format!("`{}` changes its host", call.module))
}

/// Backups and records that an entry keeps for its own undo.
fn is_record(call: &Call<'_>, scope: &Scope) -> bool {
    let target = call.text("dest").or_else(|| call.text("path"));
    // What `state: absent` takes away, or a link leads to, is more than a record.
    let adds = match call.node("state").map(|node| &node.value) {
        None => true,
        Some(Value::Text(state)) => state == "directory",
        Some(_) => false,
    };
    adds && target.is_some_and(|path| scope.begins_with(path, RECORDS))
}
