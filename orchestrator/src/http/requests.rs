//! Requests: ask, look, cancel, ask again.

use axum::{
    Json,
    extract::State as Extract,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use chiffon_arbiter::{Request, RequestState, Run, RunEvent, Said};
use chiffon_common::{
    Content, EntryCall, ErrorCode, Problem, ProjectId, RequestId, RoomId, Undoing,
    api::{
        CancelRequest, NewRequest, Page, REQUEST_STATES, RequestAccepted, RequestView, UndoRequest,
    },
    visible,
};
use chiffon_store::{ListDecisions, ListRequests};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page, read_timed, timed},
    etag::versioned,
    frame::Trace,
    idempotency::{Call, Held, hold},
    input::{Asked, Body, Id, NoQuery, Nothing, Perhaps, page_size, unfit_query},
    problem::{Refused, kept},
    take::{Asking, take},
    unreadable::{Columns, Read, read},
};
use crate::{
    engine::{
        AdvanceError, Advanced, Cause, MASK, read as understood, request_line, request_view,
        slice_of, undo_words,
    },
    planner::explicit_form,
};

/// Asks for something in a sentence.
///
/// When this answers, the request is durable: it reaches exactly one terminal state, whichever process dies.
#[utoipa::path(
    post, path = "/api/v1/requests", tag = "requests", operation_id = "create_request",
    request_body = NewRequest,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "The same key gives the same request again")),
    responses((status = 202, description = "Taken", body = RequestAccepted))
)]
pub(super) async fn create(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Body { value: new, bytes }: Body<NewRequest>,
) -> Result<Response, Refused> {
    let call = Call {
        operation: "request",
        headers: &headers,
        body: &bytes,
        key: new.idempotency_key.as_deref(),
    };
    let held = hold(&state, &call).await?;
    let content = Content {
        kind: "text".to_owned(),
        text: new.text,
        mentions_chiffon: true,
        call: None,
        retry_of: None,
        undo_of: None,
        answers: None,
    };
    let asking = Asking {
        content,
        project_id: new.project_id,
        room_id: new.room_id,
        trace,
        held,
    };
    take(&state, asking).await
}

/// Shows one request in full: plan, tasks, questions, outcome.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}", tag = "requests", operation_id = "show_request",
    params(("id" = RequestId, Path), ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, description = "The request", body = RequestView, headers(("ETag" = String))),
        (status = 304, description = "It has not changed since")
    )
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    headers: HeaderMap,
    Id(id): Id<RequestId>,
) -> Result<Response, Refused> {
    let (view, version) = view(&state, id).await?;
    // The ledger's commit and an undo come after the last move and move nothing.
    let mut tag = version.to_string();
    if view.ledger_commit.is_some() {
        tag.push_str(".1");
    }
    if let Some(undone) = &view.undone_by {
        tag.push_str(&format!(".{}.{}", undone.request_id, undone.state));
    }
    Ok(versioned(&headers, &tag, &view))
}

/// One request with its version.
pub(super) async fn view(state: &State, id: RequestId) -> Result<(RequestView, u64), Refused> {
    let shared = &state.shared;
    let rows = shared.rows_of(id).await?;
    let (version, updated_at) = (rows.request.version, rows.request.updated_at);
    let (run, _) = slice_of(&rows).map_err(AdvanceError::from)?;
    let commit = if run.request.state.ended() {
        shared.store.ledger_commit(id).await?
    } else {
        None
    };
    let undone_by = match run.request.state.ended() {
        true => shared.undone_by(id).await?,
        false => None,
    };
    let shown = request_view(&run, updated_at, commit);
    let view = RequestView {
        undone_by,
        waits_for_person: shown.waits_for_person && !shared.will_answer(&run).await,
        warnings: shared.warnings(&run).await?,
        stands_still: shared.stands_still(&run),
        ..shown
    };
    Ok((view, version))
}

/// Which requests to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only of this room.
    room_id: Option<RoomId>,
    /// Only in this state.
    state: Option<String>,
    /// Only those that have not ended.
    #[serde(default)]
    open_only: bool,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists requests, newest first.
