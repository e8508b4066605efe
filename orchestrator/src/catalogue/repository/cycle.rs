//! A circle of imports: Ansible resolves imports before it begins, and would never come to an end.
//!
//! Includes are done while it runs, under conditions, so a circle of those may have an end, and is left to it.

use std::collections::BTreeSet;

use crate::catalogue::{
    tree::{Tree, joined},
    yaml::{Fault, Node, Value},
};

/// What imports a file by name.
const IMPORTS: [&str; 4] = [
    "import_playbook",
    "ansible.builtin.import_playbook",
    "import_tasks",
    "ansible.builtin.import_tasks",
];

/// Holds a playbook against it; the fault stands in the file of the playbook, at its first step into the circle.
pub(in crate::catalogue) fn refuse_circles(tree: &Tree, playbook: &str) -> Result<(), Fault> {
    let mut trail = vec![(playbook.to_owned(), 0)];
    let mut ended = BTreeSet::new();
    follow(tree, &mut trail, &mut ended)
}

fn follow(
    tree: &Tree,
    trail: &mut Vec<(String, u32)>,
    ended: &mut BTreeSet<String>,
) -> Result<(), Fault> {
    let Some((file, _)) = trail.last().cloned() else {
        return Ok(());
    };
    let mut named = Vec::new();
    if let Ok(node) = tree.yaml(&file) {
        imports(&node, &mut named);
    }
    for (name, line) in named {
        let Some(next) = beside(tree, &file, &name) else {
            continue;
        };
        if let Some(at) = trail.iter().position(|(known, _)| *known == next) {
            let circle: Vec<&str> = trail[at..]
                .iter()
                .map(|(known, _)| known.as_str())
                .collect();
            let first = trail.get(1).map_or(line, |(_, line)| *line);
            let reason = format!(
                "imports lead in a circle: {} -> {next}",
                circle.join(" -> ")
            );
            return Err(Fault::at(first, reason));
        }
        if ended.contains(&next) {
            continue;
        }
        trail.push((next, line));
        follow(tree, trail, ended)?;
        trail.pop();
    }
    ended.insert(file);
    Ok(())
}

fn imports(node: &Node, named: &mut Vec<(String, u32)>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| imports(item, named)),
        Value::Map(entries) => {
            for (key, value) in entries {
                match IMPORTS.contains(&key.text.as_str()) {
                    true => {
                        let file = value.text().or_else(|| value.get("file")?.text());
                        named.extend(file.map(|file| (file.to_owned(), key.line)));
                    }
                    false => imports(value, named),
                }
            }
        }
        _ => {}
    }
}

/// The file that a name means, seen from the file it stands in.
pub(super) fn beside(tree: &Tree, from: &str, name: &str) -> Option<String> {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = joined(folder, name)?;
    tree.files.contains_key(&path).then_some(path)
}
