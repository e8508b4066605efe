//! One call over HTTP or HTTPS, on connections that are kept: no redirect is followed, no proxy is asked, and no more
//! than so many bytes of an answer are read. What is called, and what an answer means, is left to `lib`.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
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
        connect::{Connected, Connection, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
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
    /// It was sent, and nothing came back.
    Silent(String),
    /// Nothing came back in time.
    Late,
    /// What came back is no HTTP.
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
        request: Request<String>,
        most: usize,
        until: Instant,
    ) -> Result<Answer, Unanswered> {
        let called = timeout_at(until, self.0.request(request)).await;
        let response = called.map_err(|_| Unanswered::Late)?.map_err(unanswered)?;
        let status = response.status();
        let read = timeout_at(until, read(response.into_body(), most)).await;
        let body = match read {
            Ok(read) => read,
            Err(_) => Err("its answer did not end in time".to_owned()),
        };
        Ok(Answer { status, body })
    }
}

fn unanswered(error: hyper_util::client::legacy::Error) -> Unanswered {
    let why = causes(&error);
    let cause = error.source().and_then(<dyn Error>::downcast_ref);
    match cause {
        _ if error.is_connect() => Unanswered::Unreached(why),
        Some(cause) if hyper::Error::is_parse(cause) => Unanswered::Garbled(why),
        _ => Unanswered::Silent(why),
    }
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
                return Ok(Line(TokioIo::new(Box::new(stream))));
            };
            // An IPv6 address stands in brackets there.
            let host = to.host().unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let spoken = timeout(patience, trust.connect(host, stream)).await;
            let spoken = spoken.map_err(|_| "no handshake in time")??;
            Ok(Line(TokioIo::new(Box::new(spoken))))
        })
    }
}

/// A stream of bytes, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection.
struct Line(TokioIo<Box<dyn Stream>>);

impl Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new()
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
