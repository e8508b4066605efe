//! The public HTTP API: the only door for web page and command line.
//!
//! Handlers read, ask the engine, and shape the answer; they decide nothing. One noun a file. The layers around
//! all of them, from outside: `frame` (trace, headers, the form of errors), panics, `guard` (host, origin, rates,
//! token). The OpenAPI document is made from the same routes (`openapi`), so the two cannot part.

mod agents;
mod audit;
mod catalogue;
mod cursor;
mod decisions;
mod docs;
mod etag;
mod events;
mod follow;
mod frame;
mod freeze;
mod guard;
mod health;
mod idempotency;
mod input;
mod inventory;
mod ledger;
mod limits;
mod openapi;
mod plans;
mod problem;
mod projects;
mod replay;
mod requests;
mod rooms;
mod schedules;
mod take;
mod tasks;
mod unreadable;
mod v0;

use std::sync::Arc;

use axum::{Router, extract::Request, middleware, response::Response};
use chiffon_common::Principal;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::Shared;

pub(crate) use idempotency::InHand;
pub use limits::HttpLimits;
pub(crate) use limits::Limiters;
pub use openapi::openapi;

/// What handlers hold.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// Who the token stands for.
    pub(crate) principal: Principal,
    /// The token.
    pub(crate) token: Arc<str>,
    /// Names of this server beside those of loopback, in lower case.
    pub(crate) hosts: Arc<[String]>,
    /// What is counted.
    pub(crate) limiters: Arc<Limiters>,
    /// Idempotency keys that are being handled.
    pub(crate) in_hand: InHand,
    /// Cancelled when nothing new is taken any more.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the server is to end; long polls and streams end at once then.
    pub(crate) ending: CancellationToken,
}

/// Answers one call of a connection.
pub(crate) async fn answer(
    router: Router,
    request: axum::http::Request<chiffon_http::Arriving>,
    peer: std::net::IpAddr,
) -> Response {
    let mut request: Request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(guard::Peer(peer));
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Every address, with what stands around it.
pub(crate) fn router(state: State) -> Router {
    let (routes, _) = openapi::routes();
    routes
        .merge(docs::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(state.clone(), frame::frame))
        .with_state(state)
}
