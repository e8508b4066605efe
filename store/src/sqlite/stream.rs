//! Table `event_numbers`: the places of the event stream (R42). An audit record is as many events as it
//! has moves, and at least one; lines that came together are one.

use std::ops::RangeInclusive;

use chiffon_common::{RequestId, TenantId};
use rusqlite::{Connection, Row, params};

use super::{apply::Batch, audit, columns::opt_parsed, logs};
use crate::{Error, StreamRow, StreamSource};

/// The largest page: smaller rows than those of the lists, and a follower that is behind asks often.
const PAGE: u32 = 1000;

/// The last number.
pub(super) const HEAD: &str = "SELECT coalesce(max(last_event), 0) FROM event_numbers";

/// Parameters: the number after which, and how many places. Its first columns are those of
/// [`audit::record`].
pub(super) const PAGE_OF: &str = "SELECT n.seq, l.position, l.previous, l.hash, l.entry,
            e.first_event, e.last_event, e.request_id, e.first_line, e.last_line, r.project_id
     FROM event_numbers e
     LEFT JOIN audit_numbers n ON n.audit_id = e.audit_id
     LEFT JOIN audit_log l ON l.audit_id = e.audit_id
     LEFT JOIN requests r ON r.request_id = e.request_id
     WHERE e.last_event > ?1 ORDER BY e.last_event LIMIT ?2";

/// Gives an audit record its place.
pub(super) fn number_record(
    batch: &mut Batch<'_>,
    tenant: &TenantId,
    audit_id: &str,
    events: u64,
) -> Result<(), Error> {
    let place = batch.place(events)?;
    let sql = "INSERT INTO event_numbers (last_event, first_event, tenant_id, audit_id)
               VALUES (?1, ?2, ?3, ?4)";
    batch.conn().prepare_cached(sql)?.execute(params![
        place.end(),
        place.start(),
        tenant.as_str(),
        audit_id
    ])?;
    Ok(())
}

/// Gives lines of a request, which must be the tenant's, their place.
pub(super) fn number_lines(
    batch: &mut Batch<'_>,
    tenant: &TenantId,
    request: &str,
    lines: &RangeInclusive<u64>,
) -> Result<(), Error> {
    let number = batch.place(1)?;
    let sql = "INSERT INTO event_numbers (last_event, first_event, tenant_id, request_id, first_line, last_line)
               SELECT ?1, ?1, tenant_id, request_id, ?4, ?5 FROM requests
               WHERE request_id = ?3 AND tenant_id = ?2";
    let written = batch.conn().prepare_cached(sql)?.execute(params![
        number.end(),
        tenant.as_str(),
        request,
        lines.start(),
        lines.end()
    ])?;
    match written {
        1 => Ok(()),
        _ => Err(Error::Malformed(format!(
            "output lines of request {request}, which tenant {tenant} does not have"
        ))),
    }
}

/// The number of the last event; 0 for none.
pub(super) fn head(conn: &Connection) -> Result<u64, Error> {
    let mut statement = conn.prepare_cached(HEAD)?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Places that end after a number, lowest first.
pub(super) fn after(conn: &Connection, after: u64, limit: u32) -> Result<Vec<StreamRow>, Error> {
    let mut statement = conn.prepare_cached(PAGE_OF)?;
    let mut rows = statement.query(params![after, limit.clamp(1, PAGE)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(StreamRow {
            first: row.get(5)?,
            last: row.get(6)?,
            source: source(conn, row)?,
        });
    }
    Ok(found)
}

fn source(conn: &Connection, row: &Row<'_>) -> Result<StreamSource, Error> {
    let Some(request_id) = opt_parsed::<RequestId>(row, 7)? else {
        return Ok(StreamSource::Record(Box::new(audit::record(row)?)));
    };
    Ok(StreamSource::Lines {
        request_id,
        // Of a request that was forgotten nobody knows it any more, and nothing is left to show.
        project_id: opt_parsed(row, 10)?.unwrap_or_default(),
        lines: logs::between(conn, request_id, row.get(8)?..=row.get(9)?)?,
    })
}
