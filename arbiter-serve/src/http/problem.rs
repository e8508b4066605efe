//! Every error answer: RFC 9457 problem+json with code, reason and next step. The status is chosen here, in the last
//! step.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use chiffon_common::{Problem, TraceId, api::ProblemBody};

use super::fresh_trace;
use crate::decide::Refused;

pub(super) fn response(refused: &Refused, trace: Option<TraceId>, path: &str) -> Response<Body> {
    let Problem {
        code,
        detail,
        todo,
        errors,
    } = (*refused.problem).clone();
    let status =
        StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let trace = trace
        .unwrap_or_else(fresh_trace)
        .as_uuid()
        .as_simple()
        .to_string();
    if status.is_server_error() {
        tracing::warn!(%code, detail, trace.id = trace, "answered with an error");
    }
    let body = ProblemBody {
        kind: format!("/errors/{code}"),
        title: code.title().to_owned(),
        status: status.as_u16(),
        detail,
        instance: chiffon_common::visible(path),
        todo,
        code,
        retry: code.retry(),
        trace_id: trace,
        errors,
        reason_code: refused.reason,
    };
    let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, kind);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::UNAUTHORIZED => {
            let scheme = HeaderValue::from_static("Bearer realm=\"arbiter\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        _ => {}
    }
    response
}
