//! Table `execution_logs`: output lines, numbered within their request.

use std::ops::RangeInclusive;

use chiffon_common::{RequestId, TenantId};
use rusqlite::{Connection, Row, params};

use super::{
    apply::Batch,
    columns::{micros, parsed, time},
    stream,
};
use crate::{Error, LogRow, NewLogLine};

/// The last number of a line that is there.
pub(super) const LAST_LINE: &str =
    "SELECT coalesce(max(id), 0) FROM execution_logs WHERE request_id = ?1";

/// The last number of a line that has a place in the event stream, there or forgotten.
pub(super) const LAST_PLACE: &str =
    "SELECT coalesce(max(last_line), 0) FROM event_numbers WHERE request_id = ?1";

/// Adds lines in order. What one attempt said without another between is one place of the event stream.
pub(super) fn append(
    batch: &mut Batch<'_>,
    tenant: &TenantId,
    lines: &[NewLogLine],
) -> Result<(), Error> {
    let attempt = |line: &NewLogLine| (line.request_id, line.task_id, line.attempt);
    for run in lines.chunk_by(|a, b| attempt(a) == attempt(b)) {
        if let [first, ..] = run {
            let request = first.request_id.to_string();
            let ids = insert(batch.conn(), tenant, &request, run)?;
            stream::number_lines(batch, tenant, &request, &ids)?;
        }
    }
    Ok(())
}

/// Inserts lines of one request; their numbers, without a hole between them.
fn insert(
    conn: &Connection,
    tenant: &TenantId,
    request: &str,
    lines: &[NewLogLine],
) -> Result<RangeInclusive<u64>, Error> {
    let first = next_id(conn, request)?;
    let sql = "INSERT INTO execution_logs (request_id, id, tenant_id, task_id, attempt, ts, line)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut statement = conn.prepare_cached(sql)?;
    let mut next = first;
    for line in lines {
        statement.execute(params![
            request,
            next,
            tenant.as_str(),
            line.task_id.to_string(),
            line.attempt,
            micros(line.ts),
            line.line
        ])?;
        next += 1;
    }
    Ok(first..=next - 1)
}

/// The number of a request's next line. The event stream is asked as well: a number whose line was
/// forgotten must not come again, or that line's place would show another.
fn next_id(conn: &Connection, request: &str) -> Result<u64, Error> {
    let last = |sql| {
        conn.prepare_cached(sql)?
            .query_row([request], |row| row.get::<_, u64>(0))
    };
    Ok(1 + last(LAST_LINE)?.max(last(LAST_PLACE)?))
}

/// Lines after a number, oldest first.
pub(super) fn after(
    conn: &Connection,
    request: RequestId,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, Error> {
    let sql = "SELECT id, task_id, attempt, ts, line FROM execution_logs
               WHERE request_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![request.to_string(), after, limit], line)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lines of these numbers, as far as they were not forgotten.
pub(super) fn between(
    conn: &Connection,
    request: RequestId,
    ids: RangeInclusive<u64>,
) -> Result<Vec<LogRow>, Error> {
    let sql = "SELECT id, task_id, attempt, ts, line FROM execution_logs
               WHERE request_id = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let parameters = params![request.to_string(), ids.start(), ids.end()];
    let rows = statement.query_map(parameters, line)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn line(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        id: row.get(0)?,
        task_id: parsed(row, 1)?,
        attempt: row.get(2)?,
        ts: time(row, 3)?,
        line: row.get(4)?,
    })
}
