//! What closes the loop (RFC-ARB-0001, section 13): a generation's result releases the room and becomes what is said, an
//! action's result is noted.

use chiffon_common::{
    Action, ActionReceipt, ActionResult, ActionStatus, CanonicalError, Digest, EventError,
    GenerationResult, GenerationStatus, Intent, PlanId, ReasonCode, ResponsePlan,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    pipeline::Prior,
    policy::Policy,
    state::{RoomState, TenantState},
};

/// A generation's result, with everything that its judgement is a function of.
#[derive(Debug, Clone, Copy)]
pub struct GenerationCase<'a> {
    /// The result.
    pub result: &'a GenerationResult,
    /// The stored plan of its tenant and `plan_id`, where there is one.
    pub plan: Option<&'a ResponsePlan>,
    /// What is stored as answer to an earlier result of the same plan.
    pub prior: Option<&'a Prior>,
    /// The plan's room.
    pub room: &'a RoomState,
    /// The tenant.
    pub tenant: &'a TenantState,
    /// The rules.
    pub policy: &'a Policy,
    /// The time.
    pub now: Timestamp,
}

/// What became of a generation's result.
#[derive(Debug, Clone, PartialEq)]
pub enum Closing {
    /// A new answer, to be stored with the states that changed.
    Closed {
        /// What is said now, or why nothing is.
        plan: ResponsePlan,
        /// The room from now on, where it changed.
        room: Option<RoomState>,
        /// The tenant from now on, where it changed.
        tenant: Option<TenantState>,
    },
    /// It was answered before: the same answer again.
    Repeated {
        /// The stored answer.
        plan: ResponsePlan,
    },
    /// Nothing waits for it: `unknown_plan`, `not_generating`, `generation_late`, `id_conflict`. Nothing is stored.
    Refused(ReasonCode),
    /// It has no permitted form; nothing is stored.
    Malformed(EventError),
}

/// Judges a generation's result. Same values: same bytes.
///
/// # Errors
/// Where the result has no canonical form to be compared with a stored one.
pub fn generated(case: &GenerationCase<'_>) -> Result<Closing, CanonicalError> {
    let GenerationCase { result, now, .. } = *case;
    if let Err(error) = result.validate() {
        return Ok(Closing::Malformed(error));
    }
    if let Some(prior) = case.prior {
        let same = Digest::of_value(result)? == prior.body;
        return Ok(if same {
            Closing::Repeated {
                plan: prior.plan.clone(),
            }
        } else {
            Closing::Refused(ReasonCode::IdConflict)
        });
    }
    let asked = case
        .plan
        .filter(|plan| plan.plan_id == result.plan_id && plan.tenant_id == result.tenant_id);
    let Some(asked) = asked else {
        return Ok(Closing::Refused(ReasonCode::UnknownPlan));
    };
    if !asked.asks_generation() {
        return Ok(Closing::Refused(ReasonCode::NotGenerating));
    }
    let held = case.room.held_by(now).map(|held| held.plan_id);
    if case.policy.gate.generation_timeout_ms > 0 && held != Some(asked.plan_id) {
        return Ok(Closing::Refused(ReasonCode::GenerationLate));
    }
    let plan = said(asked, result);
    let mut room = case.room.clone();
    let is_own = |held: &super::Generating| held.plan_id == asked.plan_id;
    if room.generating.as_ref().is_some_and(is_own) {
        room.generating = None;
    }
    if result.status == GenerationStatus::Completed && case.policy.gate.cooldown_ms > 0 {
        room.answered_at = room.answered_at.max(Some(now));
    }
    let mut tenant = case.tenant.clone();
    tenant.unfinished.remove(&asked.plan_id);
    Ok(Closing::Closed {
        plan,
        room: (room != *case.room).then_some(room),
        tenant: (tenant != *case.tenant).then_some(tenant),
    })
}

/// The id of the plan that answers the result of a generation that this plan asked for.
pub fn answering_plan(asked: PlanId) -> PlanId {
    let name = format!("chiffon:generation-plan\n{asked}");
    PlanId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
}

