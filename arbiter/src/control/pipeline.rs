//! The pipeline, `process(event) -> response plan` (RFC-ARB-0001, sections 5, 7, 16).
//!
//! The stages run in the order of DESIGN section 4.2 and no other. What they need from outside (a stored
//! answer, the states, the authoriser's word) is loaded by the shell and comes in as a value; the shell also
//! stores the audit record before it gives the plan away.

use chiffon_common::{
    Action, ActionId, AuthZRequest, CanonicalError, Digest, Event, EventError, EventId, Intent,
    Permission, PlanId, ReasonCode, ResponsePlan, TenantId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    authz::Authorisation,
    gate,
    policy::{AuthzMode, Policy},
    state::{RoomState, TenantState},
};

/// What is stored under the event's id already.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// Digest of what it answered.
    pub body: Digest,
    /// The answer.
    pub plan: ResponsePlan,
}

/// Everything that a judgement is a function of.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The event.
    pub event: &'a Event,
    /// What is stored under its id.
    pub prior: Option<&'a Prior>,
    /// Its room.
    pub room: &'a RoomState,
    /// Its tenant.
    pub tenant: &'a TenantState,
    /// The rules.
    pub policy: &'a Policy,
    /// The external authoriser's word, once it was asked; passed over where the policy says builtin.
    pub authorisation: Option<&'a Authorisation>,
    /// The time.
    pub now: Timestamp,
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
    /// `pass`, or which rule spoke.
    pub reason_code: ReasonCode,
    /// The role or the authoriser's rule that decided, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// A new answer, to be stored with the states that changed.
    Fresh {
        /// The answer.
        plan: ResponsePlan,
        /// What each stage said.
        stages: Vec<StageRecord>,
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
    /// Its id was used for another event.
    Conflict,
    /// It has no permitted form; nothing is stored.
    Malformed(EventError),
    /// The external authoriser is to be asked; then the event is judged again, with its word.
    NeedsAuthorisation(Box<AuthZRequest>),
}

/// A word that answers what the room is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answering {
    /// Yes or no.
    pub word: Word,
    /// What the room is asked.
    pub to: AnswerTo,
}

/// What a word answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerTo {
    /// The question that waits in the room.
    Question,
    /// A question that this word does not answer, and what is said of that: of tier 2, one of several, not named.
    Elsewhere(String),
    /// Nothing, and what is said of that, if Chiffon was spoken to.
    Nothing(String),
}

impl AnswerTo {
    /// Whether there is a question, so that the word is for who may approve and for nobody else.
    const fn waits(&self) -> bool {
        !matches!(self, Self::Nothing(_))
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It may be done.
    Yes,
    /// It may not.
    No,
}

impl Word {
    /// The word that a text is, and nothing beside it.
    pub fn of(text: &str) -> Option<Self> {
        let word = text.trim().trim_end_matches(['.', '!']).to_lowercase();
        match word.as_str() {
            "yes" | "approve" => Some(Self::Yes),
            "no" | "reject" => Some(Self::No),
            _ => None,
        }
    }

