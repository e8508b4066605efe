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

/// Whether the headers say that the body is JSON, as it is: in UTF-8 and not packed.
///
/// # Errors
/// The answer where they do not.
pub fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind
        .map(|value| value.to_str().unwrap_or("?"))
        .unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if essence.eq_ignore_ascii_case("application/json") {
        plain(headers)?;
        return parts.try_for_each(utf8);
    }
    let detail = format!("the body is {:?}, not application/json", visible(kind));
    let todo = "send the header `Content-Type: application/json`";
    let field = FieldError::header("content-type", "not application/json");
    Err(Problem::new(ErrorCode::UnsupportedMediaType, detail, todo).at(field))
}

/// A body that is packed would be read as what it is not.
fn plain(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let encodings = encodings.map(|value| value.to_str().unwrap_or("?").trim());
    let mut packed =
        encodings.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    let Some(packed) = packed.next() else {
        return Ok(());
    };
    let detail = format!("the body is packed as {:?}", visible(packed));
    let todo = "send it as it is, without the header `Content-Encoding`";
    let field = FieldError::header("content-encoding", "not supported");
    Err(Problem::new(ErrorCode::UnsupportedMediaType, detail, todo).at(field))
}

/// JSON has no other characters.
fn utf8(parameter: &str) -> Result<(), Problem> {
    let Some((name, value)) = parameter.split_once('=') else {
        return Ok(());
    };
    let (name, value) = (name.trim(), value.trim().trim_matches('"'));
    let is_fit = ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|fit| value.eq_ignore_ascii_case(fit));
    if !name.eq_ignore_ascii_case("charset") || is_fit {
        return Ok(());
    }
    let detail = format!("the body is in {:?}, not in UTF-8", visible(value));
    let todo = "send UTF-8, with `Content-Type: application/json`";
    let field = FieldError::header("content-type", "not UTF-8");
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

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_body_is_json_in_utf_8_that_is_not_packed() {
        let headers = |kind: &'static str, more: Option<(HeaderName, &'static str)>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some((name, value)) = more {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers
        };
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(is_json(&headers(kind, None)).is_ok(), "{kind}");
        }
        for kind in ["text/plain", "application/json; charset=latin1"] {
            let refused = is_json(&headers(kind, None)).expect_err(kind);
            assert_eq!(refused.code, ErrorCode::UnsupportedMediaType);
        }
        let packed = |name| headers("application/json", Some((header::CONTENT_ENCODING, name)));
        assert!(is_json(&packed("identity")).is_ok());
        let refused = is_json(&packed("gzip")).expect_err("it is packed");
        assert_eq!(refused.code, ErrorCode::UnsupportedMediaType);
        assert!(
            refused.todo.contains("Content-Encoding"),
            "{}",
            refused.todo
        );
    }
}
