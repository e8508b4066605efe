//! Bodies and queries read with our own errors instead of the framework's.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{StatusCode, header, request::Parts},
};
use chiffon_common::{ErrorCode, Problem, RequestId};
use serde::de::DeserializeOwned;

use super::problem::Refused;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = format!(
                "the body is {:?}, not application/json",
                chiffon_common::visible(kind)
            );
            return Err(Refused(Problem::new(
                ErrorCode::UnsupportedMediaType,
                detail,
                "send the header `Content-Type: application/json`",
            )));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body_problem(&rejection))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let detail = format!("the body does not fit: {error}");
            Refused(Problem::new(
                ErrorCode::MalformedMessage,
                detail,
                "correct the body and send it again",
            ))
        })
    }
}

fn body_problem(rejection: &BytesRejection) -> Refused {
    Refused(if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("the body is larger than {} bytes", super::BODY_BYTES);
        Problem::new(
            ErrorCode::TooLarge,
            detail,
            "send less; put long content into a file on the host",
        )
    } else {
        Problem::new(
            ErrorCode::MalformedMessage,
            "the body could not be read",
            "send it again",
        )
    })
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            Refused(Problem::new(
                ErrorCode::MalformedMessage,
                format!("the query does not fit: {rejection}"),
                "correct the query and send it again",
            ))
        })
    }
}

/// The id of a request in the address.
pub(super) struct Id(pub(super) RequestId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(text)| text);
        let id = text.ok().and_then(|text| text.parse().ok());
        id.map(Self)
            .ok_or_else(|| Refused(super::problem::no_request()))
    }
}
