//! The plan of a request: ordered steps, their tiers and what an approval is bound to.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CanonicalError, Digest, EntryId, HostName, PlanId, RequestId, TenantId};

/// Parameters of a step, checked against the entry's declaration: name to value.
pub type Parameters = Map<String, Value>;

/// Position of a step within its plan, from 0.
pub type StepNo = u32;

/// Risk tier (ScalBotics 9.2). An ordered enum and never a string, so that a comparison cannot go by
/// the alphabet (S18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Tier {
    /// Reads only.
    Zero,
    /// Controlled change: one approval.
    One,
    /// High impact: another person, or the typed host name.
    Two,
}

impl TryFrom<u8> for Tier {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Zero),
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            other => Err(format!("tier must be 0, 1 or 2, not {other}")),
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> u8 {
        tier as u8
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u8)
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text
            .parse::<u8>()
            .map_err(|_| format!("tier must be 0, 1 or 2, not {text:?}"))?;
        Self::try_from(number)
    }
}

/// How much a check run tells about the real one. Ordered from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Fidelity {
    /// The check run shows exactly what the run would do.
    Exact,
    /// The check run predicts; details can differ.
    Simulated,
    /// The check run shows nothing, or it is not known.
    Blind,
    /// Some tasks would act even in check mode, so no check run happens unasked.
    Acts,
}

/// What happens when an attempt was interrupted: the catalogue's word for the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OnInterrupt {
    /// Running it again is harmless.
    Retry,
    /// A person decides.
    Ask,
    /// The task has failed.
    Fail,
}

/// What a step needs of the agent's host (document 004, section 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResourcesRequired {
    /// Needs a GPU.
    pub gpu: bool,
    /// Memory in GiB.
    pub memory_gb: f64,
}

/// What a plan costs before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cost {
    /// Money asked of providers for planning, in US dollars.
    pub provider_usd: f64,
    /// Longest time the steps may take, in seconds.
    pub at_most_seconds: u64,
}

/// How a step can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Undo {
    /// By another entry with these parameters.
    Entry {
        /// The entry.
        entry: EntryId,
        /// Its parameters.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        parameters: Parameters,
    },
    /// Not at all, and why.
    None {
        /// The reason, for people.
        why: String,
    },
}

/// One step: a catalogue entry on hosts with parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// Position within the plan, from 0.
    #[cfg_attr(feature = "openapi", schema(value_type = u32))]
    pub no: StepNo,
    /// The catalogue entry.
    pub entry: EntryId,
    /// For people, with the parameters filled in.
    pub title: String,
    /// Where it runs; at least one.
    pub hosts: Vec<HostName>,
    /// Checked parameters.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub parameters: Parameters,
    /// Steps that must be completed first; each lower than `no`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<u32>))]
    pub depends_on: Vec<StepNo>,
    /// Risk tier of the entry, raised by what the scan found.
    pub tier: Tier,
    /// How much a check run would tell.
    pub fidelity: Fidelity,
    /// Why the fidelity is what it is, where it was lowered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity_because: Option<String>,
    /// Digest of playbook tree and resolved inventory: what the agent will run.
    pub bundle: Digest,
    /// Longest run in seconds, on the agent's boot clock.
    pub timeout_seconds: u64,
    /// What happens after an interruption.
    pub on_interrupt: OnInterrupt,
    /// What the step needs of the agent's host.
    pub resources: ResourcesRequired,
    /// How it can be taken back.
    pub undo: Undo,
    /// Names of parameters whose values are secret and are never shown or logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_parameters: Vec<String>,
    /// The step whose work this one checks afterwards: it has no preview, and its failure is
    /// [`ErrorCode::VerifyFailed`](crate::ErrorCode::VerifyFailed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>))]
    pub verifies: Option<StepNo>,
}

/// The plan of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plan {
    /// Its id.
    pub plan_id: PlanId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// In order; at least one.
    pub steps: Vec<Step>,
    /// The highest tier of its steps.
    pub tier: Tier,
    /// Estimate.
    pub cost: Cost,
    /// How sure the planner is, 0 to 100.
    pub confidence: u8,
    /// The words that decided, for people.
    pub because: String,
    /// When the question closes; part of the digest.
    pub expires_at: Timestamp,
    /// How long an approval may wait for its first step, in seconds after it was given; part of the digest.
    pub good_for_seconds: u64,
    /// What an approval is bound to: the digest of [`PlanSubject`].
    pub digest: Digest,
}

/// Exactly what a person approves, in canonical JSON (S27, S31).
#[derive(Debug, Serialize)]
pub struct PlanSubject<'a> {
    /// Version of this form; 1.
    pub v: u32,
    /// The owner.
    pub tenant_id: &'a TenantId,
    /// The request.
    pub request_id: RequestId,
    /// Who asked.
    pub requester: &'a str,
    /// `apply`: an approval of a check run is a different one.
    pub mode: crate::Mode,
    /// The steps, with bundle digests (playbook content, inventory variables, host keys) and parameters.
    pub steps: &'a [Step],
    /// The highest tier.
    pub tier: Tier,
    /// Digest of the policy in force.
    pub policy: Digest,
    /// Digest of the preview shown, if there was one.
    pub preview: Option<Digest>,
    /// When the question closes.
    pub expires_at: Timestamp,
    /// How long an approval may wait for its first step, in seconds.
    pub good_for_seconds: u64,
}

impl PlanSubject<'_> {
    /// The digest that an approval names and a seal carries.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Digest::of_value(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_compare_by_risk_and_not_by_spelling() {
        assert!(Tier::Zero < Tier::One && Tier::One < Tier::Two);
        assert!(serde_json::from_str::<Tier>("3").is_err());
        assert_eq!(serde_json::to_string(&Tier::Two).unwrap(), "2");
    }
}

#[cfg(feature = "openapi")]
mod schema {
    //! A tier is a number on the wire.

    use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

    impl utoipa::PartialSchema for super::Tier {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .description(Some(
                    "Risk: 0 reads only, 1 controlled change, 2 high impact.",
                ))
                .minimum(Some(0))
                .maximum(Some(2))
                .into()
        }
    }

    impl utoipa::ToSchema for super::Tier {}
}
