//! Tables `audit_log`, `audit_numbers`, `audit_seals` and `audit_streams`: the chain (S66). Holding it
//! against itself is left to `crate::verify`, who may number to `apply.rs`.

use chiffon_common::{AuditEntry, AuditRecord, GENESIS, RequestId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::{
    apply::Batch,
    columns::{Param, bigint, changed_one, execute, number, one_number, owned, row, rows},
};
use crate::{AuditSeal, Error, NumberedAudit};

/// The columns of [`record`].
const RECORDS: &str = "SELECT n.seq, l.position, l.previous, l.hash, l.entry
     FROM audit_log l JOIN audit_numbers n ON n.audit_id = l.audit_id";

const SEALS: &str = "SELECT seal_no, first_seq, last_seq, root, previous, hash FROM audit_seals";

/// Chains an entry in its stream and numbers it and its events; the number.
pub(super) async fn append(
    tx: &Transaction<'_>,
    batch: &mut Batch,
    tenant: &TenantId,
    entry: &AuditEntry,
) -> Result<u64, Error> {
    owned(tenant, &entry.tenant_id, "audit record")?;
    let (position, previous) = next_place(tx, tenant, &entry.stream).await?;
    let malformed = |error: &dyn std::error::Error| Error::Malformed(error.to_string());
    let record = AuditRecord::chain(entry.clone(), position, previous);
    let record = record.map_err(|error| malformed(&error))?;
    let json = serde_json::to_string(entry).map_err(|error| malformed(&error))?;
    let seq = batch.number(tx, record.hash.clone()).await?;
    let place = batch.place(tx, entry.event_count()).await?;
    // One way to the server for all four tables.
    let sql = "WITH log AS (
                   INSERT INTO audit_log (audit_id, tenant_id, stream, position, previous, hash, entry)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (audit_id) DO NOTHING
                   RETURNING audit_id),
               numbered AS (
                   INSERT INTO audit_numbers (seq, tenant_id, audit_id) SELECT $8, $2, audit_id FROM log),
               placed AS (
                   INSERT INTO event_numbers (last_event, first_event, tenant_id, audit_id)
                   SELECT $10, $9, $2, audit_id FROM log)
               INSERT INTO audit_streams (stream, tenant_id, position, hash) SELECT $3, $2, $4, $6 FROM log
               ON CONFLICT (stream) DO UPDATE SET position = excluded.position, hash = excluded.hash";
    let written = execute(
        tx,
        sql,
        &[
            &entry.audit_id.to_string(),
            &tenant.as_str(),
            &entry.stream,
            &bigint(position),
            &record.previous,
            &record.hash,
            &json,
            &bigint(seq),
            &bigint(*place.start()),
            &bigint(*place.end()),
        ],
    )
    .await?;
    changed_one(written, || format!("audit record {}", entry.audit_id))?;
    Ok(seq)
}

/// Position and predecessor of the next record of a stream.
async fn next_place(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    stream: &str,
) -> Result<(u64, String), Error> {
    let sql = "SELECT tenant_id, position, hash FROM audit_streams WHERE stream = $1";
    let head = row(tx, sql, &[&stream], |row| {
        let owner: String = row.try_get(0)?;
        let hash: String = row.try_get(2)?;
        Ok((owner, number(row, 1)?, hash))
    })
    .await?;
    match head {
        None => Ok((0, GENESIS.to_owned())),
        Some((owner, position, hash)) if owner == tenant.as_str() => Ok((position + 1, hash)),
        Some((owner, ..)) => Err(Error::Malformed(format!(
            "audit stream {stream} belongs to tenant {owner}"
        ))),
    }
}

/// The last number given; 0 for none.
pub(super) async fn last_seq<C: GenericClient>(client: &C) -> Result<u64, Error> {
    one_number(
        client,
        "SELECT coalesce(max(seq), 0) FROM audit_numbers",
        &[],
    )
    .await
}

