//! Why the store did not do what it was asked. Knows nothing of HTTP; codes are chosen by the caller.

use jiff::Timestamp;

/// The errors of every store operation. After any of them nothing of the commit is kept, except after
/// [`Error::OutcomeUnknown`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A row has another version than expected, or exists, or does not: read again and decide again.
    #[error("{what} was changed by somebody else")]
    Conflict {
        /// Which row: kind and id.
        what: String,
    },
    /// The message of the commit's inbox key was handled before; nothing is to be done but to ack it.
    #[error("message was handled before")]
    AlreadyHandled,
    /// Another owner holds the lease.
    #[error("lease {name} is held by {owner} since {since}")]
    LeaseHeld {
        /// Which lease.
        name: String,
        /// By whom.
        owner: String,
        /// Since when.
        since: Timestamp,
    },
    /// The idempotency key was used before with the same body; the stored answer is given again.
    #[error("idempotency key was used before")]
    Replay {
        /// The stored answer.
        answer: serde_json::Value,
    },
    /// The idempotency key was used before with another body.
    #[error("idempotency key was used for another body")]
    KeyReused,
    /// The row or argument is malformed: a fault of the caller.
    #[error("row cannot be stored: {0}")]
    Malformed(String),
    /// The database does not answer, or too much is queued; the same again may succeed.
    #[error("database does not answer: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("disk of the database is full")]
    Full,
    /// The database cannot be written.
    #[error("database cannot be written: {0}")]
    ReadOnly(String),
    /// Written by a later version.
    #[error("database has schema {found}; this program knows up to {known}")]
    Newer {
        /// What it has.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// Damaged, or of another program.
    #[error("database is damaged or of another program: {0}")]
    Corrupt(String),
    /// The connection broke at COMMIT: read by key before trying again (R6).
    #[error("outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
}
