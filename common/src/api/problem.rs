//! Error answers: RFC 9457 problem+json.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IntoDeserializer, value::Error},
};

use crate::{ErrorCode, FieldError, ReasonCode, Retry};

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
    /// The rule of the control plane that refused it, where one did.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "known"
    )]
    pub reason_code: Option<ReasonCode>,
}

/// One of a later version is passed over: the code beside it says enough.
fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ReasonCode>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|text| {
        ReasonCode::deserialize(IntoDeserializer::<Error>::into_deserializer(text)).ok()
    }))
}
