//! Holding the repository against the stored rows: who rewrote, added or lost something. Reads only;
//! healing is replay and left to the caller. Every object that a batch made is read and hashed again, because gix
//! takes what a loose file holds for what its name says.

use std::collections::BTreeMap;

use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use gix::{ObjectId, Repository};

use super::{
    CommitId, LedgerError, Objects, build, docs_of, files,
    signing::{Signing, signer_of},
};

/// How far back a foreign commit is looked for before its head alone is named.
const FAR: usize = 10_000;

/// The first thing that is not as the rows say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The rows themselves are not a chain.
    #[error("batch {batch_no} does not follow the one before it: {why}")]
    Rows {
        /// Which batch.
        batch_no: u64,
        /// In words.
        why: String,
    },
    /// What the rows say is not what was written: rows or program have changed since.
    #[error("batch {batch_no} was written as {stored} and its rows give {computed}")]
    Differs {
        /// Which batch.
        batch_no: u64,
        /// What its row says.
        stored: String,
        /// What the rows give.
        computed: String,
    },
    /// Something of the batch's commit is missing or cannot be read.
    #[error("batch {batch_no}: object {object} is missing or damaged: {why}")]
    Damaged {
        /// Which batch.
        batch_no: u64,
        /// Its hash.
        object: String,
        /// In git's words.
        why: String,
    },
    /// `main` is elsewhere: history was rewritten, or somebody else committed.
    #[error("main is not where the last batch left it: {0}")]
    Head(String),
    /// The repository cannot be read.
    #[error("{0}")]
    Unreadable(LedgerError),
}

impl Fault {
    /// The batch that does not fit, where it is one; all before it do.
    pub fn batch_no(&self) -> Option<u64> {
        match self {
            Self::Rows { batch_no, .. }
            | Self::Differs { batch_no, .. }
            | Self::Damaged { batch_no, .. } => Some(*batch_no),
            Self::Head(_) | Self::Unreadable(_) => None,
        }
    }

    /// What a new ledger heals; nothing where rows, program or strangers are at fault.
    pub fn damage(self) -> Option<LedgerError> {
        match self {
            Self::Damaged { object, why, .. } => Some(LedgerError::Damaged { object, why }),
            Self::Unreadable(error) => error.is_damage().then_some(error),
            Self::Rows { .. } | Self::Differs { .. } | Self::Head(_) => None,
        }
    }
}

/// Checks batches in order, from the first on.
pub struct Verifier {
    on_disk: Repository,
    /// Writes into memory: what has to be written to recompute a commit was not on disk.
    in_memory: Repository,
    signing: Signing,
    batches: u64,
    entries: u64,
    last: Option<CommitId>,
    /// What the batches after the last one give that are decided and not yet stored as written, each with its last
    /// entry.
    pending: Vec<(CommitId, u64)>,
}

impl Verifier {
    pub(super) fn new(repository: Repository, signing: Signing) -> Self {
        Self {
            signing,
            in_memory: repository.clone().with_object_memory(),
            on_disk: repository,
            batches: 0,
            entries: 0,
            last: None,
            pending: Vec::new(),
        }
    }

    /// Takes everything up to this batch for granted.
    pub(super) fn after(mut self, batch: &LedgerBatchRow) -> Result<Self, LedgerError> {
        self.last = batch.commit.as_deref().map(str::parse).transpose()?;
        (self.batches, self.entries) = (batch.batch_no, batch.last_entry);
        Ok(self)
    }

