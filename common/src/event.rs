//! The event: one normalised input from outside (RFC-ARB-0001, 6.1).
//!
//! Every way in (HTTP, command line, chat, webhook, bus) becomes this. Whether it may cause anything
//! is left to the arbiter.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    DecisionId, EntryId, ErrorCode, EventId, HostName, Parameters, ProjectId, RequestId, RoomId,
    TenantId,
    contracts::{time, whole},
};

/// Longest sentence in characters. Long enough for a pasted log with a question below it, short
/// enough that ranking it against a large catalogue stays a matter of milliseconds.
pub const MAX_TEXT_CHARS: usize = 8_000;

/// One normalised input from outside. Times are UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// Unique within the tenant; the idempotency key (section 8 of the document).
    pub event_id: EventId,
    /// The owner.
    pub tenant_id: TenantId,
    /// Where it came from: `http`, `cli`, `chat`, `webhook`, `bus`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub source: String,
    /// The conversation it belongs to.
    pub room_id: RoomId,
    /// The group of requests it belongs to.
    #[serde(default)]
    pub project_id: ProjectId,
    /// Who said it.
    pub actor: Actor,
    /// What was said.
    pub content: Content,
    /// When it happened, by the clock of its source.
    #[serde(deserialize_with = "time")]
    pub ts: Timestamp,
}

/// Who said it, as authenticated by the way in; never taken from the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Actor {
    /// The principal: `local:<user>`, `agent:<id>`, later `oidc:<issuer>:<sub>`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub id: String,
    /// `person`, `service` or `agent`: services and agents cannot approve (S32).
    #[cfg_attr(feature = "openapi", schema(pattern = "^(person|service|agent)$"))]
    pub kind: String,
}

/// Who can be an [`Actor`], by its `kind`.
pub const ACTOR_KINDS: [&str; 3] = ["person", "service", "agent"];

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Content {
    /// `text`: a sentence; `entry`: an entry of the catalogue, named in `call`; `undo`: what `undo_of` names.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    #[serde(rename = "type")]
    pub kind: String,
    /// The sentence.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
    pub text: String,
    /// Whether Chiffon was spoken to, which a chat room may leave open.
    #[serde(default)]
    pub mentions_chiffon: bool,
    /// The entry that is to run, where no sentence has to be understood; `text` is its explicit form then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<EntryCall>,
    /// The request that this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RequestId>,
    /// The request that this one takes back; `text` says so in words then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<Undoing>,
    /// The question that `text` says yes or no to: the `decision_id` of a `request_approval` that the room was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<DecisionId>,
}

/// Which request is to be taken back. How is the catalogue's to say, when it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Undoing {
    /// The request.
    pub request: RequestId,
    /// Whether what cannot be taken back may stay, instead of being a reason to take nothing back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub what_can_be: bool,
}

/// An entry with hosts and parameters, named by a program or by `catalogue run`. Whether they fit is the
/// catalogue's to say, when it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryCall {
    /// The entry.
    pub entry: EntryId,
    /// Where; empty where the inventory has one host only.
    pub hosts: Vec<HostName>,
    /// Its parameters.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub parameters: Parameters,
}

/// Why an event is refused by the first stage, schema validation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A later or unknown version.
    #[error("event version {0} is not understood; this program understands 0")]
    Version(u32),
    /// Nothing was asked.
    #[error("the request is empty")]
    Empty,
    /// The text has characters that are no text.
    #[error("the request holds a control character (U+{0:04X}), so it is no sentence")]
    Binary(u32),
    /// The text is too long.
    #[error("the request has {found} characters; {MAX_TEXT_CHARS} are permitted")]
    TooLong {
        /// How many characters were found.
        found: usize,
    },
    /// A field is empty or too long.
    #[error("field {0} must have 1 to 256 characters without control characters")]
    Field(&'static str),
    /// Nobody knows what such an actor may do.
    #[error("actor.kind is none of person, service and agent")]
    Kind,
    /// Two of them would be one where events, plans and approvals are compared.
    #[error(
        "a number in content.call.parameters is beyond 9007199254740992, where numbers are not exact any more"
    )]
    Inexact,
    /// A field that its status asks for is not there.
    #[error("field {0} is required here")]
    Missing(&'static str),
    /// A field that its status leaves no room for.
    #[error("field {0} has no place here")]
    Unexpected(&'static str),
}

impl EventError {
    /// The code that it is answered with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Version(_) => ErrorCode::UnknownVersion,
            Self::Empty => ErrorCode::EmptyRequest,
            Self::Binary(_) => ErrorCode::BinaryRequest,
            Self::TooLong { .. } => ErrorCode::RequestTooLong,
            Self::Field(_)
            | Self::Kind
            | Self::Inexact
            | Self::Missing(_)
            | Self::Unexpected(_) => ErrorCode::MalformedMessage,
        }
    }

    /// What can be done.
    pub const fn todo(&self) -> &'static str {
        match self {
            Self::Version(_) => "send \"v\": 0",
            Self::Empty => {
                "say in a sentence what is to be done, for example: chiffon run \"How full are the disks on this machine?\""
            }
            Self::Binary(_) => "send plain text in UTF-8",
            Self::TooLong { .. } => "shorten it; put long content into a file on the host",
            Self::Inexact => "send it as text",
            Self::Field(_) | Self::Kind | Self::Missing(_) | Self::Unexpected(_) => {
                "correct the field and send it again"
            }
        }
    }
}

