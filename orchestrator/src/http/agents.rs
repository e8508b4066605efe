//! Agents: the members of the fleet, and whether a person lets them have work.

use axum::{Json, extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_common::{
    AgentId,
    api::{AgentEdit, AgentView, Page},
};
use chiffon_store::{AgentRow, Error};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page},
    etag::{Precondition, changed, versioned},
    frame::Trace,
    input::{Asked, Body, Id, NoQuery, none_such, page_size},
    problem::{Refused, internal},
};
use crate::engine::{Editor, Heard, agent_of};

/// How to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 500)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the fleet by id.
#[utoipa::path(
    get, path = "/api/v1/agents", tag = "agents", operation_id = "list_agents",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<AgentView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<AgentView>>, Refused> {
    let limit = page_size(asked.limit, 500)?;
    let cursors = List::new("agents", &[]);
    let after = cursors.place(asked.cursor.as_deref(), |place| {
        place.parse::<AgentId>().ok()
    })?;
    let shared = &state.shared;
    let heard = shared.registry.all();
    let mut rows = shared.store.agents(&shared.settings.tenant).await?;
    rows.retain(|row| after.as_ref().is_none_or(|after| row.agent_id > *after));
    let (rows, next_cursor) = page(rows, limit, |row| cursors.cursor(row.agent_id.as_str()));
    let views = rows.iter().map(|row| view(row, heard.get(&row.agent_id)));
    Ok(Json(Page::new(
        views.collect::<Result<_, _>>()?,
        next_cursor,
    )))
}

/// Shows one agent.
#[utoipa::path(
    get, path = "/api/v1/agents/{id}", tag = "agents", operation_id = "show_agent",
    params(("id" = AgentId, Path)),
    responses(
        (status = 200, description = "The agent", body = AgentView, headers(("ETag" = String))),
        (status = 304, description = "It has not changed since")
    )
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    headers: HeaderMap,
    Id(id): Id<AgentId>,
) -> Result<Response, Refused> {
    let row = row(&state, &id).await?;
    shown(&state, &headers, &row)
}

/// Lets an agent have new work, or not. What it has in hand goes on.
#[utoipa::path(
    patch, path = "/api/v1/agents/{id}", tag = "agents", operation_id = "edit_agent",
    params(("id" = AgentId, Path), ("If-Match" = String, Header, description = "The ETag that was read, or *")),
    request_body = AgentEdit,
    responses(
        (status = 200, description = "The agent", body = AgentView, headers(("ETag" = String))),
        (status = 412, description = "It has changed since it was read"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn edit(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Id(id): Id<AgentId>,
    Body { value: edit, .. }: Body<AgentEdit>,
) -> Result<Response, Refused> {
    let precondition = Precondition::read(&headers)?;
    let editor = Editor {
        by: state.principal.clone(),
        trace,
    };
    loop {
        let was = row(&state, &id).await?;
        precondition.holds(Some(was.version))?;
        let edited = state
            .shared
            .set_agent_status(&was, edit.status, &editor)
            .await;
        match (edited, &precondition) {
            (Ok(now), _) => return shown(&state, &HeaderMap::new(), &now),
            // A heartbeat was faster; whoever says "whichever version" means the new one too.
            (Err(Error::Conflict { .. }), Precondition::Any) => {}
            (Err(Error::Conflict { .. }), _) => return Err(changed()),
            (Err(error), _) => return Err(error.into()),
        }
    }
}

async fn row(state: &State, id: &AgentId) -> Result<AgentRow, Refused> {
    let row = state.shared.agent_row(id).await?;
    row.ok_or_else(none_such::<AgentId>)
}

fn shown(state: &State, headers: &HeaderMap, row: &AgentRow) -> Result<Response, Refused> {
    let heard = state.shared.registry.all();
    let view = view(row, heard.get(&row.agent_id))?;
    Ok(versioned(headers, &row.version.to_string(), &view))
}

fn view(row: &AgentRow, latest: Option<&Heard>) -> Result<AgentView, Refused> {
    let agent = agent_of(row).map_err(|error| internal(&error))?;
    let beat = latest.map(|heard| &heard.beat);
    Ok(AgentView {
        kind: agent.kind,
        state: row.state.clone(),
        status: row.status.clone(),
        version: beat.map(|beat| beat.version.clone()).unwrap_or_default(),
        last_seen: latest.map_or(agent.last_seen, |heard| heard.at),
        capabilities: beat
            .map(|beat| beat.capabilities.clone())
            .unwrap_or_default(),
        resources: beat.and_then(|beat| beat.resources.clone()),
        agent_id: agent.agent_id,
    })
}
