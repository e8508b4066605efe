//! Whether the ledger's folder can be written, found out by writing. The orchestrator finds out by itself
//! when it has something to record; a look must not wait for that.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use super::Home;

/// Gone again at once; the name only has to be nobody else's.
const NAME: &str = ".chiffon-probe";

/// More than fits into what a full disk has left.
const BLOCK: [u8; 4096] = [0; 4096];

/// Why the ledger cannot be written, where it cannot. One that is not there yet is no fault.
pub fn ledger_fault(home: &Home) -> Option<String> {
    let ledger = home.path().join("ledger");
    let places = [ledger.clone(), ledger.join("objects")];
    places
        .iter()
        .filter(|place| place.exists())
        .find_map(|place| {
            let error = try_to_write(place).err()?;
            Some(format!("{} cannot be written: {error}", place.display()))
        })
}

fn try_to_write(folder: &Path) -> io::Result<()> {
    let path: PathBuf = folder.join(NAME);
    let written = fs::File::create(&path).and_then(|mut file| {
        file.write_all(&BLOCK)?;
        file.sync_all()
    });
    match fs::remove_file(&path) {
        // What could not be made cannot be removed: the first reason is the one to tell.
        Err(_) if written.is_err() => written,
        removed => written.and(removed),
    }
}
