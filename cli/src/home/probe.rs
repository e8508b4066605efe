//! Whether the folders of the data folder can be written, found out by writing. The parts find out by themselves when
//! they have something to write; a look must not wait for that.

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

/// What of the data folder cannot be written: the part, as health names it, and why. What is not there yet is no fault.
pub fn faults(home: &Home) -> Vec<(String, String)> {
    let ledger = home.path().join("ledger");
    let mut parts = vec![
        ("store".to_owned(), vec![home.path().to_owned()]),
        (
            "ledger".to_owned(),
            vec![ledger.clone(), ledger.join("objects")],
        ),
    ];
    let agents = fs::read_dir(home.path().join("agents"));
    let agents = agents.into_iter().flatten().flatten();
    for agent in agents.filter(|agent| agent.path().is_dir()) {
        let name = agent.file_name().to_string_lossy().into_owned();
        parts.push((format!("agent {name}"), vec![agent.path()]));
    }
    let fault = |places: &[PathBuf]| {
        places
            .iter()
            .filter(|place| place.exists())
            .find_map(|place| {
                let error = try_to_write(place).err()?;
                Some(format!("{} cannot be written: {error}", place.display()))
            })
    };
    let found = parts
        .into_iter()
        .filter_map(|(part, places)| Some((part, fault(&places)?)));
    found.collect()
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