/// Seals the records of a transaction.
pub(super) async fn seal(
    tx: &Transaction<'_>,
    first_seq: u64,
    hashes: &[String],
) -> Result<(), Error> {
    let before = last_seal(tx).await?;
    let seal = AuditSeal::over(before.as_ref(), first_seq, hashes);
    let sql = "INSERT INTO audit_seals (seal_no, first_seq, last_seq, root, previous, hash)
               VALUES ($1, $2, $3, $4, $5, $6)";
    execute(
        tx,
        sql,
        &[
            &bigint(seal.seal_no),
            &bigint(seal.first_seq),
            &bigint(seal.last_seq),
            &seal.root,
            &seal.previous,
            &seal.hash,
        ],
    )
    .await?;
    Ok(())
}

/// The last seal.
pub(super) async fn last_seal<C: GenericClient>(client: &C) -> Result<Option<AuditSeal>, Error> {
    let sql = format!("{SEALS} ORDER BY seal_no DESC LIMIT 1");
    row(client, &sql, &[], sealed).await
}

/// Seals after a seal number, lowest first.
pub(super) async fn seals_after<C: GenericClient>(
    client: &C,
    seal_no: u64,
    limit: u32,
) -> Result<Vec<AuditSeal>, Error> {
    let sql = format!("{SEALS} WHERE seal_no > $1 ORDER BY seal_no LIMIT $2");
    rows(client, &sql, &[&bigint(seal_no), &i64::from(limit)], sealed).await
}

/// Numbered records after a number, lowest first.
pub(super) async fn after<C: GenericClient>(
    client: &C,
    seq: u64,
    limit: u32,
) -> Result<Vec<NumberedAudit>, Error> {
    let sql = format!("{RECORDS} WHERE n.seq > $1 ORDER BY n.seq LIMIT $2");
    records(client, &sql, &[&bigint(seq), &i64::from(limit)]).await
}

/// Numbered records of one stream, in its order.
pub(super) async fn of_stream<C: GenericClient>(
    client: &C,
    stream: &str,
) -> Result<Vec<NumberedAudit>, Error> {
    let sql = format!("{RECORDS} WHERE l.stream = $1 ORDER BY l.position");
    records(client, &sql, &[&stream]).await
}

/// The last numbered record of one stream.
pub(super) async fn last_of_stream<C: GenericClient>(
    client: &C,
    stream: &str,
) -> Result<Option<NumberedAudit>, Error> {
    let sql = format!("{RECORDS} WHERE l.stream = $1 ORDER BY l.position DESC LIMIT 1");
    Ok(records(client, &sql, &[&stream]).await?.pop())
}

/// The record that names a request as forgotten. The index holds those records alone, of which there is one for many
/// requests.
pub(super) async fn forgotten_by<C: GenericClient>(
    client: &C,
    request: RequestId,
) -> Result<Option<NumberedAudit>, Error> {
    let sql = format!(
        "{RECORDS} WHERE strpos(l.entry, '\"action\":\"history.forgotten\"') > 0 AND strpos(l.entry, $1) > 0
         ORDER BY n.seq DESC"
    );
    let found = records(client, &sql, &[&request.to_string()]).await?;
    let names = |one: &NumberedAudit| {
        let mut named = one.record.entry.forgotten_requests();
        named.any(|named| named == request)
    };
    Ok(found.into_iter().find(names))
}

async fn records<C: GenericClient>(
    client: &C,
    sql: &str,
    parameters: &[Param<'_>],
) -> Result<Vec<NumberedAudit>, Error> {
    rows(client, sql, parameters, record).await
}

/// A numbered record from the first five columns of a row.
pub(super) fn record(row: &Row) -> Result<NumberedAudit, Error> {
    let seq = number(row, 0)?;
    let json: &str = row.try_get(4)?;
    let entry = serde_json::from_str(json)
        .map_err(|error| Error::Corrupt(format!("audit record {seq} cannot be read: {error}")))?;
    Ok(NumberedAudit {
        seq,
        record: AuditRecord {
            entry,
            position: number(row, 1)?,
            previous: row.try_get(2)?,
            hash: row.try_get(3)?,
        },
    })
}

fn sealed(row: &Row) -> Result<AuditSeal, Error> {
    Ok(AuditSeal {
        seal_no: number(row, 0)?,
        first_seq: number(row, 1)?,
        last_seq: number(row, 2)?,
        root: row.try_get(3)?,
        previous: row.try_get(4)?,
        hash: row.try_get(5)?,
    })
}
