//! The event stream: live by Server-Sent Events, and the same data by asking (A7, R42 to R46).
//!
//! A reader is first given what it has missed from the store, then what comes, in one rising row of numbers.
//! Whoever cannot be given a row without a hole is told so by `reset` and goes on from there: a hole is never
//! passed over in silence.

use std::{convert::Infallible, sync::Arc, time::Duration};

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
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use utoipa::IntoParams;

use super::{
    State,
    input::{Asked, page_size, unfit_query},
    problem::Refused,
};
use crate::events::{Event, Wanted, events_of};

/// How far back a reader is told again what it has missed; further back, fetching everything is the shorter way.
const REPLAYED: u64 = 10_000;
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

/// One reader and where it stands.
struct Reader {
    state: State,
    wanted: Wanted,
    live: broadcast::Receiver<Arc<Event>>,
    /// The number of the last event that was passed on or passed over.
    last: u64,
    /// What its client knows as the last.
    told: u64,
    /// Whether there may be more in the store behind its place, which comes by no other way.
    is_behind: bool,
    /// What is to be sent before anything else.
    ready: std::collections::VecDeque<Sent>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    async fn begin(
        state: State,
        wanted: Wanted,
        last: Option<u64>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Refused> {
        // Listening begins before looking, so nothing falls between the two.
        let live = state.shared.hub.subscribe();
        let head = state.shared.store.stream_head().await?;
        let mut reader = Self {
            state,
            wanted,
            live,
            last: last.unwrap_or(head),
            told: last.unwrap_or(head),
            is_behind: last.is_some(),
            ready: Default::default(),
            _place: place,
        };
        match last {
            None => reader.ready.push_back(Sent::default().id(head.to_string())),
            Some(last) if last > head => reader.reset(head, ResetReason::FromTheFuture),
            Some(last) if head - last > REPLAYED => reader.reset(head, ResetReason::TooOld),
            Some(_) => {}
        }
        Ok(reader)
    }

    fn into_stream(self) -> impl Stream<Item = Result<Sent, Infallible>> + Send {
        stream::unfold(self, |mut reader| async move {
            let sent = reader.next().await?;
            Some((Ok(sent), reader))
        })
    }

    /// The next block; nothing when the server ends, or the store cannot be read: the client comes back to the
    /// same place.
    async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if self.state.ending.is_cancelled() {
                return None;
            }
            match self.is_behind {
                true => self.fetch().await?,
                false => self.listen().await?,
            }
        }
    }

    /// Fetches a page of what is stored behind this reader's place.
    async fn fetch(&mut self) -> Option<()> {
        let rows = self.state.shared.store.stream_after(self.last, PAGE).await;
        let rows = rows
            .map_err(
                |error| tracing::warn!(%error, "an event stream ends: the store cannot be read"),
            )
            .ok()?;
        // What is committed from now on is told live; what was before is in this page or the next.
        self.is_behind = rows.len() == PAGE as usize;
        for event in rows.iter().flat_map(events_of) {
            self.pass(&event);
        }
        Some(())
    }

    /// Waits for what comes, or for the time of a sign that moves the client's place.
    async fn listen(&mut self) -> Option<()> {
        let came = tokio::select! {
            came = self.live.recv() => came,
            () = self.state.ending.cancelled() => return None,
            () = tokio::time::sleep(ALIVE) => {
                self.look_around().await?;
                return Some(());
            }
        };
        match came {
            Ok(event) if event.number <= self.last => {}
            Ok(event) if event.number == self.last + 1 => self.pass(&event),
            // Something between was told before this reader listened: it is in the store.
            Ok(_) => self.is_behind = true,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let head = self.state.shared.store.stream_head().await.ok()?;
                self.reset(head, ResetReason::TooSlow);
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(())
    }

    /// Nothing came for a while: is that so, and does the client know how far it has been told?
    async fn look_around(&mut self) -> Option<()> {
        let head = self.state.shared.store.stream_head().await.ok()?;
        self.is_behind = head > self.last;
        if !self.is_behind && self.told < self.last {
            self.told = self.last;
            self.ready
                .push_back(Sent::default().id(self.last.to_string()));
        }
        Some(())
    }

    /// Passes an event on if it is wanted, and counts it in any case.
    fn pass(&mut self, event: &Event) {
        if event.number <= self.last {
            return;
        }
        self.last = event.number;
        if self.wanted.takes(event) {
            self.told = event.number;
            let sent = Sent::default()
                .id(event.number.to_string())
                .event(&event.view.kind)
                .data(&event.json);
            self.ready.push_back(sent);
        }
    }

    fn reset(&mut self, head: u64, reason: ResetReason) {
        self.last = head;
        self.told = head;
        self.is_behind = false;
        let view = EventView {
            id: format!("evt-{head}"),
            kind: "reset".to_owned(),
            timestamp: self.state.shared.clock.now(),
            data: Map::from_iter([("reason".to_owned(), json!(reason))]),
        };
        let data = serde_json::to_string(&view).unwrap_or_default();
        let sent = Sent::default()
            .id(head.to_string())
            .event("reset")
            .data(data);
        self.ready.push_back(sent);
    }
}
