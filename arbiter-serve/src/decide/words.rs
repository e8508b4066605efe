//! What a caller is told whose event or result has no permitted form, or is refused by a rule.

use chiffon_common::{ErrorCode, EventError, FieldError, Problem, ReasonCode};

use super::Refused;

/// A form that the JSON types alone cannot hold; `text_at` is where the text of this contract stands.
pub(super) fn malformed(error: &EventError, text_at: &str) -> Refused {
    // The words are those of a fleet, which takes texts as requests and knows no other contract than events.
    let detail = error.to_string();
    let detail = detail.replacen("the request", "the text", 1);
    let detail = detail.replacen("event version", "version", 1);
    let pointer = match error {
        EventError::Version(_) => "/v".to_owned(),
        EventError::Kind => "/actor/kind".to_owned(),
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
    Refused {
        problem: Box::new(Problem::new(error.code(), detail, todo).at(field)),
        reason: Some(ReasonCode::SchemaInvalid),
    }
}

/// A rule refuses it; `field` is what it goes by.
pub(super) fn by_rule(reason: ReasonCode, field: &str) -> Refused {
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
            "nothing; raise gate.generation_timeout_ms where generations take longer",
        ),
        _ => (
            "the plan has no such action that could be carried out".to_owned(),
            "send the action_id of an action of the plan",
        ),
    };
    let code = reason.error_code().unwrap_or(ErrorCode::Internal);
    let why = FieldError::body(format!("/{field}"), detail.clone());
    Refused {
        problem: Box::new(Problem::new(code, detail, todo).at(why)),
        reason: Some(reason),
    }
}
