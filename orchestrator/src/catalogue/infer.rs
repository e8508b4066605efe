//! Parameters of a playbook whose roles declare none: what it prompts for, the variables that its plays set, the
//! defaults of its roles, and what it uses and nothing of the repository defines.
//!
//! A guess, made from text, for a person to correct by `argument_specs`. It errs towards asking: what is missing would
//! end the run in its middle.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use chiffon_common::ParameterName;

use super::{
    parameter::{Kind, Parameter, sounds_secret},
    repository::may_be_inventory,
    roles::Needs,
    tree::Tree,
    yaml::{Node, Value},
};

/// The most that is guessed of one entry.
const MOST: usize = 64;

/// Words that stand where a variable could and are none, beside `ansible_*` and what Ansible reserves.
const NO_VARIABLES: [&str; 22] = [
    "item",
    "lookup",
    "query",
    "q",
    "omit",
    "true",
    "false",
    "True",
    "False",
    "none",
    "None",
    "not",
    "now",
    "range",
    "dict",
    "undef",
    "namespace",
    "loop",
    "environment",
    "role_path",
    "role_name",
    "self",
];

/// Keys of a task or play below which names are defined.
const DEFINE: [&str; 5] = [
    "vars",
    "set_fact",
    "ansible.builtin.set_fact",
    "register",
    "loop_var",
];

/// How a variable is used.
#[derive(Debug, Clone)]
struct Use {
    file: String,
    line: u32,
    /// Everywhere it is used, something stands in for it where it is missing.
    optional: bool,
}

/// What one file uses and defines.
#[derive(Debug, Default)]
struct Words {
    used: BTreeMap<String, Use>,
    defined: BTreeSet<String>,
    /// Of what the file asks whether it is defined: nobody has to.
    guarded: BTreeSet<String>,
    /// It is vaulted: what it defines cannot be told.
    sealed: bool,
}

/// Guesses for the playbooks of one tree; each file is read once, however many entries use it.
#[derive(Debug)]
pub(super) struct Guesser<'t> {
    tree: &'t Tree,
    words: HashMap<String, Rc<Words>>,
    /// Names that the variables of hosts and groups, and the inventories, may define.
    elsewhere: Option<Rc<HashSet<String>>>,
}

impl<'t> Guesser<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            words: HashMap::new(),
            elsewhere: None,
        }
    }

    /// What is guessed of a playbook.
    pub(super) fn inferred(&mut self, playbook: &str, needs: &Needs) -> Vec<Parameter> {
        let mut found: Vec<Parameter> = Vec::new();
        let mut add = |parameter: Parameter| {
            let known = found.iter().any(|known| known.name == parameter.name);
            if !known && found.len() < MOST {
                found.push(parameter);
            }
        };
        self.of_plays(playbook, &mut add);
        self.of_defaults(needs, &mut add);
        for (name, used) in self.undefined(needs) {
            let Ok(name) = name.parse::<ParameterName>() else {
                continue;
            };
            let at = format!("used in {}, line {}", used.file, used.line);
            let description = match used.optional {
                true => format!("{at}; nothing has to be given"),
                false => format!("{at}; nothing in the repository defines it"),
            };
            add(parameter(name, Kind::Raw, !used.optional, description));
        }
        found
    }

    fn of_plays(&self, playbook: &str, add: &mut impl FnMut(Parameter)) {
        let node = self.tree.yaml(playbook).ok();
        let plays = node.as_deref().and_then(Node::list).unwrap_or_default();
        for play in plays {
            let prompts = play.get("vars_prompt").and_then(Node::list);
            prompts
                .unwrap_or_default()
                .iter()
                .filter_map(prompted)
                .for_each(&mut *add);
            let vars = play.get("vars").and_then(Node::map).unwrap_or_default();
            for (key, value) in vars {
                given(&key.text, value, "set by the playbook")
                    .into_iter()
                    .for_each(&mut *add);
            }
        }
    }

    fn of_defaults(&self, needs: &Needs, add: &mut impl FnMut(Parameter)) {
        for (role, fixed) in &needs.direct {
            let files =
                ["defaults/main.yml", "defaults/main.yaml"].map(|name| format!("{role}/{name}"));
            let defaults = files.iter().find_map(|file| self.tree.yaml(file).ok());
            let defaults = defaults.as_deref().and_then(Node::map).unwrap_or_default();
            for (key, value) in defaults
                .iter()
                .filter(|(key, _)| !fixed.contains(&key.text))
            {
                let from = format!("a default of {role}");
                given(&key.text, value, &from)
                    .into_iter()
                    .for_each(&mut *add);
            }
        }
    }

    /// What is used in the playbook's own files and its roles, and defined in none of them.
    fn undefined(&mut self, needs: &Needs) -> BTreeMap<String, Use> {
        let files: Vec<Rc<Words>> = needs.files.iter().map(|path| self.words(path)).collect();
        let is_defined = |name: &String| files.iter().any(|words| words.defined.contains(name));
        let mut used: BTreeMap<String, Use> = BTreeMap::new();
        // What only lies beside the playbook defines, and asks for nothing.
        let reached = needs.files.iter().zip(&files);
        let reached = reached.filter(|(path, _)| needs.reached.contains(*path));
        for (_, words) in reached {
            for (name, one) in &words.used {
                let known = used.entry(name.clone()).or_insert_with(|| one.clone());
                known.optional &= one.optional;
            }
        }
        used.retain(|name, _| {
            let known = NO_VARIABLES.contains(&name.as_str()) || is_defined(name);
            !known && name.parse::<ParameterName>().is_ok()
        });
        if used.is_empty() {
            return used;
        }
        // What a vaulted file defines cannot be told, nor what an inventory does that is not read here.
        let sealed = files.iter().any(|words| words.sealed);
        let elsewhere = self.elsewhere();
        for (name, used) in &mut used {
            let is_guarded = files.iter().any(|words| words.guarded.contains(name));
            used.optional |= sealed || is_guarded || elsewhere.contains(name);
        }
        used
    }

    fn words(&mut self, path: &str) -> Rc<Words> {
        if let Some(known) = self.words.get(path) {
            return Rc::clone(known);
        }
        let words = Rc::new(words_of(self.tree, path));
        self.words.insert(path.to_owned(), Rc::clone(&words));
        words
    }

    fn elsewhere(&mut self) -> Rc<HashSet<String>> {
        if let Some(known) = &self.elsewhere {
            return Rc::clone(known);
        }
        let mut names = HashSet::new();
        for (path, file) in &self.tree.files {
            let inventory = path.starts_with("inventor") || may_be_inventory(path, false);
            let variables = path.contains("group_vars/") || path.contains("host_vars/");
            if inventory || variables {
                assigned(&String::from_utf8_lossy(&file.content), &mut names);
            }
        }
        let names = Rc::new(names);
        self.elsewhere = Some(Rc::clone(&names));
        names
    }
}

