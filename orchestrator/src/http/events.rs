//! The event stream: live by Server-Sent Events, and the same data by asking (A7, R42 to R46).
//!
//! A reader is first given what it has missed from the store, then what comes, in one rising row of numbers.
//! Whoever cannot be given a row without a hole is told so by `reset` and goes on from there: a hole is never
//! passed over in silence. What a reader does in between is left to `reader`.

mod reader;

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::State as Extract,
    http::HeaderMap,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event as Sent, KeepAlive},
    },
};
use chiffon_common::{
    ErrorCode, FieldError, Problem, ProjectId,
    api::{EventView, EventsPage, ResetReason},
};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    input::{Asked, page_size, unfit_query},
    problem::Refused,
};
use crate::events::{Wanted, events_of};
use reader::Reader;

/// Rows read at once.
const PAGE: u32 = 200;
/// Rows looked at for one answer of the list, where a filter passes over most of them.
const LOOKED_AT: u32 = 5_000;
/// How long a client waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// A sign of life, well below the idle limits of proxies; a client may give up after three of them.
const ALIVE: Duration = Duration::from_secs(15);

/// Which part of the stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Events after this number.
    #[serde(default)]
    #[param(maximum = 18446744073709551615u64)]
    after: u64,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only of these types, with commas between; one that ends with a dot, such as `bead.`, means all that begin so.
    #[serde(rename = "type")]
    #[param(
        min_length = 1,
        pattern = "^ *[a-z_.]{1,64} *(, *[a-z_.]{1,64} *){0,31}$"
    )]
    types: Option<String>,
}

/// Lists events, lowest number first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "list_events",
    params(ListQuery),
    responses((status = 200, description = "A part of the stream", body = EventsPage))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<EventsPage>, Refused> {
    let limit = page_size(asked.limit, 100)? as usize;
    let wanted = wanted(asked.project_id, asked.types.as_deref())?;
    let store = &state.shared.store;
    let head = store.stream_head().await?;
    if asked.after > head {
        return Ok(Json(EventsPage {
            items: Vec::new(),
            next_after: head,
            head,
            reset: Some(ResetReason::FromTheFuture),
        }));
    }
    let mut items = Vec::new();
    let mut next_after = asked.after;
    let mut looked_at = 0;
    'full: while items.len() < limit && looked_at < LOOKED_AT {
        let rows = store.stream_after(next_after, PAGE).await?;
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
            if wanted.takes(&event) {
                items.push(event.view);
            }
        }
    }
    Ok(Json(EventsPage {
        items,
        next_after,
        head: head.max(next_after),
        reset: None,
    }))
}

fn wanted(project_id: Option<ProjectId>, types: Option<&str>) -> Result<Wanted, Refused> {
    Wanted::new(project_id, types).map_err(|why| unfit_query("type", why))
}

/// What a reader wants.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Only of this project.
    project_id: Option<ProjectId>,
    /// Only of these types, with commas between; one that ends with a dot, such as `bead.`, means all that begin so.
    #[serde(rename = "type")]
    #[param(
        min_length = 1,
        pattern = "^ *[a-z_.]{1,64} *(, *[a-z_.]{1,64} *){0,31}$"
    )]
    types: Option<String>,
}

/// Streams events as they happen (Server-Sent Events).
///
/// With `Last-Event-ID` the stream goes on after that event; without it, it begins with what comes. An event
/// `reset` says that the place is lost (too old, too slow, or from the future): fetch what is shown anew; the stream
/// goes on from there. A block with an `id` and no data only moves the place of a reader whose filter passes over
/// much.
#[utoipa::path(
    get, path = "/api/v1/events/stream", tag = "events", operation_id = "stream_events",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The number of the last event that was read")
    ),
    responses((status = 200, description = "The stream; each `data` is an EventView", body = EventView, content_type = "text/event-stream"))
)]
pub(super) async fn stream(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Asked(asked): Asked<StreamQuery>,
) -> Result<Response, Refused> {
    let wanted = wanted(asked.project_id, asked.types.as_deref())?;
    let last = last_event_id(&headers)?;
    let place = state.limiters.stream()?;
    let reader = Reader::begin(state, wanted, last, place).await?;
    let retry = Sent::default().retry(RETRY);
    let first = stream::iter([Ok::<_, Infallible>(retry)]);
    let stream = futures_util::StreamExt::chain(first, reader.into_stream());
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(stream).keep_alive(alive).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refused> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(None);
    }
    // Both forms of the same number: that of `id:` and that of the data.
    let number = text.strip_prefix("evt-").unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse() {
        Ok(number) => Ok(Some(number)),
        // A number that no counter reaches is from the future.
        Err(_) if is_number => Ok(Some(u64::MAX)),
        Err(_) => {
            let why = "it is the number of an event, such as 124";
            let field = FieldError::header("last-event-id", why);
            let problem = Problem::new(
                ErrorCode::MalformedMessage,
                format!("Last-Event-ID does not fit: {why}"),
                "leave the header away to begin with what comes",
            );
            Err(problem.at(field).into())
        }
    }
}
