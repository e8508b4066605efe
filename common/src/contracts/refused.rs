//! What is said where an event or a result is refused, by a rule or for its form (RFC-ARB-0001, sections 8 and 13): the same words wherever the
//! contracts are spoken, so that an adapter written against one program is understood by the other.

use crate::{ErrorCode, EventError, FieldError, Problem, ReasonCode};

/// The problem of a rule that refuses; `field` names the id that it goes by.
pub fn by_rule(reason: ReasonCode, field: &str) -> Problem {
    let (detail, todo) = match reason {
        ReasonCode::IdConflict => (
            format!("something else was sent under this {field} before"),
            "give it an id of its own; the same again gets the first answer again",
        ),
        ReasonCode::UnknownPlan => (
            "this tenant has no such plan".to_owned(),
            "send the tenant_id and plan_id of the plan that is answered",
        ),
        ReasonCode::NotGenerating => (
            "the plan asked for no generation".to_owned(),
            "send results for plans with the action request_generation",
        ),
        ReasonCode::GenerationLate => (
            "the plan does not hold its room any more".to_owned(),
            "nothing; where generations take longer, raise generation_timeout_ms of the gate",
        ),
        _ => (
            "the plan has no such action that could be carried out".to_owned(),
            "send the action_id of an action of the plan",
        ),
    };
    let field = match reason {
        ReasonCode::UnknownPlan => "plan_id",
        _ => field,
    };
    let code = reason.error_code().unwrap_or(ErrorCode::Internal);
    let why = FieldError::body(format!("/{field}"), detail.clone());
    Problem::new(code, detail, todo).at(why)
}

/// The problem of a form that the JSON types alone cannot hold; `text_at` is where the text of the contract stands.
pub fn form(error: &EventError, text_at: &str) -> Problem {
    // The words are those of a fleet, which takes texts as requests and knows no other contract than events.
    let detail = error.to_string();
    let detail = detail.replacen("the request", "the text", 1);
    let detail = detail.replacen("event version", "version", 1);
    let pointer = match error {
        EventError::Version(_) => "/v".to_owned(),
        EventError::Kind => "/actor/kind".to_owned(),
        EventError::Inexact => "/content/call/parameters".to_owned(),
        EventError::Empty | EventError::Binary(_) | EventError::TooLong { .. } => {
            text_at.to_owned()
        }
        EventError::Field(name) | EventError::Missing(name) | EventError::Unexpected(name) => {
            format!("/{}", name.replace('.', "/"))
        }
    };
    let todo = match error {
        EventError::Version(_) => "send \"v\": 0, or ask /v0/contracts what is understood",
        // The one whose words are those of a fleet.
        EventError::Empty => "say something in the text",
        error => error.todo(),
    };
    let field = FieldError::body(pointer, detail.clone());
    Problem::new(error.code(), detail, todo).at(field)
}
