//! Tables `audit_log`, `audit_numbers`, `audit_seals` and `audit_streams`: the chain (S66). Holding it
//! against itself is left to `crate::verify`.

use chiffon_common::{AuditEntry, AuditRecord, GENESIS, RequestId, TenantId};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{apply::Batch, columns::owned, stream};
use crate::{AuditSeal, Error, NumberedAudit};

/// Chains an entry in its stream and numbers it and its events; the number.
pub(super) fn append(
    batch: &mut Batch<'_>,
    tenant: &TenantId,
    entry: &AuditEntry,
) -> Result<u64, Error> {
    owned(tenant, &entry.tenant_id, "audit record")?;
    let conn = batch.conn();
    let (position, previous) = next_place(conn, tenant, &entry.stream)?;
    let malformed = |error: &dyn std::error::Error| Error::Malformed(error.to_string());
    let record = AuditRecord::chain(entry.clone(), position, previous);
    let record = record.map_err(|error| malformed(&error))?;
    let json = serde_json::to_string(entry).map_err(|error| malformed(&error))?;
    insert(conn, &record, &json)?;
    let seq = batch.number(record.hash.clone())?;
    let sql = "INSERT INTO audit_numbers (seq, tenant_id, audit_id) VALUES (?1, ?2, ?3)";
    let id = entry.audit_id.to_string();
    conn.prepare_cached(sql)?
        .execute(params![seq, tenant.as_str(), id])?;
    stream::number_record(batch, tenant, &id, entry.event_count())?;
    let sql = "INSERT INTO audit_streams (stream, tenant_id, position, hash) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (stream) DO UPDATE SET position = excluded.position, hash = excluded.hash";
    conn.prepare_cached(sql)?.execute(params![
        entry.stream,
        tenant.as_str(),
        position,
        record.hash
    ])?;
    Ok(seq)
}

fn insert(conn: &Connection, record: &AuditRecord, json: &str) -> Result<(), Error> {
    let entry = &record.entry;
    let sql = "INSERT INTO audit_log (audit_id, tenant_id, stream, position, previous, hash, entry)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (audit_id) DO NOTHING";
    let written = conn.prepare_cached(sql)?.execute(params![
        entry.audit_id.to_string(),
        entry.tenant_id.as_str(),
        entry.stream,
        record.position,
        record.previous,
        record.hash,
        json
    ])?;
    super::columns::changed_one(written, || format!("audit record {}", entry.audit_id))
}

/// Position and predecessor of the next record of a stream.
fn next_place(conn: &Connection, tenant: &TenantId, stream: &str) -> Result<(u64, String), Error> {
    let sql = "SELECT tenant_id, position, hash FROM audit_streams WHERE stream = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let head = statement.query_row([stream], |row| {
        let owner: String = row.get(0)?;
        Ok((owner, row.get::<_, u64>(1)?, row.get(2)?))
    });
    match head.optional()? {
        None => Ok((0, GENESIS.to_owned())),
        Some((owner, position, hash)) if owner == tenant.as_str() => Ok((position + 1, hash)),
        Some((owner, ..)) => Err(Error::Malformed(format!(
            "audit stream {stream} belongs to tenant {owner}"
        ))),
    }
}

/// The last number given; 0 for none.
pub(super) fn last_seq(conn: &Connection) -> Result<u64, Error> {
    let mut statement = conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM audit_numbers")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Seals the records of a transaction.
pub(super) fn seal(conn: &Connection, first_seq: u64, hashes: &[String]) -> Result<(), Error> {
    let before = last_seal(conn)?;
    let seal = AuditSeal::over(before.as_ref(), first_seq, hashes);
    let sql = "INSERT INTO audit_seals (seal_no, first_seq, last_seq, root, previous, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    conn.prepare_cached(sql)?.execute(params![
        seal.seal_no,
        seal.first_seq,
        seal.last_seq,
        seal.root,
        seal.previous,
        seal.hash
    ])?;
    Ok(())
}