#[utoipa::path(
    get, path = "/api/v1/requests", tag = "requests", operation_id = "list_requests",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<RequestView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<RequestView>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    if asked
        .state
        .as_deref()
        .is_some_and(|state| !REQUEST_STATES.contains(&state))
    {
        let why = format!(
            "a request is in one of the states {}",
            REQUEST_STATES.join(", ")
        );
        return Err(unfit_query("state", &why));
    }
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let filters = [
        text(asked.project_id.as_ref().map(ProjectId::as_str)),
        text(asked.room_id.as_ref().map(RoomId::as_str)),
        text(asked.state.as_deref()),
        asked.open_only.to_string(),
    ];
    let cursors = List::new("requests", &filters.each_ref().map(String::as_str));
    let list = ListRequests {
        project_id: asked.project_id,
        room_id: asked.room_id,
        state: asked.state,
        open_only: asked.open_only,
        after: cursors.place(asked.cursor.as_deref(), read_timed)?,
        // One more than is shown tells whether there is another page.
        limit: limit + 1,
    };
    let shared = &state.shared;
    let rows = shared.store.requests(&shared.settings.tenant, list).await?;
    let (rows, next_cursor) = page(rows, limit, |row| {
        cursors.cursor(&timed(row.created_at, row.request_id))
    });
    let mut items = Vec::with_capacity(rows.len());
    let mut unreadable = Vec::new();
    for row in rows {
        let stored = understood::<Request>("request", row.request_id, &row.doc);
        let request = match read(stored.map_err(AdvanceError::from))? {
            Read::Here(request) => request,
            Read::Gone => continue,
            Read::Spoiled(problem) => {
                unreadable.push(row.with(problem));
                continue;
            }
        };
        // What it waits for stands at its tasks; of those that run there are few.
        let run = match &request.state {
            RequestState::Running { .. } => {
                shared.load(row.request_id).await.ok().map(|(run, _)| run)
            }
            _ => None,
        };
        let run = run.unwrap_or(Run {
            request,
            plan: None,
            tasks: Default::default(),
            decisions: Default::default(),
            timers: Default::default(),
        });
        let mut line = request_line(&run, row.updated_at);
        line.stands_still = shared.stands_still(&run);
        // While a request runs, only its decisions know whether it asks something.
        let asks = line.waits_for_person || (!row.ended && asks(&state, row.request_id).await?);
        line.waits_for_person = asks && !shared.will_answer(&run).await;
        items.push(line);
    }
    Ok(Json(Page {
        items,
        unreadable,
        next_cursor,
    }))
}

/// Whether a question about a request is open.
async fn asks(state: &State, request: RequestId) -> Result<bool, Refused> {
    let shared = &state.shared;
    let list = ListDecisions {
        request_id: Some(request),
        state: Some("pending".to_owned()),
        limit: 1,
        ..ListDecisions::default()
    };
    let tenant = &shared.settings.tenant;
    Ok(!shared.store.decisions(tenant, list).await?.is_empty())
}

/// Stops a request, wherever it is. Asked for twice is asked for once.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/cancel", tag = "requests", operation_id = "cancel_request",
    params(("id" = RequestId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Option<CancelRequest>,
    responses(
        (status = 200, description = "It is cancelled, or being cancelled", body = RequestView),
        (status = 409, description = "It has ended already")
    )
)]
pub(super) async fn cancel(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<RequestId>,
    Perhaps(Body { value: asked, .. }): Perhaps<CancelRequest>,
) -> Result<Response, Refused> {
    let operation = format!("cancel:{id}");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: &[],
        key: None,
    };
    let held = hold(&state, &call).await?;
    let event = RunEvent::CancelAsked {
        by: state.principal.clone(),
        limit_seconds: asked.limit_seconds,
    };
    bring(&state, id, event, "cancel_asked", trace, held).await
}

/// Asks for the same again, as a new request with its own plan and approval.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/retry", tag = "requests", operation_id = "retry_request",
    params(("id" = RequestId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    responses(
        (status = 202, description = "Taken", body = RequestAccepted),
        (status = 409, description = "It has not ended yet")
    )
)]
pub(super) async fn retry(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<RequestId>,
    _: Nothing,
) -> Result<Response, Refused> {
    let operation = format!("retry:{id}");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: &[],
        key: None,
    };
    let held = hold(&state, &call).await?;
    let (run, _) = state.shared.load(id).await?;
    let (text, call) = again(&run);
    let request = run.request;
    if !request.state.ended() {
        let detail = format!("the request is {} and has not ended", request.state.name());
        let todo = "answer what it asks, wait for its end, or cancel it first";
        return Err(Problem::new(ErrorCode::NotEnded, detail, todo).into());
    }
    let content = Content {
        kind: match (&request.undo_of, &call) {
            (Some(_), _) => "undo",
            (None, Some(_)) => "entry",
            (None, None) => "text",
        }
        .to_owned(),
        text,
        mentions_chiffon: true,
        call,
        retry_of: Some(id),
        undo_of: request.undo_of,
        answers: None,
    };
    let asking = Asking {
        content,
        project_id: Some(request.project_id),
        room_id: Some(request.room_id),
        trace,
        held,
    };
    Ok(take(&state, asking).await?.into_response())
}