    /// Checks the next batch. Those without a commit are decided but not written, and may only be the last.
    pub fn check(
        &mut self,
        batch: &LedgerBatchRow,
        entries: &[LedgerEntryRow],
    ) -> Result<(), Fault> {
        self.check_rows(batch)?;
        let batch_no = batch.batch_no;
        let computed = build(
            &self.in_memory,
            &self.signing,
            Objects::Known,
            batch,
            entries,
        );
        let computed = computed.map_err(|error| of_batch(batch_no, error))?;
        let Some(stored) = &batch.commit else {
            // Not on disk, or not yet: nothing of it is held against anything but `main`. What was made of it stays
            // in memory, because the next one stands on it.
            self.pending.push((computed, batch.last_entry));
            return Ok(());
        };
        if computed.to_string() != *stored {
            let (stored, computed) = (stored.clone(), computed.to_string());
            return Err(Fault::Differs {
                batch_no,
                stored,
                computed,
            });
        }
        self.check_objects(batch, entries, computed)?;
        self.batches = batch_no;
        self.entries = batch.last_entry;
        self.last = Some(computed);
        Ok(())
    }

    fn check_rows(&self, batch: &LedgerBatchRow) -> Result<(), Fault> {
        let parent = self.pending.last().map(|(commit, _)| *commit).or(self.last);
        let parent = parent.map(|parent| parent.to_string());
        let number = self.batches + self.pending.len() as u64 + 1;
        let entry = self
            .pending
            .last()
            .map_or(self.entries, |(_, entry)| *entry)
            + 1;
        let why = if !self.pending.is_empty() && batch.commit.is_some() {
            "the one before it was not written".to_owned()
        } else if batch.batch_no != number {
            format!("it should have number {number}")
        } else if batch.first_entry != entry {
            format!("it should begin with entry {entry}")
        } else if batch.time.subsec_nanosecond() != 0 {
            "its time is no whole second, as that of a commit is".to_owned()
        } else if batch.parent != parent {
            format!(
                "its parent should be {}",
                parent.as_deref().unwrap_or("none")
            )
        } else {
            return Ok(());
        };
        let batch_no = batch.batch_no;
        Err(Fault::Rows { batch_no, why })
    }

    /// What landed in memory was not found on disk; what is there must also be readable.
    fn check_objects(
        &self,
        batch: &LedgerBatchRow,
        entries: &[LedgerEntryRow],
        commit: CommitId,
    ) -> Result<(), Fault> {
        let batch_no = batch.batch_no;
        let damaged = |object: String, why: String| Fault::Damaged {
            batch_no,
            object,
            why,
        };
        let made = self.in_memory.objects.reset_object_memory();
        // Asked again, because the first look does not see packs that came since.
        let made = made.iter().flat_map(|made| made.keys());
        let missing = made.filter(|id| !self.on_disk.has_object(*id));
        if let Some(object) = missing.min() {
            return Err(damaged(object.to_string(), "it does not exist".to_owned()));
        }
        let refused = |error: LedgerError| of_batch(batch_no, error);
        let found = genuine(&self.on_disk, commit.0).map_err(refused)?;
        let found = found.try_into_commit().and_then(|found| found.tree_id());
        let found = found.map(|tree| tree.detach());
        let tree = found.map_err(|error| refused(LedgerError::object(&commit, &error)))?;
        let docs = docs_of(batch, entries).map_err(|error| of_batch(batch_no, error))?;
        let made = entries.iter().zip(&docs);
        // Of several readings of one request the last one stands, as it was written.
        let made: BTreeMap<_, _> = made
            .flat_map(|(entry, doc)| files::files(entry, doc))
            .collect();
        for (path, content) in made {
            let object = genuine_at(&self.on_disk, tree, &path).map_err(refused)?;
            if object.is_none_or(|object| object.data != content.as_bytes()) {
                return Err(damaged(path, "it has another content".to_owned()));
            }
        }
        Ok(())
    }

    /// After the last batch: `main` must be there, or, where a batch that was checked is decided and not yet stored
    /// as written, at the commit which that one gives. May be asked again after further batches.
    pub fn finish(&self) -> Result<(), Fault> {
        let head = super::Ledger {
            repository: self.on_disk.clone(),
            signing: Signing::default(),
        }
        .head();
        let head = head.map_err(Fault::Unreadable)?;
        // Written, and the crash came before that was stored.
        let of_pending = |head| self.pending.iter().any(|(commit, _)| *commit == head);
        if head == self.last || head.is_some_and(of_pending) {
            return Ok(());
        }
        match foreign(&self.on_disk, self.last, head) {
            LedgerError::Foreign(why) => Err(Fault::Head(why)),
            other => Err(Fault::Unreadable(other)),
        }
    }

