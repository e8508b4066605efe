//! The control plane's pipeline, `process(event) -> response plan` (RFC-ARB-0001, sections 5, 7, 16).
//!
//! The stages run in the order of DESIGN section 4.2 and no other. What they need from outside (a stored
//! answer, the room, the authoriser's word) is loaded by the shell and comes in as a value; the shell also
//! stores the audit record before it gives the plan away. Gate and reply policies come with the control
//! plane's own issue: their stages stand in the order already and pass.

use chiffon_common::{
    Action, CanonicalError, Digest, Event, EventError, Intent, PlanId, ReasonCode, ResponsePlan,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What the configuration says. Part of the determinism guarantee, so it is under the digest of the rules
/// ([`crate::rules_digest`]), which goes into every record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether text may start work. Only the orchestrator enables it.
    pub jobs: bool,
    /// Kinds of actor that may ask for work: `person`, `service`, `agent`.
    pub may_ask: Vec<String>,
}

/// The authoriser's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The principal may.
    Allow,
    /// The principal may not.
    Deny {
        /// Which rule said so.
        rule: String,
    },
}

/// What is stored under the event's id already.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Digest of the event it answered.
    pub body: Digest,
    /// The answer.
    pub plan: ResponsePlan,
}

/// One stage of the pipeline, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The event has a permitted form.
    Schema,
    /// It was not answered before.
    Idempotency,
    /// The room was loaded.
    RoomState,
    /// Load permits it.
    Gate,
    /// The actor may.
    Authorisation,
    /// What it means.
    Intent,
    /// The answer.
    ResponsePlan,
}

/// What a stage said, for the audit record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which.
    pub stage: Stage,
    /// `pass`, or why not.
    pub said: String,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// A new answer, to be stored.
    Fresh {
        /// The answer.
        plan: ResponsePlan,
        /// What each stage said.
        stages: Vec<StageRecord>,
    },
    /// It was answered before: the same answer again.
    Repeated {
        /// The stored answer.
        plan: ResponsePlan,
    },
    /// Its id was used for another event.
    Conflict,
    /// It has no permitted form; nothing is stored.
    Malformed(EventError),
}

/// Judges an event. Same event, stored answer, policy and authorisation: same bytes.
pub fn process(
    event: &Event,
    prior: Option<&Prior>,
    policy: &Policy,
    authorisation: &Authorisation,
) -> Result<Judgement, CanonicalError> {
    let mut stages = Vec::new();
    let mut pass = |stage| {
        stages.push(StageRecord {
            stage,
            said: "pass".to_owned(),
        })
    };
    if let Err(error) = event.validate() {
        return Ok(Judgement::Malformed(error));
    }
    pass(Stage::Schema);
    if let Some(prior) = prior {
        let same = Digest::of_value(event)? == prior.body;
        return Ok(if same {
            Judgement::Repeated {
                plan: prior.plan.clone(),
            }
        } else {
            Judgement::Conflict
        });
    }
    pass(Stage::Idempotency);
    pass(Stage::RoomState);
    pass(Stage::Gate);
    let reason = match authorisation {
        Authorisation::Deny { .. } => ReasonCode::Unauthorized,
        Authorisation::Allow if !policy.may_ask.contains(&event.actor.kind) => {
            ReasonCode::Unauthorized
        }
        Authorisation::Allow if !policy.jobs => ReasonCode::ReplyPolicy,
        Authorisation::Allow => ReasonCode::Accepted,
    };
    let denied = reason == ReasonCode::Unauthorized;
    stages.push(StageRecord {
        stage: Stage::Authorisation,
        said: if denied { "unauthorized" } else { "pass" }.to_owned(),
    });
    let plan = answer(event, reason);
    stages.push(StageRecord {
        stage: Stage::Intent,
        said: format!("{:?}", plan.intent).to_lowercase(),
    });
    stages.push(StageRecord {
        stage: Stage::ResponsePlan,
        said: "pass".to_owned(),
    });
    Ok(Judgement::Fresh { plan, stages })
}

fn answer(event: &Event, reason_code: ReasonCode) -> ResponsePlan {
    let (intent, action) = if reason_code == ReasonCode::Accepted {
        (
            Intent::Reply,
            Action::StartAgentJob {
                target: event.room_id.clone(),
            },
        )
    } else {
        (Intent::Ignore, Action::DoNothing { reason_code })
    };
    ResponsePlan {
        v: 0,
        plan_id: plan_id(event),
        tenant_id: event.tenant_id.clone(),
        room_id: event.room_id.clone(),
        event_id: event.event_id.clone(),
        intent,
        actions: vec![action],
        reason_code,
    }
}

/// UUIDv5 of tenant and event id: no minted id stands in a response plan. A newline cannot occur in
/// either, so two pairs never run into each other.
fn plan_id(event: &Event) -> PlanId {
    let name = format!(
        "chiffon:response-plan\n{}\n{}",
        event.tenant_id, event.event_id
    );
    PlanId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
}

#[cfg(test)]
mod tests;
