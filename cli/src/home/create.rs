//! Making what is missing in the data folder. Everything is made whole or not at all, so that a first
//! start that was cut off goes on with the next one.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use chiffon_common::Problem;

use super::{Home, LAYOUT, fault, secrets, unusable};
use chiffon_program::settings::commented_defaults;

impl Home {
    /// Makes the folder itself, closed to others, if it is missing; then it can be locked.
    pub fn make_folder(&self, progress: &dyn Fn(&str)) -> Result<(), Problem> {
        self.check()?;
        if !self.path.exists() {
            progress(&format!("Making the data folder {}", self.path.display()));
            folder(&self.path)?;
        }
        Ok(())
    }

    /// Makes what is missing in it. To be called under the lock.
    pub fn fill(&self, progress: &dyn Fn(&str)) -> Result<(), Problem> {
        for name in [
            "keys",
            "inventory",
            "catalogue",
            "ledger",
            "agents",
            "ansible",
        ] {
            let path = self.path.join(name);
            // Whatever stands in the ledger's place is put aside by whoever makes it anew, with a record of it.
            if name == "ledger" && path.exists() {
                continue;
            }
            folder(&path)?;
        }
        if !self.config().exists() {
            progress("Writing chiffon.yaml with the defaults as comments");
            write_private(&self.config(), commented_defaults().as_bytes())?;
        }
        secrets::make_missing(self, progress)?;
        self.fill_inventory(progress)?;
        self.fill_catalogue(progress)?;
        let version = self.path.join("version");
        if !version.exists() {
            write_private(&version, format!("{LAYOUT}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// A folder for the owner only.
pub(super) fn folder(path: &Path) -> Result<(), Problem> {
    if path.exists() && !path.is_dir() {
        return Err(unusable(
            format!("{} is a file, and must be a folder.", path.display()),
            "Move it away, and put the folder back from a backup if it held something of yours.",
        ));
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .map_err(|error| fault(path, "made", &error))
}

/// Writes a file for the owner only: whole and on the disk, or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_folder(path)
    })();
    written.map_err(|error: io::Error| {
        // Of no use to anybody; that it stays is no second fault.
        let _left = fs::remove_file(&fresh);
        fault(path, "written", &error)
    })
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

impl Home {
    fn fill_inventory(&self, progress: &dyn Fn(&str)) -> Result<(), Problem> {
        if chiffon_orchestrator::inventory::write_default(&self.inventory(), &hostname())? {
            progress("Writing inventory/hosts.yml with this machine");
        }
        Ok(())
    }

    fn fill_catalogue(&self, progress: &dyn Fn(&str)) -> Result<(), Problem> {
        let to = self.shipped_catalogue();
        if !to.exists() {
            progress("Unpacking the shipped catalogue");
        }
        chiffon_orchestrator::catalogue::extract_shipped(&to)
            .map_err(|error| fault(&to, "written", &error))
    }
}

/// As the kernel gives it.
pub fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
