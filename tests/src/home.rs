//! A data folder of its own for each test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary `CHIFFON_HOME`, removed when dropped.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// A folder name that does not exist yet, so that the program under test makes it.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("chiffon-test-").tempdir();
        Self {
            folder: folder.expect("a temporary folder"),
        }
    }

    /// The data folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A place for the test's own files, outside the data folder and removed with it.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the data folder, with the folders it needs (0700).
    pub fn write(&self, relative: &str, content: &str) -> PathBuf {
        let path = self.path().join(relative);
        let parent = path.parent().expect("a file has a folder");
        make_private(parent);
        fs::write(&path, content).expect("the file can be written");
        path
    }

    /// Writes `chiffon.yaml`.
    pub fn write_config(&self, yaml: &str) -> PathBuf {
        self.write("chiffon.yaml", yaml)
    }

    /// Writes an inventory file of that name.
    pub fn write_inventory(&self, name: &str, yaml: &str) -> PathBuf {
        self.write(&format!("inventory/{name}"), yaml)
    }

    /// Reads a file below the data folder.
    pub fn read(&self, relative: &str) -> std::io::Result<String> {
        fs::read_to_string(self.path().join(relative))
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

fn make_private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.expect("the folder can be made");
}