    /// The word that a text means by all it says, without being it: `yes please`. It answers nothing, and is no wish.
    pub fn meant(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let only = |own: &[&str]| {
            words.iter().any(|word| own.contains(word))
                && words
                    .iter()
                    .all(|word| own.contains(word) || BESIDE.contains(word))
        };
        match (only(YES), only(NO)) {
            (true, false) => Some(Self::Yes),
            (false, true) => Some(Self::No),
            _ => None,
        }
    }
}

/// Words for yes, as people say them.
const YES: &[&str] = &[
    "yes", "yeah", "yep", "yup", "ok", "okay", "sure", "approve", "approved", "agreed", "ja",
];
/// Words for no.
const NO: &[&str] = &[
    "no", "nope", "reject", "rejected", "don't", "not", "never", "stop", "nein",
];
/// Words that go with either and ask for nothing by themselves.
const BESIDE: &[&str] = &[
    "please", "thanks", "thank", "you", "it", "that", "this", "do", "go", "ahead", "i", "chiffon",
    "now", "of", "course", "way", "bitte",
];

/// Judges an event. Same case: same bytes.
///
/// # Errors
/// Where the event has no canonical form to be compared with a stored one.
pub fn process(case: &Case<'_>) -> Result<Judgement, CanonicalError> {
    judge(case, None)
}

/// Judges an event that answers what its room is asked. The stages are the same; what is wanted is to approve.
///
/// # Errors
/// As for [`process`].
pub fn process_answer(case: &Case<'_>, answering: &Answering) -> Result<Judgement, CanonicalError> {
    judge(case, Some(answering))
}

fn judge(case: &Case<'_>, answering: Option<&Answering>) -> Result<Judgement, CanonicalError> {
    let Case { event, policy, .. } = *case;
    if let Err(error) = event.validate() {
        return Ok(Judgement::Malformed(error));
    }
    if let Some(prior) = case.prior {
        let same = Digest::of_value(event)? == prior.body;
        return Ok(if same {
            Judgement::Repeated {
                plan: prior.plan.clone(),
            }
        } else {
            Judgement::Conflict
        });
    }
    let mut stages = Vec::with_capacity(7);
    for stage in [Stage::Schema, Stage::Idempotency, Stage::RoomState] {
        say(&mut stages, stage, ReasonCode::Pass);
    }
    let waits = answering.is_some_and(|answering| answering.to.waits());
    // A room that rests is not spoken to; what it is asked it may answer all the same.
    let rested = waits.then(|| RoomState {
        answered_at: None,
        ..case.room.clone()
    });
    let room = rested.as_ref().unwrap_or(case.room);
    let tenant = match gate::pass(room, case.tenant, &policy.gate, case.now) {
        Ok(tenant) => tenant,
        Err(shut) => {
            say(&mut stages, Stage::Gate, shut);
            return Ok(nothing(event, shut, stages, None));
        }
    };
    say(&mut stages, Stage::Gate, ReasonCode::Pass);
    let wanted = match policy.jobs {
        _ if waits => Permission::Approve,
        true => Permission::StartAgentJob,
        false => Permission::RequestGeneration,
    };
    // No role makes a person of a service (S32).
    if waits && event.actor.kind != "person" {
        say(&mut stages, Stage::Authorisation, ReasonCode::Unauthorized);
        return Ok(nothing(event, ReasonCode::Unauthorized, stages, tenant));
    }
    let (said, detail) = match (policy.authz.mode, case.authorisation) {
        (AuthzMode::Builtin, _) => {
            let place = (&event.tenant_id, &event.room_id);
            policy.authz.builtin(&event.actor, place, wanted)
        }
        (AuthzMode::ExternalHttp, Some(word)) => policy.authz.external(word),
        (AuthzMode::ExternalHttp, None) => {
            let question = Box::new(question(event, wanted));
            return Ok(Judgement::NeedsAuthorisation(question));
        }
    };
    stages.push(StageRecord {
        stage: Stage::Authorisation,
        reason_code: said,
        detail,
    });
    if !matches!(said, ReasonCode::Pass | ReasonCode::AuthzSkipped) {
        return Ok(nothing(event, said, stages, tenant));
    }
    if let Some(answering) = answering.filter(|_| waits) {
        return Ok(heard(event, answering, stages, tenant));
    }
    let (intent, because) = policy.planner.intent(event);
    if let Some(answering) = answering.filter(|_| intent != Intent::Ignore) {
        return Ok(heard(event, answering, stages, tenant));
    }
    say(&mut stages, Stage::Intent, because);
    if intent == Intent::Ignore {
        return Ok(nothing(event, because, stages, tenant));
    }
    Ok(answered(case, (intent, because), stages, tenant))
}

fn say(stages: &mut Vec<StageRecord>, stage: Stage, reason_code: ReasonCode) {
    stages.push(StageRecord {
        stage,
        reason_code,
        detail: None,
    });
}

/// The answer that nothing is done, and why.
fn nothing(
    event: &Event,
    reason_code: ReasonCode,
    mut stages: Vec<StageRecord>,
    tenant: Option<TenantState>,
) -> Judgement {
    say(&mut stages, Stage::ResponsePlan, reason_code);
    let plan = plan(event, (Intent::Ignore, reason_code), |action_id| {
        Action::DoNothing {
            action_id,
            reason_code,
        }
    });
    Judgement::Fresh {
        plan,
        stages,
        room: None,
        tenant,
    }
}

/// The answer to a word about what the room is asked: the shell passes it on, or the actor is told where to say it.
fn heard(
    event: &Event,
    answering: &Answering,
    mut stages: Vec<StageRecord>,
    tenant: Option<TenantState>,
) -> Judgement {
    let (because, text) = match (&answering.to, answering.word) {
        (AnswerTo::Elsewhere(text), _) => (ReasonCode::ApprovalByLink, Some(text)),
        (AnswerTo::Nothing(text), _) => (ReasonCode::NothingAsked, Some(text)),
        (AnswerTo::Question, Word::Yes) => (ReasonCode::Approved, None),
        (AnswerTo::Question, Word::No) => (ReasonCode::Rejected, None),
    };
    say(&mut stages, Stage::Intent, because);
    let Some(text) = text else {
        return nothing(event, because, stages, tenant);
    };
    say(&mut stages, Stage::ResponsePlan, because);
    let plan = plan(event, (Intent::Reply, because), |action_id| {
        Action::SendReply {
            action_id,
            target: event.room_id.clone(),
            reply_to: event.event_id.clone(),
            text: text.clone(),
        }
    });
    Judgement::Fresh {
        plan,
        stages,
        room: None,
        tenant,
    }
}

/// The answer that something is done: work where the policy knows any, else a generation.
fn answered(
    case: &Case<'_>,
    (intent, because): (Intent, ReasonCode),
    mut stages: Vec<StageRecord>,
    tenant: Option<TenantState>,
) -> Judgement {
    let Case {
        event, policy, now, ..
    } = *case;
    let target = event.room_id.clone();
    let mut room = case.room.clone();
    let mut counted = tenant.unwrap_or_else(|| case.tenant.clone());
    let plan = if policy.jobs {
        // What is taken is an answer: the room rests from here on, if it is to rest at all.
        if policy.gate.cooldown_ms > 0 {
            room.answered_at = room.answered_at.max(Some(now));
        }
        plan(event, (Intent::Reply, ReasonCode::Accepted), |action_id| {
            Action::StartAgentJob { action_id, target }
        })
    } else {
        let reply_to = (intent == Intent::Reply).then(|| event.event_id.clone());
        let plan = plan(event, (intent, because), |action_id| {
            Action::RequestGeneration {
                action_id,
                target,
                reply_to,
            }
        });
        let whose = (plan.plan_id, &event.event_id);
        gate::begin(&mut room, &mut counted, &policy.gate, whose, now);
        plan
    };
    say(&mut stages, Stage::ResponsePlan, plan.reason_code);
    Judgement::Fresh {
        plan,
        stages,
        room: (room != *case.room).then_some(room),
        tenant: (counted != *case.tenant).then_some(counted),
    }
}

fn plan(
    event: &Event,
    (intent, reason_code): (Intent, ReasonCode),
    action: impl FnOnce(ActionId) -> Action,
) -> ResponsePlan {
    let plan_id = plan_id(event);
    ResponsePlan {
        v: 0,
        plan_id,
        tenant_id: event.tenant_id.clone(),
        room_id: event.room_id.clone(),
        event_id: event.event_id.clone(),
        intent,
        actions: vec![action(Action::id(plan_id, 0))],
        reason_code,
    }
}

/// The question to an external authoriser: a function of the event, so that it is the same when asked again.
fn question(event: &Event, action: Permission) -> AuthZRequest {
    AuthZRequest {
        v: 0,
        request_id: ActionId::from_uuid(of_ids("authz", &event.tenant_id, &event.event_id)),
        tenant_id: event.tenant_id.clone(),
        room_id: event.room_id.clone(),
        actor: event.actor.clone(),
        action,
        source: event.source.clone(),
        event_id: event.event_id.clone(),
        correlation_id: plan_id(event),
        ts: event.ts,
    }
}

fn plan_id(event: &Event) -> PlanId {
    plan_id_of(&event.tenant_id, &event.event_id)
}

/// The id of the plan that an event gets, a UUIDv5 of tenant and event id: no minted id stands in a response plan.
pub fn plan_id_of(tenant: &TenantId, event: &EventId) -> PlanId {
    PlanId::from_uuid(of_ids("response-plan", tenant, event))
}

/// A newline cannot occur in either id, so two pairs never run into each other.
fn of_ids(what: &str, tenant: &TenantId, event: &EventId) -> Uuid {
    let name = format!("chiffon:{what}\n{tenant}\n{event}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}