/// What is said now: the text as it came, or nothing.
fn said(asked: &ResponsePlan, result: &GenerationResult) -> ResponsePlan {
    let plan_id = answering_plan(asked.plan_id);
    let action_id = Action::id(plan_id, 0);
    let reason_code = match result.status {
        GenerationStatus::Completed => ReasonCode::Generated,
        GenerationStatus::Failed => ReasonCode::GenerationFailed,
        GenerationStatus::Refused => ReasonCode::GenerationRefused,
    };
    let target = asked.room_id.clone();
    let (intent, action) = match (&result.text, asked.intent) {
        (None, _) => (
            Intent::Ignore,
            Action::DoNothing {
                action_id,
                reason_code,
            },
        ),
        (Some(text), Intent::Reply) => (
            Intent::Reply,
            Action::SendReply {
                action_id,
                target,
                reply_to: asked.event_id.clone(),
                text: text.clone(),
            },
        ),
        (Some(text), _) => (
            asked.intent,
            Action::SendMessage {
                action_id,
                target,
                text: text.clone(),
            },
        ),
    };
    ResponsePlan {
        v: 0,
        plan_id,
        tenant_id: asked.tenant_id.clone(),
        room_id: asked.room_id.clone(),
        event_id: asked.event_id.clone(),
        intent,
        actions: vec![action],
        reason_code,
    }
}

/// An action's result, with everything that its judgement is a function of.
#[derive(Debug, Clone, Copy)]
pub struct ActionCase<'a> {
    /// The result.
    pub result: &'a ActionResult,
    /// The stored plan of its tenant and `plan_id`, whether of an event or of a generation, where there is one.
    pub plan: Option<&'a ResponsePlan>,
    /// Digest of an earlier result of the same action.
    pub prior: Option<Digest>,
    /// The plan's room.
    pub room: &'a RoomState,
    /// The rules.
    pub policy: &'a Policy,
    /// The time.
    pub now: Timestamp,
}

/// What became of an action's result.
#[derive(Debug, Clone, PartialEq)]
pub enum Noting {
    /// Noted, to be stored with the room where it changed.
    Noted {
        /// The answer.
        receipt: ActionReceipt,
        /// The room from now on, where it changed.
        room: Option<RoomState>,
    },
    /// It was reported before: the same answer again.
    Repeated {
        /// The answer.
        receipt: ActionReceipt,
    },
    /// Nothing waits for it: `unknown_plan`, `unknown_action`, `id_conflict`. Nothing is stored.
    Refused(ReasonCode),
    /// It has no permitted form; nothing is stored.
    Malformed(EventError),
}

/// Judges an action's result. Same values: same bytes.
///
/// # Errors
/// Where the result has no canonical form to be compared with a stored one.
pub fn reported(case: &ActionCase<'_>) -> Result<Noting, CanonicalError> {
    let result = case.result;
    if let Err(error) = result.validate() {
        return Ok(Noting::Malformed(error));
    }
    let plan = case
        .plan
        .filter(|plan| plan.plan_id == result.plan_id && plan.tenant_id == result.tenant_id);
    let Some(plan) = plan else {
        return Ok(Noting::Refused(ReasonCode::UnknownPlan));
    };
    let action = match plan.action(result.action_id) {
        None | Some(Action::DoNothing { .. }) => {
            return Ok(Noting::Refused(ReasonCode::UnknownAction));
        }
        Some(action) => action,
    };
    let receipt = ActionReceipt {
        v: 0,
        tenant_id: plan.tenant_id.clone(),
        room_id: plan.room_id.clone(),
        plan_id: plan.plan_id,
        action_id: result.action_id,
        reason_code: match result.status {
            ActionStatus::Done => ReasonCode::ActionDone,
            ActionStatus::Failed => ReasonCode::ActionFailed,
        },
    };
    if let Some(prior) = case.prior {
        return Ok(if Digest::of_value(result)? == prior {
            Noting::Repeated { receipt }
        } else {
            Noting::Refused(ReasonCode::IdConflict)
        });
    }
    let is_heard = result.status == ActionStatus::Done
        && case.policy.gate.cooldown_ms > 0
        && matches!(
            action,
            Action::SendMessage { .. } | Action::SendReply { .. }
        );
    let mut room = case.room.clone();
    if is_heard {
        room.answered_at = room.answered_at.max(Some(case.now));
    }
    Ok(Noting::Noted {
        receipt,
        room: (room != *case.room).then_some(room),
    })
}
