//! Table `projects`.

use chiffon_common::{ProjectId, TenantId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{changed_one, micros, owned, page, parsed, time};
use crate::{Error, ProjectRow, commit::Expected};

macro_rules! select_projects {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, project_id, title, description, version, created_at, updated_at
             FROM projects WHERE tenant_id = ?1 ",
            $rest
        )
    };
}

/// Parameters: tenant, the one before, limit.
pub(super) const PAGE_OF: &str =
    select_projects!("AND project_id > ?2 ORDER BY project_id LIMIT ?3");

/// Writes a project.
pub(super) fn write(
    conn: &Connection,
    tenant: &TenantId,
    expected: Expected,
    row: &ProjectRow,
) -> Result<(), Error> {
    owned(tenant, &row.tenant_id, "project")?;
    let (project, updated) = (row.project_id.as_str(), micros(row.updated_at));
    let changed = match expected {
        Expected::Absent => {
            let sql = "INSERT INTO projects (tenant_id, project_id, title, description, updated_at,
                           created_at, version)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1) ON CONFLICT DO NOTHING";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                project,
                row.title,
                row.description,
                updated,
                micros(row.created_at)
            ])?
        }
        Expected::Version(version) => {
            let sql = "UPDATE projects SET title = ?3, description = ?4, updated_at = ?5,
                           version = version + 1
                       WHERE tenant_id = ?1 AND project_id = ?2 AND version = ?6";
            conn.prepare_cached(sql)?.execute(params![
                tenant.as_str(),
                project,
                row.title,
                row.description,
                updated,
                version
            ])?
        }
    };
    changed_one(changed, || format!("project {project}"))
}

/// Projects by their ids.
pub(super) fn list(
    conn: &Connection,
    tenant: &TenantId,
    after: Option<&ProjectId>,
    limit: u32,
) -> Result<Vec<ProjectRow>, Error> {
    let after = after.map_or("", |project| project.as_str());
    let mut statement = conn.prepare_cached(PAGE_OF)?;
    let rows = statement.query_map(params![tenant.as_str(), after, page(limit)], project)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One project.
pub(super) fn one(
    conn: &Connection,
    tenant: &TenantId,
    id: &ProjectId,
) -> Result<Option<ProjectRow>, Error> {
    let mut statement = conn.prepare_cached(select_projects!("AND project_id = ?2"))?;
    let found = statement.query_row([tenant.as_str(), id.as_str()], project);
    Ok(found.optional()?)
}

fn project(row: &Row<'_>) -> rusqlite::Result<ProjectRow> {
    Ok(ProjectRow {
        tenant_id: parsed(row, 0)?,
        project_id: parsed(row, 1)?,
        title: row.get(2)?,
        description: row.get(3)?,
        version: row.get(4)?,
        created_at: time(row, 5)?,
        updated_at: time(row, 6)?,
    })
}