/// What a request came to, to be asked again: where it was asked back about, nobody is asked the same twice.
fn again(run: &Run) -> (String, Option<EntryCall>) {
    let request = &run.request;
    let step = run.plan.as_ref().and_then(|plan| plan.steps.first());
    if request.rounds.is_empty() {
        return (request.text.clone(), request.call.clone());
    }
    if let Some(step) = step {
        let call = EntryCall {
            entry: step.entry.clone(),
            hosts: step.hosts.clone(),
            parameters: step.parameters.clone(),
        };
        let mut shown = call.clone();
        for name in &step.secret_parameters {
            if let Some(value) = shown.parameters.get_mut(name) {
                *value = MASK.into();
            }
        }
        return (visible(&explicit_form(&shown)), Some(call));
    }
    let said = request
        .rounds
        .iter()
        .rev()
        .find_map(|round| match &round.words.said {
            Said::Sentence { text } => Some(text.clone()),
            Said::Missing { .. } => None,
        });
    match said {
        Some(text) => (text, None),
        None => (request.text.clone(), request.call.clone()),
    }
}

/// Takes a request back, as a new request with its own plan, preview and approval.
///
/// Its completed steps are taken back in the reverse order, each by what its entry names for it. What cannot
/// be taken back, and what was changed again since, the new plan says.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/undo", tag = "requests", operation_id = "undo_request",
    params(("id" = RequestId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Option<UndoRequest>,
    responses(
        (status = 202, description = "Taken", body = RequestAccepted),
        (status = 409, description = "It has not ended, changed nothing, has no way back, or was taken back already")
    )
)]
pub(super) async fn undo(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<RequestId>,
    Perhaps(Body {
        value: asked,
        bytes,
    }): Perhaps<UndoRequest>,
) -> Result<Response, Refused> {
    let operation = format!("undo:{id}");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: &bytes,
        key: None,
    };
    let held = hold(&state, &call).await?;
    let (run, _) = state.shared.load(id).await?;
    let undoing = Undoing {
        request: id,
        what_can_be: asked.what_can_be,
    };
    // Said now rather than later: nothing is taken that cannot be planned.
    let loaded = state.shared.library.current().await?;
    state.shared.take_back(&loaded, undoing, None).await?;
    let content = Content {
        kind: "undo".to_owned(),
        text: undo_words(&run.request, undoing),
        mentions_chiffon: true,
        call: None,
        retry_of: None,
        undo_of: Some(undoing),
        answers: None,
    };
    let asking = Asking {
        content,
        project_id: Some(run.request.project_id),
        room_id: Some(run.request.room_id),
        trace,
        held,
    };
    take(&state, asking).await
}

/// Brings an event to a request, and shows how it stands then.
pub(super) async fn bring(
    state: &State,
    id: RequestId,
    event: RunEvent,
    reason: &'static str,
    trace: Trace,
    held: Option<Held>,
) -> Result<Response, Refused> {
    let cause = Cause {
        trace: Some(trace.0),
        claim: held.as_ref().map(|held| held.claim.clone()),
        ..Cause::by(state.principal.clone(), reason)
    };
    let shared = &state.shared;
    match shared.advance(id, event, cause).await? {
        Advanced::Refused(chiffon_arbiter::Refusal::Nothing)
        | Advanced::Moved
        | Advanced::HandledBefore => {}
        Advanced::Refused(refusal) => return Err(refusal.into()),
    }
    if let Some(held) = &held {
        let tenant = &shared.settings.tenant;
        let stored = shared.store.stored_answer(tenant, &held.claim.key).await?;
        // What is kept is what is answered: whoever asks again gets the very same.
        if let Some(stored) = stored {
            return kept(stored.answer);
        }
    }
    Ok(Json(view(state, id).await?.0).into_response())
}
