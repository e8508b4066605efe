//! What is said to a room about the work that was asked for in it, for the adapter that reads it: what waits for a person
//! and how each request ended, in the order of the event stream. A projection of the stream, so nothing is lost or told
//! twice by a crash, and an adapter goes on from the last number that it has seen.

use axum::{
    Json,
    extract::{Path, State as Extract},
};
use chiffon_common::{Action, ErrorCode, PlanId, Problem, RequestId, RoomId, api::ResetReason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    State,
    input::{Asked, page_size, unfit_query},
    problem::Refused,
};
use crate::{
    engine::{plan_of, told},
    events::events_of,
};

/// Rows read at once.
const PAGE: u32 = 200;
/// Rows looked at for one answer, where most are of other rooms.
const LOOKED_AT: u32 = 2_000;

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// Messages after this number of the event stream.
    #[serde(default)]
    #[param(maximum = 9223372036854775807u64)]
    after: u64,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
}

/// A part of what was said to a room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Messages {
    /// Lowest number first.
    items: Vec<Message>,
    /// Where to go on, also where nothing was for this room.
    next_after: u64,
    /// That `after` is a number that the stream does not know: the database is an older one. What was told since is told
    /// from `next_after` on, under new numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<ResetReason>,
}

/// One thing to be said.
#[derive(Debug, Serialize, ToSchema)]
struct Message {
    /// In the event stream.
    number: u64,
    /// When it was.
    ts: Timestamp,
    /// The work that it is about.
    request_id: RequestId,
    /// The plan that the result of the action names.
    plan_id: PlanId,
    /// What is to be said.
    action: Action,
}

/// Lists what a room is told of the work that was asked for in it: what waits for a person, and how each request ended.
#[utoipa::path(
    get, path = "/v0/rooms/{id}/messages", tag = "control plane", operation_id = "v0_list_messages",
    params(("id" = RoomId, Path), Query),
    responses((status = 200, description = "What it is told after that number", body = Messages))
)]
pub(super) async fn messages(
    Extract(state): Extract<State>,
    Path(room): Path<String>,
    Asked(asked): Asked<Query>,
) -> Result<Json<Messages>, Refused> {
    let room: RoomId = room.parse().map_err(|error: chiffon_common::IdError| {
        Problem::new(
            ErrorCode::NotFound,
            error.to_string(),
            "name a room as its events do",
        )
    })?;
    if i64::try_from(asked.after).is_err() {
        return Err(unfit_query("after", "no number of the stream is so high"));
    }
    let limit = page_size(asked.limit, 100)? as usize;
    let head = state.shared.store.stream_head().await?;
    if asked.after > head {
        return Ok(Json(Messages {
            items: Vec::new(),
            next_after: head,
            reset: Some(ResetReason::FromTheFuture),
        }));
    }
    let (mut items, mut next_after, mut looked_at) = (Vec::new(), asked.after, 0);
    'full: while looked_at < LOOKED_AT {
        let rows = state.shared.store.stream_after(next_after, PAGE).await?;
        looked_at += PAGE;
        if rows.is_empty() {
            break;
        }
        for event in rows.iter().flat_map(events_of) {
            if event.number <= next_after {
                continue;
            }
            if items.len() == limit {
                break 'full;
            }
            next_after = event.number;
            let data = &event.view.data;
            let id = |name: &str| data.get(name).and_then(Value::as_str);
            let asks = match event.view.kind.as_str() {
                "decision.created" => id("decision_id").and_then(|id| id.parse().ok()),
                "request.completed" => None,
                _ => continue,
            };
            let Some(request) = id("request_id").and_then(|id| id.parse().ok()) else {
                continue;
            };
            // One that was forgotten since says nothing any more.
            let Ok((run, _)) = state.shared.load(request).await else {
                continue;
            };
            if run.request.room_id == room
                && let Some(action) = told(&run, asks)
            {
                items.push(Message {
                    number: event.number,
                    ts: event.view.timestamp,
                    request_id: request,
                    plan_id: plan_of(&run),
                    action,
                });
            }
        }
    }
    Ok(Json(Messages {
        items,
        next_after,
        reset: None,
    }))
}
