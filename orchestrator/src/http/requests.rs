//! Requests: ask, look, answer, cancel, follow.

use std::time::Duration;

use axum::{
    Json,
    extract::State as Extract,
    http::{HeaderMap, StatusCode},
};
use chiffon_arbiter::{Answered, Authorisation, Run, RunEvent};
use chiffon_common::{
    Actor, Content, Digest, ErrorCode, Event, EventId, Problem, ProjectId, RequestId,
    api::{Answer, Follow, LogLine, NewRequest, Page, RequestAccepted, RequestView},
};
use chiffon_store::ListRequests;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    State,
    input::{Asked, Body, Id},
    problem::{Refused, no_request},
};
use crate::engine::{Advanced, Cause, request_line, request_view};

/// How long a follower waits for something new. Below the idle limits of common proxies.
const FOLLOW: Duration = Duration::from_secs(25);
/// Lines in one answer to a follower.
const LINES: u32 = 1000;

pub(super) async fn create(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Body(new): Body<NewRequest>,
) -> Result<(StatusCode, Json<RequestAccepted>), Refused> {
    if state.draining.is_cancelled() {
        let detail = "Chiffon is shutting down and takes nothing new";
        let todo = "ask again when it is back; nothing was taken";
        return Err(Refused(Problem::new(ErrorCode::ShuttingDown, detail, todo)));
    }
    let key = idempotency_key(&headers, &new)?;
    let event = event(&state, new, key.as_deref())?;
    let taken = state.shared.intake(event, &Authorisation::Allow).await?;
    let request_id = taken.request.ok_or_else(|| {
        let detail = format!("the request was not accepted: {:?}", taken.plan.reason_code);
        Refused(Problem::new(
            ErrorCode::Forbidden,
            detail,
            "ask as a person who may",
        ))
    })?;
    let (run, _) = state.shared.load(request_id).await?;
    let accepted = RequestAccepted {
        request_id,
        state: run.request.state.name().to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

fn idempotency_key(headers: &HeaderMap, new: &NewRequest) -> Result<Option<String>, Refused> {
    let header = headers
        .get("idempotency-key")
        .map(|value| value.to_str().map(str::to_owned))
        .transpose();
    let header = header.unwrap_or(Some(String::new()));
    let key = header.or_else(|| new.idempotency_key.clone());
    let fits =
        |key: &String| !key.is_empty() && key.len() <= 255 && !key.chars().any(char::is_control);
    if key.as_ref().is_some_and(|key| !fits(key)) {
        let detail = "an idempotency key has 1 to 255 characters without control characters";
        return Err(Refused(Problem::new(
            ErrorCode::MalformedMessage,
            detail,
            "use a UUID",
        )));
    }
    Ok(key)
}

fn event(state: &State, new: NewRequest, key: Option<&str>) -> Result<Event, Refused> {
    let internal = |error: &dyn std::error::Error| {
        Refused(Problem::new(
            ErrorCode::Internal,
            error.to_string(),
            "please report this",
        ))
    };
    // Two people's keys never meet, whatever characters they use.
    let id = key.map_or_else(
        || format!("http:{}", state.shared.clock.fresh_id()),
        |key| {
            format!(
                "key:{}",
                Digest::of_parts([state.principal.id.as_bytes(), key.as_bytes()]).hex()
            )
        },
    );
    let event_id = id.parse::<EventId>().map_err(|error| internal(&error))?;
    let room_id = match new.room_id {
        Some(room) => room,
        None => "api"
            .parse()
            .map_err(|error: chiffon_common::IdError| internal(&error))?,
    };
    Ok(Event {
        v: 0,
        event_id,
        tenant_id: state.shared.settings.tenant.clone(),
        source: "http".to_owned(),
        room_id,
        project_id: new.project_id.unwrap_or_default(),
        actor: Actor {
            id: state.principal.id.clone(),
            kind: state.principal.kind.clone(),
        },
        content: Content {
            kind: "text".to_owned(),
            text: new.text,
            mentions_chiffon: true,
        },
        ts: state.shared.clock.now(),
    })
}

pub(super) async fn show(
    Extract(state): Extract<State>,
    Id(id): Id,
) -> Result<Json<RequestView>, Refused> {
    Ok(Json(view(&state, id).await?.0))
}

async fn view(state: &State, id: RequestId) -> Result<(RequestView, u64), Refused> {
    let shared = &state.shared;
    let rows = shared
        .store
        .run(&shared.settings.tenant, id)
        .await?
        .ok_or_else(|| Refused(no_request()))?;
    let (version, updated_at) = (rows.request.version, rows.request.updated_at);
    let (run, _) = crate::engine::slice_of(&rows).map_err(crate::engine::AdvanceError::from)?;
    let commit = if run.request.state.ended() {
        shared.store.ledger_commit(id).await?
    } else {
        None
    };
    Ok((request_view(&run, updated_at, commit), version))
}

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    project_id: Option<ProjectId>,
    state: Option<String>,
    #[serde(default)]
    open_only: bool,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<RequestView>>, Refused> {
    let limit = asked.limit.unwrap_or(50).clamp(1, 499);
    let after = asked.cursor.as_deref().map(read_cursor).transpose()?;
    let list = ListRequests {
        project_id: asked.project_id,
        room_id: None,
        state: asked.state,
        open_only: asked.open_only,
        after,
        // One more than is shown tells whether there is another page.
        limit: limit + 1,
    };
    let mut rows = state
        .shared
        .store
        .requests(&state.shared.settings.tenant, list)
        .await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_cursor = rows
        .last()
        .filter(|_| more)
        .map(|row| format!("{}_{}", row.created_at.as_microsecond(), row.request_id));
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let request = serde_json::from_value(row.doc).map_err(crate::engine::AdvanceError::from)?;
        let run = Run {
            request,
            plan: None,
            tasks: Default::default(),
            decisions: Default::default(),
            timers: Default::default(),
        };
        items.push(request_line(&run, row.updated_at));
    }
    Ok(Json(Page { items, next_cursor }))
}

fn read_cursor(text: &str) -> Result<(Timestamp, RequestId), Refused> {
    let read = || {
        let (at, id) = text.split_once('_')?;
        Some((
            Timestamp::from_microsecond(at.parse().ok()?).ok()?,
            id.parse().ok()?,
        ))
    };
    read().ok_or_else(|| {
        Refused(Problem::new(
            ErrorCode::MalformedMessage,
            "the cursor is not one of this list",
            "begin again without a cursor",
        ))
    })
}

pub(super) async fn answer(
    Extract(state): Extract<State>,
    Body(answer): Body<Answer>,
) -> Result<Json<RequestView>, Refused> {
    let (run, _) = state.shared.load(answer.request_id).await?;
    let decision = match answer.decision_id {
        Some(decision) => decision,
        None => pending(&run, &answer)?,
    };
    let event = RunEvent::Answered(Answered {
        decision,
        choice: answer.choice.unwrap_or_else(|| "approve".to_owned()),
        by: state.principal.clone(),
        digest: answer.digest,
        confirm: answer.confirm,
        comment: answer.comment,
    });
    bring(&state, answer.request_id, event, "answered").await
}

/// The question that is meant where none is named: the one that waits, or else the last that did.
fn pending(run: &Run, answer: &Answer) -> Result<chiffon_common::DecisionId, Refused> {
    let mut pending: Vec<_> = run.decisions.values().collect();
    pending.sort_by_key(|decision| (!decision.state.ended(), decision.created_at));
    let open = pending
        .iter()
        .filter(|decision| !decision.state.ended())
        .count();
    if open > 1 && answer.digest.is_none() {
        let detail = "several questions wait for an answer";
        return Err(Refused(Problem::new(
            ErrorCode::Conflict,
            detail,
            "name one by decision_id; `chiffon request show` lists them",
        )));
    }
    let last = pending.last().map(|decision| decision.decision_id);
    last.ok_or_else(|| {
        let detail = format!(
            "the request is {} and asks nothing",
            run.request.state.name()
        );
        Refused(Problem::new(
            ErrorCode::DecisionClosed,
            detail,
            "look at it with `chiffon request show`",
        ))
    })
}

pub(super) async fn cancel(
    Extract(state): Extract<State>,
    Id(id): Id,
) -> Result<Json<RequestView>, Refused> {
    let by = state.principal.clone();
    bring(&state, id, RunEvent::CancelAsked { by }, "cancel_asked").await
}

async fn bring(
    state: &State,
    id: RequestId,
    event: RunEvent,
    reason: &'static str,
) -> Result<Json<RequestView>, Refused> {
    let cause = Cause::by(state.principal.clone(), reason);
    match state.shared.advance(id, event, cause).await? {
        // Asked for twice is asked for once.
        Advanced::Refused(chiffon_arbiter::Refusal::Nothing)
        | Advanced::Moved
        | Advanced::HandledBefore => {}
        Advanced::Refused(refusal) => return Err(refusal.into()),
    }
    Ok(Json(view(state, id).await?.0))
}

/// Where a follower stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowQuery {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    version: u64,
}

