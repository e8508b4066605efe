//! Bodies, queries and path ids read within bounds and with our own errors, which point at what does not fit
//! (A2, S77). What the values mean is left to the handlers.

use std::str::FromStr;

use axum::{
    body::Body as Stream,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use chiffon_common::{
    ContractError, ErrorCode, FieldError, Problem, path_pointer, reader_words, shape, visible,
};
use chiffon_http::is_json;
use serde::{Serialize, de::DeserializeOwned};

use super::problem::{Refused, missing};

/// Largest body in bytes. The longest permitted sentence is 8,000 characters; longer content belongs into a file.
pub(super) const BODY_BYTES: usize = 256 * 1024;

/// A JSON body with its bytes' meaning only; `bytes` are what an idempotency key is held against.
pub(super) struct Body<T> {
    pub(super) value: T,
    pub(super) bytes: Vec<u8>,
}

impl<T: DeserializeOwned + Serialize, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        is_json(request.headers())?;
        let bytes = whole(request.into_body()).await?;
        Ok(Self {
            value: parsed(&bytes)?,
            bytes,
        })
    }
}

/// A document of the control plane's contracts (docs/contracts.md), or the bound of theirs that it breaks.
pub(super) struct Contract<T>(pub(super) Result<T, ContractError>);

impl<T: DeserializeOwned + Serialize, S: Send + Sync> FromRequest<S> for Contract<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        is_json(request.headers())?;
        let bytes = whole(request.into_body()).await?;
        Ok(Self(chiffon_common::read_contract(&bytes)))
    }
}

/// What is said of a document that is none of its contract, with the place where it is not.
pub(super) fn unread(error: &ContractError) -> Problem {
    let why = visible(&error.to_string());
    let problem = Problem::new(error.code(), why.clone(), error.todo());
    match error {
        ContractError::Version(_) | ContractError::Form { .. } => {
            problem.at(FieldError::body(error.pointer(), why))
        }
        _ => problem,
    }
}

/// The same where the body may be left out, which says what an empty object says.
pub(super) struct Perhaps<T>(pub(super) Body<T>);

impl<T: DeserializeOwned + Serialize + Default, S: Send + Sync> FromRequest<S> for Perhaps<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let declared = is_json(request.headers());
        let bytes = whole(request.into_body()).await?;
        if bytes.is_empty() {
            let value = T::default();
            return Ok(Self(Body { value, bytes }));
        }
        declared?;
        let value = parsed(&bytes)?;
        Ok(Self(Body { value, bytes }))
    }
}

/// No body, or an empty object, which say the same: for calls that say everything by their address.
pub(super) struct Nothing;

impl<S: Send + Sync> FromRequest<S> for Nothing {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        #[derive(serde::Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let declared = is_json(request.headers());
        let bytes = whole(request.into_body()).await?;
        if !bytes.is_empty() {
            declared?;
            let Empty {} = parsed(&bytes)?;
        }
        Ok(Self)
    }
}

async fn whole(body: Stream) -> Result<Vec<u8>, Refused> {
    let shorten = "send less; put long content into a file on the host";
    Ok(chiffon_http::whole(body, BODY_BYTES, shorten).await?)
}

/// The depth is bounded by the parser (128); every object that is not free in its keys refuses unknown ones. A list in
/// place of an object and a key that stands twice are refused wherever they are.
fn parsed<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, Refused> {
    // A list would be taken for the values of the fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        let error = serde::de::Error::custom("it is a list, not an object");
        return Err(unfit_body("", &error));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    let ended = reader.end();
    match (read, ended) {
        (Ok(value), Ok(())) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|error| unfit_body("", &serde::de::Error::custom(error)))?;
            let fits = shape(text, &value);
            fits.map_err(|unshaped| unfit_body(&unshaped.pointer, &unshaped.why))?;
            Ok(value)
        }
        (Err(error), _) => {
            let pointer = path_pointer(error.path());
            Err(unfit_body(&pointer, error.inner()))
        }
        (Ok(_), Err(error)) => Err(unfit_body("", &error)),
    }
}

