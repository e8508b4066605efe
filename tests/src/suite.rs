//! A suite of this package as a program of its own, with failpoints and mutants in the rooms that it tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::chiffon::{Output, Running};
use crate::{binary, repository_root};

/// Every wait of a suite has its own bound; this one is for a suite that ignores them.
const LIMIT: Duration = Duration::from_secs(300);

/// A built suite.
#[derive(Debug)]
pub struct Suite {
    program: PathBuf,
}

impl Suite {
    /// Builds it, from the sources as they are.
    pub fn faulty(name: &str) -> Self {
        let program = binary::faulty_suite(name);
        Self { program }
    }

    /// Runs these of its tests, named in full, with these variables; exit code 0 if all passed, 101 if one failed.
    ///
    /// # Panics
    /// When they do not end.
    #[track_caller]
    pub fn run(&self, tests: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("CHIFFON_") {
                command.env_remove(key);
            }
        }
        let child = command
            .arg("--exact")
            .args(tests)
            .envs(env.iter().copied())
            .current_dir(repository_root().join("tests"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let running = Running::follow(child.expect("the suite starts"), tests.join(" "));
        running.wait(LIMIT)
    }
}
