//! Tables `ledger_entries` and `ledger_batches`: the ledger's outbox and its commits.

use chiffon_common::{RequestId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::columns::{bigint, execute, json, micros, number, owned, parsed, row, rows, time};
use crate::{Error, LedgerBatchRow, LedgerEntryRow};

const BATCHES: &str =
    "SELECT tenant_id, batch_no, first_entry, last_entry, time, parent, commit_id, signer
     FROM ledger_batches WHERE tenant_id = $1";

const ENTRIES: &str = "SELECT tenant_id, entry_no, request_id, shares_commit, created_at, doc::text
     FROM ledger_entries WHERE tenant_id = $1";

/// Adds an entry with the next number.
pub(super) async fn append(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &LedgerEntryRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "ledger entry")?;
    let sql = "INSERT INTO ledger_entries (tenant_id, entry_no, request_id, shares_commit, created_at, doc)
               VALUES ($1, (SELECT coalesce(max(entry_no), 0) + 1 FROM ledger_entries WHERE tenant_id = $1),
                       $2, $3, $4, $5::text::json)";
    let (request, doc) = (row.request_id.to_string(), row.doc.to_string());
    let at = micros(row.created_at);
    execute(
        tx,
        sql,
        &[&tenant.as_str(), &request, &row.shares_commit, &at, &doc],
    )
    .await?;
    Ok(())
}

/// Decides a batch, or notes that one was written; the same again is harmless.
pub(super) async fn write_batch(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    row: &LedgerBatchRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "ledger batch")?;
    match find(tx, tenant, row.batch_no).await? {
        None => decide(tx, tenant, row).await,
        Some(found) if !same_but_commit(&found, row) => Err(conflict(row)),
        Some(found) if found.commit == row.commit || row.commit.is_none() => Ok(()),
        Some(found) if found.commit.is_some() => Err(conflict(row)),
        Some(_) => {
            let sql =
                "UPDATE ledger_batches SET commit_id = $3 WHERE tenant_id = $1 AND batch_no = $2";
            let number = bigint(row.batch_no);
            execute(tx, sql, &[&tenant.as_str(), &number, &row.commit]).await?;
            Ok(())
        }
    }
}

/// Inserts a batch, which must follow the last one and hold entries that exist.
async fn decide(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    batch: &LedgerBatchRow,
) -> Result<(), Error> {
    let before = last(tx, tenant).await?;
    let before = before.map_or((0, 0), |one| (one.batch_no, one.last_entry));
    if (batch.batch_no, batch.first_entry) != (before.0 + 1, before.1 + 1) {
        return Err(conflict(batch));
    }
    let last_entry = bigint(batch.last_entry);
    let sql = "SELECT 1 FROM ledger_entries WHERE tenant_id = $1 AND entry_no = $2";
    let there = row(tx, sql, &[&tenant.as_str(), &last_entry], |_| Ok(())).await?;
    if there.is_none() {
        return Err(Error::Malformed(format!(
            "ledger batch {} holds entries that are not there",
            batch.batch_no
        )));
    }
    let sql = "INSERT INTO ledger_batches
                   (tenant_id, batch_no, first_entry, last_entry, time, parent, commit_id, signer)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    execute(
        tx,
        sql,
        &[
            &tenant.as_str(),
            &bigint(batch.batch_no),
            &bigint(batch.first_entry),
            &last_entry,
            &micros(batch.time),
            &batch.parent,
            &batch.commit,
            &batch.signer,
        ],
    )
    .await?;
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

async fn find(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    batch_no: u64,
) -> Result<Option<LedgerBatchRow>, Error> {
    let sql = format!("{BATCHES} AND batch_no = $2");
    row(tx, &sql, &[&tenant.as_str(), &bigint(batch_no)], batch).await
}

/// The last batch.
pub(super) async fn last<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
) -> Result<Option<LedgerBatchRow>, Error> {
    let sql = format!("{BATCHES} ORDER BY batch_no DESC LIMIT 1");
    row(client, &sql, &[&tenant.as_str()], batch).await
}

/// Batches after a number, lowest first.
pub(super) async fn batches<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    after: u64,
    limit: u32,
) -> Result<Vec<LedgerBatchRow>, Error> {
    let sql = format!("{BATCHES} AND batch_no > $2 ORDER BY batch_no LIMIT $3");
    let (after, limit) = (bigint(after), i64::from(limit));
    rows(client, &sql, &[&tenant.as_str(), &after, &limit], batch).await
}

/// Entries after a number, lowest first.
pub(super) async fn entries<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    after: u64,
    limit: u32,
) -> Result<Vec<LedgerEntryRow>, Error> {
    let sql = format!("{ENTRIES} AND entry_no > $2 ORDER BY entry_no LIMIT $3");
    let (after, limit) = (bigint(after), i64::from(limit));
    rows(client, &sql, &[&tenant.as_str(), &after, &limit], entry).await
}

/// The last entry of a request.
pub(super) async fn entry_of<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Option<LedgerEntryRow>, Error> {
    let sql = format!("{ENTRIES} AND request_id = $2 ORDER BY entry_no DESC LIMIT 1");
    row(
        client,
        &sql,
        &[&tenant.as_str(), &request.to_string()],
        entry,
    )
    .await
}

/// The commit that holds the last written entry of a request.
pub(super) async fn commit_of<C: GenericClient>(
    client: &C,
    request: RequestId,
) -> Result<Option<String>, Error> {
    // The batch of an entry is the last one that begins at or before it: batches have no holes.
    let sql = "SELECT b.commit_id FROM ledger_entries e CROSS JOIN LATERAL (
                   SELECT CASE WHEN b.last_entry >= e.entry_no THEN b.commit_id END AS commit_id
                   FROM ledger_batches b
                   WHERE b.tenant_id = e.tenant_id AND b.first_entry <= e.entry_no
                   ORDER BY b.first_entry DESC LIMIT 1) b
               WHERE e.request_id = $1 AND b.commit_id IS NOT NULL
               ORDER BY e.entry_no DESC LIMIT 1";
    row(client, sql, &[&request.to_string()], |row| {
        Ok(row.try_get(0)?)
    })
    .await
}

fn entry(row: &Row) -> Result<LedgerEntryRow, Error> {
    Ok(LedgerEntryRow {
        tenant_id: parsed(row, 0)?,
        entry_no: number(row, 1)?,
        request_id: parsed(row, 2)?,
        shares_commit: row.try_get(3)?,
        created_at: time(row, 4)?,
        doc: json(row, 5)?,
    })
}

fn batch(row: &Row) -> Result<LedgerBatchRow, Error> {
    Ok(LedgerBatchRow {
        tenant_id: parsed(row, 0)?,
        batch_no: number(row, 1)?,
        first_entry: number(row, 2)?,
        last_entry: number(row, 3)?,
        time: time(row, 4)?,
        parent: row.try_get(5)?,
        commit: row.try_get(6)?,
        signer: row.try_get(7)?,
    })
}
