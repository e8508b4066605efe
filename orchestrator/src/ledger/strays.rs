//! What makes git tell another history than the one that lies in the repository, or beside it: another HEAD, references
//! that are not ours, replaced objects, hidden or grafted parents, objects from elsewhere. Nothing of it changes a commit,
//! so the commits all fit; it is looked for by itself. Names it and removes nothing.

use std::path::Path;

use chiffon_common::visible;

use super::{Ledger, MAIN, proposals};

/// What Chiffon notes in references of its own: anchors, and what was pushed where.
const OURS: &str = "refs/chiffon/";
/// By which git shows one object in place of another.
const REPLACE: &str = "refs/replace/";

/// Files by which git shows other parents or other objects, and what each does.
const FILES: [(&str, &str); 4] = [
    ("shallow", "hides what came before the commits it names"),
    ("info/grafts", "gives commits other parents than they have"),
    (
        "objects/info/alternates",
        "lets objects come from another folder",
    ),
    (
        "objects/info/http-alternates",
        "lets objects come from elsewhere",
    ),
];

impl Ledger {
    /// In words, with what to do about it, each thing that lets `git log` tell something else than `main`. Empty if
    /// nothing does.
    pub fn strays(&self) -> Vec<String> {
        let folder = self.repository.git_dir();
        let mut found = Vec::new();
        found.extend(self.head_of_another());
        self.references_of_others(&mut found);
        let files = FILES
            .iter()
            .filter(|(file, _)| folder.join(file).symlink_metadata().is_ok());
        found.extend(files.map(|(file, does)| {
            format!("the file {file} {does}: Chiffon makes none; look at it, then remove it")
        }));
        found
    }

    fn head_of_another(&self) -> Option<String> {
        let head = self.repository.find_reference("HEAD");
        let at = match &head {
            Ok(head) => head.target(),
            Err(error) => return Some(format!("HEAD cannot be read: {error}")),
        };
        let name = at.try_name().map(ToString::to_string);
        let is_main = name.as_deref() == Some(MAIN);
        let id = || at.try_id().map(|id| id.to_owned().to_string());
        let elsewhere = || name.clone().or_else(id).unwrap_or_default();
        (!is_main).then(|| {
            format!(
                "HEAD is at {} and not at {MAIN}, so `git log` shows that: {}",
                visible(&elsewhere()),
                self.mend(&format!("symbolic-ref HEAD {MAIN}"))
            )
        })
    }

    fn references_of_others(&self, found: &mut Vec<String>) {
        let listed = self.repository.references();
        let all = match listed.as_ref().map(|listed| listed.all()) {
            Ok(Ok(all)) => all,
            Ok(Err(error)) => {
                return found.push(format!("the references cannot be listed: {error}"));
            }
            Err(error) => return found.push(format!("the references cannot be listed: {error}")),
        };
        for one in all {
            let name = match one {
                Ok(reference) => reference.name().as_bstr().to_string(),
                Err(error) => {
                    found.push(format!("a reference cannot be read: {error}"));
                    continue;
                }
            };
            if is_ours(&name) {
                continue;
            }
            let shown = visible(&name);
            found.push(match name.strip_prefix(REPLACE) {
                Some(object) => {
                    let object = visible(object);
                    let mend = self.mend(&format!("replace -d {object}"));
                    format!("{shown} makes git show another object in place of {object}: {mend}")
                }
                None => {
                    let mend = self.mend(&format!("update-ref -d {shown}"));
                    format!("the reference {shown} is none of Chiffon's: look what is there, then {mend}")
                }
            });
        }
    }

    fn mend(&self, command: &str) -> String {
        let folder = self.repository.git_dir();
        let folder = visible(&Path::new(folder).display().to_string());
        format!("git -C {folder} {command}")
    }
}

fn is_ours(name: &str) -> bool {
    name == MAIN
        || name.starts_with(OURS)
        || [proposals::PROPOSED, proposals::TAKEN, proposals::REFUSED]
            .iter()
            .any(|folder| name.starts_with(folder))
}
