//! The public HTTP API: the only door for web page and command line.
//!
//! Handlers read, ask the engine, and shape the answer; they decide nothing. Folders would be the URL
//! tree; there are few enough addresses yet for one file each group.

mod auth;
mod fleet;
mod history;
mod input;
mod problem;
mod requests;
mod server;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use chiffon_common::Principal;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::engine::Shared;

pub(crate) use server::{Server, bind};

/// Largest body in bytes. The longest permitted sentence is 8,000 characters.
const BODY_BYTES: usize = 256 * 1024;

/// What handlers hold.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// Who the token stands for.
    pub(crate) principal: Principal,
    /// The token.
    pub(crate) token: Arc<str>,
    /// Cancelled when nothing new is taken any more.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the server is to end; long polls answer at once then.
    pub(crate) ending: CancellationToken,
}

/// Every address.
pub(crate) fn router(state: State) -> Router {
    Router::new()
        .route("/request", post(requests::create))
        .route("/request/{id}", get(requests::show))
        .route("/approve", post(requests::answer))
        .route("/cancel/{id}", post(requests::cancel))
        .route("/health", get(fleet::health))
        .route(
            "/api/v1/requests",
            get(requests::list).post(requests::create),
        )
        .route("/api/v1/requests/{id}", get(requests::show))
        .route("/api/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/api/v1/requests/{id}/follow", get(requests::follow))
        .route("/api/v1/agents", get(fleet::agents))
        .route("/api/v1/catalogue", get(fleet::catalogue))
        .route("/api/v1/inventory", get(fleet::inventory))
        .route("/api/v1/audit", get(history::audit))
        .route("/api/v1/audit/verify", post(history::verify))
        .route("/api/v1/ledger", get(history::ledger))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            auth::require_token,
        ))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .with_state(state)
}