impl Event {
    /// Stage 1 of the pipeline: what the JSON types alone cannot say.
    pub fn validate(&self) -> Result<(), EventError> {
        if self.v != 0 {
            return Err(EventError::Version(self.v));
        }
        for (name, value) in [
            ("source", &self.source),
            ("actor.id", &self.actor.id),
            ("content.type", &self.content.kind),
        ] {
            validate_field(name, value)?;
        }
        if !ACTOR_KINDS.contains(&self.actor.kind.as_str()) {
            return Err(EventError::Kind);
        }
        if let Some(call) = &self.content.call
            && !call.parameters.values().all(is_exact)
        {
            return Err(EventError::Inexact);
        }
        validate_text(&self.content.text)
    }
}

/// Whether every number in a value is the one that was written: canonical JSON, over which documents are compared, knows
/// doubles only (RFC 8785), and up to 2^53 every whole number is one.
pub fn is_exact(value: &Value) -> bool {
    const MOST: u64 = 1 << 53;
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), _, _) => whole <= MOST,
            (_, Some(whole), _) => whole.unsigned_abs() <= MOST,
            // A whole number that finds no place in 64 bits is read as a float.
            (_, _, float) => float.is_some_and(|float| float.abs() <= MOST as f64),
        },
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(map) => map.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// A short text of one line: 1 to 256 characters, none of them a control character.
pub(crate) fn validate_field(name: &'static str, value: &str) -> Result<(), EventError> {
    let is_long = value.len() > 256 && value.chars().count() > 256;
    if value.is_empty() || is_long || value.chars().any(char::is_control) {
        return Err(EventError::Field(name));
    }
    Ok(())
}

/// A text for people: 1 to [`MAX_TEXT_CHARS`] characters that say something.
pub fn validate_text(text: &str) -> Result<(), EventError> {
    let found = text.chars().count();
    if found > MAX_TEXT_CHARS {
        return Err(EventError::TooLong { found });
    }
    let is_binary = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if let Some(c) = text.chars().find(is_binary) {
        return Err(EventError::Binary(c as u32));
    }
    if text.trim().is_empty() {
        return Err(EventError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), EventError>) {
        assert_eq!(validate_text(text), expected, "{text:?}");
    }

    #[test]
    fn a_number_that_is_read_as_another_is_not_exact() {
        let parameters = |number: &str| serde_json::from_str(&format!("{{\"a\":[{number}]}}"));
        for (number, exact) in [
            ("9007199254740992", true),
            ("-9007199254740992", true),
            ("0.1", true),
            ("9007199254740993", false),
            ("-9007199254740993", false),
            ("18446744073709551615", false),
            ("12345678901234567890123", false),
        ] {
            assert_eq!(is_exact(&parameters(number).unwrap()), exact, "{number}");
        }
    }

    #[test]
    fn a_sentence_is_text_that_says_something() {
        check("How full are the disks?\n", Ok(()));
        check(" \t\n", Err(EventError::Empty));
        check("a\u{0}b", Err(EventError::Binary(0)));
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        check(
            &long,
            Err(EventError::TooLong {
                found: MAX_TEXT_CHARS + 1,
            }),
        );
    }
}