    /// Goes on as if what is not written had not been checked: it may be by now.
    pub fn without_pending(mut self) -> Self {
        let _made = self.in_memory.objects.reset_object_memory();
        self.pending.clear();
        self
    }
}

/// An object whose content is what its name says.
fn genuine(repository: &Repository, id: ObjectId) -> Result<gix::Object<'_>, LedgerError> {
    let object = repository.find_object(id);
    let object = object.map_err(|error| LedgerError::object(&id, &error))?;
    let is = gix::objs::compute_hash(repository.object_hash(), object.kind, &object.data);
    match is.map_err(|error| LedgerError::object(&id, &error))? {
        is if is == id => Ok(object),
        is => Err(LedgerError::Damaged {
            object: id.to_string(),
            why: format!("its file holds another object, {is}"),
        }),
    }
}

/// What lies at this path below a tree, if every tree on the way is genuine and it too.
fn genuine_at<'r>(
    repository: &'r Repository,
    tree: ObjectId,
    path: &str,
) -> Result<Option<gix::Object<'r>>, LedgerError> {
    let mut object = genuine(repository, tree)?;
    for name in path.split('/') {
        let unreadable = |error: gix::Error| LedgerError::object(&path, &error);
        let tree = object.try_into_tree().map_err(unreadable)?;
        let entry = tree.find_entry(name).map(|entry| entry.oid().to_owned());
        let Some(id) = entry else {
            return Ok(None);
        };
        object = genuine(repository, id)?;
    }
    Ok(Some(object))
}

fn of_batch(batch_no: u64, error: LedgerError) -> Fault {
    match error {
        LedgerError::Damaged { object, why } => Fault::Damaged {
            batch_no,
            object,
            why,
        },
        LedgerError::Malformed(why) => Fault::Rows { batch_no, why },
        other => Fault::Unreadable(other),
    }
}

fn parent_of(repository: &Repository, commit: ObjectId) -> Option<ObjectId> {
    let commit = repository.find_commit(commit).ok()?;
    commit.parent_ids().next().map(|id| id.detach())
}

/// Says in words what is at `head` instead of `expected`; names the first foreign commit if there is one.
pub(super) fn foreign(
    repository: &Repository,
    expected: Option<CommitId>,
    head: Option<CommitId>,
) -> LedgerError {
    let Some(head) = head else {
        let expected = expected.map(|id| id.to_string()).unwrap_or_default();
        return LedgerError::Foreign(format!("main is gone; it should be at {expected}"));
    };
    let expected = expected.map(|id| id.0);
    let ours = expected.and_then(|id| signer_of(repository, id));
    let (mut one, mut stranger) = (head.0, None);
    for _ in 0..FAR {
        let parent = parent_of(repository, one);
        if ours.is_none() || signer_of(repository, one) != ours {
            stranger = Some(one);
        }
        if parent == expected {
            let foreign = described(repository, stranger.unwrap_or(one));
            return LedgerError::Foreign(format!("foreign commit {foreign}"));
        }
        match parent {
            Some(parent) => one = parent,
            None => break,
        }
    }
    let head = described(repository, head.0);
    let expected = expected.map_or("nothing".to_owned(), |id| id.to_string());
    LedgerError::Foreign(format!(
        "history was rewritten: at {head} instead of {expected}"
    ))
}

pub(super) fn described(repository: &Repository, commit: ObjectId) -> String {
    let words = || -> Result<String, gix::Error> {
        let found = repository.find_commit(commit)?;
        let author = found.author()?.name.to_string();
        let subject = found.message()?.summary().to_string();
        Ok(format!(" by {author}: {subject}"))
    };
    let words = words().unwrap_or_else(|error| format!(" (unreadable: {error})"));
    chiffon_common::visible(&format!("{commit}{words}"))
}