/// Every word that `=` or `:` follows.
fn assigned(text: &str, names: &mut HashSet<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for piece in text.split_inclusive(['=', ':']) {
        let Some(before) = piece.strip_suffix(['=', ':']) else {
            continue;
        };
        let before = before.trim_end_matches(' ');
        let start = before.rfind(|c| !is_word(c)).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        let name = &before[start..];
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
    }
}

fn words_of(tree: &Tree, path: &str) -> Words {
    let mut words = Words::default();
    let text = tree.files.get(path);
    let Some(text) = text.and_then(|file| std::str::from_utf8(&file.content).ok()) else {
        return words;
    };
    if text.starts_with("$ANSIBLE_VAULT;") {
        words.sealed = true;
    } else if path.ends_with(".j2") {
        for (number, line) in (1_u32..).zip(text.lines()) {
            words.take(path, number, line);
        }
    } else if let Ok(node) = tree.yaml(path) {
        let variables = ["group_vars/", "host_vars/", "vars/", "defaults/"];
        if variables.iter().any(|part| path.contains(part)) {
            words.defined.extend(keys(&node));
        }
        walk(path, &node, &mut words);
    }
    words
}

impl Words {
    /// Takes in a text: what its expressions use, what its statements bind, and what it asks about.
    fn take(&mut self, file: &str, line: u32, text: &str) {
        uses(file, line, text, &mut self.used);
        for piece in text.split("{%").skip(1) {
            let statement = piece.split("%}").next().unwrap_or_default();
            self.defined.extend(bound(statement).map(str::to_owned));
        }
        for question in [" is defined", " is not defined"] {
            let asked = text.match_indices(question);
            let asked = asked.filter_map(|(at, _)| last_word(text.get(..at)?));
            self.guarded.extend(asked.map(str::to_owned));
        }
    }
}

/// The names that a statement of a template binds: `for a, b in ...`, `set a = ...`.
fn bound(statement: &str) -> impl Iterator<Item = &str> {
    let statement = statement.trim_start_matches(['-', '+']).trim_start();
    let names = match statement.split_once(' ') {
        Some(("for", rest)) => rest.split(" in ").next(),
        Some(("set", rest)) => rest.split('=').next(),
        _ => None,
    };
    names.unwrap_or_default().split(',').map(str::trim)
}

/// The first name of the path that a text ends with: `vars` of `not (vars.name`.
fn last_word(text: &str) -> Option<&str> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let start = text.rfind(|c| !is_path(c)).map_or(0, |at| at + 1);
    let path = text.get(start..)?;
    path.split('.').next().filter(|name| !name.is_empty())
}

fn parameter(name: ParameterName, kind: Kind, required: bool, description: String) -> Parameter {
    Parameter {
        secret: sounds_secret(name.as_str()),
        name,
        kind,
        elements: None,
        required,
        choices: Vec::new(),
        default: None,
        options: Vec::new(),
        pattern: None,
        max_length: None,
        description,
    }
}

/// One of `vars_prompt`. What is typed unseen is secret, and that is Ansible's default.
fn prompted(prompt: &Node) -> Option<Parameter> {
    let name: ParameterName = prompt.get("name")?.text()?.parse().ok()?;
    let words = prompt
        .get("prompt")
        .and_then(Node::text)
        .unwrap_or_default();
    let default = prompt.get("default").map(Node::to_json);
    let shown = prompt.get("private").map(Node::to_json) == Some(false.into());
    let asked = parameter(name, Kind::Str, default.is_none(), words.trim().to_owned());
    Some(Parameter {
        secret: !shown,
        default: default.filter(|_| shown),
        ..asked
    })
}

