//! Asking an `ansible-playbook` for its version, by running it as a run would: with a clean environment.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Ansible, CoreVersion, Origin, Place};
use crate::{settings::PATH, tool};

/// A cold start from a slow disk.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs it. The error is a fragment that says why it does not count.
pub(super) fn probe(playbook: &Path, origin: Origin) -> Result<Ansible, String> {
    let home = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let config = home.path().join("ansible.cfg");
    std::fs::write(&config, "").map_err(|error| format!("no temporary file: {error}"))?;
    let mut command = Command::new(playbook);
    command
        .arg("--version")
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", home.path())
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_CONFIG", &config)
        .current_dir(home.path());
    let output = tool::output_within(&mut command, LIMIT).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(tool::complaint(&output));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let version = core_version(&said).ok_or("it does not tell the version of ansible-core")?;
    let adhoc = playbook.with_file_name("ansible");
    if !adhoc.exists() {
        return Err(format!("{} is missing", adhoc.display()));
    }
    Ok(Ansible {
        playbook: playbook.to_owned(),
        adhoc,
        version,
        python: python_version(&said),
        origin,
        place: place(&said),
    })
}

/// `  ansible python module location = /usr/lib/python3/dist-packages/ansible`, and the brackets at the end of
/// the line about Python.
fn place(said: &str) -> Option<Place> {
    let value = |name: &str| {
        let mut lines = said.lines();
        lines.find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" = "))
    };
    let (_, python) = value("python version")?.rsplit_once(" (")?;
    let modules = Path::new(value("ansible python module location")?).parent()?;
    Some(Place {
        python: PathBuf::from(python.strip_suffix(')')?),
        modules: modules.to_owned(),
    })
}

/// `ansible-playbook [core 2.19.14]`, also `2.20.0rc1` and `2.21.0.dev0`.
fn core_version(said: &str) -> Option<CoreVersion> {
    let (_, rest) = said.lines().next()?.split_once("[core ")?;
    let mut numbers = rest.split(['.', ']', ' ']).map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some(CoreVersion(
        major,
        minor,
        numbers.next().flatten().unwrap_or(0),
    ))
}

/// `  python version = 3.11.7 (main, ...) [GCC ...] (/usr/bin/python3)`.
fn python_version(said: &str) -> String {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("python version = "));
    let version = line.and_then(|line| line.split_whitespace().next());
    version.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_ansible_writes_them() {
        let of = |text: &str| core_version(text).map(|version| version.to_string());
        assert_eq!(
            of("ansible-playbook [core 2.19.14]\n x").as_deref(),
            Some("2.19.14")
        );
        assert_eq!(
            of("ansible-playbook [core 2.20.0rc1]").as_deref(),
            Some("2.20.0")
        );
        assert_eq!(
            of("ansible-playbook [core 2.21.0.dev0] (devel)").as_deref(),
            Some("2.21.0")
        );
        assert_eq!(of("ansible-playbook 2.9.27"), None);
        assert!(CoreVersion(2, 18, 0) < super::super::MIN_VERSION);
        assert!(CoreVersion(2, 9, 27) < CoreVersion(2, 18, 1));
    }

    #[test]
    fn the_python_is_told_apart_from_its_path() {
        assert_eq!(
            python_version("a\n  python version = 3.11.7 (main) (/x/python)\n"),
            "3.11.7"
        );
        assert_eq!(python_version(""), "unknown");
        let said = "ansible-playbook [core 2.19.14]\n  ansible python module location = /v/lib/ansible\n  python version = 3.11.7 (main, Jan (1)) [GCC 9] (/v/bin/python)\n";
        let found = place(said).unwrap();
        assert_eq!(found.python, Path::new("/v/bin/python"));
        assert_eq!(found.modules, Path::new("/v/lib"));
        assert_eq!(place("python version = 3.11.7 (/v/bin/python)"), None);
    }
}
