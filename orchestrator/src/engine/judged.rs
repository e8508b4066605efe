//! What is kept of a judgement of the control plane: the answer, by which the same is answered again, and in the audit
//! what it was a function of, so that an export can be judged again by `arbiter replay`. What it is, and judging it again, is left to the arbiter.

use std::sync::atomic::Ordering;

use chiffon_arbiter::{Judged, Led, Prior, Recorded};
use chiffon_common::{Action, CanonicalError, PlanId};
use chiffon_store::EventRow;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
            rules: self.settings.policy_digest,
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

/// The stored answer. One of a version before the actions had ids is given them: they follow from the plan.
pub(super) fn prior(row: &EventRow) -> Result<Prior, serde_json::Error> {
    let mut plan = row.plan.clone();
    let id = PlanId::deserialize(&plan["plan_id"])?;
    let actions = plan["actions"].as_array_mut().into_iter().flatten();
    for (position, action) in actions.enumerate() {
        if let Some(action) = action.as_object_mut() {
            action
                .entry("action_id")
                .or_insert_with(|| json!(Action::id(id, position)));
        }
    }
    Ok(Prior {
        body: row.body,
        plan: serde_json::from_value(plan)?,
    })
}
