//! Table `leases`: named exclusive rights with a fencing epoch (R5).

use chiffon_common::{RequestId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{micros, opt_micros, opt_time, parsed, text_list, time};
use crate::{
    Error, LeaseRow,
    lease::{held, is_held},
};

macro_rules! select_leases {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, name, owner, epoch, since, expires_at FROM leases ",
            $rest
        )
    };
}

/// Sees whether this owner holds the lease at this epoch.
pub(super) fn holds(
    conn: &Connection,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    epoch: u64,
) -> Result<(), Error> {
    match find(conn, tenant, name)? {
        Some((Some(lease), _)) if lease.owner == owner && lease.epoch == epoch => Ok(()),
        _ => Err(Error::Conflict {
            what: format!("lease {name}"),
        }),
    }
}

/// Sees whether nobody but this owner holds the lease.
pub(super) fn free(
    conn: &Connection,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    now: Timestamp,
) -> Result<(), Error> {
    match find(conn, tenant, name)? {
        Some((Some(lease), _)) if is_held(&lease, now) && lease.owner != owner => Err(held(lease)),
        _ => Ok(()),
    }
}

/// Takes a lease or renews one's own; its epoch. The epoch rises whenever the lease was given back or
/// had run out and another takes it; a renewal keeps it.
pub(super) fn take(
    conn: &Connection,
    tenant: &TenantId,
    name: &str,
    owner: &str,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<u64, Error> {
    let (epoch, since) = match find(conn, tenant, name)? {
        None => (1, now),
        Some((Some(lease), _)) if lease.owner == owner => (lease.epoch, lease.since),
        Some((Some(lease), _)) if is_held(&lease, now) => return Err(held(lease)),
        Some((_, epoch)) => (epoch + 1, now),
    };
    let sql = "INSERT INTO leases (tenant_id, name, owner, epoch, since, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (tenant_id, name) DO UPDATE SET owner = excluded.owner,
                   epoch = excluded.epoch, since = excluded.since, expires_at = excluded.expires_at";
    conn.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        name,
        owner,
        epoch,
        micros(since),
        opt_micros(expires_at)
    ])?;
    Ok(epoch)
}

/// Gives a lease back, if this owner has it.
pub(super) fn release(
    conn: &Connection,
    tenant: &TenantId,
    name: &str,
    owner: &str,
) -> Result<(), Error> {
    let sql = "UPDATE leases SET owner = NULL, expires_at = NULL
               WHERE tenant_id = ?1 AND name = ?2 AND owner = ?3";
    conn.prepare_cached(sql)?
        .execute(params![tenant.as_str(), name, owner])?;
    Ok(())
}

/// Those of these leases that are held at `now`, by name.
pub(super) fn named(
    conn: &Connection,
    tenant: &TenantId,
    names: &[String],
    now: Timestamp,
) -> Result<Vec<LeaseRow>, Error> {
    let sql = select_leases!(
        "WHERE tenant_id = ?1 AND name IN (SELECT value FROM json_each(?2)) AND owner IS NOT NULL
           AND (expires_at IS NULL OR expires_at > ?3) ORDER BY name"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(
        params![tenant.as_str(), text_list(names)?, micros(now)],
        lease,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The leases that the tasks of a request have not given back.
pub(super) fn of_request(
    conn: &Connection,
    tenant: &TenantId,
    request: RequestId,
) -> Result<Vec<LeaseRow>, Error> {
    let sql = select_leases!(
        "INDEXED BY leases_of_owner WHERE tenant_id = ?1 AND owner IN
             (SELECT 'task:' || task_id FROM tasks WHERE request_id = ?2) ORDER BY name"
    );
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![tenant.as_str(), request.to_string()], lease)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The lease, if somebody has it, and its last epoch.
fn find(
    conn: &Connection,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<(Option<LeaseRow>, u64)>, Error> {
    let sql = select_leases!("WHERE tenant_id = ?1 AND name = ?2");
    let found = conn
        .prepare_cached(sql)?
        .query_row(params![tenant.as_str(), name], |row| {
            let owned = row.get_ref(2)?.as_str_or_null()?.is_some();
            let found = if owned { Some(lease(row)?) } else { None };
            Ok((found, row.get(3)?))
        })
        .optional()?;
    Ok(found)
}

fn lease(row: &Row<'_>) -> rusqlite::Result<LeaseRow> {
    Ok(LeaseRow {
        tenant_id: parsed(row, 0)?,
        name: row.get(1)?,
        owner: row.get(2)?,
        epoch: row.get(3)?,
        since: time(row, 4)?,
        expires_at: opt_time(row, 5)?,
    })
}
