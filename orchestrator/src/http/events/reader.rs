//! One reader of the stream: what it has missed from the store, then what comes, in one rising row of numbers; or a
//! `reset` where that cannot be given.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::response::sse::Event as Sent;
use chiffon_common::api::{EventView, ResetReason};
use futures_util::{Stream, stream};
use serde_json::{Map, json};
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::{ALIVE, PAGE};
use crate::{
    events::{Event, Wanted, events_of},
    http::{State, problem::Refused},
};

/// How far back a reader is told again what it has missed; further back, fetching everything is the shorter way.
const REPLAYED: u64 = 10_000;

/// One reader and where it stands.
pub(super) struct Reader {
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
    ready: VecDeque<Sent>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    pub(super) async fn begin(
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

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Sent, Infallible>> + Send {
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
