//! Schedules: what is asked at set times, in whose name, and what may run every time without being asked about again.

mod approval;
mod draft;
mod times;

use axum::{
    Json,
    extract::State as Extract,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chiffon_common::{
    ErrorCode, Problem, ScheduleId,
    api::{Page, RequestAccepted, SCHEDULE_STATES, ScheduleEdit, ScheduleView},
};
use chiffon_store::{Error, ListSchedules, ScheduleRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page, read_timed, timed},
    etag::{Precondition, changed, versioned},
    frame::Trace,
    idempotency::{Call, hold},
    input::{Asked, Body, Id, NoQuery, Nothing, none_such, page_size, unfit_query},
    problem::{Refused, internal, not_taken},
};
use crate::engine::{Edit, EditError, Editor, Toggle, accepted, schedule_view};
use draft::draft;

pub(super) use approval::{__path_approve, __path_plan, __path_withdraw, approve, plan, withdraw};
pub(super) use times::{__path_next, __path_try_next, next, try_next};

/// How to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only in this state.
    state: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists schedules, newest first.
#[utoipa::path(
    get, path = "/api/v1/schedules", tag = "schedules", operation_id = "list_schedules",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<ScheduleView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<ScheduleView>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    let wanted = asked.state.as_deref();
    if wanted.is_some_and(|state| !SCHEDULE_STATES.contains(&state)) {
        let states = SCHEDULE_STATES.join(", ");
        let why = format!("a schedule is in one of the states {states}");
        return Err(unfit_query("state", &why));
    }
    let cursors = List::new("schedules", &[wanted.unwrap_or_default()]);
    let after = cursors.place(asked.cursor.as_deref(), read_timed)?;
    let shared = &state.shared;
    let list = ListSchedules {
        state: asked.state.clone(),
        after,
        limit: limit + 1,
    };
    let rows = shared
        .store
        .schedules(&shared.settings.tenant, list)
        .await?;
    let (rows, next_cursor) = page(rows, limit, |row| {
        cursors.cursor(&timed(row.created_at, row.schedule_id))
    });
    let items: Result<Vec<_>, _> = rows.iter().map(schedule_view).collect();
    Ok(Json(Page::new(
        items.map_err(|error| internal(&error))?,
        next_cursor,
    )))
}

/// Makes a schedule. What it asks is planned once now, so that what cannot be planned is refused at once.
#[utoipa::path(
    post, path = "/api/v1/schedules", tag = "schedules", operation_id = "create_schedule",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "The same key gives the same schedule again")),
    request_body = ScheduleEdit,
    responses(
        (status = 201, description = "It was made", body = ScheduleView, headers(("ETag" = String))),
        (status = 404, description = "There is no such entry")
    )
)]
pub(super) async fn create(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body { value: edit, bytes }: Body<ScheduleEdit>,
) -> Result<Response, Refused> {
    let call = Call {
        operation: "schedule",
        headers: &headers,
        body: &bytes,
        key: None,
    };
    let held = hold(&state, &call).await?;
    let draft = draft(&state, edit).await?;
    let claim = held.as_ref().map(|held| &held.claim);
    let editor = editor(&state, trace);
    let row = state.shared.make_schedule(draft, &editor, claim).await?;
    let shown = shown(&HeaderMap::new(), &row)?;
    let place = format!("/api/v1/schedules/{}", row.schedule_id);
    let place = [(header::LOCATION, place)];
    Ok((StatusCode::CREATED, place, shown).into_response())
}

/// Shows one schedule.
#[utoipa::path(
    get, path = "/api/v1/schedules/{id}", tag = "schedules", operation_id = "show_schedule",
    params(("id" = ScheduleId, Path), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The schedule", body = ScheduleView, headers(("ETag" = String))),
        (status = 304, description = "It has not changed since")
    )
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    headers: HeaderMap,
    Id(id): Id<ScheduleId>,
) -> Result<Response, Refused> {
    shown(&headers, &row(&state, id).await?)
}

