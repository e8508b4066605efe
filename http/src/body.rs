//! Bodies read within bounds. What they say is left to who asked for them.

use std::{future::poll_fn, pin::Pin, time::Duration};

use chiffon_common::{ErrorCode, FieldError, Problem, visible};
use hyper::{
    HeaderMap,
    body::{Body, Bytes},
    header,
};
use tokio::time::{Instant, timeout_at};

/// What is read of a body that is too large, so that its sender hears the answer instead of a cut line.
const DISCARDED: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Whether the headers say that the body is JSON.
///
/// # Errors
/// The answer where they do not.
pub fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
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

/// A whole body of at most `most` bytes; one byte more is enough to say that it is too large. `shorten` is what to do then.
///
/// # Errors
/// The answer where it is too large, ends in the middle, or is not whole within ten seconds.
pub async fn whole<B>(mut body: B, most: usize, shorten: &str) -> Result<Vec<u8>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || {
        let detail = format!("the body is larger than {most} bytes");
        Problem::new(ErrorCode::TooLarge, detail, shorten)
    };
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(most);
    let mut bytes = Vec::with_capacity(expected.min(4_096));
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
            Ok(None) if length > most => return Err(too_large()),
            Ok(None) => return Ok(bytes),
            // What is too large is too large, however it goes on.
            Ok(Some(Err(_))) | Err(_) if length > most => return Err(too_large()),
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
        if length <= most {
            bytes.extend_from_slice(&piece);
        } else if length > DISCARDED {
            return Err(too_large());
        }
    }
}
