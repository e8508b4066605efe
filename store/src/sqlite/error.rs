//! What SQLite says, in the words of the contract. Which errors may be retried is left to the caller.

use rusqlite::ErrorCode;

use crate::Error;

/// `SQLITE_IOERR_SHMSIZE` (sqlite.org/rescode.html): no room for the index of the write-ahead log.
const NO_ROOM_FOR_INDEX: i32 = 4874;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sqlite;
        let text = error.to_string();
        match error {
            Sqlite::SqliteFailure(failure, _) if failure.extended_code == NO_ROOM_FOR_INDEX => {
                Self::Full
            }
            Sqlite::SqliteFailure(failure, _) => of_code(failure.code, text),
            // A number or text that does not fit into SQLite at all.
            Sqlite::ToSqlConversionFailure(_) | Sqlite::NulError(_) => Self::Malformed(text),
            // What was written by this crate cannot be read back.
            Sqlite::FromSqlConversionFailure(..)
            | Sqlite::IntegralValueOutOfRange(..)
            | Sqlite::Utf8Error(..)
            | Sqlite::InvalidColumnType(..)
            | Sqlite::QueryReturnedNoRows
            | Sqlite::QueryReturnedMoreThanOneRow => Self::Corrupt(text),
            _ => Self::Unavailable(text),
        }
    }
}

fn of_code(code: ErrorCode, text: String) -> Error {
    match code {
        ErrorCode::DiskFull => Error::Full,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Error::ReadOnly(text),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(text),
        // CHECK, NOT NULL, foreign keys, triggers: uniqueness is handled where it is expected.
        ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
            Error::Malformed(text)
        }
        _ => Error::Unavailable(text),
    }
}

/// The same for an error of COMMIT itself: where the disk failed, the frames may or may not have
/// reached it, and a recovery after a crash would find them.
pub(super) fn at_commit(error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => Error::OutcomeUnknown(error.to_string()),
        _ => error.into(),
    }
}
