//! Which file of the catalogue a name in a playbook means.

use std::collections::BTreeSet;

use crate::catalogue::tree::joined;

/// Whether a file is YAML by its name.
pub(super) fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

/// Whether a text is found only by the run.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Whether a name stays within the folders of the catalogue, as far as it can be told beforehand.
pub(super) fn is_within(name: &str) -> bool {
    !name.starts_with(['/', '~']) && !name.split('/').any(|part| part == "..")
}

/// Where a name is looked for: the file it stands in, its role and the playbook.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) role: Option<&'a str>,
    pub(super) playbook: &'a str,
}

impl Place<'_> {
    /// Every file that a name may mean; `kind` is the folder of a role in which such files lie. Which of them
    /// Ansible takes depends on more than the name, so all of them count.
    pub(super) fn named(self, files: &BTreeSet<String>, kind: &str, name: &str) -> Vec<String> {
        let mut folders = vec![parent(self.file).to_owned()];
        if let Some(role) = self.role {
            folders.extend([format!("{role}/{kind}"), role.to_owned()]);
        }
        let beside = parent(self.playbook);
        folders.extend([format!("{beside}/{kind}"), beside.to_owned(), String::new()]);
        let mut found: Vec<String> = Vec::new();
        for folder in folders {
            for ending in ["", ".yml", ".yaml"] {
                let path = joined(&folder, &format!("{name}{ending}"));
                let path = path.filter(|path| files.contains(path) && !found.contains(path));
                found.extend(path);
            }
        }
        found
    }

    /// Whether a name may lead out of the catalogue's folder from one of the places where Ansible looks.
    pub(super) fn leads_out(self, name: &str) -> bool {
        let beside = [Some(self.file), Some(self.playbook)];
        let folders = beside.into_iter().flatten().map(parent).chain(self.role);
        name.starts_with(['/', '~'])
            || folders
                .into_iter()
                .any(|folder| joined(folder, name).is_none())
    }

    /// Whether a folder of that name is there.
    pub(super) fn has_folder(self, files: &BTreeSet<String>, kind: &str, name: &str) -> bool {
        let role = self.role.into_iter();
        let mut folders: Vec<String> = role
            .flat_map(|role| [format!("{role}/{kind}"), role.to_owned()])
            .collect();
        folders.extend([
            parent(self.file).to_owned(),
            parent(self.playbook).to_owned(),
        ]);
        folders.iter().any(|folder| {
            joined(folder, name).is_some_and(|path| {
                let prefix = format!("{path}/");
                let mut below = files.range(prefix.clone()..);
                below.next().is_some_and(|file| file.starts_with(&prefix))
            })
        })
    }
}

/// The folder of a file.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
