//! Versions of objects: `ETag`, `If-None-Match` for reading, `If-Match` for what can be edited (A4, RFC 9110).

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chiffon_common::{ErrorCode, FieldError, Problem};
use serde::Serialize;

use super::problem::Refused;

/// An object with its version, or 304 where the reader has it already.
pub(super) fn versioned<T: Serialize>(headers: &HeaderMap, tag: &str, value: &T) -> Response {
    let quoted = format!("\"{tag}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == "*" || one == quoted);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Json(value).into_response(),
    };
    if let Ok(value) = HeaderValue::try_from(quoted) {
        response.headers_mut().insert(header::ETAG, value);
    }
    // May be kept, but is asked about each time.
    let kept = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, kept);
    response
}

/// What a change says about the version that it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Precondition {
    /// `If-None-Match: *`: there is none yet.
    Absent,
    /// `If-Match: *`: there is one, whichever.
    Any,
    /// `If-Match` with these; tags of other objects are none of them.
    Versions(Vec<u64>),
}

impl Precondition {
    /// Reads it. Without one a change would write over what somebody else has just said.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refused> {
        let text = |name| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("?").trim())
        };
        match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (None, Some("*")) => Ok(Self::Absent),
            (Some("*"), None) => Ok(Self::Any),
            (Some(tags), None) => versions_of(tags).map(Self::Versions),
            (None, None) => Err(required().into()),
            _ => Err(Problem::new(
                ErrorCode::MalformedMessage,
                "If-Match and If-None-Match do not fit together here",
                "send `If-Match` with the ETag you have read, or `If-None-Match: *` to make something new",
            )
            .at(FieldError::header("if-match", "one of the two"))
            .into()),
        }
    }

    /// Whether what is there now is what was meant; `version` is absent where nothing is.
    pub(super) fn holds(&self, version: Option<u64>) -> Result<(), Refused> {
        match (self, version) {
            (Self::Absent, None) | (Self::Any, Some(_)) => Ok(()),
            (Self::Versions(meant), Some(now)) if meant.contains(&now) => Ok(()),
            (Self::Absent, Some(_)) => Err(failed(
                "if-none-match",
                "it is there already",
                "read it, and send your change with its ETag as `If-Match`",
            )),
            (Self::Any | Self::Versions(_), None) => Err(failed(
                "if-match",
                "there is none yet",
                "send `If-None-Match: *` to make it",
            )),
            (Self::Versions(_), Some(_)) => Err(changed()),
        }
    }
}

/// The versions in a list of tags. Weak tags never match (RFC 9110, 13.1.1); what is no tag is a mistake.
fn versions_of(tags: &str) -> Result<Vec<u64>, Refused> {
    let mut versions = Vec::new();
    for tag in tags.split(',').map(str::trim) {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        let inner = strong
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or_else(|| {
                let detail = "If-Match is no list of entity tags, which stand in quotes";
                let todo = "send the ETag as you have read it, such as `If-Match: \"3\"`, or `*`";
                let field = FieldError::header("if-match", "no entity tag");
                Refused::from(Problem::new(ErrorCode::MalformedMessage, detail, todo).at(field))
            })?;
        versions.extend(inner.parse::<u64>().ok().filter(|_| strong == tag));
    }
    Ok(versions)
}

fn failed(header: &str, detail: &str, todo: &str) -> Refused {
    let field = FieldError::header(header, detail);
    Problem::new(ErrorCode::PreconditionFailed, detail, todo)
        .at(field)
        .into()
}

/// Somebody else was faster, here or in the store.
pub(super) fn changed() -> Refused {
    failed(
        "if-match",
        "it has another version than the one you have read",
        "read it again, and send your change with the new ETag",
    )
}

fn required() -> Problem {
    Problem::new(
        ErrorCode::PreconditionRequired,
        "a change says which version it is made from",
        "read it, and send the value of its ETag as `If-Match`; `If-None-Match: *` makes something new",
    )
    .at(FieldError::header("if-match", "missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: header::HeaderName, value: &str) -> Result<Precondition, Refused> {
        Precondition::read(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
    }

    #[test]
    fn a_change_names_its_version() {
        assert_eq!(
            read(header::IF_MATCH, "\"7\"").unwrap(),
            Precondition::Versions(vec![7])
        );
        assert_eq!(read(header::IF_MATCH, "*").unwrap(), Precondition::Any);
        assert_eq!(
            read(header::IF_NONE_MATCH, "*").unwrap(),
            Precondition::Absent
        );
        assert!(read(header::IF_MATCH, "7").is_err());
        assert!(
            read(header::IF_MATCH, "\"zz\", W/\"8\", \"7\"")
                .unwrap()
                .holds(Some(7))
                .is_ok()
        );
        assert!(
            read(header::IF_MATCH, "W/\"7\"")
                .unwrap()
                .holds(Some(7))
                .is_err()
        );
        assert!(Precondition::read(&HeaderMap::new()).is_err());
        assert!(Precondition::Versions(vec![7]).holds(Some(7)).is_ok());
        assert!(Precondition::Versions(vec![7]).holds(Some(8)).is_err());
        assert!(Precondition::Versions(vec![7]).holds(None).is_err());
        assert!(Precondition::Absent.holds(Some(1)).is_err());
    }

    #[test]
    fn a_reader_that_has_it_is_told_so() {
        let known =
            HeaderMap::from_iter([(header::IF_NONE_MATCH, "\"1\", W/\"2\"".parse().unwrap())]);
        assert_eq!(versioned(&known, "2", &1).status(), 304);
        assert_eq!(versioned(&known, "3", &1).status(), 200);
    }
}