/// A variable with a plain value, which another may replace.
fn given(name: &str, value: &Node, from: &str) -> Option<Parameter> {
    let name: ParameterName = name.parse().ok()?;
    let kind = match &value.value {
        Value::Null => Kind::Raw,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_f64() => Kind::Float,
        Value::Number(_) => Kind::Int,
        Value::Text(_) => Kind::Str,
        Value::List(_) => Kind::List,
        Value::Map(_) => Kind::Dict,
    };
    let templated = value.tag.is_some() || value.to_json().to_string().contains("{{");
    let default = (!templated && !sounds_secret(name.as_str())).then(|| value.to_json());
    Some(Parameter {
        default,
        ..parameter(name, kind, false, from.to_owned())
    })
}

fn keys(node: &Node) -> Vec<String> {
    let entries = node.map().unwrap_or_default().iter();
    entries.map(|(key, _)| key.text.clone()).collect()
}

fn walk(file: &str, node: &Node, words: &mut Words) {
    match &node.value {
        Value::Text(text) => words.take(file, node.line, text),
        Value::List(items) => {
            for item in items {
                walk(file, item, words);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                if DEFINE.contains(&key.text.as_str()) {
                    words.defined.extend(keys(value));
                    words.defined.extend(value.text().map(str::to_owned));
                }
                if key.text == "vars_prompt" {
                    let names = value.list().unwrap_or_default().iter();
                    let names = names.filter_map(|one| one.get("name")?.text());
                    words.defined.extend(names.map(str::to_owned));
                }
                walk(file, value, words);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The variables that open the expressions of a text: `{{ name ... }}`.
fn uses(file: &str, line: u32, text: &str, used: &mut BTreeMap<String, Use>) {
    for piece in text.split("{{").skip(1) {
        let expression = piece.split("}}").next().unwrap_or_default();
        let start = expression.trim_start_matches('-').trim_start();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name: String = start.chars().take_while(|c| is_word(*c)).collect();
        let rest = start[name.len()..].trim_start();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !is_name || rest.starts_with('(') {
            continue;
        }
        let optional = expression.contains("default(") || expression.contains("is defined");
        let known = used.entry(name).or_insert_with(|| Use {
            file: file.to_owned(),
            line,
            optional,
        });
        known.optional &= optional;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<Parameter> {
        let mut tree = Tree::default();
        let mut needs = Needs::default();
        for (path, text) in files {
            tree.add(path, false, text.as_bytes().to_vec());
            needs.files.insert((*path).to_owned());
            needs.reached.insert((*path).to_owned());
        }
        needs.direct = vec![("roles/r".to_owned(), BTreeSet::new())];
        Guesser::new(&tree).inferred("site.yml", &needs)
    }

    fn named<'p>(found: &'p [Parameter], name: &str) -> &'p Parameter {
        let mut found = found.iter();
        found.find(|one| one.name.as_str() == name).unwrap()
    }

    #[test]
    fn prompts_variables_defaults_and_what_nothing_defines_are_parameters() {
        let found = of(&[
            (
                "site.yml",
                "- hosts: all\n  vars_prompt:\n    - {name: who, prompt: Who?, private: false}\n    - {name: pin}\n  \
                 vars: {port: 80, url: 'http://{{ host_name }}', ansible_user: x}\n  roles: [r]\n",
            ),
            ("roles/r/defaults/main.yml", "size: 1.5\nr_token: x\n"),
            (
                "roles/r/tasks/main.yml",
                "- copy: {dest: '{{ target }}', content: '{{ text | default(1) }} {{ item }} {{ ansible_host }}'}\n  \
                 register: done\n- debug: {msg: '{{ done.rc }} {{ q(x) }} {{ port }}'}\n",
            ),
        ]);
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "who",
                "pin",
                "port",
                "url",
                "size",
                "r_token",
                "host_name",
                "target",
                "text"
            ]
        );
        assert!(named(&found, "who").required && !named(&found, "who").secret);
        assert!(named(&found, "pin").secret && named(&found, "r_token").secret);
        assert_eq!(named(&found, "port").default, Some(80.into()));
        assert_eq!(named(&found, "url").default, None);
        assert!(named(&found, "target").required && !named(&found, "text").required);
        let about = &named(&found, "target").description;
        assert!(about.contains("roles/r/tasks/main.yml, line 1"), "{about}");
    }

    #[test]
    fn what_a_vaulted_file_may_define_is_not_asked_for() {
        let play = (
            "site.yml",
            "- hosts: all\n  tasks: [{debug: {msg: '{{ hidden }}'}}]\n",
        );
        assert!(named(&of(&[play]), "hidden").required);
        let vault = (
            "group_vars/all/vault.yml",
            "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        );
        assert!(!named(&of(&[play, vault]), "hidden").required);
    }
}
