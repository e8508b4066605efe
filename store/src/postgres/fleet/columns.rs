//! Between columns and values, and sending one statement: times, numbers, ids, documents. What a row consists of is left
//! to the file of its table. Every statement is prepared once for each connection.

use std::{fmt::Display, str::FromStr};

use chiffon_common::TenantId;
use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Row, types::ToSql};

use crate::Error;

/// A parameter of a statement.
pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

/// Sends a statement; how many rows it changed.
pub(super) async fn execute<C: GenericClient>(
    client: &C,
    sql: &str,
    parameters: &[Param<'_>],
) -> Result<u64, Error> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, parameters).await?)
}

/// Sends a statement; its rows.
pub(super) async fn rows<C: GenericClient, T>(
    client: &C,
    sql: &str,
    parameters: &[Param<'_>],
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, parameters).await?;
    rows.iter().map(read).collect()
}

/// Sends a statement; its only row, if there is one.
pub(super) async fn row<C: GenericClient, T>(
    client: &C,
    sql: &str,
    parameters: &[Param<'_>],
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, parameters).await?;
    row.as_ref().map(read).transpose()
}

/// Sends a statement that gives one number.
pub(super) async fn one_number<C: GenericClient>(
    client: &C,
    sql: &str,
    parameters: &[Param<'_>],
) -> Result<u64, Error> {
    let found = row(client, sql, parameters, |row| number(row, 0)).await?;
    found.ok_or_else(|| Error::Corrupt("a number is missing".to_owned()))
}

/// A list that is narrowed by what was chosen only, so that the server sees which index serves it.
pub(super) struct Select<'a> {
    sql: String,
    parameters: Vec<Param<'a>>,
}

impl<'a> Select<'a> {
    /// Begins with a statement and its first parameters.
    pub(super) fn new(sql: &str, parameters: &[Param<'a>]) -> Self {
        Self {
            sql: sql.to_owned(),
            parameters: parameters.to_vec(),
        }
    }

    /// Adds words; each `$` in them is the next of these parameters.
    pub(super) fn with(&mut self, words: &str, parameters: &[Param<'a>]) {
        let mut parts = words.split('$');
        self.sql.push_str(parts.next().unwrap_or_default());
        for (part, parameter) in parts.zip(parameters) {
            self.parameters.push(*parameter);
            self.sql
                .push_str(&format!("${}{part}", self.parameters.len()));
        }
    }

    /// The same, where the parameter is there.
    pub(super) fn with_some<T: ToSql + Sync>(&mut self, words: &str, parameter: Option<&'a T>) {
        if let Some(parameter) = parameter {
            self.with(words, &[parameter]);
        }
    }

    /// Sends it.
    pub(super) async fn rows<C: GenericClient, T>(
        self,
        client: &C,
        read: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        rows(client, &self.sql, &self.parameters, read).await
    }
}

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
pub(super) fn page(limit: u32) -> i64 {
    i64::from(limit.clamp(1, PAGE))
}

/// A number as the server counts. What does not fit is a version that no row has.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Texts of a list of ids.
pub(super) fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// Free text. The server takes no NUL in it; the sign that stands for what cannot be shown takes its place. (In a document
/// it is written as an escape, which the server keeps.)
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Something in a document, where it is a text.
pub(super) fn said(doc: &Value, pointer: &str) -> Option<String> {
    doc.pointer(pointer).and_then(Value::as_str).map(clean)
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
pub(super) fn changed_one(changed: u64, what: impl FnOnce() -> String) -> Result<(), Error> {
    match changed {
        1 => Ok(()),
        _ => Err(Error::Conflict { what: what() }),
    }
}

/// What this crate wrote must read back.
fn unreadable(row: &Row, column: usize, error: impl Display) -> Error {
    let name = row.columns().get(column).map_or("", |column| column.name());
    Error::Corrupt(format!("column {name} cannot be read: {error}"))
}

/// Reads a number.
pub(super) fn number(row: &Row, column: usize) -> Result<u64, Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| unreadable(row, column, error))
}

/// Reads a small number.
pub(super) fn small(row: &Row, column: usize) -> Result<u32, Error> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| unreadable(row, column, error))
}

/// Reads a time.
pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp, Error> {
    let micros = Timestamp::from_microsecond(row.try_get(column)?);
    micros.map_err(|error| unreadable(row, column, error))
}

/// Reads a time that may be absent.
pub(super) fn opt_time(row: &Row, column: usize) -> Result<Option<Timestamp>, Error> {
    match row.try_get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}

/// Reads an id or a digest.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &Row, column: usize) -> Result<T, Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| unreadable(row, column, error))
}

/// Reads an id that may be absent.
pub(super) fn opt_parsed<T: FromStr<Err: Display>>(
    row: &Row,
    column: usize,
) -> Result<Option<T>, Error> {
    match row.try_get::<_, Option<&str>>(column)? {
        None => Ok(None),
        Some(_) => parsed(row, column).map(Some),
    }
}

/// Reads a document, which was selected as text.
pub(super) fn json(row: &Row, column: usize) -> Result<Value, Error> {
    let text: &str = row.try_get(column)?;
    Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
}
