//! Between columns and values: times, numbers, ids, JSON. What a row consists of is left to the file of
//! its table.

use std::{error::Error as StdError, str::FromStr};

use chiffon_common::TenantId;
use jiff::Timestamp;
use rusqlite::{Row, types::Type};
use serde_json::Value;

use crate::Error;

/// A time as it is stored: whole microseconds since 1970.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// The same for a time that may be absent.
pub(super) fn opt_micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(micros)
}

/// The largest page of a list.
const PAGE: u32 = 1000;

/// How many rows a page may have.
pub(super) fn page(limit: u32) -> u32 {
    limit.clamp(1, PAGE)
}

/// Where a list that runs newest first goes on; its beginning, where nothing was seen yet.
pub(super) fn cursor<T: ToString>(after: Option<&(Timestamp, T)>) -> (i64, String) {
    match after {
        Some((time, id)) => (micros(*time), id.to_string()),
        None => (i64::MAX, String::new()),
    }
}

/// A JSON array of texts, which stands for a list of any length in a fixed SQL text.
pub(super) fn text_list<T: ToString>(items: impl IntoIterator<Item = T>) -> Result<String, Error> {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    serde_json::to_string(&texts).map_err(|error| Error::Malformed(error.to_string()))
}

/// Refuses a row of one owner in the commit of another.
pub(super) fn owned(tenant: &TenantId, row: &TenantId, what: &str) -> Result<(), Error> {
    if tenant == row {
        return Ok(());
    }
    Err(Error::Malformed(format!(
        "{what} of tenant {row} in a commit of tenant {tenant}"
    )))
}

/// What to answer when a row was expected to change and did not.
pub(super) fn changed_one(changed: usize, what: impl FnOnce() -> String) -> Result<(), Error> {
    match changed {
        1 => Ok(()),
        _ => Err(Error::Conflict { what: what() }),
    }
}

fn unreadable(
    column: usize,
    kind: Type,
    error: impl StdError + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// Reads a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|error| unreadable(column, Type::Integer, error))
}

/// Reads a time that may be absent.
pub(super) fn opt_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}

/// Reads an id or a digest.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse()
        .map_err(|error| unreadable(column, Type::Text, error))
}

/// Reads an id that may be absent.
pub(super) fn opt_parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: StdError + Send + Sync + 'static,
{
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some(_) => parsed(row, column).map(Some),
    }
}

/// Reads a JSON document. What is none any more is given as the text that it is: one spoiled row must not take those
/// beside it away, and whoever knows what a row means will name it.
pub(super) fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    let text = String::from_utf8_lossy(bytes);
    Ok(serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned())))
}
