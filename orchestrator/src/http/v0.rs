//! The control plane's own addresses (RFC-ARB-0001, section 13), for adapters and generators. What they take and answer
//! is told by `GET /v0/contracts` as JSON Schema, and by the OpenAPI document.

use axum::{Json, extract::State as Extract, http::HeaderName};
use chiffon_common::{
    ActionReceipt, ActionResult, ContractError, Contracts, ErrorCode, Event, FieldError,
    GenerationResult, Problem, ReasonCode, ResponsePlan, TenantId, api::Alive, contracts,
    refused_by_rule, refused_form,
};

use super::{
    State,
    frame::Trace,
    input::{Contract, NoQuery, unread},
    problem::{REPLAYED, Refused, internal, reserved},
};
use crate::engine::{Incoming, IntakeError, TurnedAway, Way};

/// Asked by whoever watches whether the process answers, and so without a token.
pub(super) const HEALTH: &str = "/v0/healthz";

/// An answer; one that was given before is marked by a header, as by `arbiter serve`.
type Answer<T> = (Option<[(HeaderName, &'static str); 1]>, Json<T>);

fn answer<T>(answer: T, is_repeated: bool) -> Answer<T> {
    (is_repeated.then_some([(REPLAYED, "true")]), Json(answer))
}

/// Takes an event, and answers it with a response plan, which is durable then.
#[utoipa::path(
    post, path = "/v0/events", tag = "control plane", operation_id = "v0_take_event",
    request_body = Event,
    responses(
        (status = 200, description = "The plan; for an event that was taken before, the same again", body = ResponsePlan),
        (status = 409, description = "Another event was taken under this id")
    )
)]
pub(super) async fn events(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(read): Contract<Event>,
) -> Result<Answer<ResponsePlan>, Refused> {
    let event = whole(&state, "event", read, trace).await?;
    may(&state, &event.tenant_id)?;
    let what = TurnedAway::event(&event, trace.0);
    let incoming = Incoming {
        event,
        trace: trace.0,
        claim: None,
        way: Way::Adapter,
        schedule: None,
    };
    match state.shared.intake(incoming).await {
        Ok(taken) => Ok(answer(taken.plan, taken.is_repeated)),
        Err(error) => Err(refused(&state, what, ("event_id", "/content/text"), error).await),
    }
}

/// Takes a text that was asked for, and answers with the plan that says it.
#[utoipa::path(
    post, path = "/v0/generations", tag = "control plane", operation_id = "v0_take_generation",
    request_body = GenerationResult,
    responses(
        (status = 200, description = "The plan; for a result that was taken before, the same again", body = ResponsePlan),
        (status = 404, description = "No plan of this tenant has this id, or no action of it"),
        (status = 409, description = "Another result was taken under this id, or nothing waits for it")
    )
)]
pub(super) async fn generations(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(read): Contract<GenerationResult>,
) -> Result<Answer<ResponsePlan>, Refused> {
    let result = whole(&state, "generation_result", read, trace).await?;
    may(&state, &result.tenant_id)?;
    let by = &state.principal;
    match state.shared.generation_ended(&result, by, trace.0).await {
        Ok(taken) => Ok(answer(taken.answer, taken.is_repeated)),
        Err(error) => {
            let what = TurnedAway::generation(&result, by, trace.0);
            Err(refused(&state, what, ("plan_id", "/text"), error).await)
        }
    }
}

/// Takes what became of an action.
#[utoipa::path(
    post, path = "/v0/action-results", tag = "control plane", operation_id = "v0_take_action_result",
    request_body = ActionResult,
    responses(
        (status = 200, description = "A receipt; for a result that was taken before, the same again", body = ActionReceipt),
        (status = 404, description = "No plan of this tenant has this id, or no action of it"),
        (status = 409, description = "Another result was taken under this id, or nothing waits for it")
    )
)]
pub(super) async fn action_results(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    Contract(read): Contract<ActionResult>,
) -> Result<Answer<ActionReceipt>, Refused> {
    let result = whole(&state, "action_result", read, trace).await?;
    may(&state, &result.tenant_id)?;
    let by = &state.principal;
    match state.shared.action_ended(&result, by, trace.0).await {
        Ok(taken) => Ok(answer(taken.answer, taken.is_repeated)),
        Err(error) => {
            let what = TurnedAway::action(&result, by, trace.0);
            Err(refused(&state, what, ("action_id", ""), error).await)
        }
    }
}

/// Tells which contracts are spoken: versions, actions, bounds, schemas.
#[utoipa::path(
    get, path = "/v0/contracts", tag = "control plane", operation_id = "v0_contracts",
    responses(
        (status = 200, description = "The contracts", body = Contracts)
    )
)]
pub(super) async fn spoken(
    Extract(state): Extract<State>,
    _: NoQuery,
) -> Result<Json<Contracts>, Refused> {
    let jobs = state.shared.settings.policy.jobs;
    contracts(jobs)
        .map(Json)
        .map_err(|error| internal(&error).into())
}

/// Tells that the process answers; needs no token.
#[utoipa::path(
    get, path = "/v0/healthz", tag = "control plane", operation_id = "v0_alive",
    security(()),
    responses(
        (status = 200, description = "It answers", body = Alive)
    )
)]
pub(super) async fn health() -> Json<Alive> {
    Json(Alive {
        status: "ok".to_owned(),
    })
}

/// The document that was read; one that is none of its contract is refused.
async fn whole<T>(
    state: &State,
    contract: &'static str,
    read: Result<T, ContractError>,
    trace: Trace,
) -> Result<T, Refused> {
    match read {
        Ok(document) => Ok(document),
        Err(error) => {
            let what = TurnedAway::unread(contract, &state.principal, trace.0);
            Err(told(state, what, ReasonCode::SchemaInvalid, unread(&error)).await)
        }
    }
}

/// What is said of something that was not taken. With the name of the id that it goes by, and the place of its text.
async fn refused(
    state: &State,
    what: TurnedAway,
    (id, text_at): (&str, &str),
    error: IntakeError,
) -> Refused {
    let (reason, problem) = match error {
        IntakeError::Conflict => {
            let reason = ReasonCode::IdConflict;
            (reason, refused_by_rule(reason, id))
        }
        IntakeError::Unasked(reason) => (reason, refused_by_rule(reason, id)),
        IntakeError::Malformed(why) => (ReasonCode::SchemaInvalid, refused_form(&why, text_at)),
        IntakeError::Reserved { field, .. } => (ReasonCode::SchemaInvalid, reserved(field, &error)),
        error => return error.into(),
    };
    told(state, what, reason, problem).await
}

/// Told once it stands in the record.
async fn told(state: &State, what: TurnedAway, reason: ReasonCode, problem: Problem) -> Refused {
    let noted = state.shared.note_turned_away(what, reason, problem.code);
    match noted.await {
        Ok(()) => Refused::ByRule(Box::new(problem), reason),
        Err(error) => error.into(),
    }
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
