//! What Postgres says, in the words of the contract (its appendix A: error codes). Which errors may be tried again is left
//! to the caller.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::Error as Postgres;

use crate::Error;

impl From<Postgres> for Error {
    fn from(error: Postgres) -> Self {
        let Some(code) = error.code() else {
            return Self::Unavailable(words(&error));
        };
        of_code(code.code(), words(&error))
    }
}

/// The library's own text says "db error" and leaves the rest to its cause.
fn words(error: &Postgres) -> String {
    let cause = error.source().map(ToString::to_string);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn of_code(code: &str, text: String) -> Error {
    match code {
        // disk_full
        "53100" => Error::Full,
        // read_only_sql_transaction, insufficient_privilege
        "25006" | "42501" => Error::ReadOnly(text),
        // query_canceled (statement_timeout), lock_not_available, the server starting or stopping
        "57014" | "55P03" => Error::Unavailable(text),
        _ => match code.get(..2) {
            // Data that no column takes, constraints, triggers.
            Some("22" | "23") => Error::Malformed(text),
            // A table or column that is not as this program left it; damaged pages.
            Some("42" | "XX") => Error::Corrupt(text),
            _ => Error::Unavailable(text),
        },
    }
}

/// An error of COMMIT itself. Where the server judged the transaction it is as any other; where it went away or the
/// connection broke, it may have been written.
pub(super) fn at_commit(error: &Postgres) -> Error {
    let judged = |code: &str| matches!(code.get(..2), Some("22" | "23" | "25" | "40" | "53"));
    match error.code() {
        Some(code) if judged(code.code()) => of_code(code.code(), words(error)),
        _ => Error::OutcomeUnknown(words(error)),
    }
}

/// No connection could be had.
pub(super) fn of_pool(error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => match Error::from(error) {
            // A password that is wrong now may be right after a change: it passes, and its words say what it is.
            Error::Unavailable(text) => Error::Unavailable(text),
            other => other,
        },
        other => Error::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        let told = |code: &str| of_code(code, code.to_owned());
        for code in [
            "40001", "40P01", "57P01", "57P03", "08006", "53300", "57014", "55P03",
        ] {
            assert!(matches!(told(code), Error::Unavailable(_)), "{code}");
        }
        assert!(matches!(told("53100"), Error::Full));
        assert!(matches!(told("25006"), Error::ReadOnly(_)));
        assert!(matches!(told("42P01"), Error::Corrupt(_)));
        assert!(matches!(told("23505"), Error::Malformed(_)));
    }
}
