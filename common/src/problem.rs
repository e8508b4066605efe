//! A problem: what happened, why, and what to do, under a code. The one error form that reaches people.

use serde::{Deserialize, Serialize};

use crate::ErrorCode;

/// One place that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Where to look: `body`, `query`, `path` or `header`.
    #[serde(rename = "in")]
    pub place: String,
    /// JSON pointer (RFC 6901) into the body, or `/` and the name of the parameter or header.
    pub pointer: String,
    /// What does not fit.
    pub detail: String,
}

impl FieldError {
    /// A place in the body, by its JSON pointer.
    pub fn body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::at("body", pointer.into(), detail)
    }

    /// A parameter of the query.
    pub fn query(name: &str, detail: impl Into<String>) -> Self {
        Self::at("query", format!("/{}", pointer_part(name)), detail)
    }

    /// A header.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        Self::at("header", format!("/{}", pointer_part(name)), detail)
    }

    /// A part of the path.
    pub fn path(name: &str, detail: impl Into<String>) -> Self {
        Self::at("path", format!("/{}", pointer_part(name)), detail)
    }

    fn at(place: &str, pointer: String, detail: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            pointer,
            detail: detail.into(),
        }
    }
}

/// One part of a JSON pointer (RFC 6901, 3): `~` and `/` have escapes.
pub fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// An error for people and programs. On HTTP it becomes RFC 9457 problem+json.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The code; its page is docs/errors/<code>.md.
    pub code: ErrorCode,
    /// What happened and why, one sentence with the values that matter; redacted.
    pub detail: String,
    /// What to do next: a command where there is one.
    pub todo: String,
    /// The places that do not fit, where what was given can be pointed at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem with its explanation and the next step.
    pub fn new(code: ErrorCode, detail: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            todo: todo.into(),
            errors: Vec::new(),
        }
    }

    /// The same, pointing at a place.
    #[must_use]
    pub fn at(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (error {})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}