/// Says anew what it is: all of it, from the version that was read. Another question withdraws the standing approval.
#[utoipa::path(
    put, path = "/api/v1/schedules/{id}", tag = "schedules", operation_id = "put_schedule",
    params(("id" = ScheduleId, Path), ("If-Match" = String, Header, description = "The ETag that was read, or *")),
    request_body = ScheduleEdit,
    responses(
        (status = 200, description = "It was changed", body = ScheduleView, headers(("ETag" = String))),
        (status = 412, description = "It has changed since it was read"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn put(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Id(id): Id<ScheduleId>,
    Body { value: edit, .. }: Body<ScheduleEdit>,
) -> Result<Response, Refused> {
    let precondition = Precondition::read(&headers)?;
    row(&state, id).await?;
    let draft = draft(&state, edit).await?;
    let (edit, editor) = (Edit::Change(draft), editor(&state, trace));
    let now = change(&state, id, &precondition, &edit, &editor).await?;
    shown(&HeaderMap::new(), &now)
}

/// Removes it. What it has asked goes on.
#[utoipa::path(
    delete, path = "/api/v1/schedules/{id}", tag = "schedules", operation_id = "remove_schedule",
    params(("id" = ScheduleId, Path), ("If-Match" = String, Header, description = "The ETag that was read, or *")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 412, description = "It has changed since it was read"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Id(id): Id<ScheduleId>,
) -> Result<StatusCode, Refused> {
    let precondition = Precondition::read(&headers)?;
    let editor = editor(&state, trace);
    change(&state, id, &precondition, &Edit::Remove, &editor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets it ask nothing for now. Times that come meanwhile are not made up for.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/pause", tag = "schedules", operation_id = "pause_schedule",
    params(("id" = ScheduleId, Path)),
    responses((status = 200, description = "The schedule", body = ScheduleView, headers(("ETag" = String))))
)]
pub(super) async fn pause(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Id(id): Id<ScheduleId>,
    _: Nothing,
) -> Result<Response, Refused> {
    toggle(&state, id, Toggle::Pause, trace).await
}

/// Lets it ask again, from now on.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/resume", tag = "schedules", operation_id = "resume_schedule",
    params(("id" = ScheduleId, Path)),
    responses((status = 200, description = "The schedule", body = ScheduleView, headers(("ETag" = String))))
)]
pub(super) async fn resume(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Id(id): Id<ScheduleId>,
    _: Nothing,
) -> Result<Response, Refused> {
    toggle(&state, id, Toggle::Resume, trace).await
}

/// Asks at once, in the name of its owner. Its times stay as they are.
#[utoipa::path(
    post, path = "/api/v1/schedules/{id}/run", tag = "schedules", operation_id = "run_schedule",
    params(("id" = ScheduleId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    responses((status = 202, description = "Taken", body = RequestAccepted))
)]
pub(super) async fn run(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Id(id): Id<ScheduleId>,
    _: Nothing,
) -> Result<Response, Refused> {
    let operation = format!("schedule:{id}/run");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: b"",
        key: None,
    };
    let held = hold(&state, &call).await?;
    let row = row(&state, id).await?;
    if let Some(open) = row.open_request {
        let detail = format!("its last run, request {open}, has not ended");
        let todo = "wait for it, or end it with `chiffon request cancel`";
        return Err(Problem::new(ErrorCode::Conflict, detail, todo).into());
    }
    let claim = held.as_ref().map(|held| held.claim.clone());
    let taken = state
        .shared
        .run_schedule_now(&row, editor(&state, trace), claim)
        .await?;
    let reason = taken.plan.reason_code;
    let request_id = taken.request.ok_or_else(|| not_taken(reason))?;
    let answer = accepted(request_id).map_err(|error| internal(&error))?;
    Ok((StatusCode::ACCEPTED, Json(answer.body)).into_response())
}

async fn toggle(
    state: &State,
    id: ScheduleId,
    to: Toggle,
    trace: chiffon_common::TraceId,
) -> Result<Response, Refused> {
    let (edit, editor) = (Edit::Toggle(to), editor(state, trace));
    let now = change(state, id, &Precondition::Any, &edit, &editor).await?;
    shown(&HeaderMap::new(), &now)
}

/// Changes the row that is there, if it is the one that is meant.
async fn change(
    state: &State,
    id: ScheduleId,
    precondition: &Precondition,
    edit: &Edit,
    editor: &Editor,
) -> Result<ScheduleRow, Refused> {
    loop {
        let was = row(state, id).await?;
        precondition.holds(Some(was.version))?;
        let edited = state.shared.edit_schedule(&was, edit, editor).await;
        match (edited, precondition) {
            (Ok(done), _) => return Ok(done),
            // It has asked meanwhile; whoever says "whichever version" means the new one too.
            (Err(EditError::Store(Error::Conflict { .. })), Precondition::Any) => {}
            (Err(EditError::Store(Error::Conflict { .. })), _) => return Err(changed()),
            (Err(error), _) => return Err(error.into()),
        }
    }
}

fn editor(state: &State, trace: chiffon_common::TraceId) -> Editor {
    Editor {
        by: state.principal.clone(),
        trace,
    }
}

async fn row(state: &State, id: ScheduleId) -> Result<ScheduleRow, Refused> {
    let shared = &state.shared;
    let row = shared.store.schedule(&shared.settings.tenant, id).await?;
    row.ok_or_else(none_such::<ScheduleId>)
}

fn shown(headers: &HeaderMap, row: &ScheduleRow) -> Result<Response, Refused> {
    let view = schedule_view(row).map_err(|error| internal(&error))?;
    Ok(versioned(headers, &row.version.to_string(), &view))
}
