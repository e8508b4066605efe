//! Table `leases`: named exclusive rights with a fencing epoch (R5).

use chiffon_common::{RequestId, TenantId};
use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::columns::{
    bigint, execute, micros, number, opt_micros, opt_time, parsed, row, rows, time,
};
use crate::{
    Error, LeaseRow,
    lease::{held, is_held},
};

const LEASES: &str = "SELECT tenant_id, name, owner, epoch, since, expires_at FROM leases";

/// Sees whether this owner holds the lease at this epoch.
pub(super) async fn holds(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    epoch: u64,
) -> Result<(), Error> {
    match find(tx, tenant, name).await? {
        Some((Some(lease), _)) if lease.owner == owner && lease.epoch == epoch => Ok(()),
        _ => Err(Error::Conflict {
            what: format!("lease {name}"),
        }),
    }
}

/// Sees whether nobody but this owner holds the lease.
pub(super) async fn free(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    now: Timestamp,
) -> Result<(), Error> {
    match find(tx, tenant, name).await? {
        Some((Some(lease), _)) if is_held(&lease, now) && lease.owner != owner => Err(held(lease)),
        _ => Ok(()),
    }
}

/// Takes a lease or renews one's own; its epoch. The epoch rises whenever the lease was given back or
/// had run out and another takes it; a renewal keeps it.
pub(super) async fn take(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<u64, Error> {
    let (epoch, since) = match find(tx, tenant, name).await? {
        None => (1, now),
        Some((Some(lease), _)) if lease.owner == owner => (lease.epoch, lease.since),
        Some((Some(lease), _)) if is_held(&lease, now) => return Err(held(lease)),
        Some((_, epoch)) => (epoch + 1, now),
    };
    let sql = "INSERT INTO leases (tenant_id, name, owner, epoch, since, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (tenant_id, name) DO UPDATE SET owner = excluded.owner,
                   epoch = excluded.epoch, since = excluded.since, expires_at = excluded.expires_at";
    let (stored, since, until) = (bigint(epoch), micros(since), opt_micros(expires_at));
    execute(
        tx,
        sql,
        &[&tenant.as_str(), &name, &owner, &stored, &since, &until],
    )
    .await?;
    Ok(epoch)
}

/// Gives a lease back, if this owner has it.
pub(super) async fn release(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    name: &str,
    owner: &str,
) -> Result<(), Error> {
    let sql = "UPDATE leases SET owner = NULL, expires_at = NULL
               WHERE tenant_id = $1 AND name = $2 AND owner = $3";
    execute(tx, sql, &[&tenant.as_str(), &name, &owner]).await?;
    Ok(())
}

/// Those of these leases that are held at `now`, by name.
pub(super) async fn named<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    names: &[String],
    now: Timestamp,
) -> Result<Vec<LeaseRow>, Error> {
    let sql = format!(
        "{LEASES} WHERE tenant_id = $1 AND name = ANY($2) AND owner IS NOT NULL
           AND (expires_at IS NULL OR expires_at > $3) ORDER BY name"
    );
    rows(
        client,
        &sql,
        &[&tenant.as_str(), &names, &micros(now)],
        lease,
    )
    .await
}

/// The leases that the tasks of a request have not given back.
pub(super) async fn of_request<C: GenericClient>(
    client: &C,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Vec<LeaseRow>, Error> {
    let sql = format!(
        "{LEASES} WHERE tenant_id = $1 AND owner IN
             (SELECT 'task:' || task_id FROM tasks WHERE request_id = $2) ORDER BY name"
    );
    rows(
        client,
        &sql,
        &[&tenant.as_str(), &request.to_string()],
        lease,
    )
    .await
}

/// The lease, if somebody has it, and its last epoch.
async fn find(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<(Option<LeaseRow>, u64)>, Error> {
    let sql = format!("{LEASES} WHERE tenant_id = $1 AND name = $2");
    row(tx, &sql, &[&tenant.as_str(), &name], |row| {
        let owner: Option<&str> = row.try_get(2)?;
        Ok((owner.map(|_| lease(row)).transpose()?, number(row, 3)?))
    })
    .await
}

fn lease(row: &Row) -> Result<LeaseRow, Error> {
    Ok(LeaseRow {
        tenant_id: parsed(row, 0)?,
        name: row.try_get(1)?,
        owner: row.try_get(2)?,
        epoch: number(row, 3)?,
        since: time(row, 4)?,
        expires_at: opt_time(row, 5)?,
    })
}
