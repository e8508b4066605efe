//! Tables `ledger_entries` and `ledger_batches`: the ledger's outbox and its commits.

use chiffon_common::{RequestId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{json, micros, owned, parsed, time};
use crate::{Error, LedgerBatchRow, LedgerEntryRow};

macro_rules! select_batches {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, batch_no, first_entry, last_entry, time, parent, commit_id, signer
             FROM ledger_batches WHERE tenant_id = ?1 ",
            $rest
        )
    };
}

/// Adds an entry with the next number.
pub(super) fn append(
    conn: &Connection,
    tenant: &TenantId,
    row: &LedgerEntryRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "ledger entry")?;
    let sql = "INSERT INTO ledger_entries (tenant_id, entry_no, request_id, shares_commit, created_at, doc)
               VALUES (?1, (SELECT coalesce(max(entry_no), 0) + 1 FROM ledger_entries WHERE tenant_id = ?1),
                       ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        row.request_id.to_string(),
        row.shares_commit,
        micros(row.created_at),
        row.doc.to_string()
    ])?;
    Ok(())
}

/// Decides a batch, or notes that one was written; the same again is harmless.
pub(super) fn write_batch(
    conn: &Connection,
    tenant: &TenantId,
    row: &LedgerBatchRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "ledger batch")?;
    match find(conn, tenant, row.batch_no)? {
        None => decide(conn, tenant, row),
        Some(found) if !same_but_commit(&found, row) => Err(conflict(row)),
        Some(found) if found.commit == row.commit || row.commit.is_none() => Ok(()),
        Some(found) if found.commit.is_some() => Err(conflict(row)),
        Some(_) => {
            let sql = "UPDATE ledger_batches SET commit_id = ?3
                       WHERE tenant_id = ?1 AND batch_no = ?2";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                row.batch_no,
                row.commit
            ])?;
            Ok(())
        }
    }
}

/// Inserts a batch, which must follow the last one and hold entries that exist.
fn decide(conn: &Connection, tenant: &TenantId, row: &LedgerBatchRow) -> Result<(), Error> {
    let before = last(conn, tenant)?.map_or((0, 0), |one| (one.batch_no, one.last_entry));
    if (row.batch_no, row.first_entry) != (before.0 + 1, before.1 + 1) {
        return Err(conflict(row));
    }
    let sql = "SELECT count(*) FROM ledger_entries WHERE tenant_id = ?1 AND entry_no = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    let exists: u64 =
        statement.query_row(params![tenant.as_str(), row.last_entry], |row| row.get(0))?;
    if exists == 0 {
        let text = format!(
            "ledger batch {} holds entries that are not there",
            row.batch_no
        );
        return Err(Error::Malformed(text));
    }
    let sql = "INSERT INTO ledger_batches
                   (tenant_id, batch_no, first_entry, last_entry, time, parent, commit_id, signer)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        row.batch_no,
        row.first_entry,
        row.last_entry,
        micros(row.time),
        row.parent,
        row.commit,
        row.signer
    ])?;
    Ok(())
}

fn same_but_commit(a: &LedgerBatchRow, b: &LedgerBatchRow) -> bool {
    let key = |row: &LedgerBatchRow| (row.first_entry, row.last_entry, micros(row.time));
    key(a) == key(b) && a.parent == b.parent && a.signer == b.signer
}

fn conflict(row: &LedgerBatchRow) -> Error {
    Error::Conflict {
        what: format!("ledger batch {}", row.batch_no),
    }
}

fn find(
    conn: &Connection,
    tenant: &TenantId,
    batch_no: u64,
) -> Result<Option<LedgerBatchRow>, Error> {
    let mut statement = conn.prepare_cached(select_batches!("AND batch_no = ?2"))?;
    let found = statement.query_row(params![tenant.as_str(), batch_no], batch);
    Ok(found.optional()?)
}

/// The last batch.
pub(super) fn last(conn: &Connection, tenant: &TenantId) -> Result<Option<LedgerBatchRow>, Error> {
    let sql = select_batches!("ORDER BY batch_no DESC LIMIT 1");
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.query_row([tenant.as_str()], batch).optional()?)
}

/// Batches after a number, lowest first.
pub(super) fn batches(
    conn: &Connection,
    tenant: &TenantId,
    after: u64,
    limit: u32,
) -> Result<Vec<LedgerBatchRow>, Error> {
    let sql = select_batches!("AND batch_no > ?2 ORDER BY batch_no LIMIT ?3");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![tenant.as_str(), after, limit], batch)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Entries after a number, lowest first.
pub(super) fn entries(
    conn: &Connection,
    tenant: &TenantId,
    after: u64,
    limit: u32,
) -> Result<Vec<LedgerEntryRow>, Error> {
    let sql = "SELECT tenant_id, entry_no, request_id, shares_commit, created_at, doc
               FROM ledger_entries WHERE tenant_id = ?1 AND entry_no > ?2
               ORDER BY entry_no LIMIT ?3";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![tenant.as_str(), after, limit], entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The last entry of a request.
pub(super) fn entry_of(
    conn: &Connection,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Option<LedgerEntryRow>, Error> {
    let sql = "SELECT tenant_id, entry_no, request_id, shares_commit, created_at, doc
               FROM ledger_entries WHERE request_id = ?1 AND tenant_id = ?2
               ORDER BY entry_no DESC LIMIT 1";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row(params![request.to_string(), tenant.as_str()], entry);
    Ok(found.optional()?)
}

/// The commit that holds the last written entry of a request.
pub(super) fn commit_of(conn: &Connection, request: RequestId) -> Result<Option<String>, Error> {
    // The batch of an entry is the last one that begins at or before it: batches have no holes.
    let sql = "SELECT (SELECT CASE WHEN b.last_entry >= e.entry_no THEN b.commit_id END
                       FROM ledger_batches b
                       WHERE b.tenant_id = e.tenant_id AND b.first_entry <= e.entry_no
                       ORDER BY b.first_entry DESC LIMIT 1) AS written
               FROM ledger_entries e WHERE e.request_id = ?1 AND written IS NOT NULL
               ORDER BY e.entry_no DESC LIMIT 1";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([request.to_string()], |row| row.get(0));
    Ok(found.optional()?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<LedgerEntryRow> {
    Ok(LedgerEntryRow {
        tenant_id: parsed(row, 0)?,
        entry_no: row.get(1)?,
        request_id: parsed(row, 2)?,
        shares_commit: row.get(3)?,
        created_at: time(row, 4)?,
        doc: json(row, 5)?,
    })
}

fn batch(row: &Row<'_>) -> rusqlite::Result<LedgerBatchRow> {
    Ok(LedgerBatchRow {
        tenant_id: parsed(row, 0)?,
        batch_no: row.get(1)?,
        first_entry: row.get(2)?,
        last_entry: row.get(3)?,
        time: time(row, 4)?,
        parent: row.get(5)?,
        commit: row.get(6)?,
        signer: row.get(7)?,
    })
}
