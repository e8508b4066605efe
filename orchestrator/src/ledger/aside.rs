//! Making a damaged ledger anew beside its folder, and putting it into its place. Nothing is thrown away: the
//! damaged one stays beside it for whoever wants to look. Whose commits may be healed over is the caller's to
//! judge, and that nobody else writes is its knowledge: it holds the instance lock.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Batch, CommitId, Ledger, LedgerError, Verifier, durable, verify::Fault};

const REBUILT: &str = "rebuilt";
const DAMAGED: &str = "damaged";

/// So many damaged ledgers are kept. A disk that damages one after the other is a person's to look at, and must
/// not be filled with copies.
const MOST: u32 = 9;

/// Where `main` of the repository in this folder says it is, read without git, which may refuse a damaged
/// repository; nothing if that cannot be told.
pub fn claimed_head(path: &Path) -> Option<CommitId> {
    super::sound::of_files(path).ok()?;
    let loose = fs::read_to_string(path.join(super::MAIN));
    if let Ok(text) = loose {
        return text.trim().parse().ok();
    }
    let packed = fs::read_to_string(path.join("packed-refs")).ok()?;
    let main = packed.lines().find_map(|line| {
        let (id, name) = line.split_once(' ')?;
        (name.trim() == super::MAIN).then_some(id)
    });
    main?.parse().ok()
}

/// Removes what rebuilding left that did not come to its end.
pub fn remove_unfinished(path: &Path) -> Result<(), LedgerError> {
    let failed = |error: io::Error| refused("remove an unfinished ledger", &error);
    for (_, folder) in beside(path, REBUILT).map_err(failed)? {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    Ok(())
}

/// A ledger that is being made anew.
pub struct Rebuild {
    place: PathBuf,
    fresh: PathBuf,
    damaged: PathBuf,
    ledger: Ledger,
    verifier: Verifier,
}

impl Rebuild {
    /// Begins an empty one beside this folder.
    pub fn begin(place: &super::Place) -> Result<Self, LedgerError> {
        let path = &place.path;
        let key = place.key.clone();
        let failed = |error: io::Error| refused("make a ledger anew", &error);
        // A link leads to where the ledger shall be; the link itself stays.
        let place = match fs::canonicalize(path) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        remove_unfinished(&place)?;
        let kept = beside(&place, DAMAGED).map_err(failed)?;
        if kept.len() >= MOST as usize {
            return Err(LedgerError::Git {
                doing: "make the damaged ledger anew",
                why: format!(
                    "{MOST} damaged ones are kept already; look at the disk, then remove {}.{DAMAGED}-*",
                    place.display()
                ),
            });
        }
        let number = kept.iter().map(|(number, _)| *number).max();
        let number = number.unwrap_or(0).saturating_add(1);
        let fresh = named(&place, REBUILT, number);
        let damaged = Ledger::read(&place).ok();
        let ledger = Ledger::open(&fresh)?.with_key(key).beside(damaged);
        Ok(Self {
            verifier: ledger.verifier(),
            damaged: named(&place, DAMAGED, number),
            place,
            fresh,
            ledger,
        })
    }

    /// Writes the next batches, all of which have a commit, and holds what is on disk against the rows.
    pub fn write(&mut self, batches: &[Batch]) -> Result<(), LedgerError> {
        self.ledger.write_all(batches)?;
        for (batch, entries) in batches {
            let checked = self.verifier.check(batch, entries);
            checked.map_err(|fault| match fault {
                Fault::Unreadable(error) => error,
                other => LedgerError::Git {
                    doing: "make the ledger anew",
                    why: other.to_string(),
                },
            })?;
        }
        Ok(())
    }

    /// Where `main` would be after these batches; nothing of none. Writes nothing.
    pub fn head_of(&self, mut batches: Vec<Batch>) -> Result<Option<CommitId>, LedgerError> {
        let commits = self.ledger.chain(&mut batches)?;
        Ok(commits.last().copied())
    }

    /// Where the damaged one will lie; nothing if there is none.
    pub fn aside(&self) -> Option<&Path> {
        self.place.exists().then_some(self.damaged.as_path())
    }

    /// Puts it into the place of the damaged one, which is kept where [`Rebuild::aside`] says.
    pub fn into_place(self) -> Result<(), LedgerError> {
        let failed = |error: io::Error| refused("put the new ledger into its place", &error);
        let there = match fs::rename(&self.place, &self.damaged) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        chiffon_failpoint::hit!("ledger.rebuild.between");
        if let Err(error) = fs::rename(&self.fresh, &self.place) {
            if there {
                let _told_below = fs::rename(&self.damaged, &self.place);
            }
            return Err(failed(error));
        }
        let parent = self.place.parent();
        parent.map_or(Ok(()), durable::sync_folder).map_err(failed)
    }
}

/// Of the folder beside it, not of the ledger: no damage that making it anew would heal.
fn refused(doing: &'static str, error: &io::Error) -> LedgerError {
    let why = error.to_string();
    LedgerError::Git { doing, why }
}

fn named(path: &Path, what: &str, number: u32) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}-{number}"));
    path.with_file_name(name)
}

/// Our folders beside the ledger, with their numbers.
fn beside(path: &Path, what: &str) -> io::Result<Vec<(u32, PathBuf)>> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let ours = entries.filter_map(|entry| {
        let found = entry.ok()?;
        let name = found.file_name();
        let number = name.to_str()?.rsplit_once('-')?.1.parse().ok()?;
        let is_ours = named(path, what, number).file_name() == Some(&name);
        (is_ours && found.file_type().ok()?.is_dir()).then(|| (number, found.path()))
    });
    Ok(ours.collect())
}
