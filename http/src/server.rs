//! The listener and its connections.

use std::{convert::Infallible, error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use chiffon_common::{ErrorCode, Problem};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Arriving,
    idle::{Lines, Quiet},
};

/// How long a header may take to arrive; an idle connection is closed after the same time.
const HEADER: Duration = Duration::from_secs(30);
/// Header fields of one request; hyper's own bound on their size (about 400 KiB) stands beside it.
const HEADERS: usize = 64;
/// Pause after a connection could not be taken: no file handles, and the next try would say the same.
const AFTER_FAULT: Duration = Duration::from_millis(100);

/// Between two looks for a connection that rests, while somebody waits for its place.
const LOOK: Duration = Duration::from_millis(50);

/// An address that was had.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// Where it is.
    pub address: SocketAddr,
}

/// Binds the address; `choose` says where another one is chosen.
///
/// # Errors
/// Why it cannot be had.
pub async fn bind(listen: SocketAddr, choose: &str) -> Result<Bound, Problem> {
    let bound = async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    };
    bound.await.map_err(|error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::AddrInUse => ErrorCode::PortInUse,
            _ => ErrorCode::InvalidValue,
        };
        let detail = format!("cannot listen on {listen}: {error}");
        let todo = format!("choose another address with --listen 127.0.0.1:PORT or {choose}");
        Problem::new(code, detail, todo)
    })
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves at most so many connections at once, until it is stopped, or `ending` is cancelled. Who comes beyond that gets
    /// the place of a connection over which nothing is asked. `answer` gets each call with the address of its peer.
    pub fn start<A, F, B>(
        bound: Bound,
        connections: usize,
        ending: CancellationToken,
        answer: A,
    ) -> Self
    where
        A: Fn(Request<Arriving>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Bound { listener, address } = bound;
        let ended = ending.clone();
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(connections));
            // Dropped with this task, they end with it.
            let mut tasks = JoinSet::new();
            let open = GracefulShutdown::new();
            let mut lines = Lines::default();
            let mut waiting = None;
            loop {
                tokio::select! {
                    taken = next(&listener), if waiting.is_none() => waiting = Some(taken),
                    place = place(&places), if waiting.is_some() => {
                        if let Some((stream, peer)) = waiting.take() {
                            let (number, quiet) = lines.opened();
                            let connection = serve(stream, peer, quiet.clone(), answer.clone());
                            let connection = open.watch(connection);
                            tasks.spawn(async move {
                                see_through(connection, &quiet, place).await;
                                number
                            });
                        }
                    }
                    Some(ended) = tasks.join_next() => {
                        if let Ok(number) = ended {
                            lines.closed(number);
                        }
                    }
                    () = sleep(LOOK), if waiting.is_some() => lines.close_one(),
                    () = ended.cancelled() => break,
                }
            }
            // Nobody new may wait in the queue of a listener that takes nobody.
            drop(listener);
            open.shutdown().await;
        });
        Self {
            address,
            ending,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: what listens to `ending` ends at once, the rest has `grace`, then connections are dropped.
    pub async fn stop(mut self, grace: Duration) {
        self.ending.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
            let _ended = self.task.await;
        }
    }
}

/// The next connection. It is taken before there is a place for it, so that it is known that one is wanted; all others wait
/// in the kernel's queue.
async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(taken) => return taken,
            Err(error) => {
                tracing::warn!(%error, "connection could not be taken");
                sleep(AFTER_FAULT).await;
            }
        }
    }
}

/// A semaphore that nobody closes gives its permits out.
async fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).acquire_owned().await.ok()
}

async fn see_through(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    quiet: &Quiet,
    place: Option<OwnedSemaphorePermit>,
) {
    // A peer that goes away, or speaks no HTTP, is no fault of this server.
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended");
            }
        }
        () = quiet.closed() => tracing::debug!("a connection that rested gave its place to another one"),
    }
    drop(place);
}

fn serve<A, F, B>(
    stream: TcpStream,
    peer: SocketAddr,
    quiet: Arc<Quiet>,
    answer: A,
) -> impl GracefulConnection<Output = Result<(), hyper::Error>> + Send
where
    A: Fn(Request<Arriving>, SocketAddr) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Answers are small, and none must wait for the next one.
    let _without_it_slower = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let (body, read) = Arriving::new(body);
        let asked = quiet.asked();
        let answered = answer(Request::from_parts(parts, body), peer);
        async move {
            let mut response = answered.await;
            read.tell(response.headers_mut());
            Ok::<_, Infallible>(response.map(|body| asked.until_sent(body)))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}
