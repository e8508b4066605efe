//! The files of a catalogue root, read once: what is offered, approved and sent is this copy, whatever
//! happens to the folder afterwards (S7).
//!
//! Nothing is followed out of the tree, no pipe or device is opened, and sizes are bounded. What the
//! files mean is left to the modules beside this one.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use chiffon_common::Digest;

use super::yaml::{self, Fault, Node};

/// Largest file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
pub(super) const MAX_TREE_BYTES: u64 = 64 * 1024 * 1024;
pub(super) const MAX_FILES: usize = 20_000;
const MAX_DEPTH: usize = 16;
/// What of a tree is kept parsed, in bytes of its text: a parsed file takes several times as much.
const MAX_PARSED_BYTES: usize = 16 * 1024 * 1024;

/// What Ansible reads beside the playbooks; `ansible.cfg` is not among it: the agent brings its own.
const FOLDERS: [&str; 11] = [
    "playbooks",
    "roles",
    "group_vars",
    "host_vars",
    "collections",
    "library",
    "module_utils",
    "files",
    "templates",
    "tasks",
    "vars",
];

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeFile {
    pub(super) executable: bool,
    pub(super) content: Arc<[u8]>,
}

/// A root in memory, by relative path with `/`.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<String, TreeFile>,
    /// What was not read, with the reason.
    pub(super) refused: BTreeMap<String, String>,
    /// Folders of roles beside the two usual ones: beside a playbook, or named by `ansible.cfg`.
    pub(super) role_folders: Vec<String>,
    /// Whether it is a repository with whatever stands in it, rather than a folder of Ansible's alone.
    pub(super) whole: bool,
    /// Which bound ended the reading, if one did.
    pub(super) overflow: Option<String>,
    parsed: RefCell<Parsed>,
}

/// Files that were parsed: many entries use the same ones.
#[derive(Debug, Default)]
struct Parsed {
    nodes: HashMap<String, Result<Arc<Node>, Fault>>,
    bytes: usize,
}

impl Tree {
    /// Reads a root. Never fails as a whole: what cannot be read stands in `refused`.
    pub(super) fn read(root: &Path) -> Self {
        Self::read_with(root, false)
    }

    /// Reads a folder with whatever stands in it, as a repository of somebody else has it. Hidden files are not of
    /// Ansible's, and are left out.
    pub(super) fn read_whole(root: &Path) -> Self {
        Self::read_with(root, true)
    }

    /// One without files, to be filled with what a repository holds.
    pub(super) fn of_repository() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    fn read_with(root: &Path, whole: bool) -> Self {
        let mut tree = Self {
            whole,
            ..Self::default()
        };
        let real = match fs::canonicalize(root) {
            Ok(real) => real,
            Err(error) => {
                tree.refuse("", format!("the folder cannot be read: {error}"));
                return tree;
            }
        };
        let mut walk = Walk {
            root: real.clone(),
            bytes: 0,
            whole,
            tree: &mut tree,
        };
        walk.folder(&real, "", 0);
        tree
    }

    /// A YAML file, parsed.
    pub(super) fn yaml(&self, path: &str) -> Result<Arc<Node>, Fault> {
        if let Some(known) = self.parsed.borrow().nodes.get(path) {
            return known.clone();
        }
        let read = self.parse(path).map(Arc::new);
        let size = self.files.get(path).map_or(0, |file| file.content.len());
        let mut parsed = self.parsed.borrow_mut();
        if parsed.bytes + size <= MAX_PARSED_BYTES {
            parsed.bytes += size;
            parsed.nodes.insert(path.to_owned(), read.clone());
        }
        read
    }

    fn parse(&self, path: &str) -> Result<Node, Fault> {
        if let Some(reason) = self.refused.get(path) {
            return Err(Fault::whole(reason.as_str()));
        }
        let file = self
            .files
            .get(path)
            .ok_or_else(|| Fault::whole("there is no such file"))?;
        let text = std::str::from_utf8(&file.content).map_err(|error| {
            let before = &file.content[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Fault::at(
                u32::try_from(line).unwrap_or_default(),
                "the file is not UTF-8 text",
            )
        })?;
        yaml::parse(text)
    }

    /// The first of these paths that is there, even if it could not be read.
    pub(super) fn first<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        paths
            .into_iter()
            .find(|path| self.files.contains_key(*path) || self.refused.contains_key(*path))
    }

    /// Paths of the files below a folder, in order.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let prefix = format!("{folder}/");
        let files = self.files.range(prefix.clone()..);
        files
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(&prefix))
    }

    pub(super) fn refuse(&mut self, path: &str, reason: impl Into<String>) {
        self.refused.insert(path.to_owned(), reason.into());
    }

    /// Adds a file that did not come from a walk. Bounds are those of the walk.
    pub(super) fn add(&mut self, path: &str, executable: bool, content: Vec<u8>) {
        let content = content.into();
        let file = TreeFile {
            executable,
            content,
        };
        self.parsed.get_mut().nodes.remove(path);
        self.files.insert(path.to_owned(), file);
    }

    /// The digest over every path, mode and byte that was read.
    pub(super) fn digest(&self) -> Digest {
        let mut parts: Vec<&[u8]> = vec![b"chiffon repository v1"];
        for (path, file) in &self.files {
            parts.push(path.as_bytes());
            parts.push(if file.executable { b"x" } else { b"-" });
            parts.push(&file.content);
        }
        Digest::of_parts(parts)
    }

    /// The part below a folder, as a tree of its own; everything for `""`.
    pub(super) fn below_as_root(self, folder: &str) -> Self {
        if folder.is_empty() {
            return self;
        }
        let prefix = format!("{folder}/");
        let inner = |path: &str| path.strip_prefix(&prefix).map(str::to_owned);
        let files = self.files.into_iter();
        let refused = self.refused.into_iter();
        Self {
            files: files
                .filter_map(|(path, file)| Some((inner(&path)?, file)))
                .collect(),
            refused: refused
                .filter_map(|(path, why)| Some((inner(&path)?, why)))
                .collect(),
            overflow: self.overflow,
            whole: self.whole,
            role_folders: Vec::new(),
            parsed: RefCell::default(),
        }
    }
}

