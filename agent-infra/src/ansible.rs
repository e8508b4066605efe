//! Which Ansible runs: the one on the PATH if it works and is new enough (S14), else a private, pinned
//! one under `<home>/ansible/`. Installing is left to `install`, finding a Python to `python`.

mod install;
mod probe;
mod python;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};

/// The oldest ansible-core that is safe (CVE-2024-11079).
pub const MIN_VERSION: CoreVersion = CoreVersion(2, 18, 1);

/// A version of ansible-core.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct CoreVersion(pub u32, pub u32, pub u32);

impl fmt::Display for CoreVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Where an Ansible comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Origin {
    /// Found on the PATH.
    Path,
    /// Installed by us, pinned.
    Private,
}

/// An Ansible that was run and is new enough.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ansible {
    /// `ansible-playbook`.
    pub playbook: PathBuf,
    /// `ansible`, beside it.
    pub adhoc: PathBuf,
    /// Of ansible-core.
    pub version: CoreVersion,
    /// Version of the Python that it runs on.
    pub python: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Where its files lie; not known of one that an earlier version installed.
    #[serde(default)]
    pub(crate) place: Option<Place>,
}

/// Where an Ansible's files lie.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// The Python that it runs on.
    pub(crate) python: PathBuf,
    /// The folder that its modules are imported from.
    pub(crate) modules: PathBuf,
}

impl Ansible {
    /// Where its files lie; it is asked where that is not known. The error is a fragment.
    pub(crate) fn place(&self) -> Result<Place, String> {
        match &self.place {
            Some(place) => Ok(place.clone()),
            None => probe::probe(&self.playbook, self.origin)?
                .place
                .ok_or_else(|| "Ansible does not tell where its files lie".to_owned()),
        }
    }
}

/// Finds an Ansible, and installs one where none is.
#[derive(Debug, Clone)]
pub struct AnsibleLocator {
    /// The folder `ansible/` of the data folder.
    folder: PathBuf,
    search: OsString,
}

impl AnsibleLocator {
    /// Looks along the PATH of this process, then under `<home>/ansible/`.
    pub fn new(home: &Path) -> Self {
        Self::with_search_path(home, std::env::var_os("PATH").unwrap_or_default())
    }

    /// As [`new`](Self::new), along another path, for Ansible, Python and uv alike.
    pub fn with_search_path(home: &Path, search: OsString) -> Self {
        Self {
            folder: home.join("ansible"),
            search,
        }
    }

    /// The Ansible that would run, installing nothing. Blocks up to a few seconds.
    ///
    /// # Errors
    /// 5405, naming what was found and why it does not count.
    pub fn find(&self) -> Result<Ansible, Problem> {
        let mut seen = Vec::new();
        for program in candidates(&self.search, "ansible-playbook") {
            match probe::probe(&program, Origin::Path) {
                Ok(ansible) if ansible.version >= MIN_VERSION => return Ok(ansible),
                Ok(ansible) => seen.push(format!(
                    "{} is ansible-core {}, older than {MIN_VERSION}",
                    program.display(),
                    ansible.version
                )),
                Err(why) => seen.push(format!("{} does not work: {why}", program.display())),
            }
        }
        if let Some(ansible) = install::installed(&self.folder) {
            return Ok(ansible);
        }
        if seen.is_empty() {
            seen.push("none is installed".to_owned());
        }
        Err(Problem::new(
            ErrorCode::AnsibleMissing,
            format!("There is no Ansible that can be used: {}.", seen.join("; ")),
            "The first run installs a private one by itself; or install ansible-core 2.19 or later.",
        ))
    }

    /// The Ansible that will run, installed now if there is none. Blocks up to minutes; `progress`
    /// is told each step in a short sentence. Two that meet wait for each other.
    ///
    /// # Errors
    /// 5405 where nothing could install it, 5406 where installing failed; both name what to do.
    pub fn ensure(&self, progress: &dyn Fn(&str)) -> Result<Ansible, Problem> {
        match self.find() {
            Ok(ansible) => Ok(ansible),
            Err(_) => install::install(&self.folder, &self.search, progress),
        }
    }
}

/// Every executable file of that name along the path, in order; a version manager's shim that does
/// not work may stand before the real one.
pub(crate) fn candidates(search: &OsString, name: &str) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_program = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in std::env::split_paths(search).filter(|folder| folder.is_absolute()) {
        let path = folder.join(name);
        if is_program(&path) && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}
