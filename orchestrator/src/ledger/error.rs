//! Why the ledger was not written, and whether it is damaged or merely not to be had now. All of it is for
//! an alarm and a later try (R41); codes are chosen by the caller, who has
//! [`chiffon_common::ErrorCode::LedgerFault`] for it.

use std::io;

use super::Parting;

/// How the words begin where somebody else moved `main`.
pub const MOVED: &str = "main is not where the last batch left it";

/// The errors of opening and writing. After any of them `main` is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The rows make no commit: a fault of the caller.
    #[error("rows make no commit: {0}")]
    Malformed(String),
    /// `main` is not where the batch begins.
    #[error("{MOVED}: {0}")]
    Foreign(String),
    /// What lies on `main` is the ledger's own, and the database does not know it.
    #[error("{words}")]
    Parted {
        /// What of it is known to whom.
        how: Parting,
        /// In words, with the ways out.
        words: String,
    },
    /// The batch was written before as another commit: rows or program have changed since.
    #[error("batch {batch_no} was written as {stored} and gives {computed} now")]
    Differs {
        /// Which batch.
        batch_no: u64,
        /// What its row says.
        stored: String,
        /// What it gives.
        computed: String,
    },
    /// An object that must be there is missing or cannot be read; a new ledger heals it.
    #[error("object {object} is missing or damaged: {why}")]
    Damaged {
        /// Its hash.
        object: String,
        /// In git's words.
        why: String,
    },
    /// A file in which git keeps objects is not what git can read; a new ledger heals it.
    #[error("its file {file} is damaged: {why}")]
    File {
        /// Within the repository.
        file: String,
        /// In words.
        why: String,
    },
    /// Some part of the repository is missing or makes no sense; a new ledger heals it.
    #[error("could not {doing}, since the repository is damaged: {why}")]
    Unreadable {
        /// What was being done.
        doing: &'static str,
        /// In git's words.
        why: String,
    },
    /// The key here is not the one that signs.
    #[error(
        "{signer} signs the ledger, and keys/ledger.key is {ours}: nothing is lost, and nothing is signed until the old key \
         is put back from a backup, or a person says that another takes its place: chiffon explain 5511"
    )]
    Key {
        /// The key that signs, by its fingerprint.
        signer: String,
        /// The one that is here, or a word for why there is none.
        ours: String,
    },
    /// There should be a key, and there is none that could be read.
    #[error("the ledger waits, and nothing is lost: {0}")]
    KeyUnreadable(String),
    /// A commit that a replaced key has signed is nowhere here, and nobody else can sign it.
    #[error(
        "commit {commit} was signed by {signer}, a key that is not here, and is not here itself: put it back from a clone or \
         from the remote of the ledger (`git fetch`), or put that key back as keys/ledger.key for one start, and then this one again"
    )]
    Lost {
        /// The commit.
        commit: String,
        /// The key that signed it, by its fingerprint.
        signer: String,
    },
    /// The repository or its disk refuses.
    #[error("could not {doing}: {why}")]
    Git {
        /// What was being done.
        doing: &'static str,
        /// In git's words.
        why: String,
    },
}

impl LedgerError {
    /// Whether the files of the repository are at fault, so that making it anew from the rows helps. A disk that is
    /// full, fails or forbids is no damage, and neither is what somebody else committed.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::File { .. } | Self::Unreadable { .. }
        )
    }

    /// An error of writing: damage only where git says so.
    pub(super) fn git(doing: &'static str, error: &gix::Error) -> Self {
        let damage = error.is_corrupted() || error.is_not_found();
        Self::judged(doing, error, damage)
    }

    /// An error of reading what must be readable: damage unless the machine or a limit is the reason.
    pub(super) fn read(doing: &'static str, error: &gix::Error) -> Self {
        let other = error.is_unsupported() || error.is_resource_exhausted();
        Self::judged(doing, error, !other && !error.is_conflict())
    }

    fn judged(doing: &'static str, error: &gix::Error, damage: bool) -> Self {
        let why = words(error);
        let refused = error
            .iter_errors()
            .filter_map(|one| one.downcast_ref::<io::Error>())
            .any(|one| !of_content(one.kind()));
        match damage && !refused {
            true => Self::Unreadable { doing, why },
            false => Self::Git { doing, why },
        }
    }

    /// An object that could not be read; see [`LedgerError::read`] for what counts as damage.
    pub(super) fn object(object: &impl ToString, error: &gix::Error) -> Self {
        match Self::read("read an object", error) {
            Self::Unreadable { why, .. } => Self::Damaged {
                object: object.to_string(),
                why,
            },
            other => other,
        }
    }

    pub(super) fn io(doing: &'static str, error: &io::Error) -> Self {
        let why = error.to_string();
        match of_content(error.kind()) {
            true => Self::Unreadable { doing, why },
            false => Self::Git { doing, why },
        }
    }
}

/// What a missing or garbled file gives, as opposed to a disk that refuses.
fn of_content(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::NotFound
            | Kind::InvalidData
            | Kind::UnexpectedEof
            | Kind::NotADirectory
            | Kind::IsADirectory
            // What inflating garbled bytes gives.
            | Kind::InvalidInput
    )
}

/// The outermost words say what was tried, the cause says why it failed.
fn words(error: &gix::Error) -> String {
    let (outer, cause) = (error.to_string(), error.probable_cause().to_string());
    match outer.contains(&cause) {
        true => outer,
        false => format!("{outer}: {cause}"),
    }
}
