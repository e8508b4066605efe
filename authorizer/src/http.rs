//! One call over HTTP or HTTPS, on connections that are kept: no redirect is followed, no proxy is asked, and no more
//! than so many bytes of an answer are read. What is called, and what an answer means, is left to `lib`.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use chiffon_tls::Trust;
use hyper::{
    Request, StatusCode, Uri,
    body::{Body, Buf, Incoming},
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::{
    client::legacy::{
        Client as Pool,
        connect::{CaptureConnection, Connected, Connection, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout, timeout_at},
};
use tower::Service;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// Calls, and keeps its connections.
pub(crate) struct Client(Pool<Connector, String>);

/// Why there is no answer, in words with what lies behind them.
pub(crate) enum Unanswered {
    /// Nothing was sent: there was no connection to send it on.
    Unreached(String),
    /// It was sent, and nothing came back: not one byte.
    Silent(String),
    /// Nothing came back in time: not one byte.
    Late,
    /// What came back is no HTTP, or ends before the head of an answer does.
    Garbled(String),
}

/// An answer: its head has come.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Its body, or why there is none: it is longer than it may be, ends in the middle, or does not end in time.
    pub(crate) body: Result<Vec<u8>, String>,
}

impl Client {
    /// One that speaks TLS with those who are trusted, where there are any; that makes a connection within `patience`,
    /// and keeps `kept` of them.
    pub(crate) fn new(trust: Option<Trust>, patience: Duration, kept: usize) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience));
        // Whether it is HTTPS is for `trust` to say.
        tcp.enforce_http(false);
        let connector = Connector {
            tcp,
            trust,
            patience,
        };
        let mut pool = Pool::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(kept);
        Self(pool.build(connector))
    }

    /// Calls, and reads at most `most` bytes of the answer: nothing of one that is longer. Waits for nothing beyond
    /// `until`.
    pub(crate) async fn call(
        &self,
        mut request: Request<String>,
        most: usize,
        until: Instant,
    ) -> Result<Answer, Unanswered> {
        let line = capture_connection(&mut request);
        let called = timeout_at(until, self.0.request(request)).await;
        let called = called.map_err(|_| match has_begun(&line) {
            true => Unanswered::Garbled("its answer did not go on in time".to_owned()),
            false => Unanswered::Late,
        })?;
        let response = called.map_err(|error| unanswered(&error, &line))?;
        let status = response.status();
        let read = timeout_at(until, read(response.into_body(), most)).await;
        let body = match read {
            Ok(read) => read,
            Err(_) => Err("its answer did not end in time".to_owned()),
        };
        Ok(Answer { status, body })
    }
}

fn unanswered(error: &hyper_util::client::legacy::Error, line: &CaptureConnection) -> Unanswered {
    let why = causes(error);
    match () {
        () if error.is_connect() => Unanswered::Unreached(why),
        () if has_begun(line) => Unanswered::Garbled(why),
        () => Unanswered::Silent(why),
    }
}

/// Whether something came back on the connection that a call was sent on.
fn has_begun(line: &CaptureConnection) -> bool {
    let mut said = hyper::http::Extensions::new();
    if let Some(connected) = line.connection_metadata().as_ref() {
        connected.get_extras(&mut said);
    }
    said.get::<Heard>()
        .is_some_and(|heard| heard.0.load(Ordering::Acquire))
}

async fn read(mut body: Incoming, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| format!("its answer is cut: {}", causes(&error)))?;
        // What is no data is what follows a body, and nobody asks for it.
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if bytes.len() + piece.remaining() > most {
            return Err(format!("its answer is larger than {} KiB", most / 1024));
        }
        bytes.extend_from_slice(piece.chunk());
    }
    Ok(bytes)
}

/// An error with what lies behind it: the first words alone say only that it failed.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    explained(text)
}

/// What `openssl req -x509` makes by itself is the certificate of an authority, which no server may show as its own.
fn explained(mut text: String) -> String {
    if text.contains("CaUsedAsEndEntity") {
        text.push_str(
            "; its certificate is that of an authority: make one for the server, signed by it, and name the authority's in authz.ca_file",
        );
    }
    text
}

/// Makes connections.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    trust: Option<Trust>,
    patience: Duration,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Line;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Line, Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.tcp.call(to.clone());
        let (trust, patience) = (self.trust.clone(), self.patience);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let Some(trust) = trust else {
                return Ok(Line::over(stream));
            };
            // An IPv6 address stands in brackets there.
            let host = to.host().unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let spoken = timeout(patience, trust.connect(host, stream)).await;
            let spoken = spoken.map_err(|_| "no handshake in time")??;
            Ok(Line::over(spoken))
        })
    }
}

/// A stream of bytes, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Whether something was heard since the last call was sent.
#[derive(Clone, Default)]
struct Heard(Arc<AtomicBool>);

/// A stream that is listened to. Calls on it come one after the other, each written before its answer is read.
struct Overheard {
    stream: Box<dyn Stream>,
    heard: Heard,
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.heard.0.store(true, Ordering::Release);
        }
        read
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heard.0.store(false, Ordering::Release);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection.
struct Line(TokioIo<Overheard>);

impl Line {
    fn over(stream: impl Stream + 'static) -> Self {
        Self(TokioIo::new(Overheard {
            stream: Box::new(stream),
            heard: Heard::default(),
        }))
    }
}

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.0.inner().heard.clone())
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_an_authority_is_explained() {
        let said = explained("invalid peer certificate: Other(CaUsedAsEndEntity)".to_owned());
        assert!(said.contains("make one for the server"), "{said}");
        assert_eq!(explained("refused".to_owned()), "refused");
    }
}
