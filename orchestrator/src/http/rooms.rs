//! What is said to a room about the work that was asked for in it, for the adapter that reads it: what waits for a person
//! and how each request ended, in the order of the event stream. A projection of the stream, so nothing is lost or told
//! twice by a crash, and an adapter goes on from the last number that it has seen.

use axum::{
    Json,
    extract::{Path, State as Extract},
};
use chiffon_arbiter::{DecisionKind, Run, plan_id_of};
use chiffon_common::{Action, DecisionId, ErrorCode, HostName, Problem, RequestId, RoomId, Step};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    State,
    input::{Asked, page_size},
    problem::Refused,
};
use crate::events::events_of;

/// Rows read at once.
const PAGE: u32 = 200;
/// Rows looked at for one answer, where most are of other rooms.
const LOOKED_AT: u32 = 2_000;

/// Which part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// Messages after this number of the event stream.
    #[serde(default)]
    after: u64,
    /// At most this many, 1 to 500.
    limit: Option<u32>,
}

/// A part of what was said to a room.
#[derive(Debug, Serialize)]
pub(super) struct Messages {
    items: Vec<Message>,
    /// Where to go on, also where nothing was for this room.
    next_after: u64,
}

/// One thing to be said.
#[derive(Debug, Serialize)]
struct Message {
    number: u64,
    ts: Timestamp,
    request_id: RequestId,
    action: Action,
}

/// What the room is told, lowest number first.
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
    let limit = page_size(asked.limit, 100)? as usize;
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
            if run.request.room_id == room {
                items.push(Message {
                    number: event.number,
                    ts: event.view.timestamp,
                    request_id: request,
                    action: said(&run, event.number, asks),
                });
            }
        }
    }
    Ok(Json(Messages { items, next_after }))
}

/// A question, or the end. The place in the stream is the position under which the action has its id.
fn said(run: &Run, number: u64, asks: Option<DecisionId>) -> Action {
    let request = &run.request;
    let plan = plan_id_of(&request.tenant_id, &request.event_id);
    let action_id = Action::id(plan, usize::try_from(number).unwrap_or(usize::MAX));
    let target = request.room_id.clone();
    match asks {
        Some(decision_id) => Action::RequestApproval {
            action_id,
            target,
            text: question(run, decision_id),
            decision_id,
        },
        None => Action::SendReply {
            action_id,
            target,
            reply_to: request.event_id.clone(),
            text: format!("{}: {}", request.state.name(), bounded(&request.because)),
        },
    }
}

/// As much of a text as a message has room for, and how much more there is.
fn bounded(text: &str) -> String {
    const MOST: usize = 7_000;
    match text.chars().count().saturating_sub(MOST) {
        0 => text.to_owned(),
        more => {
            let shown: String = text.chars().take(MOST).collect();
            format!("{shown}... ({more} more characters)")
        }
    }
}

/// What is asked, in words.
fn question(run: &Run, decision: DecisionId) -> String {
    let id = run.request.request_id;
    let step = |step: &Step| {
        let hosts: Vec<&str> = step.hosts.iter().map(HostName::as_str).collect();
        format!("{} ({})", step.title, hosts.join(", "))
    };
    let steps = run.plan.iter().flat_map(|plan| &plan.steps);
    let steps: Vec<String> = steps.map(step).collect();
    let asked = run.decisions.get(&decision).map(|asked| &asked.kind);
    match asked {
        Some(DecisionKind::Approval { .. }) => format!(
            "May this be done? {}. Answer yes or no; `chiffon request show {id}` tells all of it.",
            bounded(&steps.join("; "))
        ),
        _ => format!(
            "{} Answer with `chiffon answer {id}`.",
            bounded(&run.request.because)
        ),
    }
}