/// Why a name can be none of a file that travels.
pub(super) fn is_odd_name(path: &str) -> bool {
    path.contains(['\\', '\u{fffd}']) || path.chars().any(char::is_control)
}

struct Walk<'t> {
    root: PathBuf,
    bytes: u64,
    /// Whether everything is read, or only what Ansible knows by name.
    whole: bool,
    tree: &'t mut Tree,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, relative: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return self
                .tree
                .refuse(relative, "the folders are nested too deeply");
        }
        let listed =
            fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                return self
                    .tree
                    .refuse(relative, format!("cannot be read: {error}"));
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let top = depth == 0;
            if name.starts_with('.') || (top && !self.whole && !is_read_at_top(&name)) {
                continue;
            }
            if self.tree.overflow.is_some() {
                return;
            }
            let path = if top {
                name.into_owned()
            } else {
                format!("{relative}/{name}")
            };
            self.entry(&entry.path(), &path, depth);
        }
    }

    fn entry(&mut self, at: &Path, path: &str, depth: usize) {
        if is_odd_name(path) {
            return self.tree.refuse(path, "the file name is not permitted");
        }
        if self.tree.files.len() + self.tree.refused.len() >= MAX_FILES {
            let reason = format!("the folder holds more than {MAX_FILES} files");
            self.tree.overflow = Some(reason.clone());
            return self.tree.refuse(path, reason);
        }
        let real = match fs::canonicalize(at) {
            Ok(real) if real.starts_with(&self.root) => real,
            Ok(_) => {
                return self
                    .tree
                    .refuse(path, "the link leaves the catalogue folder");
            }
            Err(error) => return self.tree.refuse(path, format!("cannot be read: {error}")),
        };
        match fs::metadata(&real) {
            Ok(meta) if meta.is_dir() => self.linked_folder(at, &real, path, depth),
            Ok(meta) if meta.is_file() => self.file(&real, path, &meta),
            Ok(_) => self.tree.refuse(path, "is neither a file nor a folder"),
            Err(error) => self.tree.refuse(path, format!("cannot be read: {error}")),
        }
    }

    /// A link to a folder that holds it would be walked for ever.
    fn linked_folder(&mut self, at: &Path, real: &Path, path: &str, depth: usize) {
        let is_circle = at
            .parent()
            .and_then(|parent| fs::canonicalize(parent).ok())
            .is_none_or(|parent| parent.starts_with(real));
        if is_circle {
            return self.tree.refuse(path, "the link leads in a circle");
        }
        self.folder(real, path, depth + 1);
    }

    fn file(&mut self, real: &Path, path: &str, meta: &fs::Metadata) {
        if meta.len() > MAX_FILE_BYTES {
            return self.tree.refuse(path, "the file is larger than 1 MiB");
        }
        if self.bytes + meta.len() > MAX_TREE_BYTES {
            let reason = "the folder holds more than 64 MiB";
            self.tree.overflow = Some(reason.to_owned());
            return self.tree.refuse(path, reason);
        }
        match read_bounded(real) {
            Ok(content) if content.len() as u64 > MAX_FILE_BYTES => {
                self.tree.refuse(path, "the file is larger than 1 MiB");
            }
            Ok(content) => {
                self.bytes += content.len() as u64;
                let file = TreeFile {
                    executable: is_executable(meta),
                    content: content.into(),
                };
                self.tree.files.insert(path.to_owned(), file);
            }
            Err(error) => self.tree.refuse(path, format!("cannot be read: {error}")),
        }
    }
}

pub(super) fn is_read_at_top(name: &str) -> bool {
    FOLDERS.contains(&name) || name.ends_with("_plugins")
}

/// The file may grow after its size was read.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

/// A path within the tree; nothing where it leads out of it.
pub(super) fn joined(folder: &str, name: &str) -> Option<String> {
    if name.starts_with(['/', '~']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn nothing_is_followed_out_of_the_tree_or_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cat");
        fs::create_dir_all(root.join("roles/a/files")).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        fs::write(root.join("roles/a/files/real"), "x").unwrap();
        fs::write(root.join("roles/a/files/big"), vec![0; 1024 * 1024 + 1]).unwrap();
        symlink("../../../../secret", root.join("roles/a/files/out")).unwrap();
        symlink("real", root.join("roles/a/files/inside")).unwrap();
        symlink("..", root.join("roles/a/files/circle")).unwrap();
        let tree = Tree::read(&root);
        let paths: Vec<_> = tree.below("roles/a").collect();
        assert_eq!(paths, ["roles/a/files/inside", "roles/a/files/real"]);
        let refused: Vec<_> = tree.refused.keys().map(String::as_str).collect();
        assert_eq!(
            refused,
            [
                "roles/a/files/big",
                "roles/a/files/circle",
                "roles/a/files/out"
            ]
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("playbooks")).unwrap();
        fs::write(folder.path().join("playbooks/x.yml"), b"a: 1\nb: \xff\n").unwrap();
        let fault = Tree::read(folder.path())
            .yaml("playbooks/x.yml")
            .unwrap_err();
        assert_eq!(fault.line, Some(2));
    }
}
