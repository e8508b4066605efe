//! Bodies read within bounds. What they say is left to the contracts.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::http::{HeaderMap, header};
use chiffon_common::{ErrorCode, FieldError, MAX_CONTRACT_BYTES, Problem, visible};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

/// What is read of a body that is too large, so that its sender hears the answer instead of a cut line.
const DISCARDED: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .map(|value| value.to_str().unwrap_or("?"))
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = format!("the body is {:?}, not application/json", visible(kind));
    let todo = "send the header `Content-Type: application/json`";
    let field = FieldError::header("content-type", "not application/json");
    Err(Problem::new(ErrorCode::UnsupportedMediaType, detail, todo).at(field))
}

/// A whole body; one byte more than a contract may have is enough to say that it is too large.
pub(super) async fn whole(mut body: Incoming) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::with_capacity(body.size_hint().lower().min(4_096) as usize);
    let mut length = 0;
    let until = Instant::now() + ARRIVAL;
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let piece = match timeout_at(until, next).await {
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(piece) => piece,
                // Fields behind the body, which say nothing here.
                Err(_) => continue,
            },
            Ok(None) if length > MAX_CONTRACT_BYTES => return Err(too_large()),
            Ok(None) => return Ok(bytes),
            // What is too large is too large, however it goes on.
            Ok(Some(Err(_))) | Err(_) if length > MAX_CONTRACT_BYTES => return Err(too_large()),
            Ok(Some(Err(_))) => {
                let detail = "the body ended in the middle";
                return Err(Problem::new(
                    ErrorCode::MalformedMessage,
                    detail,
                    "send it again",
                ));
            }
            Err(_) => {
                let detail = format!("the body was not whole within {} s", ARRIVAL.as_secs());
                let todo = "send it again, in one piece";
                return Err(Problem::new(ErrorCode::RequestTimeout, detail, todo));
            }
        };
        length += piece.len();
        if length <= MAX_CONTRACT_BYTES {
            bytes.extend_from_slice(&piece);
        } else if length > DISCARDED {
            return Err(too_large());
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_CONTRACT_BYTES} bytes");
    Problem::new(ErrorCode::TooLarge, detail, "send less at once")
}
