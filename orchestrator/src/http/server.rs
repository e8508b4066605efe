//! The listener: bound before anything is promised, bounded in connections and in the time that a header may
//! take, ended within a bound (R46, S77).

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use chiffon_common::{ErrorCode, Problem};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{State, guard::Peer, router};

/// How long a header may take to arrive; an idle connection is closed after the same time.
const HEADER: Duration = Duration::from_secs(30);
/// Header fields of one request; hyper's own bound on their size (about 400 KiB) stands beside it.
const HEADERS: usize = 64;
/// Pause after a connection could not be taken: no file handles, and the next try would say the same.
const AFTER_FAULT: Duration = Duration::from_millis(100);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

/// Binds the address, or says why it cannot be had.
pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(listen).await.map_err(|error| {
        let code = if error.kind() == io::ErrorKind::AddrInUse {
            ErrorCode::PortInUse
        } else {
            ErrorCode::InvalidValue
        };
        let detail = format!("cannot listen on {listen}: {error}");
        Problem::new(
            code,
            detail,
            "choose another address with --listen 127.0.0.1:PORT or http.listen in chiffon.yaml",
        )
    })
}

impl Server {
    /// Serves on a bound listener.
    pub(crate) fn start(
        listener: TcpListener,
        state: State,
        connections: usize,
    ) -> Result<Self, Problem> {
        let address = listener.local_addr().map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("the listener has no address: {error}"),
                "start again",
            )
        })?;
        let ending = state.ending.clone();
        let ended = ending.clone();
        let router = router(state);
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(connections));
            // Dropped with this task, they end with it.
            let mut tasks = JoinSet::new();
            let open = GracefulShutdown::new();
            loop {
                tokio::select! {
                    (stream, peer, place) = next(&listener, &places) => {
                        let connection = open.watch(serve(stream, peer, router.clone()));
                        tasks.spawn(see_through(connection, place));
                    }
                    Some(_ended) = tasks.join_next() => {}
                    () = ended.cancelled() => break,
                }
            }
            // Nobody new may wait in the queue of a listener that takes nobody.
            drop(listener);
            open.shutdown().await;
        });
        Ok(Self {
            address,
            ending,
            task,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: long polls and streams end at once, the rest has `grace`, then connections are dropped.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.ending.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// The next connection and its place. Where no place is free, it waits in the kernel's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // A semaphore that nobody closes gives its permits out.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                tracing::warn!(%error, "connection could not be taken");
                tokio::time::sleep(AFTER_FAULT).await;
            }
        }
    }
}

async fn see_through(
    connection: impl Future<Output = Result<(), hyper::Error>>,
    place: Option<OwnedSemaphorePermit>,
) {
    // A peer that goes away, or speaks no HTTP, is no fault of this server.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
    drop(place);
}

fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Output = Result<(), hyper::Error>> + Send {
    // Answers are small, and an event must not wait for the next one.
    let _without_it_slower = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}
