//! The ledger: a git repository that says who changed what, when and with whose approval, in the words
//! of `git log` and `git blame` (DESIGN 4.8 and 7; R37 to R41).
//!
//! A projection and nothing more: the database is the truth. Each commit is a pure function of a stored batch row
//! and its entries, so that every orchestrator's clone reaches the same hash, a crash anywhere is healed by
//! writing the same batch again, and a ledger that is damaged or gone is made anew from the rows. Deciding batches, keeping rows, alarms and retries are
//! left to the scribe, which also has it kept in order (`tidy`); finding deltas (`git repack -adf`) to whoever wants
//! the disk.
//!
//! The repository is **bare**: blobs and trees are written directly (R39), and there is no work tree that
//! could be behind. In its folder `git log`, `git log --stat`, `git show`, `git blame hosts/<shard>/<host>/<entry>.yml`
//! and `git ls-tree -r --name-only HEAD hosts` work as they are, since git takes HEAD where a bare
//! repository has no work tree. To look at files: `git clone` it.
//!
//! A commit that [`Ledger::write`] returned survives a loss of power: see `durable`. What rots, is deleted or
//! was written by a version that synced nothing is healed by a [`Rebuild`].

mod aside;
mod burst;
mod doc;
mod durable;
mod error;
mod files;
mod locks;
mod message;
mod pack;
mod parting;
mod proposals;
mod signing;
mod sound;
mod strays;
#[cfg(test)]
mod tests;
mod tidy;
mod verify;
mod yaml;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use chiffon_common::SshSigner;
use chiffon_store::{LedgerBatchRow, LedgerEntryRow};
use gix::{
    ObjectId, Repository,
    actor::SignatureRef,
    objs::{Blob, Commit, Write as _, WriteTo, tree::EntryKind},
    refs::{
        FullName, Target,
        transaction::{PreviousValue, RefEdit},
    },
};

pub use aside::{Rebuild, claimed_head, remove_unfinished};
pub use burst::{Batch, Burst};
pub use doc::{FORM, LedgerDoc, ProblemDoc, RequestOutcome, SaidDoc, StepDoc, StepOutcome};
pub use error::{LedgerError, MOVED};
pub use files::{host_folder, record_path};
pub use parting::{Beyond, Parting, WayBack};
pub use proposals::{Judged, Offered, Proposal, REFUSED, TAKEN, may_have_proposals, refused};
use signing::Signing;
pub use verify::{Fault, Verifier};

/// The only branch that the scribe writes, and that only the scribe writes.
const MAIN: &str = "refs/heads/main";

/// Author and committer of everything; who asked and approved stands in the trailers.
const NAME: &str = "Chiffon";
const EMAIL: &str = "chiffon@localhost";

/// Many times what [`burst`] lets come together.
const PACK_SLOTS: u16 = 1024;

/// The hash of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommitId(ObjectId);

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_hex().fmt(f)
    }
}

impl FromStr for CommitId {
    type Err = LedgerError;

    fn from_str(text: &str) -> Result<Self, LedgerError> {
        let id = ObjectId::from_hex(text.as_bytes());
        id.map(Self)
            .map_err(|_| LedgerError::Malformed(format!("{text:?} is no commit id")))
    }
}

/// Where a ledger lies, and the key that signs its commits.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder of the repository.
    pub path: PathBuf,
    /// The key; without it only batches that are not signed can be written, and signatures that are there verified.
    pub key: Option<SshSigner>,
    /// Why there is no key though there should be one: then nothing is signed, and nothing written without a signature.
    pub key_fault: Option<String>,
}

impl Place {
    /// [`Ledger::open`] with its key.
    pub fn open(&self) -> Result<Ledger, LedgerError> {
        Ok(Ledger::open(&self.path)?.with_key(self.key.clone()))
    }

    /// [`Ledger::read`] with its key.
    pub fn read(&self) -> Result<Ledger, LedgerError> {
        Ok(Ledger::read(&self.path)?.with_key(self.key.clone()))
    }
}

/// The repository. One writer at a time; the caller holds the instance lock (R37, R40).
pub struct Ledger {
    repository: Repository,
    signing: Signing,
}

