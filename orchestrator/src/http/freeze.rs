//! The freeze: looked at, begun and ended. Both changes may be sent again: the same word of the same person is the same
//! freeze, and what is not frozen is thawed already.

use axum::{extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_common::{
    ErrorCode, FieldError, Problem,
    api::{Freeze, FreezeView},
};
use chiffon_store::{Error, FreezeRow};

use super::{
    State,
    etag::{Precondition, changed, versioned},
    frame::Trace,
    input::{Body, NoQuery, Nothing, permitted},
    problem::Refused,
};
use crate::engine::Editor;

/// Longest reason, in characters.
const REASON: usize = 500;

/// Tells whether the fleet is frozen, by whom and why.
#[utoipa::path(
    get, path = "/api/v1/freeze", tag = "freeze", operation_id = "show_freeze",
    responses(
        (status = 200, description = "How it stands", body = FreezeView, headers(("ETag" = String))),
        (status = 304, description = "It has not changed since")
    )
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let row = state.shared.freeze_row().await?;
    Ok(shown(&headers, &row))
}

/// Freezes the fleet: nothing is started until the thaw, and what runs goes on.
#[utoipa::path(
    put, path = "/api/v1/freeze", tag = "freeze", operation_id = "freeze",
    params(("If-Match" = String, Header, description = "The ETag that was read, or *")),
    request_body = Freeze,
    responses(
        (status = 200, description = "It is frozen", body = FreezeView, headers(("ETag" = String))),
        (status = 409, description = "Somebody has frozen it already, or for another reason"),
        (status = 412, description = "It has changed since it was read"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn freeze(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    Body { value, .. }: Body<Freeze>,
) -> Result<Response, Refused> {
    let precondition = Precondition::read(&headers)?;
    let reason = value.reason.trim().to_owned();
    permitted("/reason", &reason, REASON)?;
    if reason.is_empty() {
        let detail = "a freeze without a reason helps nobody who meets it";
        let todo = "say why: chiffon freeze \"backup of the NAS\"";
        let field = FieldError::body("/reason", "empty");
        return Err(Problem::new(ErrorCode::MalformedMessage, detail, todo)
            .at(field)
            .into());
    }
    let editor = editor(&state, trace);
    loop {
        let was = state.shared.freeze_row().await?;
        if let Some(frozen) = &was.frozen {
            if frozen.by == editor.by.id && frozen.reason == reason {
                return Ok(shown(&HeaderMap::new(), &was));
            }
            let detail = format!("the fleet is {}", frozen.words());
            let todo = "it stays so until somebody says `chiffon thaw`; thaw it first to say another reason";
            return Err(Problem::new(ErrorCode::Frozen, detail, todo).into());
        }
        precondition.holds(Some(was.version))?;
        let done = state.shared.freeze(&was, reason.clone(), &editor).await;
        if let Some(answer) = answered(done, &precondition)? {
            return Ok(answer);
        }
    }
}

/// Ends the freeze. What waits goes on by itself.
#[utoipa::path(
    delete, path = "/api/v1/freeze", tag = "freeze", operation_id = "thaw",
    params(("If-Match" = String, Header, description = "The ETag that was read, or *")),
    responses(
        (status = 200, description = "It is not frozen any more", body = FreezeView, headers(("ETag" = String))),
        (status = 412, description = "It has changed since it was read"),
        (status = 428, description = "If-Match is missing")
    )
)]
pub(super) async fn thaw(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    headers: HeaderMap,
    _: Nothing,
) -> Result<Response, Refused> {
    let precondition = Precondition::read(&headers)?;
    let editor = editor(&state, trace);
    loop {
        let was = state.shared.freeze_row().await?;
        if was.frozen.is_none() {
            return Ok(shown(&HeaderMap::new(), &was));
        }
        precondition.holds(Some(was.version))?;
        let done = state.shared.thaw(&was, &editor).await;
        if let Some(answer) = answered(done, &precondition)? {
            return Ok(answer);
        }
    }
}

/// The answer to a change; none where another was faster and whichever version was meant.
fn answered(
    done: Result<FreezeRow, Error>,
    precondition: &Precondition,
) -> Result<Option<Response>, Refused> {
    match (done, precondition) {
        (Ok(now), _) => Ok(Some(shown(&HeaderMap::new(), &now))),
        (Err(Error::Conflict { .. }), Precondition::Any) => Ok(None),
        (Err(Error::Conflict { .. }), _) => Err(changed()),
        (Err(error), _) => Err(error.into()),
    }
}

fn editor(state: &State, trace: chiffon_common::TraceId) -> Editor {
    Editor {
        by: state.principal.clone(),
        trace,
    }
}

fn shown(headers: &HeaderMap, row: &FreezeRow) -> Response {
    let view = FreezeView {
        frozen: row.frozen.clone(),
    };
    versioned(headers, &row.version.to_string(), &view)
}
