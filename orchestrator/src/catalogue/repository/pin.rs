//! The pinned copies below the data folder: `catalogue/added/<name>/tree` with the files, `source.json` with where they
//! come from and the digest over them. A copy appears, changes and goes by one rename.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem, visible};

use super::{
    Difference, Survey, cannot_keep, layout,
    source::{Fetched, Source},
    sources::{InventorySource, sources},
    unusable,
};
use crate::catalogue::{
    Catalogue,
    load::{Root, Trust},
    tree::Tree,
};

const SOURCE: &str = "source.json";
const TREE: &str = "tree";
/// Longest name of a repository: ids begin with it.
const MAX_NAME: usize = 24;

/// A repository that lies beside the others and does not count yet.
#[derive(Debug)]
pub struct Staged {
    name: String,
    /// The folder of all copies.
    added: PathBuf,
    folder: staging::Folder,
    source: Source,
    survey: Survey,
}

/// A folder that goes with its owner unless it was moved to its place.
mod staging {
    use std::{fs, path::PathBuf};

    #[derive(Debug)]
    pub(super) struct Folder(pub(super) PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            // What is left is removed by the next that stages.
            let _left = fs::remove_dir_all(&self.0);
        }
    }
}

impl Fetched {
    /// Writes the copy beside the others. Its name is given, or made from where it comes from.
    ///
    /// # Errors
    /// 5340 for a name that is not permitted, 5803 where it cannot be written.
    pub fn stage(self, added: &Path, name: Option<&str>) -> Result<Staged, Problem> {
        let name = match name {
            Some(name) => permitted(name)?,
            None => name_of(&self.source.from),
        };
        create(added).map_err(|error| cannot_keep(added, &error))?;
        let at = added.join(format!(".new-{name}-{}", std::process::id()));
        remove_folder(&at).map_err(|error| cannot_keep(&at, &error))?;
        let folder = staging::Folder(at);
        let survey = Survey::of(&self.tree, &self.others);
        write(&folder.0, &self.source, &self.tree)
            .map_err(|error| cannot_keep(&folder.0, &error))?;
        Ok(Staged {
            name,
            added: added.to_owned(),
            folder,
            source: self.source,
            survey,
        })
    }
}

impl Staged {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is in it beside its playbooks.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Where its files lie meanwhile.
    pub fn files(&self) -> PathBuf {
        self.folder.0.join(TREE)
    }

    /// Its entries, as they would be listed beside those of the other roots, which they may name. Nothing of it is accepted.
    pub fn catalogue(&self, others: &[Root]) -> Catalogue {
        Catalogue::load_beside(others, self.root(&self.folder.0))
    }

    fn root(&self, path: &Path) -> Root {
        Root {
            name: self.name.clone(),
            path: path.to_owned(),
            trust: Trust::Repository,
        }
    }

    /// Whether one of this name is there.
    pub fn is_there(&self) -> bool {
        self.added.join(&self.name).exists()
    }

    /// Whether it could be added.
    ///
    /// # Errors
    /// 5342 where one of this name is there.
    pub fn fits(&self) -> Result<(), Problem> {
        match self.is_there() {
            true => Err(there_already(&self.name)),
            false => Ok(()),
        }
    }

    /// What it would change of the one that is there.
    pub fn difference(&self, others: &[Root]) -> Difference {
        let read = |folder: &Path| Catalogue::load_as_accepted_beside(others, self.root(folder));
        let there = read(&self.added.join(&self.name));
        Difference::between(&there, &read(&self.folder.0))
    }

    /// Lets it count.
    ///
    /// # Errors
    /// 5342 where one of this name is there, 5803 where it cannot be moved to its place.
    pub fn add(self) -> Result<(), Problem> {
        let to = self.added.join(&self.name);
        // A folder is renamed over an empty one only, so of two that add the same name one fails.
        match fs::rename(&self.folder.0, &to) {
            Ok(()) => Ok(()),
            Err(_) if to.exists() => Err(there_already(&self.name)),
            Err(error) => Err(cannot_keep(&to, &error)),
        }
    }

    /// Puts it in the place of the one that is there.
    ///
    /// # Errors
    /// 5803 where it cannot be moved to its place; the old one is there still then.
    pub fn replace(self) -> Result<(), Problem> {
        let to = self.added.join(&self.name);
        let old = self
            .added
            .join(format!(".old-{}-{}", self.name, std::process::id()));
        let failed = |error: io::Error| cannot_keep(&to, &error);
        remove_folder(&old).map_err(failed)?;
        fs::rename(&to, &old).map_err(failed)?;
        if let Err(error) = fs::rename(&self.folder.0, &to) {
            let _back = fs::rename(&old, &to);
            return Err(failed(error));
        }
        let _left = remove_folder(&old);
        Ok(())
    }
}

/// The problem of a name that is taken.
fn there_already(name: &str) -> Problem {
    Problem::new(
        ErrorCode::RepositoryThere,
        format!("a repository {name:?} was added before"),
        "`chiffon catalogue update` fetches it again; or give this one another name: --name NAME",
    )
}

