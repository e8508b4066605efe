//! Finding the `chiffon` program under test, always built from the sources as they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

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
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        // A test target among the targets makes cargo choose the same features of all crates as
        // `cargo test --workspace` did, so that after it only the linking is left to do.
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "chiffon",
            "--test",
            "fixtures",
        ])
        .arg("--target-dir")
        .arg(target_folder())
        .current_dir(repository_root())
        .stdin(Stdio::null());
    let built = command.output().expect("cargo runs");
    assert!(
        built.status.success(),
        "chiffon does not build:\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    target_folder().join("debug/chiffon")
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
