//! Many batches at once: what waits under load becomes one pack and one move of `main`, with a commit
//! for each batch as ever. The hashes are those that [`Ledger::write`] gives one by one.

use std::path::Path;

use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use gix::{ObjectId, Repository, objs::Kind};

use super::{CommitId, Ledger, LedgerError, build, durable, pack, parent_of, verify};

/// A batch with its entries.
pub type Batch = (LedgerBatchRow, Vec<LedgerEntryRow>);

/// Fewer are written as loose objects: a pack for each would be too many packs.
const WORTH_A_PACK: usize = 16;

/// More packs than that make every look-up slow, and gix holds a bounded number of them. Until `git gc` has
/// merged them, bursts are written as loose objects.
const MOST_PACKS: usize = 50;

impl Ledger {
    /// Links batches that were just decided: sets the parent of each but the first to the commit of the one
    /// before, and returns all commits. Writes nothing. To be stored before [`Ledger::write_all`], which
    /// may then be repeated after a crash.
    pub fn chain(&self, batches: &mut [Batch]) -> Result<Vec<CommitId>, LedgerError> {
        let in_memory = self.repository.clone().with_object_memory();
        let mut commits: Vec<CommitId> = Vec::with_capacity(batches.len());
        for (batch, entries) in batches {
            if let Some(last) = commits.last() {
                batch.parent = Some(last.to_string());
            }
            commits.push(build(&in_memory, self.key.as_ref(), batch, entries)?);
        }
        Ok(commits)
    }

    /// Writes batches that follow each other, each as one commit, and moves `main` onto the last. As safe to
    /// repeat as [`Ledger::write`]; those that are on `main` already are passed over.
    pub fn write_all(&mut self, batches: &[Batch]) -> Result<Vec<CommitId>, LedgerError> {
        let few = batches.len() < WORTH_A_PACK;
        let in_memory = self.repository.clone().with_object_memory();
        let mut commits: Vec<CommitId> = Vec::with_capacity(batches.len());
        for (batch, entries) in batches {
            let parent = parent_of(batch)?;
            if commits.last().is_some_and(|last| Some(*last) != parent) {
                let why = format!("batch {} does not follow the one before", batch.batch_no);
                return Err(LedgerError::Malformed(why));
            }
            let commit = build(&in_memory, self.key.as_ref(), batch, entries)?;
            super::agree(batch, commit)?;
            commits.push(commit);
        }
        let (Some((first, _)), Some(last)) = (batches.first(), commits.last().copied()) else {
            return Ok(commits);
        };
        let head = self.head()?;
        let begin = parent_of(first)?;
        let known = head == begin || commits.iter().any(|commit| Some(*commit) == head);
        if !known {
            return Err(verify::foreign(&self.repository, begin, head));
        }
        self.keep(&in_memory, few)?;
        if head != Some(last) {
            self.move_main(head, last)?;
        }
        Ok(commits)
    }

    /// Puts on disk, for good, what was made in memory.
    pub(super) fn keep(&self, in_memory: &Repository, few: bool) -> Result<(), LedgerError> {
        let made = in_memory.objects.reset_object_memory().unwrap_or_default();
        let made = made
            .iter()
            .map(|(id, (kind, data))| (*id, *kind, data.clone()));
        let objects: Vec<(ObjectId, Kind, Vec<u8>)> = made.collect();
        if objects.is_empty() {
            return Ok(());
        }
        let failed = |error: std::io::Error| LedgerError::io("write the objects", &error);
        chiffon_failpoint::hit!("ledger.objects.before", full => return Err(failed(full)));
        let folder = self.repository.git_dir().join("objects");
        if few || packs_in(&folder.join("pack")).map_err(failed)? >= MOST_PACKS {
            return durable::write_loose(&folder, &objects).map_err(failed);
        }
        pack::write(&folder, objects).map_err(failed)
    }
}

fn packs_in(folder: &Path) -> std::io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|one| one == "pack"))
        .count())
}
