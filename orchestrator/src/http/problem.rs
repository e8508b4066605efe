//! Every error answer: RFC 9457 problem+json with code, reason and next step (A2). The status is chosen here,
//! in the last step.

use std::any::Any;

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chiffon_arbiter::Refusal;
use chiffon_common::{ErrorCode, Problem, api::ProblemBody};

use crate::engine::{AdvanceError, IntakeError, store_problem};

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Problem { code, detail, todo } = self.0;
        let trace_id = uuid::Uuid::now_v7().to_string();
        if code.http_status() >= 500 {
            tracing::warn!(%code, detail, trace.id = trace_id, "answered with an error");
        }
        let body = ProblemBody {
            kind: format!("urn:chiffon:error:{code}"),
            title: code.title().to_owned(),
            status: code.http_status(),
            detail,
            todo,
            code,
            retry: code.retry(),
            trace_id,
        };
        let status =
            StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, json).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<chiffon_store::Error> for Refused {
    fn from(error: chiffon_store::Error) -> Self {
        Self(store_problem(&error))
    }
}

impl From<AdvanceError> for Refused {
    fn from(error: AdvanceError) -> Self {
        Self(match error {
            AdvanceError::NoRequest => no_request(),
            AdvanceError::Store(error) => store_problem(&error),
            AdvanceError::Unreadable(_)
            | AdvanceError::Unwritable(_)
            | AdvanceError::Outgoing(_) => {
                let why = std::error::Error::source(&error)
                    .map_or_else(String::new, |source| format!(": {source}"));
                Problem::new(
                    ErrorCode::Internal,
                    format!("{error}{why}"),
                    "please report this with the log of the orchestrator",
                )
            }
        })
    }
}

impl From<IntakeError> for Refused {
    fn from(error: IntakeError) -> Self {
        use chiffon_common::EventError;
        Self(match error {
            IntakeError::Malformed(why) => {
                let (code, todo) = match why {
                    EventError::Empty => (
                        ErrorCode::EmptyRequest,
                        "say in a sentence what is to be done, for example: chiffon run \"How full are the disks on this machine?\"",
                    ),
                    EventError::Binary(_) => (ErrorCode::BinaryRequest, "send plain text in UTF-8"),
                    EventError::TooLong { .. } => (
                        ErrorCode::RequestTooLong,
                        "shorten it; put long content into a file on the host",
                    ),
                    EventError::Version(_) | EventError::Field(_) => (
                        ErrorCode::MalformedMessage,
                        "correct the field and send it again",
                    ),
                };
                Problem::new(code, why.to_string(), todo)
            }
            IntakeError::Conflict => Problem::new(
                ErrorCode::IdempotencyMismatch,
                "this idempotency key was used before, for another request",
                "use a new key for a new request",
            ),
            IntakeError::Store(error) => store_problem(&error),
            IntakeError::Canonical(_) | IntakeError::Unwritable(_) => Problem::new(
                ErrorCode::Internal,
                error.to_string(),
                "please report this with the log of the orchestrator",
            ),
        })
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (code, todo) = match &refusal {
            Refusal::AlreadyEnded(_) => (
                ErrorCode::AlreadyEnded,
                "look at it with `chiffon request show`; ask again for a new one",
            ),
            Refusal::OutOfTurn(_) | Refusal::Stale | Refusal::Nothing => (
                ErrorCode::Conflict,
                "look at it with `chiffon request show`",
            ),
            Refusal::NoSuch(_) => (
                ErrorCode::NotFound,
                "look at it with `chiffon request show`",
            ),
            Refusal::DecisionClosed(_) => (
                ErrorCode::DecisionClosed,
                "look at it with `chiffon request show`",
            ),
            Refusal::WrongDigest { .. } => (
                ErrorCode::DigestMismatch,
                "read the plan that waits with `chiffon request show`, then approve its digest",
            ),
            Refusal::InvalidChoice { .. } => {
                (ErrorCode::InvalidChoice, "answer with one of the options")
            }
            Refusal::NotAPerson => (ErrorCode::Forbidden, "let a person answer"),
            Refusal::OtherPerson { .. } => (
                ErrorCode::ConfirmationRequired,
                "let another person approve it",
            ),
            Refusal::TypeHost { .. } => (
                ErrorCode::ConfirmationRequired,
                "approve it with --confirm and the host's name",
            ),
            Refusal::NotApproved => (ErrorCode::NotApproved, "approve the plan first"),
        };
        Self(Problem::new(code, refusal.to_string(), todo))
    }
}

/// The problem of a request that is not there.
pub(crate) fn no_request() -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        "there is no request of this id",
        "`chiffon request list` shows all",
    )
}

pub(super) async fn not_found(uri: Uri) -> Refused {
    let detail = format!(
        "there is nothing at {}",
        chiffon_common::visible(uri.path())
    );
    Refused(Problem::new(
        ErrorCode::NotFound,
        detail,
        "look at the documentation of the API",
    ))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Refused {
    let detail = format!(
        "{} does not take {method}",
        chiffon_common::visible(uri.path())
    );
    Refused(Problem::new(
        ErrorCode::MethodNotAllowed,
        detail,
        "look at the documentation of the API",
    ))
}

/// A panic in a handler answers like every other fault; what it said goes to the log alone.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
    tracing::error!(panic = said.unwrap_or_default(), "a handler panicked");
    let problem = Problem::new(
        ErrorCode::Internal,
        "a fault of Chiffon itself",
        "please report this with the log of the orchestrator",
    );
    Refused(problem).into_response()
}
