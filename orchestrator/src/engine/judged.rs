//! What the audit keeps of a judgement of the control plane, so that an export of it can be judged again by
//! `arbiter replay`. What it is, and judging it again, is left to the arbiter.

use std::sync::atomic::Ordering;

use chiffon_arbiter::{Judged, Led, Recorded};
use chiffon_common::CanonicalError;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Shared;

impl Shared {
    /// A judgement as its record keeps it. The first of a process holds the policy.
    pub(super) fn recorded(
        &self,
        judged: Judged,
        led_to: Led,
        now: Timestamp,
    ) -> Result<Value, serde_json::Error> {
        let is_told = self.policy_told.load(Ordering::Acquire);
        serde_json::to_value(Recorded {
            rules: self.policy_digest,
            policy: (!is_told).then(|| self.settings.policy.clone()),
            program: self.settings.version.clone(),
            now,
            judged,
            led_to,
        })
    }

    /// A record with a judgement is stored, and so is the policy.
    pub(super) fn policy_is_told(&self) {
        self.policy_told.store(true, Ordering::Release);
    }
}

/// An answer as the record keeps it: as it is compared.
pub(super) fn answer<T: Serialize>(answer: &T) -> Result<Value, CanonicalError> {
    let bytes = chiffon_common::to_canonical(answer)?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}
