//! Why the ledger was not written. All of it is for an alarm and a later try (R41); codes are chosen by the
//! caller, who has [`chiffon_common::ErrorCode::LedgerFault`] for it.

/// The errors of opening and writing. After any of them `main` is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The rows make no commit: a fault of the caller.
    #[error("rows make no commit: {0}")]
    Malformed(String),
    /// `main` is not where the batch begins.
    #[error("main is not where the last batch left it: {0}")]
    Foreign(String),
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
    pub(super) fn git(doing: &'static str, error: &gix::Error) -> Self {
        let why = error.to_string();
        Self::Git { doing, why }
    }

    pub(super) fn io(doing: &'static str, error: &std::io::Error) -> Self {
        let why = error.to_string();
        Self::Git { doing, why }
    }
}
