//! The listener: bound before anything is promised, ended within a bound (R46).

use std::{io, net::SocketAddr, time::Duration};

use chiffon_common::{ErrorCode, Problem};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{State, router};

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    ending: CancellationToken,
    task: JoinHandle<io::Result<()>>,
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
    pub(crate) fn start(listener: TcpListener, state: State) -> Result<Self, Problem> {
        let address = listener.local_addr().map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("the listener has no address: {error}"),
                "start again",
            )
        })?;
        let ending = state.ending.clone();
        let ended = ending.clone();
        let serve = axum::serve(listener, router(state))
            .with_graceful_shutdown(async move { ended.cancelled().await });
        let task = tokio::spawn(async move { serve.await });
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

    /// Ends it: long polls answer at once, the rest has `grace`, then connections are dropped.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.ending.cancel();
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