impl Ledger {
    /// Opens the ledger, or makes an empty one with branch `main` if the folder is missing or empty.
    /// Removes lock files that a crash left: the caller's instance lock says that nobody else writes.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if is_missing_or_empty(path)? {
            let kind = gix::create::Kind::Bare;
            let create = gix::create::Options::default();
            let made = gix::ThreadSafeRepository::init_opts(path, kind, create, options());
            let made = made.map_err(|error| LedgerError::git("make the ledger", &error))?;
            durable::sync_tree(path).map_err(|error| LedgerError::io("make the ledger", &error))?;
            return Ok(Self {
                repository: made.to_thread_local(),
                signing: Signing::default(),
            });
        }
        locks::remove_stale(path)?;
        let ledger = Self::read(path)?;
        // Nothing is written on top of what git cannot read.
        ledger.shape()?;
        Ok(ledger)
    }

    /// Opens a ledger that is there, to look at it: makes and removes nothing, and may be used beside the writer.
    pub fn read(path: &Path) -> Result<Self, LedgerError> {
        if path.is_dir() {
            sound::of_files(path)?;
        }
        let repository = gix::ThreadSafeRepository::open_opts(path, options());
        let repository =
            repository.map_err(|error| LedgerError::read("open the ledger", &error))?;
        let repository = repository.to_thread_local();
        // Nothing here needs it, but without it this is no repository to git.
        let head = repository.find_reference("HEAD");
        head.map_err(|error| LedgerError::read("read HEAD", &error))?;
        Ok(Self {
            repository,
            signing: Signing::default(),
        })
    }

    /// The same with the key by which signed batches are written and verified.
    #[must_use]
    pub fn with_key(mut self, key: Option<SshSigner>) -> Self {
        self.signing.key = key;
        self
    }

    /// The same, which takes what keys of before have signed from this one where it is not here.
    #[must_use]
    fn beside(mut self, other: Option<Self>) -> Self {
        self.signing.beside = other.map(|other| other.repository);
        self
    }

    /// Where `main` stands; nothing in an empty ledger.
    pub fn head(&self) -> Result<Option<CommitId>, LedgerError> {
        let main = self.repository.try_find_reference(MAIN);
        let main = main.map_err(|error| LedgerError::read("read main", &error))?;
        // Either holds every write up, and is no state that a scribe leaves.
        let no_commit = |why: &str| LedgerError::Unreadable {
            doing: "read main",
            why: why.to_owned(),
        };
        match main {
            Some(main) => match main.target().try_id() {
                Some(id) => Ok(Some(CommitId(id.to_owned()))),
                None => Err(no_commit(
                    "it leads to another reference instead of a commit",
                )),
            },
            None if self.repository.git_dir().join(MAIN).is_dir() => {
                Err(no_commit("a folder lies in its place"))
            }
            None => Ok(None),
        }
    }

    /// Whether `main` stands at this commit; otherwise in words what is there instead.
    pub fn is_at(&self, commit: Option<&str>) -> Result<(), LedgerError> {
        let expected = commit.map(str::parse).transpose()?;
        let head = self.head()?;
        match head == expected {
            true => Ok(()),
            false => Err(verify::foreign(&self.repository, expected, head)),
        }
    }

    /// Writes a batch as one commit and moves `main` onto it. `entries` are exactly those of the batch, in order.
    ///
    /// Safe to repeat: a batch that is at the head already gives its commit again, and whatever a crash left
    /// between is overwritten with the same. On an error `main` is as it was; after success it is on disk.
    pub fn write(
        &mut self,
        batch: &LedgerBatchRow,
        entries: &[LedgerEntryRow],
    ) -> Result<CommitId, LedgerError> {
        let batch = (batch.clone(), entries.to_vec());
        let commits = self.write_all(&[batch])?;
        commits.last().copied().ok_or_else(|| {
            let why = "a batch gives no commit".to_owned();
            LedgerError::Malformed(why)
        })
    }

    fn move_main(&self, from: Option<CommitId>, to: CommitId) -> Result<(), LedgerError> {
        let expected = match from {
            Some(parent) => PreviousValue::MustExistAndMatch(Target::Object(parent.0)),
            None => PreviousValue::MustNotExist,
        };
        let main = FullName::try_from(MAIN);
        let main = main.map_err(|error| LedgerError::Git {
            doing: "name main",
            why: error.to_string(),
        })?;
        let edit = RefEdit::update(main, to.0, expected, "");
        // A bare repository keeps no log of its references, so that nobody has to sign one.
        chiffon_failpoint::hit!("ledger.main.before");
        let moved = self.repository.edit_references_as([edit], None);
        moved.map_err(|error| LedgerError::git("move main", &error))?;
        let main = self.repository.git_dir().join(MAIN);
        durable::sync_file(&main).map_err(|error| LedgerError::io("sync main", &error))
    }

    /// Holds the repository against stored rows that begin with the first batch; names the first fault.
    /// For more rows than fit into memory, feed a [`Verifier`] piece by piece.
    pub fn verify(
        &self,
        batches: &[LedgerBatchRow],
        entries: &[LedgerEntryRow],
    ) -> Result<(), Fault> {
        let mut verifier = self.verifier();
        for batch in batches {
            let from = entries.partition_point(|entry| entry.entry_no < batch.first_entry);
            let to = entries.partition_point(|entry| entry.entry_no <= batch.last_entry);
            verifier.check(batch, entries.get(from..to).unwrap_or_default())?;
        }
        verifier.finish()
    }

    /// A verifier that expects the first batch next.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(self.repository.clone(), self.signing.clone())
    }

    /// A verifier that takes this batch, which has a commit, for granted and expects the one after it next.
    pub fn verifier_after(&self, batch: &LedgerBatchRow) -> Result<Verifier, LedgerError> {
        self.verifier().after(batch)
    }
}