/// The repositories that were added, by name, each as a root. Folders that are being written are not among them.
pub fn pinned(added: &Path) -> Vec<Root> {
    let Ok(entries) = fs::read_dir(added) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| permitted(name).is_ok())
        .collect();
    names.sort();
    let root = |name: String| Root {
        path: added.join(&name),
        name,
        trust: Trust::Repository,
    };
    names.into_iter().map(root).collect()
}

/// Where one that was added comes from.
///
/// # Errors
/// 5004 where there is none of that name, 5340 where what is remembered of it cannot be read.
pub fn source_of(added: &Path, name: &str) -> Result<Source, Problem> {
    let folder = added.join(permitted(name)?);
    if !folder.is_dir() {
        return Err(nothing_of(name));
    }
    read_source(&folder)
}

/// The inventories of one that was added, and the folder in which its files lie.
///
/// # Errors
/// 5004 where there is none of that name, 5340 where its copy is not what was pinned.
pub fn inventories_of(
    added: &Path,
    name: &str,
) -> Result<(Vec<InventorySource>, PathBuf), Problem> {
    let folder = added.join(permitted(name)?);
    if !folder.is_dir() {
        return Err(nothing_of(name));
    }
    let tree = read_pinned(&folder)?;
    Ok((sources(&tree), folder.join(TREE)))
}

fn nothing_of(name: &str) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("no repository {:?} was added", visible(name)),
        "`chiffon catalogue add` adds one; `chiffon catalogue list` shows where entries come from",
    )
}

/// Takes one out of the catalogue.
///
/// # Errors
/// 5004 where there is none of that name, 5803 where it cannot be removed.
pub fn remove(added: &Path, name: &str) -> Result<(), Problem> {
    let folder = added.join(permitted(name)?);
    let old = added.join(format!(".old-{name}-{}", std::process::id()));
    let failed = |error: io::Error| cannot_keep(&folder, &error);
    remove_folder(&old).map_err(failed)?;
    match fs::rename(&folder, &old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nothing_of(name)),
        moved => moved.map_err(failed)?,
    }
    remove_folder(&old).map_err(failed)
}

/// Where the files of a root lie.
pub(in crate::catalogue) fn base(root: &Root) -> PathBuf {
    match root.trust {
        Trust::Repository => root.path.join(TREE),
        Trust::Shipped | Trust::Added => root.path.clone(),
    }
}

/// The files of a pinned copy, with what was left out when it was made; nothing where they are not what was pinned.
pub(in crate::catalogue) fn read_pinned(folder: &Path) -> Result<Tree, Problem> {
    let source = read_source(folder)?;
    let mut tree = Tree::read_whole(&folder.join(TREE));
    if tree.digest() != source.digest {
        let todo =
            "`chiffon catalogue update` makes the copy anew; edit the repository, never the copy";
        let detail = "the copy was changed since it was added, so nothing of it is offered";
        return Err(unusable(detail, todo));
    }
    tree.refused.extend(source.refused);
    tree.role_folders = layout::role_folders(&tree);
    Ok(tree)
}

fn read_source(folder: &Path) -> Result<Source, Problem> {
    let path = folder.join(SOURCE);
    let read = fs::read(&path).map_err(|error| error.to_string());
    let source =
        read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    source.map_err(|why| {
        let detail = format!("{} cannot be read: {why}", path.display());
        unusable(detail, "remove the repository and add it again")
    })
}

fn permitted(name: &str) -> Result<String, Problem> {
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if starts && name.len() <= MAX_NAME && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    let detail = format!("{:?} is no name of a repository", visible(name));
    let todo = "use a small letter, then small letters, digits and _, 24 at most";
    Err(unusable(detail, todo))
}

/// The last part of an address or path, in the letters of a name.
fn name_of(from: &str) -> String {
    let last = from.trim_end_matches('/').rsplit(['/', ':']).next();
    let last = last.unwrap_or_default().trim_end_matches(".git");
    let mut name = String::new();
    for c in last.to_ascii_lowercase().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ if name.is_empty() || name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let mut name: String = name.chars().take(MAX_NAME).collect();
    name.truncate(name.trim_end_matches('_').len());
    match name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => name,
        false => format!("r_{name}").chars().take(MAX_NAME).collect(),
    }
}

fn write(to: &Path, source: &Source, tree: &Tree) -> io::Result<()> {
    let root = to.join(TREE);
    create(&root)?;
    for (path, file) in &tree.files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            create(folder)?;
        }
        let mut open = fs::OpenOptions::new();
        let mode = if file.executable { 0o700 } else { 0o600 };
        let mut written = open.write(true).create_new(true).mode(mode).open(&path)?;
        io::Write::write_all(&mut written, &file.content)?;
    }
    let text = serde_json::to_vec_pretty(source).map_err(io::Error::other)?;
    fs::write(to.join(SOURCE), text)
}

fn create(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
