//! The control plane's own addresses (RFC-ARB-0001, section 13), for adapters and generators. What they take and answer
//! is told by `GET /v0/contracts`, so they stand beside the OpenAPI document, not in it.

use axum::{
    Json, Router,
    extract::State as Extract,
    routing::{get, post},
};
use chiffon_common::{
    ActionReceipt, ActionResult, Contracts, ErrorCode, Event, FieldError, GenerationResult,
    Problem, ReasonCode, ResponsePlan, TenantId, api::Alive, contracts,
};

use super::{
    State,
    frame::Trace,
    input::{Contract, NoQuery},
    problem::{Refused, internal},
    rooms,
};
use crate::engine::{Incoming, IntakeError};

/// Asked by whoever watches whether the process answers, and so without a token.
pub(super) const HEALTH: &str = "/v0/healthz";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/v0/events", post(events))
        .route("/v0/generations", post(generations))
        .route("/v0/action-results", post(action_results))
        .route("/v0/contracts", get(spoken))
        .route("/v0/rooms/{room}/messages", get(rooms::messages))
        .route(HEALTH, get(health))
}

/// Takes an event; the plan is durable when this returns.
async fn events(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(event): Contract<Event>,
) -> Result<Json<ResponsePlan>, Refused> {
    may(&state, &event.tenant_id)?;
    let incoming = Incoming {
        event,
        trace: trace.0,
        claim: None,
        by_adapter: true,
        schedule: None,
    };
    match state.shared.intake(incoming).await {
        Ok(taken) => Ok(Json(taken.plan)),
        Err(IntakeError::Conflict) => Err(IntakeError::Unasked(ReasonCode::IdConflict).into()),
        Err(error) => Err(error.into()),
    }
}

/// Takes a generation's result.
async fn generations(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(result): Contract<GenerationResult>,
) -> Result<Json<ResponsePlan>, Refused> {
    may(&state, &result.tenant_id)?;
    let by = &state.principal;
    let taken = state.shared.generation_ended(&result, by, trace.0);
    Ok(Json(taken.await?))
}

/// Takes an action's result.
async fn action_results(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(result): Contract<ActionResult>,
) -> Result<Json<ActionReceipt>, Refused> {
    may(&state, &result.tenant_id)?;
    let by = &state.principal;
    let taken = state.shared.action_ended(&result, by, trace.0);
    Ok(Json(taken.await?))
}

/// Which contracts are spoken.
async fn spoken(Extract(state): Extract<State>, _: NoQuery) -> Result<Json<Contracts>, Refused> {
    let jobs = state.shared.settings.policy.jobs;
    contracts(jobs)
        .map(Json)
        .map_err(|error| internal(&error).into())
}

/// Tells that the process answers.
async fn health() -> Json<Alive> {
    Json(Alive {
        status: "ok".to_owned(),
    })
}

/// Nothing new while it drains, and nothing of tenants that live elsewhere.
fn may(state: &State, tenant: &TenantId) -> Result<(), Refused> {
    if state.draining.is_cancelled() {
        let detail = "Chiffon is shutting down and takes nothing new";
        let todo = "send it again when it is back; nothing was taken";
        return Err(Problem::new(ErrorCode::ShuttingDown, detail, todo).into());
    }
    let own = &state.shared.settings.tenant;
    if tenant == own {
        return Ok(());
    }
    let detail = format!("tenant {tenant} is not served here");
    let field = FieldError::body("/tenant_id", "another tenant");
    Err(
        Problem::new(ErrorCode::Forbidden, detail, "send the tenant_id `default`")
            .at(field)
            .into(),
    )
}
