//! Envelope v1: what every message on the bus is wrapped in (DESIGN section 6; document 004, section 4).
//!
//! Decoding refuses what is too large, of another version or of an unknown type, with an error that
//! says which; the caller sends such a message to the dead-letter queue. Unknown fields are kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    CanonicalError, MessageId, Payload, RequestId, Signer, TraceId, TraceParent, TrustedKeys,
    contracts::shape_of,
    seal::{SealError, Signature},
    to_canonical,
};

/// Largest envelope in bytes; larger output goes in pieces.
pub const MAX_ENVELOPE_BYTES: usize = 1024 * 1024;

/// The kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// An event for `orchestrator.requests`.
    Request,
    /// Work for an agent.
    WorkRequest,
    /// A piece of a bundle for an agent.
    Bundle,
    /// Stop an attempt.
    WorkCancel,
    /// What do you know of an attempt?
    WorkQuery,
    /// Progress of an attempt.
    WorkStatus,
    /// The end of an attempt.
    WorkResult,
    /// An agent is alive.
    Heartbeat,
    /// Something was wrong with a message.
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// The same through every resend; receivers drop what they have handled.
    pub message_id: MessageId,
    /// Correlation.
    pub trace_id: TraceId,
    /// The request it serves; absent where there is none (a heartbeat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Which payload.
    pub message_type: MessageType,
    /// When it was made, by the sender's clock.
    pub timestamp: Timestamp,
    /// Version of this form; 1.
    pub version: u32,
    /// The message itself.
    pub payload: Value,
    /// W3C trace context: the trace is `trace_id`, the span is the message's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The sender's signature over everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Fields of later versions, kept as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Why bytes are no message, or a message cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Too large.
    #[error("message of {found} bytes; {MAX_ENVELOPE_BYTES} are permitted")]
    TooLarge {
        /// How many there were.
        found: usize,
    },
    /// Not JSON of this form.
    #[error("message is not an envelope")]
    Malformed(#[source] serde_json::Error),
    /// Another version.
    #[error("message version {0} is not understood; this program understands 1")]
    Version(u64),
    /// Another type.
    #[error("message type {0:?} is not understood")]
    Type(String),
    /// The payload does not fit its type.
    #[error("payload does not fit message type {kind:?}")]
    Payload {
        /// The type.
        kind: MessageType,
        /// What did not fit.
        #[source]
        source: serde_json::Error,
    },
    /// No canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Unsigned, or signed by somebody else.
    #[error(transparent)]
    Signature(#[from] SealError),
}

impl Envelope {
    /// Wraps a payload; unsigned.
    pub fn new(
        payload: &Payload,
        message_id: MessageId,
        trace_id: TraceId,
        request_id: Option<RequestId>,
        timestamp: Timestamp,
    ) -> Result<Self, EnvelopeError> {
        let message_type = payload.message_type();
        Ok(Self {
            message_id,
            trace_id,
            request_id,
            message_type,
            timestamp,
            version: 1,
            payload: payload
                .to_value()
                .map_err(|source| EnvelopeError::Payload {
                    kind: message_type,
                    source,
                })?,
            // The message is its own span, the same through every resend.
            traceparent: Some(TraceParent::new(trace_id, message_id.as_uuid()).to_string()),
            signature: None,
            extra: Map::new(),
        })
    }

    /// Signs everything but the signature itself.
    pub fn signed(mut self, signer: &Signer) -> Result<Self, EnvelopeError> {
        self.signature = None;
        self.signature = Some(signer.sign(&to_canonical(&self)?));
        Ok(self)
    }

    /// Holds the signature against the trusted keys.
    pub fn verify(&self, keys: &TrustedKeys) -> Result<(), EnvelopeError> {
        let signature = self.signature.as_ref().ok_or(SealError::Unsigned)?;
        let unsigned = Self {
            signature: None,
            ..self.clone()
        };
        Ok(keys.verify(&to_canonical(&unsigned)?, signature)?)
    }

    /// The bytes that travel.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        let bytes = serde_json::to_vec(self).map_err(EnvelopeError::Malformed)?;
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge { found: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads what travelled. Version and type are looked at first, so that a message from a later
    /// version is named as such and not as nonsense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
            message_type: String,
            /// The one field below which anything else than the payload could be spelt in two ways.
            #[serde(default, rename = "signature")]
            _signature: Option<Map<String, Value>>,
        }
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge { found: bytes.len() });
        }
        let head: Head = serde_json::from_slice(bytes).map_err(EnvelopeError::Malformed)?;
        if head.version != 1 {
            return Err(EnvelopeError::Version(head.version));
        }
        let known = serde_json::from_value::<MessageType>(Value::String(head.message_type.clone()));
        if known.is_err() {
            return Err(EnvelopeError::Type(head.message_type));
        }
        serde_json::from_slice(bytes).map_err(EnvelopeError::Malformed)
    }

    /// The payload, read as its type says, and in no other shape than it is written in.
    pub fn open(&self) -> Result<Payload, EnvelopeError> {
        let misfit = |source| EnvelopeError::Payload {
            kind: self.message_type,
            source,
        };
        let payload = Payload::from_value(self.message_type, self.payload.clone());
        let payload = payload.map_err(misfit)?;
        let read = payload.to_value().map_err(misfit)?;
        shape_of(&self.payload, &read).map_err(|unshaped| misfit(unshaped.why))?;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests;
