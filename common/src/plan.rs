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
    /// Why it is of that tier, for people; part of the digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier_because: String,
    /// Digest of the rules in force when it was made; part of the digest. Absent in plans of versions before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// Digest of what the check runs found, once they have; part of the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Digest>,
    /// What an approval is bound to: the digest of [`PlanSubject`].
    pub digest: Digest,
}

/// Exactly what a person approves, in canonical JSON (S27, S31). Secret values stand in the parameters of their steps,
/// so that another value is another plan.
#[derive(Debug, Serialize)]
pub struct PlanSubject<'a> {
    /// Version of this form; 2.
    v: u32,
    tenant_id: &'a TenantId,
    request_id: RequestId,
    requester: &'a str,
    /// `apply`: an approval of a check run is a different one.
    mode: crate::Mode,
    plan_id: PlanId,
    /// With bundle digests (playbook content, inventory variables, host keys), parameters, hosts and time-outs.
    steps: &'a [Step],
    tier: Tier,
    cost: Cost,
    confidence: u8,
    because: &'a str,
    tier_because: &'a str,
    policy: Option<Digest>,
    preview: Option<Digest>,
    expires_at: Timestamp,
    good_for_seconds: u64,
}

impl Plan {
    /// What the digest of this plan is made from: all of it, with whose it is and who asked.
    pub fn subject<'a>(&'a self, tenant_id: &'a TenantId, requester: &'a str) -> PlanSubject<'a> {
        // Named one by one, so that a new field has to be put under the digest, or left out in so many words.
        let Self {
            plan_id,
            request_id,
            steps,
            tier,
            cost,
            confidence,
            because,
            tier_because,
            expires_at,
            good_for_seconds,
            policy,
            preview,
            digest: _,
        } = self;
        PlanSubject {
            v: 2,
            tenant_id,
            request_id: *request_id,
            requester,
            mode: crate::Mode::Apply,
            plan_id: *plan_id,
            steps,
            tier: *tier,
            cost: *cost,
            confidence: *confidence,
            because,
            tier_because,
            policy: *policy,
            preview: *preview,
            expires_at: *expires_at,
            good_for_seconds: *good_for_seconds,
        }
    }
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

    /// A plan in which every field says something.
    fn full() -> Value {
        let digest = |of: &str| Digest::of_bytes(of.as_bytes()).to_string();
        serde_json::json!({
            "plan_id": "0199e2f4-77a1-7c40-8000-000000000001",
            "request_id": "0199e2f4-77a1-7c40-8000-000000000002",
            "steps": [{
                "no": 0, "entry": "write_file", "title": "Write", "hosts": ["nas", "tower"],
                "parameters": {"path": "/etc/motd", "password": "hunter2", "deep": {"list": [1, 2.5, true]}},
                "depends_on": [7], "tier": 1, "fidelity": "exact", "fidelity_because": "it says so",
                "bundle": digest("bundle"), "timeout_seconds": 60, "on_interrupt": "ask",
                "resources": {"gpu": false, "memory_gb": 1.5},
                "undo": {"entry": {"entry": "write_file_undo", "parameters": {"run": "x"}}},
                "secret_parameters": ["password"],
            }],
            "tier": 1, "cost": {"provider_usd": 0.25, "at_most_seconds": 60}, "confidence": 90,
            "because": "the words fit", "expires_at": "2026-01-02T03:04:05Z", "good_for_seconds": 3600,
            "policy": digest("policy"), "preview": digest("preview"), "digest": digest("plan"),
        })
    }

    fn digest_of(plan: &Value, tenant: &str, requester: &str) -> Option<Digest> {
        let plan: Plan = serde_json::from_value(plan.clone()).ok()?;
        plan.subject(&tenant.parse().unwrap(), requester)
            .digest()
            .ok()
    }

    /// Other values that may stand in the place of one.
    fn others(value: &Value) -> Vec<Value> {
        match value {
            Value::Bool(is) => vec![(!is).into()],
            Value::Number(number) => {
                let number = number.as_f64().unwrap();
                vec![(number + 1.0).into(), (number as u64 + 1).into()]
            }
            Value::String(text) => {
                let mut others = vec![
                    format!("{text}x").into(),
                    "simulated".into(),
                    "retry".into(),
                ];
                others.push(Digest::of_bytes(b"another").to_string().into());
                others.push("0199e2f4-77a1-7c40-8000-00000000000f".into());
                others.push("2027-01-02T03:04:05Z".into());
                others
            }
            _ => Vec::new(),
        }
    }

    fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| leaves(value, &format!("{at}/{name}"), found)),
            Value::Array(items) => (0..)
                .zip(items)
                .for_each(|(n, value)| leaves(value, &format!("{at}/{n}"), found)),
            _ => found.push(at.to_owned()),
        }
    }

    /// Walks every field that a plan has, also those of later days (S27).
    #[test]
    fn every_field_of_a_plan_is_under_its_digest() {
        let plan = full();
        let digest = digest_of(&plan, "default", "local:anna").unwrap();
        let mut found = Vec::new();
        leaves(&plan, "", &mut found);
        assert!(found.len() > 30, "{found:?}");
        for at in found {
            let changed = others(plan.pointer(&at).unwrap())
                .into_iter()
                .filter_map(|other| {
                    let mut plan = plan.clone();
                    *plan.pointer_mut(&at).unwrap() = other;
                    digest_of(&plan, "default", "local:anna")
                });
            let changed: Vec<_> = changed.collect();
            assert!(
                !changed.is_empty(),
                "{at} could not be changed by this test"
            );
            let is_kept = changed.iter().all(|other| *other == digest);
            let is_changed = changed.iter().all(|other| *other != digest);
            assert!(if at == "/digest" { is_kept } else { is_changed }, "{at}");
        }
        for (tenant, requester) in [("other", "local:anna"), ("default", "local:eve")] {
            assert_ne!(digest_of(&plan, tenant, requester), Some(digest));
        }
        // Lists: one more, one less, another order.
        let mut plan = full();
        plan["steps"][0]["hosts"] = serde_json::json!(["tower", "nas"]);
        assert_ne!(digest_of(&plan, "default", "local:anna"), Some(digest));
        for gone in [
            "/steps/0/hosts",
            "/steps/0/depends_on",
            "/steps/0/secret_parameters",
        ] {
            let mut plan = full();
            plan.pointer_mut(gone)
                .unwrap()
                .as_array_mut()
                .unwrap()
                .pop();
            assert_ne!(
                digest_of(&plan, "default", "local:anna"),
                Some(digest),
                "{gone}"
            );
        }
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
