//! Projects: groups of requests. One comes into being with its first request, or by a person's word.

use axum::{
    Json,
    extract::State as Extract,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chiffon_common::{
    ProjectId,
    api::{Page, ProjectEdit, ProjectView},
};
use chiffon_store::{Error, ProjectRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page},
    etag::{Precondition, changed, versioned},
    frame::Trace,
    input::{Asked, Body, Id, NoQuery, none_such, page_size, permitted},
    problem::Refused,
};
use crate::engine::Editor;

/// Longest texts, in characters.
const TITLE: usize = 200;
const DESCRIPTION: usize = 4_000;

/// How to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists projects by id.
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "projects", operation_id = "list_projects",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<ProjectView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<ProjectView>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    let cursors = List::new("projects", &[]);
    let after = cursors.place(asked.cursor.as_deref(), |place| place.parse().ok())?;
    let shared = &state.shared;
    let tenant = &shared.settings.tenant;
    let rows = shared.store.projects(tenant, after, limit + 1).await?;
    let (rows, next_cursor) = page(rows, limit, |row| cursors.cursor(row.project_id.as_str()));
    Ok(Json(Page::new(
        rows.into_iter().map(view).collect(),
        next_cursor,
    )))
}

/// Shows one project.
#[utoipa::path(
    get, path = "/api/v1/projects/{id}", tag = "projects", operation_id = "show_project",
    params(("id" = ProjectId, Path)),
    responses(
        (status = 200, description = "The project", body = ProjectView, headers(("ETag" = String))),
        (status = 304, description = "It has not changed since")
    )
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    headers: HeaderMap,
    Id(id): Id<ProjectId>,
) -> Result<Response, Refused> {
    let row = row(&state, &id).await?.ok_or_else(none_such::<ProjectId>)?;
    Ok(versioned(&headers, &row.version.to_string(), &view(row)))
}

/// Makes a project (`If-None-Match: *`), or says anew what it is (`If-Match`).
#[utoipa::path(
    put, path = "/api/v1/projects/{id}", tag = "projects", operation_id = "put_project",
    params(
        ("id" = ProjectId, Path),
        ("If-Match" = Option<String>, Header, description = "The ETag that was read, or *"),
        ("If-None-Match" = Option<String>, Header, description = "* to make a new one")
    ),
    request_body = ProjectEdit,
    responses(
        (status = 200, description = "It was changed", body = ProjectView, headers(("ETag" = String))),
        (status = 201, description = "It was made", body = ProjectView, headers(("ETag" = String))),
        (status = 412, description = "It has changed since it was read, or is there already"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn put(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Id(id): Id<ProjectId>,
    Body { value: edit, .. }: Body<ProjectEdit>,
) -> Result<Response, Refused> {
    let precondition = Precondition::read(&headers)?;
    permitted("/title", &edit.title, TITLE)?;
    permitted("/description", &edit.description, DESCRIPTION)?;
    let editor = Editor {
        by: state.principal.clone(),
        trace,
    };
    let was = row(&state, &id).await?;
    precondition.holds(was.as_ref().map(|was| was.version))?;
    let put = state.shared.put_project(&id, was.as_ref(), edit, &editor);
    let now = match put.await {
        Ok(now) => now,
        Err(Error::Conflict { .. }) => return Err(changed()),
        Err(error) => return Err(error.into()),
    };
    let shown = versioned(&HeaderMap::new(), &now.version.to_string(), &view(now));
    Ok(match was {
        Some(_) => shown,
        None => (StatusCode::CREATED, shown).into_response(),
    })
}

async fn row(state: &State, id: &ProjectId) -> Result<Option<ProjectRow>, Refused> {
    let shared = &state.shared;
    Ok(shared.store.project(&shared.settings.tenant, id).await?)
}

fn view(row: ProjectRow) -> ProjectView {
    ProjectView {
        project_id: row.project_id,
        title: row.title,
        description: row.description,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
