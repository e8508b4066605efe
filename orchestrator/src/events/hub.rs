//! One reader of the store for all readers of the stream, who never hold up a writer.
//!
//! What is committed is read once and handed to everybody through a ring of [`BUFFER`] events. Whoever is
//! further behind than that has lost its place and is told so (R44). Numbers have no holes, so a reader sees
//! by itself whether it has to fetch something from the store.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use chiffon_common::{ProjectId, api::EventView};
use tokio::{sync::broadcast, time::Instant};

use super::events_of;
use crate::engine::{Shared, nudged};

/// Events that a reader may be behind (document 001).
const BUFFER: usize = 1_000;
/// Rows read at once.
const PAGE: u32 = 500;
/// After so many events in a burst, readers are waited for.
const PACE: u64 = 250;
/// How long at most.
const BREATH: Duration = Duration::from_millis(25);
/// Floor below the nudges: what another orchestrator has committed is seen within it.
const PERIOD: Duration = Duration::from_millis(500);
/// The same where nobody reads.
const IDLE: Duration = Duration::from_secs(5);

/// An event with what filters look at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// Its number; from 1, without holes.
    pub(crate) number: u64,
    /// Its group; absent where it is the fleet's.
    pub(crate) project_id: Option<ProjectId>,
    /// What is shown.
    pub(crate) view: EventView,
    /// The same as JSON, made once for all readers.
    pub(crate) json: String,
}

impl Event {
    pub(crate) fn new(number: u64, project_id: Option<ProjectId>, view: EventView) -> Self {
        Self {
            number,
            project_id,
            // A view has text keys and finite numbers, so it has a form.
            json: serde_json::to_string(&view).unwrap_or_default(),
            view,
        }
    }
}

/// Hands events out.
#[derive(Debug)]
pub(crate) struct Hub {
    ring: broadcast::Sender<Arc<Event>>,
    /// The last event before the first reader could come.
    begun_at: OnceLock<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            ring: broadcast::Sender::new(BUFFER),
            begun_at: OnceLock::new(),
        }
    }
}

impl Hub {
    /// Everything from now on. What was before is read from the store afterwards, so nothing falls between.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.ring.subscribe()
    }

    /// Lets readers come after in a burst, so that only those that really are slow lose their place. One
    /// that hangs holds up the telling for a moment, and a commit never.
    async fn breathe(&self) {
        let until = Instant::now() + BREATH;
        while self.ring.len() > BUFFER / 2 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Shared {
    /// Says from where on events are told; before anybody can read them.
    pub(crate) async fn begin_telling(&self) -> Result<(), chiffon_store::Error> {
        let head = self.store.stream_head().await?;
        self.hub.begun_at.get_or_init(|| head);
        Ok(())
    }

    /// Hands events out for ever.
    pub(crate) async fn tell_events(&self) {
        let mut last = self.hub.begun_at.get().copied();
        loop {
            match self.tell_new(last).await {
                Ok(told) => last = Some(told),
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read; trying again");
                }
            }
            let period = match self.hub.ring.receiver_count() {
                0 => IDLE,
                _ => PERIOD,
            };
            nudged(&self.nudges.events, period).await;
        }
    }

    /// Tells what came after `last`; the number of the last event told. Where nobody reads, nothing is read:
    /// the head was looked up before the readers were counted, so whoever comes later reads up to it by itself.
    async fn tell_new(&self, last: Option<u64>) -> Result<u64, chiffon_store::Error> {
        let head = self.store.stream_head().await?;
        let Some(mut last) = last.filter(|_| self.hub.ring.receiver_count() > 0) else {
            return Ok(head);
        };
        while last < head {
            let rows = self.store.stream_after(last, PAGE).await?;
            let Some(end) = rows.last().map(|row| row.last) else {
                break;
            };
            let new = rows.iter().flat_map(events_of);
            for event in new.filter(|event| event.number > last) {
                if event.number % PACE == 0 {
                    self.hub.breathe().await;
                }
                // Nobody listening any more is no fault.
                let _readers = self.hub.ring.send(Arc::new(event));
            }
            last = end;
        }
        Ok(last)
    }
}
