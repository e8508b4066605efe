//! Table `execution_logs`: output lines, numbered within their request.

use chiffon_common::{RequestId, TenantId};
use rusqlite::{Connection, Row, params};

use super::columns::{micros, parsed, time};
use crate::{Error, LogRow, NewLogLine};

/// Adds lines in order.
pub(super) fn append(
    conn: &Connection,
    tenant: &TenantId,
    lines: &[NewLogLine],
) -> Result<(), Error> {
    let sql = "INSERT INTO execution_logs (request_id, id, tenant_id, task_id, attempt, ts, line)
               VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM execution_logs WHERE request_id = ?1),
                       ?2, ?3, ?4, ?5, ?6)";
    let mut statement = conn.prepare_cached(sql)?;
    for line in lines {
        statement.execute(params![
            line.request_id.to_string(),
            tenant.as_str(),
            line.task_id.to_string(),
            line.attempt,
            micros(line.ts),
            line.line
        ])?;
    }
    Ok(())
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

fn line(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        id: row.get(0)?,
        task_id: parsed(row, 1)?,
        attempt: row.get(2)?,
        ts: time(row, 3)?,
        line: row.get(4)?,
    })
}
