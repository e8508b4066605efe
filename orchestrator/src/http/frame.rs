//! What surrounds every call: its trace (W3C Trace Context), its request id, the headers of every answer, and
//! the last step of every error. Problems become bodies here and nowhere else, so that none leaves without its
//! trace and place, whoever raised it (A2, A5, S73).

use axum::{
    extract::{FromRequestParts, Request, State as Extract},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use chiffon_common::{ErrorCode, Problem, TraceId, TraceParent, visible};

use super::{
    State,
    problem::{self, Refused},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is given back.
const MOST_ID: usize = 128;

/// The trace of a call, for what is recorded of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace(pub(super) TraceId);

impl<S: Send + Sync> FromRequestParts<S> for Trace {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        parts.extensions.get().copied().ok_or_else(|| {
            let detail = "the call has no trace";
            Refused::from(Problem::new(
                ErrorCode::Internal,
                detail,
                "please report this",
            ))
        })
    }
}

pub(super) async fn frame(
    Extract(state): Extract<State>,
    mut request: Request,
    next: Next,
) -> Response {
    let clock = &state.shared.clock;
    let parent = parent_of(request.headers());
    let trace = parent.map_or_else(|| TraceId::from_uuid(clock.fresh_id()), |it| it.trace_id);
    let instance = visible(request.uri().path());
    let request_id = request
        .headers()
        .get(X_REQUEST_ID)
        .filter(|id| is_id(id))
        .cloned();
    request.extensions_mut().insert(Trace(trace));
    let response = next.run(request).await;
    let mut response = problem::finished(response, trace, &instance);
    let headers = response.headers_mut();
    let own = TraceParent {
        // Whether it is recorded is for whoever began the trace to say.
        sampled: parent.is_none_or(|parent| parent.sampled),
        ..TraceParent::new(trace, &clock.fresh_id())
    };
    if let Ok(value) = HeaderValue::try_from(own.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
    if let Some(id) = request_id {
        headers.insert(X_REQUEST_ID, id);
    }
    guard(headers);
    response
}

fn parent_of(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// An id that can be given back without doing harm to whoever reads it.
fn is_id(value: &HeaderValue) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic();
    (1..=MOST_ID).contains(&value.len()) && value.as_bytes().iter().copied().all(is_plain)
}

/// S73. Whoever serves a page says its own policy before.
fn guard(headers: &mut HeaderMap) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let defaults = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// The status of an answer that nobody has made a problem of, as a code.
pub(super) fn code_of(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 => ErrorCode::Unauthenticated,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        405 => ErrorCode::MethodNotAllowed,
        408 => ErrorCode::RequestTimeout,
        413 => ErrorCode::TooLarge,
        415 => ErrorCode::UnsupportedMediaType,
        429 => ErrorCode::TooManyRequests,
        status if status >= 500 => ErrorCode::Internal,
        _ => ErrorCode::MalformedMessage,
    }
}
