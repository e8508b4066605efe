//! Decisions: questions to a person. Answering is the arbiter's to judge; the short `POST /approve` and
//! `POST /api/v1/decisions/{id}/resolve` are the same step.

use axum::{Json, extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_arbiter::{
    Answered, Decision, DecisionKind, Refusal, Replied, Run, RunEvent, Said, Words,
};
use chiffon_common::{
    DecisionId, ErrorCode, FieldError, MAX_TEXT_CHARS, Principal, Problem, ProjectId, RequestId,
    api::{Answer, DECISION_STATES, DecisionView, Page, RequestView, Resolve},
    visible,
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
    unreadable::{Columns, Read, read},
};
use crate::engine::{AdvanceError, decision_view};

/// Longest choice and host name, in characters.
pub(super) const SHORT: usize = 253;
/// Longest comment, in characters.
pub(super) const COMMENT: usize = 2_000;

/// Which decisions to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this request.
    request_id: Option<RequestId>,
    /// Only of requests of this project.
    project_id: Option<ProjectId>,
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
    let project = asked
        .project_id
        .as_ref()
        .map_or("", |project| project.as_str());
    let cursors = List::new("decisions", &[&request, &filter, project]);
    let list = ListDecisions {
        request_id: asked.request_id,
        project_id: asked.project_id.clone(),
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
    let mut unreadable = Vec::new();
    for row in rows {
        match read(shared.load(row.request_id).await)? {
            Read::Here((run, _)) => {
                let found = row.decision_id.parse().ok();
                items.extend(found.and_then(|id| view_in(&run, id)));
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

/// Answers a decision. An approval names the digest of the plan that was read; a `question` takes one of its
/// options or a `text`, and its request goes on with that.
#[utoipa::path(
    post, path = "/api/v1/decisions/{id}/resolve", tag = "decisions", operation_id = "resolve_decision",
    params(("id" = DecisionId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Resolve,
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 404, description = "There is no decision of this id"),
        (status = 409, description = "It was answered by somebody, or its time is over, or it is about another plan"),
        (status = 422, description = "The answer is empty, is none of the options, or does not fit the question")
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
    let event = answer_of(&state, &run, id, value).await?;
    let brought = bring(
        &state,
        run.request.request_id,
        event,
        "answered",
        trace,
        held,
    );
    match brought.await {
        Ok(response) => Ok(response),
        Err(error) => Err(told_by_whom(&state, id, error).await),
    }
}

/// Answers what a request asks.
#[utoipa::path(
    post, path = "/approve", tag = "short", operation_id = "approve",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = Answer,
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 404, description = "There is no request of this id"),
        (status = 409, description = "It was answered by somebody, or its time is over, or it is about another plan"),
        (status = 422, description = "The answer is empty, is none of the options, or does not fit the question")
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
        text: answer.text,
        digest: answer.digest,
        confirm: answer.confirm,
        comment: answer.comment,
    };
    let event = answer_of(&state, &run, decision, said).await?;
    match bring(&state, answer.request_id, event, "answered", trace, held).await {
        Ok(response) => Ok(response),
        Err(error) => Err(told_by_whom(&state, decision, error).await),
    }
}

/// The answer of the principal, with texts that can be shown again.
async fn answer_of(
    state: &State,
    run: &Run,
    decision: DecisionId,
    said: Resolve,
) -> Result<RunEvent, Refused> {
    for (pointer, text, most) in [
        ("/choice", &said.choice, SHORT),
        ("/text", &said.text, MAX_TEXT_CHARS),
        ("/confirm", &said.confirm, SHORT),
        ("/comment", &said.comment, COMMENT),
    ] {
        permitted(pointer, text.as_deref().unwrap_or_default(), most)?;
    }
    let asked = run.decisions.get(&decision);
    let asked = asked.ok_or_else(none_such::<DecisionId>)?;
    let is_question = matches!(asked.kind, DecisionKind::Question { .. });
    let by = state.principal.clone();
    match (&said.choice, said.text) {
        (Some(_), Some(_)) => {
            let field = FieldError::body("/text", "not beside a choice");
            let detail = "an answer is one of the options or a text, not both";
            let todo = "send either `choice` or `text`";
            Err(Problem::new(ErrorCode::MalformedMessage, detail, todo)
                .at(field)
                .into())
        }
        (_, Some(text)) => own_words(state, asked, &text, by, said.comment).await,
        (None, None) if is_question => Err(empty("/choice").into()),
        (choice, None) => {
            let choice = choice.clone().unwrap_or_else(|| "approve".to_owned());
            // The gate before the start would turn it away for good: better said now than after an "approved".
            let is_approval = matches!(asked.kind, DecisionKind::Approval { .. });
            let permits = is_approval && choice == "approve" && !asked.state.ended();
            if permits && !state.shared.is_under_rules(run) {
                return Err(Refusal::PolicyChanged.into());
            }
            Ok(RunEvent::Answered(Answered {
                decision,
                choice,
                by,
                digest: said.digest,
                confirm: said.confirm,
                comment: said.comment,
            }))
        }
    }
}

/// What an answer in own words comes to, by the catalogue and inventory of now. One that is no answer is refused
/// before it is brought, so that the question stays as it is.
async fn own_words(
    state: &State,
    asked: &Decision,
    text: &str,
    by: Principal,
    comment: Option<String>,
) -> Result<RunEvent, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Err(empty("/text").into());
    }
    let words = match &asked.kind {
        // Whatever is said to a closed question, it is closed.
        DecisionKind::Question { wants, .. } if !asked.state.ended() => {
            let loaded = state.shared.library.current().await?;
            if loaded.planner.takes_back(text, loaded.inventory()?) {
                return Ok(RunEvent::CancelAsked {
                    by,
                    limit_seconds: None,
                });
            }
            loaded.planner.answer(text, wants, loaded.inventory()?)?
        }
        _ => Words {
            text: text.to_owned(),
            said: Said::Sentence {
                text: text.to_owned(),
            },
            secret: Vec::new(),
        },
    };
    Ok(RunEvent::Replied(Replied {
        decision: asked.decision_id,
        words,
        by,
        comment,
    }))
}

fn empty(pointer: &str) -> Problem {
    let todo = "answer with one of the options, a value, or a sentence";
    Problem::new(ErrorCode::EmptyAnswer, "the answer is empty", todo)
        .at(FieldError::body(pointer, "missing"))
}

/// Who came too late is told who was first.
async fn told_by_whom(state: &State, decision: DecisionId, error: Refused) -> Refused {
    let mut problem = match error {
        Refused::Problem(problem) if problem.code == ErrorCode::DecisionClosed => problem,
        other => return other,
    };
    // Without it, the answer is less friendly and just as right.
    let Ok(run) = run_of(state, decision).await else {
        return Refused::Problem(problem);
    };
    if let Some(view) = view_in(&run, decision)
        && let (Some(by), Some(choice), Some(at)) =
            (&view.resolved_by, &view.choice, view.resolved_at)
    {
        let choice = visible(choice);
        problem.detail = format!("the question was answered before: {choice} by {by} at {at}");
    }
    Refused::Problem(problem)
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
