//! An idempotency key on its way into a commit: the answer becomes durable with the work that it answers (R47).
//!
//! Reading the key from a request, and refusing one that is still being handled, is left to `http`.

use chiffon_common::Digest;
use chiffon_store::IdempotencyClaim;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A key that somebody has given.
#[derive(Debug, Clone)]
pub(crate) struct KeyClaim {
    /// The key with its principal in front, so that keys of two people never meet.
    pub(crate) key: String,
    /// Digest of what was asked: method, path and body.
    pub(crate) asked: Digest,
}

/// What is answered, now and when the same is asked again. Holds nothing that is shown once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptAnswer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The JSON body.
    pub(crate) body: Value,
}

impl KeyClaim {
    /// The part of the commit.
    pub(crate) fn with(
        &self,
        answer: &KeptAnswer,
        at: Timestamp,
    ) -> Result<IdempotencyClaim, serde_json::Error> {
        Ok(IdempotencyClaim {
            key: self.key.clone(),
            body: self.asked,
            answer: serde_json::to_value(answer)?,
            at,
        })
    }
}
