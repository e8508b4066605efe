//! Decisions: questions to a person. Answering is the arbiter's to judge; the short `POST /approve` and
//! `POST /api/v1/decisions/{id}/resolve` are the same step.

use axum::{Json, extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_arbiter::{Answered, Run, RunEvent};
use chiffon_common::{
    DecisionId, ErrorCode, FieldError, Problem, RequestId,
    api::{Answer, DECISION_STATES, DecisionView, Page, RequestView, Resolve},
};
use chiffon_store::ListDecisions;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page, read_timed, timed},
    frame::Trace,
    idempotency::{Call, hold},
    input::{Asked, Body, Id, Named, NoQuery, none_such, page_size, permitted, unfit_query},
    problem::{Refused, missing},
    requests::bring,
};
use crate::engine::{AdvanceError, decision_view};

/// Longest choice and host name, in characters.
const SHORT: usize = 253;
/// Longest comment, in characters.
const COMMENT: usize = 2_000;

/// Which decisions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this request.
    request_id: Option<RequestId>,
    /// Only in this state: `pending`, `resolved`, `timed_out`.
    state: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists decisions, newest first.
#[utoipa::path(
    get, path = "/api/v1/decisions", tag = "decisions", operation_id = "list_decisions",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<DecisionView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<DecisionView>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    if asked
        .state
        .as_deref()
        .is_some_and(|state| !DECISION_STATES.contains(&state))
    {
        return Err(unfit_query(
            "state",
            "a decision is pending, resolved or timed_out",
        ));
    }
    let request = asked
        .request_id
        .map(|id| id.to_string())
        .unwrap_or_default();
    let filter = asked.state.clone().unwrap_or_default();
    let cursors = List::new("decisions", &[&request, &filter]);
    let list = ListDecisions {
        request_id: asked.request_id,
        state: asked.state,
        after: cursors.place(asked.cursor.as_deref(), read_timed)?,
        limit: limit + 1,
    };
    let shared = &state.shared;
    let rows = shared
        .store
        .decisions(&shared.settings.tenant, list)
        .await?;
    let (rows, next_cursor) = page(rows, limit, |row| {
        cursors.cursor(&timed(row.created_at, &row.decision_id))
    });
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let (run, _) = shared.load(row.request_id).await?;
        let found = row.decision_id.parse().ok();
        items.extend(found.and_then(|id| view_in(&run, id)));
    }
    Ok(Json(Page { items, next_cursor }))
}

/// Shows one decision.
#[utoipa::path(
    get, path = "/api/v1/decisions/{id}", tag = "decisions", operation_id = "show_decision",
    params(("id" = DecisionId, Path)),
    responses((status = 200, description = "The decision", body = DecisionView))
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<DecisionId>,
) -> Result<Json<DecisionView>, Refused> {
    let run = run_of(&state, id).await?;
    view_in(&run, id)
        .map(Json)
        .ok_or_else(none_such::<DecisionId>)
}

fn view_in(run: &Run, id: DecisionId) -> Option<DecisionView> {
    let decision = run.decisions.get(&id)?;
    Some(decision_view(run, decision))
}

async fn run_of(state: &State, id: DecisionId) -> Result<Run, Refused> {
    let shared = &state.shared;
    let tenant = &shared.settings.tenant;
    let request = shared
        .store
        .request_of_decision(tenant, &id.to_string())
        .await?
        .ok_or_else(none_such::<DecisionId>)?;
    Ok(shared.load(request).await?.0)
}

/// Answers a decision. An approval names the digest of the plan that was read.
#[utoipa::path(
    post, path = "/api/v1/decisions/{id}/resolve", tag = "decisions", operation_id = "resolve_decision",
    params(("id" = DecisionId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Resolve,
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 409, description = "It was answered, or names another plan"),
        (status = 410, description = "The answer came too late")
    )
)]
pub(super) async fn resolve(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<DecisionId>,
    Body { value, bytes }: Body<Resolve>,
) -> Result<Response, Refused> {
    let operation = format!("resolve:{id}");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: &bytes,
        key: None,
    };
    let held = hold(&state, &call).await?;
    let run = run_of(&state, id).await?;
    let answered = answered(&state, id, value)?;
    let (request, event) = (run.request.request_id, RunEvent::Answered(answered));
    bring(&state, request, event, "answered", trace, held).await
}

/// Answers the question that a request asks.
#[utoipa::path(
    post, path = "/approve", tag = "short", operation_id = "approve",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Answer,
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 404, description = "There is no request of this id"),
        (status = 409, description = "It was answered, or names another plan"),
        (status = 410, description = "The answer came too late")
    )
)]
pub(super) async fn approve(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Body {
        value: answer,
        bytes,
    }: Body<Answer>,
) -> Result<Response, Refused> {
    let call = Call {
        operation: "approve",
        headers: &headers,
        body: &bytes,
        key: None,
    };
    let held = hold(&state, &call).await?;
    let (run, _) = state
        .shared
        .load(answer.request_id)
        .await
        .map_err(of_the_body)?;
    let decision = match answer.decision_id {
        Some(decision) => decision,
        None => pending(&run, &answer)?,
    };
    let said = Resolve {
        choice: answer.choice,
        digest: answer.digest,
        confirm: answer.confirm,
        comment: answer.comment,
    };
    let event = RunEvent::Answered(answered(&state, decision, said)?);
    bring(&state, answer.request_id, event, "answered", trace, held).await
}

/// The answer of the principal, with texts that can be shown again.
fn answered(state: &State, decision: DecisionId, said: Resolve) -> Result<Answered, Problem> {
    for (pointer, text, most) in [
        ("/choice", &said.choice, SHORT),
        ("/confirm", &said.confirm, SHORT),
        ("/comment", &said.comment, COMMENT),
    ] {
        permitted(pointer, text.as_deref().unwrap_or_default(), most)?;
    }
    Ok(Answered {
        decision,
        choice: said.choice.unwrap_or_else(|| "approve".to_owned()),
        by: state.principal.clone(),
        digest: said.digest,
        confirm: said.confirm,
        comment: said.comment,
    })
}

/// A request that is not there was named by the body here, not by the address.
fn of_the_body(error: AdvanceError) -> Refused {
    match error {
        AdvanceError::NoRequest => {
            let (what, todo) = RequestId::MISSING;
            let field = FieldError::body("/request_id", "names nothing");
            missing(what, todo).at(field).into()
        }
        error => error.into(),
    }
}

/// The question that is meant where none is named: the one that waits, or else the last that did.
fn pending(run: &Run, answer: &Answer) -> Result<DecisionId, Problem> {
    let mut pending: Vec<_> = run.decisions.values().collect();
    pending.sort_by_key(|decision| (!decision.state.ended(), decision.created_at));
    let open = pending
        .iter()
        .filter(|decision| !decision.state.ended())
        .count();
    if open > 1 && answer.digest.is_none() {
        let detail = "several questions wait for an answer";
        let todo = "name one by decision_id; `chiffon request show` lists them";
        let field = FieldError::body("/decision_id", "missing");
        return Err(Problem::new(ErrorCode::Conflict, detail, todo).at(field));
    }
    let last = pending.last().map(|decision| decision.decision_id);
    last.ok_or_else(|| {
        let detail = format!(
            "the request is {} and asks nothing",
            run.request.state.name()
        );
        Problem::new(
            ErrorCode::DecisionClosed,
            detail,
            "look at it with `chiffon request show`",
        )
    })
}
