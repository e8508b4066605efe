//! Finding the programs under test, always built from the sources as they are: `chiffon`, `chiffon-faulty`, the same
//! with failpoints and mutants in it, `arbiter`, and the programs of a fleet that is several.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cargo_metadata::Message;

use crate::repository_root;

/// Overrides the search, for a run against an installed program.
const OVERRIDE: &str = "CHIFFON_TEST_BINARY";

/// The path of the `chiffon` program.
///
/// Cargo names the programs of a test's own package only, and this one has none. So the program is
/// built here, once a test process; a file that merely happens to lie in the target folder might be
/// of yesterday.
pub(crate) fn chiffon() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => build(&["--bin", "chiffon", "--test", ANY_TEST])
            .folder
            .join("chiffon"),
    })
}

/// The path of the `arbiter` program.
pub fn arbiter() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        build(&["--bin", "arbiter", "--test", ANY_TEST])
            .folder
            .join("arbiter")
    })
}

/// The folder of the programs of a fleet that is several: `chiffon-orchestrator` and the agents.
fn separate() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let bins = [ORCHESTRATOR, INFRA, DESKTOP].map(|name| ["--bin", name]);
        let what = [&bins.concat()[..], &["--test", ANY_TEST]].concat();
        build(&what).folder
    })
}

/// The path of `chiffon-orchestrator`.
pub(crate) fn orchestrator() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| separate().join(ORCHESTRATOR))
}

/// The path of `chiffon-agent-infra`.
pub(crate) fn agent_infra() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| separate().join(INFRA))
}

/// The path of `chiffon-agent-desktop`.
pub(crate) fn agent_desktop() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| separate().join(DESKTOP))
}

const ORCHESTRATOR: &str = "chiffon-orchestrator";
const INFRA: &str = "chiffon-agent-infra";
const DESKTOP: &str = "chiffon-agent-desktop";

/// The path of `chiffon-faulty`: the sources of `chiffon` with the feature `faults`, under a name of its own so that
/// neither takes the other's place.
pub(crate) fn chiffon_faulty() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let what = ["--bin", "chiffon-faulty", "--test", ANY_TEST];
        let built = build(&[&what, &FAULTS[..]].concat());
        built.folder.join("chiffon-faulty")
    })
}

/// The path of a suite of this package with failpoints and mutants in the rooms that it tests.
pub(crate) fn faulty_suite(name: &str) -> PathBuf {
    let what = ["--test", name, "--message-format", "json"];
    let said = build(&[&what, &FAULTS[..]].concat()).said;
    let found = Message::parse_stream(said.as_slice()).find_map(|message| match message {
        Ok(Message::CompilerArtifact(made)) if made.target.name == name => made.executable,
        _ => None,
    });
    found
        .unwrap_or_else(|| panic!("cargo names no program of the suite {name}"))
        .into()
}

/// Failpoints and mutants, in all rooms of this build.
const FAULTS: [&str; 2] = ["--features", "chiffon/faults"];

/// A test target among the targets makes cargo choose the same features of all crates as `cargo test --workspace`
/// did, so that after it only our own rooms and the linking are left to do.
const ANY_TEST: &str = "fixtures";

/// What cargo made.
struct Built {
    /// The folder of the programs.
    folder: PathBuf,
    said: Vec<u8>,
}

fn build(what: &[&str]) -> Built {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--workspace"])
        .args(what)
        .arg("--target-dir")
        .arg(target_folder())
        .current_dir(repository_root())
        .stdin(Stdio::null());
    let built = command.output().expect("cargo runs");
    assert!(
        built.status.success(),
        "{what:?} does not build:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    Built {
        folder: target_folder().join("debug"),
        said: built.stdout,
    }
}

/// Test programs lie in `<target>/<profile>/deps`.
fn target_folder() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this test program");
    let folder = this
        .ancestors()
        .nth(3)
        .expect("a target folder above deps/");
    folder.to_owned()
}
