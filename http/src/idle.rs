//! Which connections rest: over which nothing is asked and nothing is being answered. While all places are taken and somebody
//! waits for one, the one that has rested the longest is closed, so that connections that are merely kept keep nobody out.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

/// Whoever has just come, or has just been answered, may be about to ask.
const RESTED: Duration = Duration::from_secs(1);

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    all: HashMap<u64, Arc<Quiet>>,
    last: u64,
}

impl Lines {
    /// One more, by its number.
    pub(crate) fn opened(&mut self) -> (u64, Arc<Quiet>) {
        self.last += 1;
        let quiet = Arc::new(Quiet::new());
        self.all.insert(self.last, Arc::clone(&quiet));
        (self.last, quiet)
    }

    pub(crate) fn closed(&mut self, number: u64) {
        self.all.remove(&number);
    }

    /// Closes the one that has rested the longest, if any has.
    pub(crate) fn close_one(&self) {
        let resting = self
            .all
            .values()
            .filter_map(|quiet| quiet.since().zip(Some(quiet)));
        if let Some((_, quiet)) = resting.min_by_key(|(since, _)| *since) {
            quiet.close();
        }
    }
}

/// Whether a connection rests.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// Calls that are not answered to their end.
    asked: AtomicUsize,
    since: Mutex<Instant>,
    is_closed: AtomicBool,
    closing: Notify,
}

impl Quiet {
    fn new() -> Self {
        Self {
            asked: AtomicUsize::new(0),
            since: Mutex::new(Instant::now()),
            is_closed: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    /// Something is asked until that is dropped.
    pub(crate) fn asked(self: &Arc<Self>) -> Asked {
        self.asked.fetch_add(1, Ordering::AcqRel);
        Asked(Arc::clone(self))
    }

    /// Since when it rests, where it has for some time.
    fn since(&self) -> Option<Instant> {
        let is_asked = self.asked.load(Ordering::Acquire) > 0;
        let is_closed = self.is_closed.load(Ordering::Acquire);
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        (!is_asked && !is_closed && since.elapsed() >= RESTED).then_some(since)
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.closing.notify_one();
    }

    /// Waits until it is to be closed. Something that was asked at the same moment is answered first.
    pub(crate) async fn closed(&self) {
        loop {
            self.closing.notified().await;
            if self.asked.load(Ordering::Acquire) == 0 {
                return;
            }
            self.is_closed.store(false, Ordering::Release);
        }
    }
}

/// Something is asked over a connection, and not answered to its end.
#[derive(Debug)]
pub(crate) struct Asked(Arc<Quiet>);

impl Asked {
    /// The answer's body, until whose end the connection does not rest.
    pub(crate) fn until_sent<B>(self, body: B) -> Sent<B> {
        Sent {
            body: Box::pin(body),
            _asked: self,
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Self(quiet) = self;
        *quiet.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        quiet.asked.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer on its way.
#[derive(Debug)]
pub(crate) struct Sent<B> {
    body: Pin<Box<B>>,
    _asked: Asked,
}

impl<B: Body> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