/// Answers at once if there is something newer than the follower has, else as soon as there is.
pub(super) async fn follow(
    Extract(state): Extract<State>,
    Id(id): Id,
    Asked(asked): Asked<FollowQuery>,
) -> Result<Json<Follow>, Refused> {
    // Listening begins before looking, so nothing falls between the two.
    let mut changes = state.shared.changes.subscribe();
    let waited = tokio::time::sleep(FOLLOW);
    tokio::pin!(waited);
    loop {
        let found = look(&state, id, &asked).await?;
        let newer = found.version > asked.version || !found.lines.is_empty();
        if newer || waited.is_elapsed() || state.ending.is_cancelled() {
            return Ok(Json(found));
        }
        loop {
            tokio::select! {
                () = &mut waited => break,
                () = state.ending.cancelled() => break,
                changed = changes.recv() => match changed {
                    Ok(other) if other != id => {}
                    // Lagging behind means that anything may have changed.
                    Ok(_) | Err(_) => break,
                },
            }
        }
    }
}

async fn look(state: &State, id: RequestId, asked: &FollowQuery) -> Result<Follow, Refused> {
    let (request, version) = view(state, id).await?;
    // The ledger's commit comes after the last move and moves nothing: it counts as one version more.
    let version = version * 2 + u64::from(request.ledger_commit.is_some());
    let rows = state.shared.store.logs(id, asked.after, LINES).await?;
    let last_line = rows.last().map_or(asked.after, |row| row.id);
    let line = |row: chiffon_store::LogRow| LogLine {
        id: row.id,
        task_id: row.task_id,
        attempt: row.attempt,
        ts: row.ts,
        line: row.line,
    };
    Ok(Follow {
        request,
        version,
        lines: rows.into_iter().map(line).collect(),
        last_line,
    })
}
