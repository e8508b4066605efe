//! The data folder (`CHIFFON_HOME`): where it is, whether it can be used, and what lies in it. Making
//! what is missing is left to `create`, secrets to `secrets`, who may use it now to `lock`,
//! a trial whether it can be written to `probe`.

mod create;
mod disk;
mod lock;
mod probe;
mod secrets;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};

use chiffon_program::Env;
pub use create::hostname;
pub use lock::{Held, Kind, Lock, Running};
pub use probe::{damaged_journals, faults};
pub use secrets::{ledger_signer, read_token, signer};

/// The form of the folder that this program writes. A later form is refused.
const LAYOUT: u32 = 1;

/// The data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// One that is made for a moment, for trying something out.
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// `CHIFFON_HOME`, or `chiffon` in the XDG data folder. Touches nothing.
    ///
    /// # Errors
    /// 5803 where neither `CHIFFON_HOME` nor `HOME` is an absolute path.
    pub fn locate(env: &Env) -> Result<Self, Problem> {
        chiffon_program::locate(env).map(|path| Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `chiffon.yaml`.
    pub fn config(&self) -> PathBuf {
        self.path.join("chiffon.yaml")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.path.join("chiffon.db")
    }

    /// Where a running fleet tells its address; the lock beside it says whether that is true.
    pub fn told(&self) -> PathBuf {
        self.path.join("up.json")
    }

    /// The inventory folder.
    pub fn inventory(&self) -> PathBuf {
        self.path.join("inventory")
    }

    /// The copy of the shipped catalogue.
    pub fn shipped_catalogue(&self) -> PathBuf {
        self.path.join("catalogue/shipped")
    }

    /// The pinned copies of the repositories that were added.
    pub fn added_catalogues(&self) -> PathBuf {
        self.path
            .join(chiffon_orchestrator::catalogue::repository::ADDED)
    }

    /// The entries that a person writes.
    pub fn own_catalogue(&self) -> PathBuf {
        self.path
            .join(chiffon_orchestrator::catalogue::repository::OWN)
    }

    /// The folder of an agent: journal, bundles, runs.
    pub fn agent(&self, name: &str) -> PathBuf {
        self.path.join("agents").join(name)
    }

    /// The public keys that agents obey.
    pub fn trusted_keys(&self) -> PathBuf {
        self.path.join("keys/orchestrators.pub")
    }

    /// Left once an Ansible was found or installed; without it the next start takes its time, visibly.
    pub fn ansible_seen(&self) -> PathBuf {
        self.path.join("ansible/.seen")
    }

    /// Whether something was recorded in it: the ledger has commits.
    pub fn has_records(&self) -> bool {
        let ledger = self.path.join("ledger");
        let packed = fs::read_to_string(ledger.join("packed-refs")).unwrap_or_default();
        ledger.join("refs/heads/main").exists() || packed.contains(" refs/heads/main")
    }

    /// Whether it was made already.
    pub fn exists(&self) -> bool {
        self.path.join("version").exists()
    }

    /// Whether it is a folder that only its owner can reach, that can be written, and that no later
    /// version has written. A folder that does not exist is fine.
    ///
    /// # Errors
    /// 5803, or 5504 for a later version.
    pub fn check(&self) -> Result<(), Problem> {
        let shown = self.path.display();
        let meta = match fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return disk::is_local(&self.path);
            }
            Err(error) => return Err(fault(&self.path, "reached", &error)),
        };
        if !meta.is_dir() {
            return Err(unusable(
                format!("The data folder {shown} is a file."),
                "Move it away, or set CHIFFON_HOME to a folder.",
            ));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(unusable(
                format!("The data folder {shown} belongs to another user."),
                "Run as that user, or set CHIFFON_HOME to a folder of your own.",
            ));
        }
        let mode = meta.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(unusable(
                format!(
                    "The data folder {shown} is open to others (mode {mode:04o}); it holds keys."
                ),
                &format!("Run: chmod 700 {shown}"),
            ));
        }
        if mode & 0o300 != 0o300 {
            return Err(unusable(
                format!("The data folder {shown} is read-only (mode {mode:04o})."),
                &format!("Run: chmod 700 {shown}"),
            ));
        }
        disk::is_local(&self.path)?;
        self.check_version()
    }

    fn check_version(&self) -> Result<(), Problem> {
        let path = self.path.join("version");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fault(&path, "read", &error)),
        };
        match text.trim().parse::<u32>() {
            Ok(layout) if layout <= LAYOUT => Ok(()),
            Ok(layout) => Err(Problem::new(
                ErrorCode::StoreNewer,
                format!(
                    "The data folder {} has form {layout}; this program knows up to {LAYOUT}.",
                    self.path.display()
                ),
                "Use the newer Chiffon that wrote it, or another CHIFFON_HOME.",
            )),
            Err(_) => Err(unusable(
                format!("{} holds no number.", path.display()),
                "Restore it from a backup; a folder of this version says 1.",
            )),
        }
    }
}

fn unusable(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::HomeUnusable, detail, todo)
}

/// What the system said about a file of the folder, as a sentence with a way out.
fn fault(path: &Path, done: &str, error: &io::Error) -> Problem {
    let shown = path.display();
    let (why, todo) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            "the disk is full".to_owned(),
            "Make room, or set CHIFFON_HOME to a folder on another disk.",
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            "the file system is read-only".to_owned(),
            "Set CHIFFON_HOME to a folder that can be written.",
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "Give your user the right to write there, or set CHIFFON_HOME to a folder of your own.",
        ),
        io::ErrorKind::NotADirectory => (
            "a part of the path is a file".to_owned(),
            "Set CHIFFON_HOME to another folder.",
        ),
        _ => (
            error.to_string(),
            "Look at the folder, or set CHIFFON_HOME to another one.",
        ),
    };
    unusable(format!("{shown} cannot be {done}: {why}."), todo)
}
