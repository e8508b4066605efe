//! Where runs have their folders: in memory, private, where that is possible; below the home otherwise.
//! What lies in a folder is left to the worker.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use chiffon_common::{AgentId, AttemptRef, Digest};
use rustix::fs::statfs;

use crate::worker::run_id;

/// `statfs` type of a filesystem in memory (`TMPFS_MAGIC` of linux/magic.h).
const TMPFS: i128 = 0x0102_1994;

/// The place for run folders, and those an earlier start may have used.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    base: PathBuf,
    all: Vec<PathBuf>,
}

impl Folders {
    /// Takes the first candidate that is in memory and can hold a private folder; secrets of a run
    /// then never reach a disk.
    pub(crate) fn choose(candidates: &[PathBuf], agent: &AgentId, home: &Path) -> io::Result<Self> {
        let name = folder_name(agent, home);
        let private: Vec<PathBuf> = candidates
            .iter()
            .map(|candidate| candidate.join(&name))
            .collect();
        let fallback = home.join("runs");
        let in_memory = candidates
            .iter()
            .zip(&private)
            .find(|(candidate, folder)| is_tmpfs(candidate) && make_private(folder).is_ok())
            .map(|(_, folder)| folder.clone());
        let base = match in_memory {
            Some(base) => base,
            None => {
                make_private(&fallback)?;
                fallback.clone()
            }
        };
        let ours = |folder: &PathBuf| is_private(folder).unwrap_or_default();
        let mut all: Vec<PathBuf> = private.into_iter().chain([fallback]).filter(ours).collect();
        all.dedup();
        Ok(Self { base, all })
    }

    /// Makes the folder of a run; one that is there already is an earlier crash's and goes first.
    pub(crate) fn make(&self, attempt: AttemptRef) -> io::Result<PathBuf> {
        let folder = self.base.join(run_id(attempt));
        remove(&folder)?;
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(folder)
    }

    /// The folder of an attempt if it is there.
    pub(crate) fn find(&self, attempt: AttemptRef) -> Option<PathBuf> {
        let name = run_id(attempt);
        self.all
            .iter()
            .map(|base| base.join(&name))
            .find(|folder| folder.exists())
    }

    /// Removes the folder of an attempt, wherever it is.
    pub(crate) fn remove(&self, attempt: AttemptRef) {
        while let Some(folder) = self.find(attempt) {
            if let Err(error) = remove(&folder) {
                tracing::warn!(folder = %folder.display(), "a run folder cannot be removed: {error}");
                return;
            }
        }
    }

    /// The attempts that have left a folder.
    pub(crate) fn left_over(&self) -> Vec<AttemptRef> {
        let names = self
            .all
            .iter()
            .filter_map(|base| fs::read_dir(base).ok())
            .flatten();
        names
            .filter_map(|entry| parse(entry.ok()?.file_name().to_str()?))
            .collect()
    }

    /// Removes the place in memory if nothing is in it.
    pub(crate) fn tidy(&self) {
        let _ = fs::remove_dir(&self.base);
    }
}

/// Two agents of one name in different homes must not clear each other's folders.
fn folder_name(agent: &AgentId, home: &Path) -> String {
    let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let mark = Digest::of_bytes(home.as_os_str().as_encoded_bytes());
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = agent.as_str().chars().map(plain).collect();
    format!(
        "chiffon-{}-{name}-{}",
        rustix::process::getuid().as_raw(),
        mark.short()
    )
}

fn is_tmpfs(folder: &Path) -> bool {
    // The width of the field differs between architectures.
    statfs(folder).is_ok_and(|found| i128::from(found.f_type) == TMPFS)
}

fn make_private(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_private(folder)? {
        Ok(())
    } else {
        Err(io::Error::other(
            "the folder is another user's, or open to others",
        ))
    }
}

/// A folder of ours in which nobody else can look around or write; in a place open to all, somebody may have come
/// first. Passing through may be permitted to the user of a run, whose own folder in it is closed to others.
fn is_private(folder: &Path) -> io::Result<bool> {
    let data = fs::symlink_metadata(folder)?;
    let is_ours = data.uid() == rustix::process::geteuid().as_raw();
    Ok(data.is_dir() && is_ours && data.mode() & 0o066 == 0)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn parse(name: &str) -> Option<AttemptRef> {
    let (task, attempt) = name.rsplit_once('-')?;
    Some(AttemptRef {
        task_id: task.parse().ok()?,
        attempt: attempt.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn attempt() -> AttemptRef {
        parse("018f0000-0000-7000-8000-000000000001-3").unwrap()
    }

    #[test]
    fn a_folder_is_private_found_again_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let agent: AgentId = "desktop.a/b".parse().unwrap();
        let folders = Folders::choose(&[], &agent, home.path()).unwrap();
        let folder = folders.make(attempt()).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(folders.left_over(), [attempt()]);
        assert_eq!(folders.find(attempt()), Some(folder));
        folders.remove(attempt());
        assert_eq!(folders.left_over(), []);
    }

    #[test]
    fn a_place_that_others_can_enter_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("open");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make_private(&folder).is_err());
        std::os::unix::fs::symlink("/etc", home.path().join("link")).unwrap();
        assert!(make_private(&home.path().join("link")).is_err());
    }
}
