//! The listener: bound before anything is promised, bounded in connections and in the time that a header may take, ended
//! within a bound.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use chiffon_common::{ErrorCode, Problem};
use hyper::{server::conn::http1, service::service_fn};
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

use super::Api;

/// How long a header may take to arrive; an idle connection is closed after the same time.
const HEADER: Duration = Duration::from_secs(30);
/// Header fields of one request; hyper's own bound on their size stands beside it.
const HEADERS: usize = 64;
/// Pause after a connection could not be taken: no file handles, and the next try would say the same.
const AFTER_FAULT: Duration = Duration::from_millis(100);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    ending: CancellationToken,
    task: JoinHandle<()>,
}

/// Binds the address, or says why it cannot be had.
pub(crate) async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Problem> {
    let bound = async {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound.await.map_err(|error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::AddrInUse => ErrorCode::PortInUse,
            _ => ErrorCode::InvalidValue,
        };
        let detail = format!("cannot listen on {listen}: {error}");
        Problem::new(
            code,
            detail,
            "choose another address with --listen 127.0.0.1:PORT or listen in the configuration",
        )
    })
}

impl Server {
    /// Serves on a bound listener.
    pub(crate) fn start(listener: TcpListener, api: Arc<Api>, connections: usize) -> Self {
        let ending = CancellationToken::new();
        let ended = ending.clone();
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(connections));
            // Dropped with this task, they end with it.
            let mut tasks = JoinSet::new();
            let open = GracefulShutdown::new();
            loop {
                tokio::select! {
                    (stream, place) = next(&listener, &places) => {
                        let connection = open.watch(serve(stream, Arc::clone(&api)));
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
        Self { ending, task }
    }

    /// Ends it: what is in hand has `grace`, then connections are dropped.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.ending.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
            let _ended = self.task.await;
        }
    }
}

/// The next connection and its place. Where no place is free, it waits in the kernel's queue.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // A semaphore that nobody closes gives its permits out.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return (stream, place),
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
    api: Arc<Api>,
) -> impl GracefulConnection<Output = Result<(), hyper::Error>> + Send {
    // Answers are small, and none must wait for the next one.
    let _without_it_slower = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}
