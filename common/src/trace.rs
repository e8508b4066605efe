//! W3C Trace Context, `traceparent` (version 00): the one way in which a correlation crosses processes.
//!
//! A header that does not fit is left alone, as the recommendation says: the receiver begins a trace of
//! its own. Ids come in as values.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::TraceId;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of whoever speaks; never zero.
    pub span_id: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

/// The text is no `traceparent` that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable traceparent")]
pub struct TraceParentError;

impl TraceParent {
    /// A new place in this trace. `entropy` makes the span; its last eight bytes are taken, which are the
    /// random ones of a UUID.
    pub fn new(trace_id: TraceId, entropy: &Uuid) -> Self {
        let (_, low) = entropy.as_u64_pair();
        Self {
            trace_id,
            span_id: low.max(1),
            sampled: true,
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        let trace = self.trace_id.as_uuid().as_simple();
        write!(f, "00-{trace}-{:016x}-{flags:02x}", self.span_id)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let mut parts = text.split('-');
        let mut hex = |length: usize| {
            let part = parts.next().ok_or(TraceParentError)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let fits = part.len() == length && part.bytes().all(is_hex);
            fits.then_some(part).ok_or(TraceParentError)
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // A later version may say more behind; what stands here keeps its meaning.
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(TraceParentError);
        }
        let trace = Uuid::try_parse(trace).map_err(|_| TraceParentError)?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| TraceParentError)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| TraceParentError)?;
        if trace.is_nil() || span_id == 0 {
            return Err(TraceParentError);
        }
        Ok(Self {
            trace_id: TraceId::from_uuid(trace),
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read: TraceParent = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert!(read.sampled);
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(!later.parse::<TraceParent>().unwrap().sampled);
    }

    #[test]
    fn what_does_not_fit_is_no_traceparent() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }
}
