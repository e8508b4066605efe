//! Finding a Python that can carry Ansible, by running it: a version manager's shim may exist and not work.

use std::{ffi::OsString, path::PathBuf, process::Command, time::Duration};

use super::candidates;
use crate::tool;

/// In the order of preference; 3.14 last, because ansible-core 2.19 was not released for it.
const NAMES: [&str; 5] = [
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.14",
];

const OLDEST: (u32, u32) = (3, 11);

const LIMIT: Duration = Duration::from_secs(20);

/// The version, the real program behind shims and links, and proof that TLS works.
const QUESTION: &str = "import ssl, sys; print(*sys.version_info[:2]); print(sys.executable)";

/// A Python that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Python {
    pub(super) program: PathBuf,
}

/// The first that works and is 3.11 or later.
pub(super) fn find(search: &OsString) -> Option<Python> {
    NAMES
        .iter()
        .flat_map(|name| candidates(search, name))
        .find_map(|program| ask(&program))
}

fn ask(program: &PathBuf) -> Option<Python> {
    let mut command = Command::new(program);
    command.args(["-c", QUESTION]);
    super::install::forget_python_settings(&mut command);
    let output = tool::output_within(&mut command, LIMIT).ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let (version, real) = said.trim_end().split_once('\n')?;
    let (major, minor) = version.split_once(' ')?;
    let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    (output.status.success() && version >= OLDEST).then(|| Python {
        program: PathBuf::from(real),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_shim_that_does_not_work_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let shims = folder.path().join("shims");
        std::fs::create_dir(&shims).unwrap();
        for (name, script) in [
            (
                "python3",
                "#!/bin/sh\necho 'version not installed' >&2; exit 127\n",
            ),
            (
                "python3.13",
                "#!/bin/sh\necho 3 10; echo /usr/bin/python3.10\n",
            ),
            (
                "python3.12",
                "#!/bin/sh\necho 3 12; echo /real/python3.12\n",
            ),
        ] {
            let path = shims.join(name);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let found = find(&shims.into_os_string()).unwrap();
        assert_eq!(found.program, PathBuf::from("/real/python3.12"));
        assert_eq!(find(&OsString::from("/nowhere")), None);
    }
}
