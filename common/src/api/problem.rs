//! Error answers: RFC 9457 problem+json.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, FieldError, Retry};

/// An error answer: RFC 9457 problem+json.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProblemBody {
    /// The page of the code, a path on this server: `/errors/5004`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The title of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and why.
    pub detail: String,
    /// The path that was asked.
    #[serde(default)]
    pub instance: String,
    /// What to do.
    pub todo: String,
    /// The code.
    pub code: ErrorCode,
    /// Whether trying again can help.
    pub retry: Retry,
    /// Correlation: the trace id of the header `traceparent`, as it also stands in the audit record.
    pub trace_id: String,
    /// What exactly does not fit, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}