fn unfit_body(pointer: &str, error: &serde_json::Error) -> Refused {
    let why = reader_words(&visible(&error.to_string()));
    let detail = format!("the body does not fit: {why}");
    let field = FieldError::body(pointer, why);
    let todo = "correct the body and send it again";
    Problem::new(ErrorCode::MalformedMessage, detail, todo)
        .at(field)
        .into()
}

/// Holds a text of a body against its bounds: so many characters, and none that a terminal would obey.
pub(super) fn permitted(pointer: &str, text: &str, most: usize) -> Result<(), Problem> {
    let is_binary = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let why = if text.chars().count() > most {
        format!("it may have {most} characters at most")
    } else if text.chars().any(is_binary) {
        "it holds a control character".to_owned()
    } else {
        return Ok(());
    };
    let detail = format!("{pointer} does not fit: {why}");
    let todo = "correct it and send it again";
    Err(Problem::new(ErrorCode::MalformedMessage, detail, todo).at(FieldError::body(pointer, why)))
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let said = visible(&rejection.body_text());
            let why = said
                .strip_prefix("Failed to deserialize query string: ")
                .unwrap_or(&said);
            let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            // `limit: what is wrong with it`, or a sentence that names the parameter in backticks.
            let name = why.split(": ").next().filter(is_name);
            let name = name.or_else(|| why.split('`').nth(1).filter(is_name));
            let name = name.unwrap_or_default();
            unfit_query(name, why)
        })
    }
}

/// No query at all: what is not known is an error, here as elsewhere.
pub(super) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let query = parts.uri.query().unwrap_or_default();
        if query.is_empty() {
            return Ok(Self);
        }
        let name = query.split(['=', '&']).next().unwrap_or_default();
        Err(unfit_query(
            &visible(name),
            "this address takes no parameters",
        ))
    }
}

/// A query that does not fit, with the parameter where it is known.
pub(super) fn unfit_query(name: &str, why: &str) -> Refused {
    let field = FieldError::query(name, why);
    let detail = format!("the query does not fit: {why}");
    let todo = "correct the query and send it again";
    Problem::new(ErrorCode::MalformedMessage, detail, todo)
        .at(field)
        .into()
}

/// How many elements a page has: what was asked for, within 1 to 500.
pub(super) fn page_size(asked: Option<u32>, default: u32) -> Result<u32, Refused> {
    match asked {
        None => Ok(default),
        Some(size @ 1..=500) => Ok(size),
        Some(_) => Err(unfit_query("limit", "a page has 1 to 500 elements")),
    }
}

/// A noun that has addresses of its own, for the error where there is none of an id.
pub(super) trait Named: FromStr {
    /// What there is none of, and how to see those that there are.
    const MISSING: (&'static str, &'static str);
}

/// An id in the address. One that is malformed names nothing, so the answer is that of one that is not there.
pub(super) struct Id<T>(pub(super) T);

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(text)| text);
        let id = text.ok().and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| none_such::<T>())
    }
}

/// The answer where there is none of an id.
pub(super) fn none_such<T: Named>() -> Refused {
    let (what, todo) = T::MISSING;
    missing(what, todo)
        .at(FieldError::path("id", "names nothing"))
        .into()
}

macro_rules! named {
    ($($kind:ident: $what:literal, $todo:literal;)+) => {$(
        impl Named for chiffon_common::$kind {
            const MISSING: (&'static str, &'static str) = ($what, $todo);
        }
    )+};
}

named! {
    RequestId: "request of this id", "`chiffon request list` shows all";
    TaskId: "task of this id", "GET /api/v1/tasks lists them";
    DecisionId: "decision of this id", "`chiffon decision list` shows those that wait";
    PlanId: "plan of this id", "GET /api/v1/plans lists them";
    AgentId: "agent of this id", "`chiffon fleet` shows all";
    ProjectId: "project of this id", "GET /api/v1/projects lists them";
    ScheduleId: "schedule of this id", "`chiffon schedule list` shows all";
    EntryId: "catalogue entry of this id", "`chiffon catalogue list` shows all";
    HostName: "host of this name", "`chiffon inventory show` lists them";
}
