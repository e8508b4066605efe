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

/// In words, each journal of an agent that was damaged and set aside, until somebody has looked and removed it. The log of
/// the start that found it tells it only once.
pub fn damaged_journals(home: &Home) -> Vec<String> {
    let agents = fs::read_dir(home.path().join("agents"));
    let agents = agents.into_iter().flatten().flatten();
    let files = agents.flat_map(|agent| fs::read_dir(agent.path()).into_iter().flatten().flatten());
    let is_damaged = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("journal.damaged-")
    };
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).filter(is_damaged).collect();
    paths.sort();
    let words = |path: PathBuf| {
        let agent = path.parent().and_then(Path::file_name).unwrap_or_default();
        format!(
            "the journal of agent {} was damaged and set aside: a new one was begun, and how that ended which it had in hand \
             is unknown. Look at {}, then remove it",
            agent.to_string_lossy(),
            path.display()
        )
    };
    paths.into_iter().map(words).collect()
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
