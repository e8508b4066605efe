//! Programs of Python that a suite tests with, in a virtual environment of their own below `target/`. What a version is
//! stands in a file of requirements; without a package index a suite says that it was not run.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest step of an installation on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(100);

/// The folder with the programs that a file of requirements installs, made in `home` unless it is there from a run before.
/// The error says why there is none. Blocks, up to minutes.
///
/// # Errors
/// A line for people: no Python, no index, no time.
///
/// # Panics
/// When the file of requirements cannot be read.
pub fn venv(home: &Path, requirements: &Path) -> Result<PathBuf, String> {
    let wanted = fs::read_to_string(requirements).expect("a file of requirements");
    // Written last: what stops half-way is begun anew.
    let mark = home.join("installed.txt");
    let programs = home.join("bin");
    if fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(programs);
    }
    must(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(home),
    )?;
    let mut pip = Command::new(programs.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]);
    pip.args(["--disable-pip-version-check", "--retries", "1"]);
    must(pip.arg("--requirement").arg(requirements))?;
    fs::write(&mark, wanted).map_err(|error| error.to_string())?;
    Ok(programs)
}

fn must(command: &mut Command) -> Result<(), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
    // Read beside it: a full pipe would hold it up.
    let mut errors = child.stderr.take();
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(errors) = &mut errors {
            let _ended = errors.read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(ended) if ended.success() => return Ok(()),
            Some(_) => {
                let said = said.join().unwrap_or_default();
                let last = said.lines().last().unwrap_or_default();
                return Err(format!("{command:?}: {last}"));
            }
            None if begun.elapsed() > LIMIT => {
                let _gone = child.kill();
                let _ended = child.wait();
                return Err(format!("{command:?} took longer than {LIMIT:?}"));
            }
            None => std::thread::sleep(LOOK),
        }
    }
}
