//! The repository these tests belong to.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace root.
pub fn repository_root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("this package lies in the workspace")
}

/// Every file git tracks and that still exists, relative to [`repository_root`].
///
/// # Panics
/// When this is not a git checkout.
pub fn tracked_files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(repository_root())
        .output()
        .expect("git runs");
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout)
        .expect("tracked names are UTF-8")
        .split_terminator('\0')
        .map(PathBuf::from)
        // A link is judged by what it points to; a deleted file is not judged at all.
        .filter(|path| repository_root().join(path).is_file())
        .collect()
}