/// Isolated: neither a user's git configuration nor the environment may change what is written.
fn options() -> gix::open::Options {
    gix::open::Options::isolated()
        .with(gix::sec::Trust::Full)
        .open_path_as_is(true)
        // What lies there counts, and not what `git replace` would have shown in its place.
        .config_overrides(["core.useReplaceRefs=false"])
        // Room for the packs of bursts, counted when it is opened or not.
        .object_store_slots(gix::odb::store::init::Slots::Given(PACK_SLOTS))
}

fn is_missing_or_empty(path: &Path) -> Result<bool, LedgerError> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(LedgerError::io("read the ledger's folder", &error)),
    }
}

/// A batch that was written before must give the same commit again.
fn agree(batch: &LedgerBatchRow, computed: CommitId) -> Result<(), LedgerError> {
    let computed = computed.to_string();
    match &batch.commit {
        Some(stored) if *stored != computed => Err(LedgerError::Differs {
            batch_no: batch.batch_no,
            stored: stored.clone(),
            computed,
        }),
        _ => Ok(()),
    }
}

fn parent_of(batch: &LedgerBatchRow) -> Result<Option<CommitId>, LedgerError> {
    batch.parent.as_deref().map(str::parse).transpose()
}

/// Whether the objects of a commit may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Objects {
    /// Those that are there are not made again.
    Known,
    /// Nobody made them yet: looking for each in every pack would cost the more the older the ledger is. One that is
    /// there after all is there twice, which git does not mind.
    New,
}

impl Objects {
    fn write(self, repository: &Repository, object: &impl WriteTo) -> gix::Result<ObjectId> {
        match self {
            Self::Known => Ok(repository.write_object(object)?.detach()),
            Self::New => repository.objects.write(object),
        }
    }
}

