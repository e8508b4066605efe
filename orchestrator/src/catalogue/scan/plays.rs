//! Plays: whom they mean, which roles and tasks they hold, which variables they bring.

use std::collections::BTreeMap;

use chiffon_common::{Fidelity, Tier};

use super::{
    files::{is_template, is_within},
    findings::Finding,
    scope::Scope,
    walk::{Here, Walk},
};
use crate::catalogue::yaml::Node;

impl Walk<'_, '_> {
    /// The plays of a file.
    pub(super) fn plays(&mut self, here: Here<'_>, scope: &Scope) {
        let Some(node) = self.enter(here, scope) else {
            return;
        };
        for play in node.list().unwrap_or_default() {
            let import = ["import_playbook", "ansible.builtin.import_playbook"];
            match import.iter().find_map(|key| play.get(key)) {
                Some(name) => self.imported(here, play, name, scope),
                None => self.play(here, play, scope),
            }
        }
    }

    fn imported(&mut self, here: Here<'_>, play: &Node, name: &Node, scope: &Scope) {
        let scope = scope.within(here.file, play, &mut self.findings);
        let Some(text) = name.text().filter(|text| !is_template(text)) else {
            let what = "which playbook it imports cannot be read before it runs";
            return self.unseen(here, name.line, what);
        };
        let found = self.place(here).named(self.files, "playbooks", text.trim());
        if found.is_empty() && self.place(here).leads_out(text.trim()) {
            return self.outside(here, name.line, text.trim());
        }
        if found.is_empty() {
            let what = format!("the playbook `{text}` is not in the catalogue folder");
            return self.unseen(here, name.line, &what);
        }
        for file in found {
            let there = Here {
                file: &file,
                depth: here.depth + 1,
                ..here
            };
            self.plays(there, &scope);
        }
    }

    fn play(&mut self, here: Here<'_>, play: &Node, scope: &Scope) {
        let mut scope = scope.within(here.file, play, &mut self.findings);
        self.hosts(here, play, &mut scope);
        for (key, value) in play.map().unwrap_or_default() {
            match key.text.as_str() {
                "vars_prompt" => {
                    self.blind(here, key.line, "`vars_prompt` asks a person in mid-run")
                }
                "vars_files" => self.vars_files(here, value),
                "fact_path" => self.runs_facts(here, key.line),
                _ => {}
            }
        }
        for kind in ["pre_tasks", "roles", "tasks", "post_tasks", "handlers"] {
            match play.get(kind) {
                Some(list) if kind == "roles" => self.roles_of(here, list, &scope),
                Some(list) => self.tasks(here, list, &scope),
                None => {}
            }
        }
    }

    /// The plan names the hosts; a play for others acts where nobody looks.
    fn hosts(&mut self, here: Here<'_>, play: &Node, scope: &mut Scope) {
        let Some(hosts) = play.get("hosts") else {
            return;
        };
        if hosts.text() == Some("all") {
            return;
        }
        let what = match hosts.text() {
            Some("localhost" | "127.0.0.1") => {
                scope.elsewhere = true;
                "the play acts where Ansible runs, whatever hosts the plan names"
            }
            _ => "the play chooses among the plan's hosts",
        };
        self.say(Fidelity::Simulated, here, hosts.line, what.to_owned());
    }

    fn vars_files(&mut self, here: Here<'_>, list: &Node) {
        let items: Vec<&Node> = match list.list() {
            // An item may be a list of which the first that is there is taken.
            Some(items) => items
                .iter()
                .flat_map(|item| {
                    item.list()
                        .map_or_else(|| vec![item], |all| all.iter().collect())
                })
                .collect(),
            None => vec![list],
        };
        for item in items {
            self.variables(here, item.line, item.text());
        }
    }

    /// A file of variables: read if it lies in the catalogue, else nobody knows what is in it.
    pub(super) fn variables(&mut self, here: Here<'_>, line: u32, name: Option<&str>) {
        let Some(name) = name.filter(|name| !is_template(name)) else {
            let what = "which variables it reads cannot be said before it runs";
            return self.blind(here, line, what);
        };
        let found = self.place(here).named(self.files, "vars", name);
        if found.is_empty() {
            let what = format!("the variables in `{name}` are not in the catalogue folder");
            let what = super::text::shortened(what);
            let found = Finding::new(Fidelity::Blind, here.file, line, what);
            // Variables hold templates, which are code.
            let tier = if is_within(name) {
                Tier::Zero
            } else {
                Tier::Two
            };
            self.findings.add(found.raising(tier));
        }
        for path in found {
            for finding in self.scanner.texts(&path).iter() {
                self.findings.add(finding.clone());
            }
        }
    }

    /// `roles:` of a play, `dependencies:` of a role.
    pub(super) fn roles_of(&mut self, here: Here<'_>, list: &Node, scope: &Scope) {
        for item in list.list().unwrap_or_default() {
            let named = item.get("role").or_else(|| item.get("name"));
            let name = item.text().or_else(|| named.and_then(Node::text));
            let scope = scope.within(here.file, item, &mut self.findings);
            match name.filter(|name| !is_template(name) && is_within(name)) {
                Some(name) => self.role(here, item.line, name, &BTreeMap::new(), &scope),
                None => {
                    let elsewhere =
                        name.filter(|name| !is_template(name) && self.place(here).leads_out(name));
                    if let Some(name) = elsewhere {
                        return self.outside(here, item.line, name);
                    }
                    let what = "which role it means cannot be read before it runs";
                    self.unseen(here, item.line, what);
                }
            }
        }
    }

    /// A change on a host that the plan does not name asks for more than one on those that it names.
    pub(super) fn changes(&mut self, here: Here<'_>, line: u32, what: String, elsewhere: bool) {
        self.changing += 1;
        let tier = if elsewhere { Tier::Two } else { Tier::One };
        let finding = Finding::new(Fidelity::Exact, here.file, line, what).raising(tier);
        self.findings.add(finding);
    }
}
