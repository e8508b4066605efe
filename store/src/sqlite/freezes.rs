//! Table `freezes`.

use chiffon_common::{Frozen, TenantId};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{changed_one, opt_micros, opt_time, owned, parsed};
use crate::{Error, FreezeRow, commit::Expected};

/// Writes the freeze of a tenant.
pub(super) fn write(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &FreezeRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "freeze")?;
    let frozen = row.frozen.as_ref();
    let by = frozen.map(|frozen| frozen.by.as_str());
    let since = opt_micros(frozen.map(|frozen| frozen.since));
    let reason = frozen.map(|frozen| frozen.reason.as_str());
    let changed = match expected {
        Expected::Absent => {
            let sql = "INSERT INTO freezes (tenant_id, version, frozen_by, since, reason)
                       VALUES (?1, 1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            conn.prepare_cached(sql)?
                .execute(params![tenant.as_str(), by, since, reason])?
        }
        Expected::Version(version) => {
            let sql =
                "UPDATE freezes SET frozen_by = ?2, since = ?3, reason = ?4, version = version + 1
                       WHERE tenant_id = ?1 AND version = ?5";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                by,
                since,
                reason,
                version
            ])?
        }
    };
    changed_one(changed, || format!("freeze of tenant {tenant}"))
}

/// The freeze of a tenant, if there ever was one.
pub(super) fn one(conn: &Connection, tenant: &TenantId) -> Result<Option<FreezeRow>, Error> {
    let sql =
        "SELECT tenant_id, version, frozen_by, since, reason FROM freezes WHERE tenant_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let found = statement.query_row([tenant.as_str()], |row| {
        let by: Option<String> = row.get(2)?;
        let since = opt_time(row, 3)?;
        let reason: Option<String> = row.get(4)?;
        Ok(FreezeRow {
            tenant_id: parsed(row, 0)?,
            version: row.get(1)?,
            frozen: match (by, since, reason) {
                (Some(by), Some(since), Some(reason)) => Some(Frozen { by, since, reason }),
                _ => None,
            },
        })
    });
    Ok(found.optional()?)
}

/// Holds a check against the table: the freeze still has this version.
pub(super) fn check(conn: &Connection, tenant: &TenantId, version: u64) -> Result<(), Error> {
    let now = one(conn, tenant)?.map_or(0, |row| row.version);
    if now == version {
        return Ok(());
    }
    Err(Error::Conflict {
        what: format!("freeze of tenant {tenant}"),
    })
}
