//! Every error answer: RFC 9457 problem+json with code, reason and next step (A2). The status is chosen here,
//! in the last step; the trace comes from the frame around the call.

use std::any::Any;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chiffon_arbiter::Refusal;
use chiffon_common::{
    ErrorCode, EventError, FieldError, Problem, ReasonCode, RequestId, TraceId, api::ProblemBody,
    refused_by_rule, visible,
};

use super::{frame::code_of, input::none_such};
use crate::engine::{
    AdvanceError, ClearError, EditError, FireError, IntakeError, KeptAnswer, Unreadable,
    store_problem,
};

/// What does not go on as asked: an error on its way out, or the answer that was given before.
#[derive(Debug)]
pub(crate) enum Refused {
    /// An error.
    Problem(Box<Problem>),
    /// One that a rule of the control plane has spoken.
    ByRule(Box<Problem>, ReasonCode),
    /// An error that passes: after so many seconds.
    Later(Box<Problem>, u64),
    /// The same was asked before; the answer of then.
    Replay(Box<KeptAnswer>),
}

/// What the frame makes a body of.
#[derive(Debug, Clone)]
struct Raised {
    problem: Problem,
    reason: Option<ReasonCode>,
    retry_after: Option<u64>,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (problem, reason, retry_after) = match self {
            Self::Replay(kept) => return replayed(&kept),
            Self::Problem(problem) => (*problem, None, None),
            Self::ByRule(problem, reason) => (*problem, Some(reason), None),
            Self::Later(problem, seconds) => (*problem, None, Some(seconds)),
        };
        let mut response = status_of(problem.code).into_response();
        response.extensions_mut().insert(Raised {
            problem,
            reason,
            retry_after,
        });
        response
    }
}

/// An answer as it is kept under its key, given for the first time.
pub(super) fn kept(answer: serde_json::Value) -> Result<Response, Refused> {
    let kept: KeptAnswer = serde_json::from_value(answer).map_err(|error| internal(&error))?;
    Ok(as_kept(&kept))
}

fn as_kept(kept: &KeptAnswer) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    (status, axum::Json(&kept.body)).into_response()
}

/// Marks an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A stored answer, told apart from a new one by its header.
fn replayed(kept: &KeptAnswer) -> Response {
    let mut response = as_kept(kept);
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn status_of(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The last step of every answer: an error gets its body, also one that the framework raised by itself.
pub(super) fn finished(mut response: Response, trace: TraceId, instance: &str) -> Response {
    let status = response.status();
    let raised = response.extensions_mut().remove::<Raised>();
    let is_bare = status.is_client_error() || status.is_server_error();
    let raised = raised.or_else(|| {
        let reason = status.canonical_reason().unwrap_or("refused");
        let problem = Problem::new(
            code_of(status),
            reason,
            "look at the documentation of the API",
        );
        is_bare.then_some(Raised {
            problem,
            reason: None,
            retry_after: None,
        })
    });
    let Some(raised) = raised else {
        return response;
    };
    let trace_id = trace.as_uuid().as_simple().to_string();
    let code = raised.problem.code;
    if status.is_server_error() {
        tracing::warn!(%code, detail = raised.problem.detail, trace.id = trace_id, "answered with an error");
    }
    let body = ProblemBody {
        kind: format!("/errors/{code}"),
        title: code.title().to_owned(),
        status: status.as_u16(),
        detail: raised.problem.detail,
        instance: instance.to_owned(),
        todo: raised.problem.todo,
        code,
        retry: code.retry(),
        trace_id,
        errors: raised.problem.errors,
        reason_code: raised.reason,
    };
    *response.body_mut() = Body::from(serde_json::to_vec(&body).unwrap_or_default());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    let kind = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, kind);
    let passes = matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    );
    if let Some(seconds) = raised.retry_after.or(passes.then_some(1)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        if status == StatusCode::TOO_MANY_REQUESTS
            && let Ok(value) = HeaderValue::try_from(format!("\"requests\";r=0;t={seconds}"))
        {
            // draft-ietf-httpapi-ratelimit-headers: nothing remains, for so many seconds.
            headers.insert(HeaderName::from_static("ratelimit"), value);
        }
    }
    response
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<chiffon_store::Error> for Refused {
    fn from(error: chiffon_store::Error) -> Self {
        match error {
            chiffon_store::Error::Replay { answer } => replay_of(answer),
            chiffon_store::Error::KeyReused => key_reused().into(),
            error => store_problem(&error).into(),
        }
    }
}

/// What is stored under a key is what this program wrote there.
pub(super) fn replay_of(answer: serde_json::Value) -> Refused {
    match serde_json::from_value(answer) {
        Ok(kept) => Refused::Replay(Box::new(kept)),
        Err(error) => internal(&error).into(),
    }
}

/// The key belongs to another question.
pub(super) fn key_reused() -> Problem {
    Problem::new(
        ErrorCode::IdempotencyMismatch,
        "this idempotency key was used before, for another request",
        "use a new key for a new request",
    )
}

/// A fault of Chiffon itself.
pub(super) fn internal(error: &dyn std::error::Error) -> Problem {
    let why = error
        .source()
        .map_or_else(String::new, |source| format!(": {source}"));
    Problem::new(
        ErrorCode::Internal,
        format!("{error}{why}"),
        "please report this with the log of the orchestrator",
    )
}

/// A row of the database that cannot be understood, named.
pub(super) fn unreadable(error: &Unreadable) -> Problem {
    let why = std::error::Error::source(error).map_or_else(String::new, |source| {
        format!(": {}", visible(&source.to_string()))
    });
    Problem::new(
        ErrorCode::RowUnreadable,
        format!("{error}{why}"),
        "`chiffon audit verify` says what else does not fit; put the row back from a backup of the database",
    )
}

impl From<AdvanceError> for Refused {
    fn from(error: AdvanceError) -> Self {
        match error {
            AdvanceError::NoRequest => none_such::<RequestId>(),
            AdvanceError::Forgotten(problem) => Self::Problem(problem),
            AdvanceError::Store(error) => error.into(),
            AdvanceError::Unreadable(error) => unreadable(&error).into(),
            AdvanceError::Unwritable(_) | AdvanceError::Proof(_) | AdvanceError::Outgoing(_) => {
                internal(&error).into()
            }
        }
    }
}

impl From<ClearError> for Refused {
    fn from(error: ClearError) -> Self {
        match error {
            ClearError::Refused(problem) => problem.into(),
            ClearError::Store(error) => error.into(),
        }
    }
}

impl From<EditError> for Refused {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Refused(problem) => Self::Problem(problem),
            EditError::Store(error) => error.into(),
            EditError::Unwritable(_) | EditError::Canonical(_) => internal(&error).into(),
        }
    }
}

