//! The agent's journal: an append-only file whose every answer means "on the disk". One thread writes
//! it; all records that wait share one fsync. What the records mean is left to the core.

mod format;
mod writer;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use chiffon_common::{AgentId, Incarnation};

use crate::core::Record;
use format::Tail;
pub(crate) use writer::{JournalFault, Writer};

const NAME: &str = "journal";
const VERSION: u32 = 1;
/// A journal larger than this, and twice as large as after the last compaction, is written anew.
pub(crate) const COMPACT_ABOVE: u64 = 16 * 1024 * 1024;

/// Why a journal cannot be opened. A damaged one is no reason: it is set aside.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or file cannot be used.
    #[error("journal {path} cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Written by a later version.
    #[error("journal {path} was written by a later version of this program")]
    Newer {
        /// Which file.
        path: PathBuf,
    },
    /// Of another agent.
    #[error("journal {path} belongs to agent {owner}")]
    OtherAgent {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        owner: AgentId,
    },
}

/// An open journal.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) incarnation: Incarnation,
    /// What it holds, without the first record.
    pub(crate) history: Vec<Record>,
    path: PathBuf,
    agent: AgentId,
}

/// Opens the journal below `home`, or begins a new one whose life is `fresh`: where there is none, and
/// where it is damaged or unreadable; then the old file is set aside and nothing of it is claimed.
pub(crate) fn open(
    home: &Path,
    agent: &AgentId,
    fresh: Incarnation,
) -> Result<Opened, JournalError> {
    let path = home.join(NAME);
    let fault = |source| JournalError::Io {
        path: path.clone(),
        source,
    };
    let begun = |history, incarnation| Opened {
        incarnation,
        history,
        path: path.clone(),
        agent: agent.clone(),
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(begun(Vec::new(), fresh));
        }
        Err(error) => {
            set_aside(&path, &error.to_string()).map_err(fault)?;
            return Ok(begun(Vec::new(), fresh));
        }
    };
    let read = format::read(&bytes);
    match read.tail {
        Tail::Newer => return Err(JournalError::Newer { path: path.clone() }),
        Tail::Damaged { at } => {
            set_aside(&path, &format!("damaged at byte {at}")).map_err(fault)?;
            return Ok(begun(Vec::new(), fresh));
        }
        Tail::Torn { at } => {
            tracing::warn!(
                byte = at,
                "the journal's last record was torn by a crash and is left out"
            );
        }
        Tail::Clean => {}
    }
    let mut records = read.records.into_iter();
    match records.next() {
        Some(Record::Life { version, .. }) if version > VERSION => {
            Err(JournalError::Newer { path: path.clone() })
        }
        Some(Record::Life { agent: owner, .. }) if owner != *agent => {
            Err(JournalError::OtherAgent {
                path: path.clone(),
                owner,
            })
        }
        Some(Record::Life { incarnation, .. }) => Ok(begun(records.collect(), incarnation)),
        // Torn within its first record, or without one: nothing was ever promised from it.
        None => Ok(begun(Vec::new(), fresh)),
        Some(_) => {
            set_aside(&path, "its first record is missing").map_err(fault)?;
            Ok(begun(Vec::new(), fresh))
        }
    }
}

impl Opened {
    /// Writes these records as the whole journal, after its first record, and starts the writer.
    pub(crate) fn start(self, records: &[Record]) -> Result<Writer, JournalError> {
        let first = Record::Life {
            version: VERSION,
            agent: self.agent,
            incarnation: self.incarnation,
        };
        let path = self.path;
        let (file, len) = rewrite(&path, &first, records).map_err(|source| JournalError::Io {
            path: path.clone(),
            source,
        })?;
        Writer::start(writer::Place {
            path: path.clone(),
            first,
            file,
            len,
        })
        .map_err(|source| JournalError::Io { path, source })
    }
}

/// Replaces the file by one with exactly these records; after a crash there is the old one or the new.
fn rewrite(path: &Path, first: &Record, records: &[Record]) -> io::Result<(File, u64)> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let mut bytes = Vec::new();
    for record in std::iter::once(first).chain(records) {
        format::write(record, &mut bytes)?;
    }
    file.write_all(&bytes)?;
    file.sync_all()?;
    chiffon_failpoint::hit!("agent.compact.before");
    fs::rename(&temporary, path)?;
    chiffon_failpoint::hit!("agent.compact.after");
    sync_folder(path)?;
    Ok((file, bytes.len() as u64))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let free = (1..=u32::MAX)
        .map(|n| path.with_extension(format!("damaged-{n}")))
        .find(|name| !name.exists());
    let Some(aside) = free else {
        return Err(io::Error::other(
            "no free name to set the damaged journal aside",
        ));
    };
    fs::rename(path, &aside)?;
    sync_folder(path)?;
    tracing::error!(
        aside = %aside.display(),
        "the journal cannot be trusted ({why}); it was set aside and a new life begins: the orchestrator will ask a person about attempts of the old one"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
