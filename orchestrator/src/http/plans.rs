//! Plans: what would be done, with the digest that an approval is bound to. Secret values are masked.

use axum::{
    Json,
    extract::State as Extract,
    http::header,
    response::{IntoResponse, Response},
};
use chiffon_arbiter::Run;
use chiffon_common::{ErrorCode, Plan, PlanId, Problem, RequestId, Step, api::Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page, read_timed, timed},
    input::{Asked, Id, NoQuery, none_such, page_size},
    problem::{Refused, internal},
    unreadable::{Columns, Read, read},
};
use crate::engine::{sealed_bytes, shown_plan};

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

/// Lists the plans of all requests, newest first.
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "plans", operation_id = "list_plans",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<Plan>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<Plan>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    let cursors = List::new("plans", &[]);
    let after = cursors.place(asked.cursor.as_deref(), read_timed)?;
    let shared = &state.shared;
    let tenant = &shared.settings.tenant;
    let rows = shared.store.plans(tenant, after, limit + 1).await?;
    let (rows, next_cursor) = page(rows, limit, |row| {
        cursors.cursor(&timed(row.created_at, row.request_id))
    });
    let mut items = Vec::with_capacity(rows.len());
    let mut unreadable = Vec::new();
    for row in rows {
        match read(shared.load(row.request_id).await)? {
            Read::Here((run, _)) => {
                items.extend(run.plan.as_ref().map(|plan| shown_plan(&run, plan)));
            }
            Read::Gone => {}
            Read::Spoiled(problem) => unreadable.push(row.with(problem)),
        }
    }
    Ok(Json(Page {
        items,
        unreadable,
        next_cursor,
    }))
}

/// Shows one plan.
#[utoipa::path(
    get, path = "/api/v1/plans/{id}", tag = "plans", operation_id = "show_plan",
    params(("id" = PlanId, Path)),
    responses((status = 200, description = "The plan", body = Plan))
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<PlanId>,
) -> Result<Json<Plan>, Refused> {
    let shared = &state.shared;
    let tenant = &shared.settings.tenant;
    let request = shared.store.request_of_plan(tenant, id).await?;
    let (run, _) = shared
        .load(request.ok_or_else(none_such::<PlanId>)?)
        .await?;
    let plan = run.plan.as_ref().map(|plan| shown_plan(&run, plan));
    plan.map(Json).ok_or_else(none_such::<PlanId>)
}

/// Shows the plan of a request.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}/plan", tag = "plans", operation_id = "show_plan_of_request",
    params(("id" = RequestId, Path)),
    responses((status = 200, description = "The plan", body = Plan))
)]
pub(super) async fn of_request(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<RequestId>,
) -> Result<Json<Plan>, Refused> {
    let (run, _) = state.shared.load(id).await?;
    let plan = run.plan.as_ref().map(|plan| shown_plan(&run, plan));
    plan.map(Json).ok_or_else(|| no_plan(&run).into())
}

/// The bytes whose SHA-256 is the plan's digest: canonical JSON (RFC 8785) of everything that an approval is bound to.
///
/// What is shown of a plan can be held against them, and they against the digest.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}/plan/bytes", tag = "plans", operation_id = "bytes_of_plan",
    params(("id" = RequestId, Path)),
    responses(
        (status = 200, description = "The bytes", content_type = "application/json", body = Object),
        (status = 403, description = "They hold the value of a secret parameter, which is never shown")
    )
)]
pub(super) async fn bytes(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<RequestId>,
) -> Result<Response, Refused> {
    let (run, _) = state.shared.load(id).await?;
    let plan = run.plan.as_ref().ok_or_else(|| no_plan(&run))?;
    let is_secret = |step: &Step| {
        let mut secret = step.secret_parameters.iter();
        secret.any(|name| step.parameters.contains_key(name))
    };
    if plan.steps.iter().any(is_secret) {
        let detail =
            "the bytes of this plan hold the value of a secret parameter, so they are not shown";
        let todo =
            "everything else of it stands in `chiffon plan show`; the digest is over the value too";
        return Err(Problem::new(ErrorCode::BytesHoldSecret, detail, todo).into());
    }
    let bytes = sealed_bytes(&run, plan).map_err(|error| internal(&error))?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, bytes).into_response())
}

fn no_plan(run: &Run) -> Problem {
    let detail = format!(
        "the request is {} and has no plan",
        run.request.state.name()
    );
    let todo = "look at it with `chiffon request show`";
    Problem::new(ErrorCode::NotFound, detail, todo)
}
