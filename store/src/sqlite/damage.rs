//! What is known of damage to the file: whoever meets a damaged page meets it for all. It stays what it is until a backup is
//! put back, so nothing here is ever taken back.

use std::sync::OnceLock;

use crate::Error;

/// How SQLite says that the file itself is damaged (`SQLITE_CORRUPT`, `SQLITE_NOTADB`), and not only what was written into it.
const MALFORMED: [&str; 2] = ["is malformed", "is not a database"];

/// The first that was met, in words.
#[derive(Debug, Default)]
pub(super) struct Damage(OnceLock<String>);

impl Damage {
    pub(super) fn known(&self) -> Option<String> {
        self.0.get().cloned()
    }

    /// Looks at how an operation has ended, and hands it on.
    pub(super) fn noted<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        if let Err(error @ Error::Corrupt(why)) = &done
            && MALFORMED.iter().any(|words| why.contains(words))
        {
            self.is(error);
        }
        done
    }

    pub(super) fn is(&self, error: &Error) {
        if self.0.set(error.to_string()).is_ok() {
            tracing::error!(%error, "the file of the database is damaged; restore a backup, and keep the damaged file for inspection");
        }
    }
}
