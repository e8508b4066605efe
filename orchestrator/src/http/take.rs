//! The one way in from HTTP: what was asked, in whichever form, becomes an event and passes the arbiter.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chiffon_common::{
    Actor, Content, Digest, ErrorCode, Event, EventId, Problem, ProjectId, RoomId,
};

use super::{
    State,
    frame::Trace,
    idempotency::Held,
    problem::{Refused, internal, not_taken},
};
use crate::engine::{Incoming, Way, accepted};

/// The room of those who name none.
const ROOM: &str = "api";

/// What is asked.
pub(super) struct Asking {
    pub(super) content: Content,
    pub(super) project_id: Option<ProjectId>,
    pub(super) room_id: Option<RoomId>,
    pub(super) trace: Trace,
    pub(super) held: Option<Held>,
}

/// Takes it; the answer is durable when this returns.
pub(super) async fn take(state: &State, asking: Asking) -> Result<Response, Refused> {
    if state.draining.is_cancelled() {
        let detail = "Chiffon is shutting down and takes nothing new";
        let todo = "ask again when it is back; nothing was taken";
        return Err(Problem::new(ErrorCode::ShuttingDown, detail, todo).into());
    }
    let event = event(state, &asking)?;
    let incoming = Incoming {
        event,
        trace: asking.trace.0,
        claim: asking.held.as_ref().map(|held| held.claim.clone()),
        way: Way::Own,
        schedule: None,
    };
    let taken = state.shared.intake(incoming).await?;
    let reason = taken.plan.reason_code;
    let request_id = taken.request.ok_or_else(|| not_taken(reason))?;
    let answer = accepted(request_id).map_err(|error| internal(&error))?;
    Ok((StatusCode::ACCEPTED, Json(answer.body)).into_response())
}

fn event(state: &State, asking: &Asking) -> Result<Event, Refused> {
    // A key stays good beyond the age at which stored answers are forgotten: events are kept.
    let id = asking.held.as_ref().map_or_else(
        || format!("http:{}", state.shared.clock.fresh_id()),
        |held| format!("key:{}", Digest::of_bytes(held.claim.key.as_bytes()).hex()),
    );
    let event_id = id.parse::<EventId>().map_err(|error| internal(&error))?;
    let room_id = match &asking.room_id {
        Some(room) => room.clone(),
        None => ROOM.parse::<RoomId>().map_err(|error| internal(&error))?,
    };
    Ok(Event {
        v: 0,
        event_id,
        tenant_id: state.shared.settings.tenant.clone(),
        source: "http".to_owned(),
        room_id,
        project_id: asking.project_id.clone().unwrap_or_default(),
        actor: Actor {
            id: state.principal.id.clone(),
            kind: state.principal.kind.clone(),
        },
        content: asking.content.clone(),
        ts: state.shared.clock.now(),
    })
}