/// Makes the objects of a batch's commit in a repository that writes into memory; moves nothing.
fn build(
    repository: &Repository,
    signing: &Signing,
    objects: Objects,
    batch: &LedgerBatchRow,
    entries: &[LedgerEntryRow],
) -> Result<CommitId, LedgerError> {
    let docs = docs_of(batch, entries)?;
    let parent = parent_of(batch)?;
    let tree = match parent {
        Some(parent) => tree_of(repository, parent)?,
        None => ObjectId::empty_tree(repository.object_hash()),
    };
    // Only memory is written here: what fails is the reading of what is there.
    let editing = |error: &gix::Error| LedgerError::read("make the tree", error);
    let mut editor = repository
        .edit_tree(tree)
        .map_err(|error| editing(&error))?;
    for (entry, doc) in entries.iter().zip(&docs) {
        for (path, content) in files::files(entry, doc) {
            let blob = Blob {
                data: content.into(),
            };
            let blob = objects.write(repository, &blob);
            let blob = blob.map_err(|error| editing(&error))?;
            editor
                .upsert(path.as_str(), EntryKind::Blob, blob)
                .map_err(|error| editing(&error))?;
        }
    }
    // Without gix's own check that every entry of every touched tree exists, which asks the disk a
    // hundred times a commit; the paths are made of checked names, the rest is the parent's.
    let tree = editor
        .detach()
        .write(|tree| objects.write(repository, tree));
    let tree = tree.map_err(|error: gix::Error| editing(&error))?;
    let seconds = batch.time.as_second().to_string() + " +0000";
    let signature = SignatureRef {
        name: NAME.into(),
        email: EMAIL.into(),
        time: &seconds,
    };
    let signature = signature.to_owned();
    let signature = signature.map_err(|error| LedgerError::Git {
        doing: "sign the commit",
        why: error.to_string(),
    })?;
    let mut commit = Commit {
        tree,
        parents: parent.map(|parent| parent.0).into_iter().collect(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: message::message(batch, &docs).into(),
        extra_headers: Vec::new(),
    };
    if let Some(signer) = &batch.signer {
        let stored = batch.commit.as_deref();
        let signature = signing.signature(repository, &commit, stored, signer)?;
        commit
            .extra_headers
            .push(("gpgsig".into(), signature.into()));
    }
    let commit = objects.write(repository, &commit);
    let commit = commit.map_err(|error| LedgerError::git("make the commit", &error))?;
    Ok(CommitId(commit))
}

fn tree_of(repository: &Repository, commit: CommitId) -> Result<ObjectId, LedgerError> {
    let found = repository.find_commit(commit.0);
    let tree = found.and_then(|found| found.tree_id().map(|id| id.detach()));
    tree.map_err(|error| LedgerError::object(&commit, &error))
}

/// The first line of the message of a commit that holds these entries.
pub fn subject(entries: &[LedgerEntryRow]) -> Result<String, LedgerError> {
    let docs: Result<Vec<_>, _> = entries.iter().map(doc_of).collect();
    docs.map(|docs| message::subject(&docs))
}

/// The entries' documents, if the entries are those of the batch and may be in one commit.
fn docs_of(
    batch: &LedgerBatchRow,
    entries: &[LedgerEntryRow],
) -> Result<Vec<LedgerDoc>, LedgerError> {
    let refuse = |what: &str| {
        let batch_no = batch.batch_no;
        Err(LedgerError::Malformed(format!("batch {batch_no}: {what}")))
    };
    let numbers = entries.iter().map(|entry| entry.entry_no);
    if entries.is_empty() || !numbers.eq(batch.first_entry..=batch.last_entry) {
        return refuse("the entries are not those of the batch, in order");
    }
    if entries
        .iter()
        .any(|entry| entry.tenant_id != batch.tenant_id)
    {
        return refuse("an entry is of another tenant");
    }
    if entries.len() > 1 && entries.iter().any(|entry| !entry.shares_commit) {
        return refuse("a change has a commit of its own");
    }
    entries.iter().map(doc_of).collect()
}

fn doc_of(entry: &LedgerEntryRow) -> Result<LedgerDoc, LedgerError> {
    let doc: Result<LedgerDoc, _> = serde_json::from_value(entry.doc.clone());
    let no = entry.entry_no;
    match doc {
        Ok(doc) if doc.form == FORM => match differing(entry, &doc) {
            None => Ok(doc),
            Some(column) => Err(LedgerError::Malformed(format!(
                "entry {no} says something else in its column {column} than in its document"
            ))),
        },
        Ok(doc) => Err(LedgerError::Malformed(format!(
            "entry {no} has form {}; this program knows {FORM}",
            doc.form
        ))),
        Err(error) => Err(LedgerError::Malformed(format!("entry {no}: {error}"))),
    }
}

/// The column of an entry that does not repeat its document. Times are stored to the microsecond.
fn differing(entry: &LedgerEntryRow, doc: &LedgerDoc) -> Option<&'static str> {
    let micros = |time: jiff::Timestamp| time.as_microsecond();
    if entry.request_id != doc.request_id {
        return Some("request_id");
    }
    if micros(entry.created_at) != micros(doc.ended_at) {
        return Some("created_at");
    }
    (entry.shares_commit == doc.is_change()).then_some("shares_commit")
}