impl From<FireError> for Refused {
    fn from(error: FireError) -> Self {
        match error {
            FireError::Intake(error) => error.into(),
            FireError::Store(error) => error.into(),
            FireError::Unreadable(_) | FireError::Canonical(_) => internal(&error).into(),
        }
    }
}

impl From<IntakeError> for Refused {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Malformed(why) => malformed_event(&why, "/text").into(),
            IntakeError::Reserved { field, .. } => reserved(field, &error).into(),
            IntakeError::NoWork => unaccepted(&error.to_string(), WORK).into(),
            IntakeError::AnswersNothing => answers_nothing(),
            IntakeError::Conflict => key_reused().into(),
            IntakeError::Shut(reason) => shut(reason),
            IntakeError::Crowded(crowded) => {
                let todo = "send it again later; the authoriser is slow";
                Self::Later(
                    Box::new(Problem::new(
                        ErrorCode::Overloaded,
                        crowded.to_string(),
                        todo,
                    )),
                    AFTER,
                )
            }
            IntakeError::Unasked(reason) => {
                Self::ByRule(Box::new(refused_by_rule(reason, "plan_id")), reason)
            }
            IntakeError::Unanswered(error) => (*error).into(),
            IntakeError::Refused(refusal) => refusal.into(),
            IntakeError::Store(error) => error.into(),
            IntakeError::Canonical(_) | IntakeError::Proof(_) | IntakeError::Unwritable(_) => {
                internal(&error).into()
            }
        }
    }
}

/// What to do where no work is taken.
const WORK: &str = "set control.jobs to true in chiffon.yaml and start Chiffon again";

/// Seconds until it is worth another try.
const AFTER: u64 = 5;

/// A gate that is shut for the moment.
fn shut(reason: ReasonCode) -> Refused {
    let detail = format!("nothing was taken: {}", why_not(reason));
    let (code, todo) = match reason {
        ReasonCode::AuthzUnavailable | ReasonCode::AuthzUnreadable => (
            ErrorCode::AuthorizerSilent,
            "send the same again; the log says what the authoriser of control.authz.endpoint answered",
        ),
        _ => (
            ErrorCode::TooManyRequests,
            "wait a little and send the same again; control.* in chiffon.yaml sets how much is let through",
        ),
    };
    let problem = Problem::new(code, detail, todo);
    Refused::Later(Box::new(problem), AFTER)
}

/// Work that the control plane did not take.
pub(super) fn not_taken(reason: ReasonCode) -> Refused {
    let todo = match reason {
        ReasonCode::Unauthorized | ReasonCode::AuthzDenied => "ask as a person who may",
        _ => "look at control.* in chiffon.yaml, then ask again under another key",
    };
    Refused::ByRule(Box::new(unaccepted(why_not(reason), todo)), reason)
}

fn unaccepted(why: &str, todo: &str) -> Problem {
    let detail = format!("the request was not accepted: {why}");
    Problem::new(ErrorCode::Forbidden, detail, todo)
}

