//! Where Ansible and its Python lie, as far as that is no place of the system: Python itself is asked, because
//! a virtual environment, a version manager and `pip install --user` each spread over several folders.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::TRY;
use crate::{ansible::Ansible, settings::PATH, tool};

/// Links that lead from one name of a program to the next; a loop ends here.
const LONGEST_CHAIN: usize = 16;

const QUESTION: &str = "import sys; print(sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, sep='\\n')";

/// What a sandbox must show, read-only, so that Ansible runs; places of the system left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trees {
    /// Folders and files, each at its own path.
    pub(super) paths: Vec<PathBuf>,
    /// The Python that Ansible runs on.
    pub(super) python: PathBuf,
    /// The folder that Ansible's modules are imported from.
    pub(super) modules: PathBuf,
}

impl Trees {
    /// Asks. The error is a fragment.
    pub(super) fn of(ansible: &Ansible) -> Result<Self, String> {
        let place = ansible.place()?;
        let mut trees = Self {
            paths: Vec::new(),
            python: place.python.clone(),
            modules: place.modules.clone(),
        };
        trees.folders_of(&place.python)?;
        trees.with_real(place.modules.clone())?;
        for program in [&place.python, &ansible.playbook, &ansible.adhoc] {
            trees.chain(program);
        }
        Ok(trees)
    }

    /// What another program needs, which may be one of Python's. The error is a fragment.
    pub(super) fn around(program: &Path) -> Result<Self, String> {
        let mut trees = Self::default();
        trees.chain(program);
        if let Some(python) = interpreter(program) {
            trees.folders_of(&python)?;
            trees.chain(&python);
        }
        Ok(trees)
    }

    /// The folders that a Python names as its own.
    fn folders_of(&mut self, python: &Path) -> Result<(), String> {
        let mut command = Command::new(python);
        command
            .args(["-I", "-c", QUESTION])
            .env_clear()
            .env("PATH", PATH);
        let output = tool::output_within(&mut command, TRY).map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(tool::complaint(&output));
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.lines()
            .try_for_each(|folder| self.with_real(PathBuf::from(folder)))
    }

    fn with_real(&mut self, folder: PathBuf) -> Result<(), String> {
        let real = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        self.folder(folder)?;
        self.folder(real)
    }

    fn folder(&mut self, path: PathBuf) -> Result<(), String> {
        // Showing it would show everything below it.
        let too_much = path.components().count() < 3 || Some(&path) == own_home().as_ref();
        if is_of_the_system(&path) {
            return Ok(());
        }
        if too_much {
            return Err(format!(
                "Ansible's Python has its files in {}, of which too much would be seen",
                path.display()
            ));
        }
        self.add(path);
        Ok(())
    }

    /// The program and each link on the way to it.
    fn chain(&mut self, program: &Path) {
        let mut step = program.to_owned();
        for _ in 0..LONGEST_CHAIN {
            self.add(step.clone());
            let Ok(target) = fs::read_link(&step) else {
                return;
            };
            step = step.parent().unwrap_or(Path::new("/")).join(target);
        }
    }

    fn add(&mut self, path: PathBuf) {
        let is_shown = self.paths.iter().any(|shown| path.starts_with(shown));
        if !is_shown && !is_of_the_system(&path) {
            self.paths.push(path);
        }
    }
}

/// The Python that a script names in its first line, by its whole path.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut start = [0; 512];
    let read = fs::File::open(program)
        .and_then(|mut file| file.read(&mut start))
        .ok()?;
    let text = String::from_utf8_lossy(&start[..read]).into_owned();
    let line = text.lines().next()?.strip_prefix("#!")?;
    let path = Path::new(line.split_whitespace().next()?);
    let is_python = path.file_name()?.to_string_lossy().starts_with("python");
    is_python.then(|| path.to_owned())
}

/// What every sandbox shows anyway.
fn is_of_the_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"]
        .iter()
        .any(|system| path.starts_with(system))
}

/// The home that ssh and others take from the list of users; `HOME` where the list is elsewhere.
pub(super) fn own_home() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let list = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let home = list.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields.get(5).map(PathBuf::from))?
    });
    home.or_else(|| std::env::var_os("HOME").map(PathBuf::from))
}