/// The last seal.
pub(super) fn last_seal(conn: &Connection) -> Result<Option<AuditSeal>, Error> {
    let sql = "SELECT seal_no, first_seq, last_seq, root, previous, hash FROM audit_seals
               ORDER BY seal_no DESC LIMIT 1";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([], sealed).optional()?)
}

/// Seals after a seal number, lowest first.
pub(super) fn seals_after(
    conn: &Connection,
    seal_no: u64,
    limit: u32,
) -> Result<Vec<AuditSeal>, Error> {
    let sql = "SELECT seal_no, first_seq, last_seq, root, previous, hash FROM audit_seals
               WHERE seal_no > ?1 ORDER BY seal_no LIMIT ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![seal_no, limit], sealed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Numbered records after a number, lowest first.
pub(super) fn after(conn: &Connection, seq: u64, limit: u32) -> Result<Vec<NumberedAudit>, Error> {
    let sql = "SELECT n.seq, l.position, l.previous, l.hash, l.entry
               FROM audit_numbers n JOIN audit_log l ON l.audit_id = n.audit_id
               WHERE n.seq > ?1 ORDER BY n.seq LIMIT ?2";
    records(conn, sql, params![seq, limit])
}

/// Numbered records of one stream, in its order.
pub(super) fn of_stream(conn: &Connection, stream: &str) -> Result<Vec<NumberedAudit>, Error> {
    let sql = "SELECT n.seq, l.position, l.previous, l.hash, l.entry
               FROM audit_log l JOIN audit_numbers n ON n.audit_id = l.audit_id
               WHERE l.stream = ?1 ORDER BY l.position";
    records(conn, sql, params![stream])
}

/// The last numbered record of one stream.
pub(super) fn last_of_stream(
    conn: &Connection,
    stream: &str,
) -> Result<Option<NumberedAudit>, Error> {
    let sql = "SELECT n.seq, l.position, l.previous, l.hash, l.entry
               FROM audit_log l JOIN audit_numbers n ON n.audit_id = l.audit_id
               WHERE l.stream = ?1 ORDER BY l.position DESC LIMIT 1";
    Ok(records(conn, sql, params![stream])?.pop())
}

/// The record that names a request as forgotten. The index holds those records alone, of which there is one for many
/// requests.
pub(super) fn forgotten_by(
    conn: &Connection,
    request: RequestId,
) -> Result<Option<NumberedAudit>, Error> {
    let sql = "SELECT n.seq, l.position, l.previous, l.hash, l.entry
               FROM audit_log l INDEXED BY audit_of_forgotten
               JOIN audit_numbers n ON n.audit_id = l.audit_id
               WHERE instr(l.entry, '\"action\":\"history.forgotten\"') > 0 AND instr(l.entry, ?1) > 0
               ORDER BY n.seq DESC";
    let found = records(conn, sql, params![request.to_string()])?;
    let names = |one: &NumberedAudit| {
        let mut named = one.record.entry.forgotten_requests();
        named.any(|named| named == request)
    };
    Ok(found.into_iter().find(names))
}

fn records(
    conn: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<Vec<NumberedAudit>, Error> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(record(row)?);
    }
    Ok(found)
}

/// A numbered record from the first five columns of a row.
pub(super) fn record(row: &Row<'_>) -> Result<NumberedAudit, Error> {
    let seq: u64 = row.get(0)?;
    let json: String = row.get(4)?;
    let entry = serde_json::from_str(&json)
        .map_err(|error| Error::Corrupt(format!("audit record {seq} cannot be read: {error}")))?;
    Ok(NumberedAudit {
        seq,
        record: AuditRecord {
            entry,
            position: row.get(1)?,
            previous: row.get(2)?,
            hash: row.get(3)?,
        },
    })
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<AuditSeal> {
    Ok(AuditSeal {
        seal_no: row.get(0)?,
        first_seq: row.get(1)?,
        last_seq: row.get(2)?,
        root: row.get(3)?,
        previous: row.get(4)?,
        hash: row.get(5)?,
    })
}