fn why_not(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::Unauthorized => "no role of the control plane permits it to this principal",
        ReasonCode::AuthzDenied => "the external authoriser denies it",
        ReasonCode::AuthzUnavailable => "the external authoriser gives no decision",
        ReasonCode::AuthzUnreadable => "what the external authoriser answers is no decision",
        ReasonCode::GeneratingLock => "a text for this room is being made",
        ReasonCode::Cooldown => "the room was answered a moment ago and rests",
        ReasonCode::Backpressure => "too much waits already",
        ReasonCode::RateLimited => "more is asked than control.rate.* lets through",
        ReasonCode::ReplyPolicy => "the reply policy does not answer it",
        _ => "the control plane takes no work (control.jobs)",
    }
}

/// An id or a room of a name that Chiffon keeps for itself.
pub(super) fn reserved(field: &str, error: &IntakeError) -> Problem {
    let place = FieldError::body(format!("/{field}"), error.to_string());
    let todo = "send another one";
    Problem::new(ErrorCode::MalformedMessage, error.to_string(), todo).at(place)
}

/// A yes or no that is said where work is asked for: it is no wish, and no question is answered by it.
fn answers_nothing() -> Refused {
    let detail = "this says yes or no and asks for nothing; a sentence answers no question, so nothing was taken";
    let todo = "answer with `chiffon approve ID`, `chiffon reject ID` or `chiffon answer ID`; `chiffon decision list` shows what waits";
    let problem = Problem::new(ErrorCode::NothingMatches, detail, todo);
    Refused::ByRule(Box::new(problem), ReasonCode::NothingAsked)
}

/// An event that does not hold its bounds; its text stands at `text_at`.
pub(super) fn malformed_event(why: &EventError, text_at: &str) -> Problem {
    let (code, todo) = (why.code(), why.todo());
    let pointer = match why {
        EventError::Version(_) => "/v".to_owned(),
        EventError::Kind => "/actor/kind".to_owned(),
        EventError::Inexact => "/content/call/parameters".to_owned(),
        EventError::Field(name) | EventError::Missing(name) | EventError::Unexpected(name) => {
            format!("/{}", name.replace('.', "/"))
        }
        EventError::Empty | EventError::Binary(_) | EventError::TooLong { .. } => {
            text_at.to_owned()
        }
    };
    let field = FieldError::body(&pointer, why.to_string());
    Problem::new(code, why.to_string(), todo).at(field)
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
                "look at it with `chiffon decision show`",
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
            Refusal::OutcomeKnown("dispatched" | "accepted" | "running") => (
                ErrorCode::OutcomeKnown,
                "its agent tells how it ended: let `chiffon up` run where it ran; what it cannot tell is asked then",
            ),
            Refusal::OutcomeKnown(_) => (
                ErrorCode::OutcomeKnown,
                "look at it with `chiffon request show`",
            ),
            Refusal::NoRetry => (
                ErrorCode::NoRetryWaits,
                "look at what it waits for with `chiffon request show`",
            ),
            Refusal::NotApproved => (ErrorCode::NotApproved, "approve the plan first"),
            Refusal::PlanAltered => (
                ErrorCode::PlanAltered,
                "ask again: a new plan gets an approval of its own",
            ),
            Refusal::PolicyChanged => (
                ErrorCode::PolicyChanged,
                "ask again: a new plan gets an approval of its own",
            ),
            Refusal::Frozen(_) => (ErrorCode::Frozen, "end the freeze with `chiffon thaw`"),
            Refusal::Cancelled { .. } => (
                ErrorCode::CancelledByPerson,
                "nothing of it is started; ask again for a new one",
            ),
            Refusal::NothingStarts { .. } => (
                ErrorCode::CancelledByPerson,
                "look at the host and say how it ended, completed or failed; to run it again, ask anew",
            ),
            Refusal::NotStanding(_) => {
                (ErrorCode::StandingRefused, "let a person approve this plan")
            }
        };
        let problem = Problem::new(code, refusal.to_string(), todo);
        let place = match &refusal {
            Refusal::WrongDigest { .. } => Some(("/digest", "missing, or of another plan")),
            Refusal::InvalidChoice { .. } => Some(("/choice", "not one of the options")),
            Refusal::TypeHost { .. } => Some(("/confirm", "not the host's name")),
            _ => None,
        };
        match place {
            Some((pointer, what)) => problem.at(FieldError::body(pointer, what)).into(),
            None => problem.into(),
        }
    }
}

/// The problem of something that is not there.
pub(super) fn missing(what: &str, todo: &str) -> Problem {
    Problem::new(ErrorCode::NotFound, format!("there is no {what}"), todo)
}

pub(super) async fn not_found(uri: Uri) -> Refused {
    let detail = format!("there is nothing at {}", visible(uri.path()));
    Problem::new(
        ErrorCode::NotFound,
        detail,
        "the addresses there are stand in /api/v1/openapi.json",
    )
    .into()
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Refused {
    let detail = format!(
        "{} does not take {}",
        visible(uri.path()),
        visible(method.as_str())
    );
    Problem::new(
        ErrorCode::MethodNotAllowed,
        detail,
        "the header `Allow` names the methods it takes",
    )
    .into()
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
    Refused::from(problem).into_response()
}
