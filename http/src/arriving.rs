//! The body of a call as it arrives, and whether all of it was read. A connection is not gone on with where some of it was
//! not: what comes next on it would be the rest of that body.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use hyper::{
    HeaderMap,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    header::{self, HeaderValue},
};

/// The body of a call.
#[derive(Debug)]
pub struct Arriving {
    body: Incoming,
    read: Read,
}

/// Whether a body was read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Read(Arc<AtomicBool>);

impl Arriving {
    pub(crate) fn new(body: Incoming) -> (Self, Read) {
        let read = Read(Arc::new(AtomicBool::new(body.is_end_stream())));
        let told = read.clone();
        (Self { body, read }, told)
    }
}

impl Read {
    /// Says with the answer that the connection ends, where it does: HTTP/1.1 goes on with it unless that is said.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if !self.0.load(Ordering::Acquire) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.read.0.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
