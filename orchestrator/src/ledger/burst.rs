//! Batches that are written at once: what waits becomes one pack and one move of `main`, with a commit for each batch
//! as ever. The hashes are those that [`Ledger::write`] gives one by one.

use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use gix::{ObjectId, Repository, objs::Kind};

use super::{CommitId, Ledger, LedgerError, Objects, build, pack, parent_of, verify};

/// A batch with its entries.
pub type Batch = (LedgerBatchRow, Vec<LedgerEntryRow>);

/// Batches that follow each other, made into commits in memory: nothing of it is on disk before [`Burst::write`].
pub struct Burst {
    ledger: Ledger,
    in_memory: Repository,
    begin: Option<CommitId>,
    commits: Vec<CommitId>,
}

impl Burst {
    /// Puts the commits on disk and moves `main` onto the last.
    pub fn write(self) -> Result<Vec<CommitId>, LedgerError> {
        self.ledger
            .settle(&self.in_memory, self.begin, &self.commits)?;
        Ok(self.commits)
    }
}

impl Ledger {
    /// Makes the commits of batches that were just decided, and links these: sets the parent of each but the first
    /// to the commit of the one before. To be stored before [`Burst::write`]; after a crash between the two,
    /// [`Ledger::write_all`] gives the same commits from the stored rows.
    pub fn begin(self, batches: &mut [Batch]) -> Result<Burst, LedgerError> {
        let begin = begin_of(batches)?;
        let (in_memory, commits) = self.link(batches)?;
        Ok(Burst {
            ledger: self,
            in_memory,
            begin,
            commits,
        })
    }

    /// Links batches as [`Ledger::begin`] does and returns their commits. Writes nothing.
    pub fn chain(&self, batches: &mut [Batch]) -> Result<Vec<CommitId>, LedgerError> {
        self.link(batches).map(|(_, commits)| commits)
    }

    fn link(&self, batches: &mut [Batch]) -> Result<(Repository, Vec<CommitId>), LedgerError> {
        let in_memory = self.in_memory();
        let mut commits: Vec<CommitId> = Vec::with_capacity(batches.len());
        for (batch, entries) in batches {
            if let Some(last) = commits.last() {
                batch.parent = Some(last.to_string());
            }
            commits.push(build(
                &in_memory,
                &self.signing,
                Objects::New,
                batch,
                entries,
            )?);
        }
        Ok((in_memory, commits))
    }

    /// Writes batches that follow each other, each as one commit, and moves `main` onto the last. As safe to
    /// repeat as [`Ledger::write`]; those that are on `main` already are passed over.
    pub fn write_all(&mut self, batches: &[Batch]) -> Result<Vec<CommitId>, LedgerError> {
        let in_memory = self.in_memory();
        let mut commits: Vec<CommitId> = Vec::with_capacity(batches.len());
        for (batch, entries) in batches {
            let parent = parent_of(batch)?;
            if commits.last().is_some_and(|last| Some(*last) != parent) {
                let why = format!("batch {} does not follow the one before", batch.batch_no);
                return Err(LedgerError::Malformed(why));
            }
            let commit = build(&in_memory, &self.signing, Objects::Known, batch, entries)?;
            super::agree(batch, commit)?;
            commits.push(commit);
        }
        self.settle(&in_memory, begin_of(batches)?, &commits)?;
        Ok(commits)
    }

    /// A view that takes what is written into memory.
    pub(super) fn in_memory(&self) -> Repository {
        self.repository.clone().with_object_memory()
    }

    /// Puts on disk what was made in memory, and moves `main` from `begin`, or from where on the way a crash left
    /// it, onto the last of the commits.
    fn settle(
        &self,
        in_memory: &Repository,
        begin: Option<CommitId>,
        commits: &[CommitId],
    ) -> Result<(), LedgerError> {
        let Some(last) = commits.last().copied() else {
            return Ok(());
        };
        let head = self.head()?;
        let known = head == begin || commits.iter().any(|commit| Some(*commit) == head);
        if !known {
            return Err(verify::foreign(&self.repository, begin, head));
        }
        self.keep(in_memory)?;
        if head != Some(last) {
            self.move_main(head, last)?;
        }
        if let Err(error) = self.tidy() {
            // Nothing depends on it; what is damaged is found by the write that needs it.
            tracing::warn!(%error, "the ledger's repository was not kept in order");
        }
        Ok(())
    }

    /// Puts on disk, for good, what was made in memory.
    fn keep(&self, in_memory: &Repository) -> Result<(), LedgerError> {
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
        pack::write(&folder, objects).map_err(failed)
    }
}

/// What the first of them stands on.
fn begin_of(batches: &[Batch]) -> Result<Option<CommitId>, LedgerError> {
    let first = batches.first().map(|(first, _)| parent_of(first));
    Ok(first.transpose()?.flatten())
}
