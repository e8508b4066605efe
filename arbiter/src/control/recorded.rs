//! A judgement as the orchestrator's audit keeps it: everything that it was a function of, and what came of it, so that it
//! can be judged again (section 16). What was said is left out, as records hold no words of others (S70): no rule reads
//! them but to hold their bounds, so any words lead to the same. Reading an export of the audit is left to `arbiter replay`.

use chiffon_common::{
    Action, ActionResult, CanonicalError, Content, Digest, Event, GenerationResult, ResponsePlan,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    authz::Authorisation,
    closing::{ActionCase, Closing, GenerationCase, Noting, generated, reported},
    pipeline::{Answering, Case, Judgement, StageRecord, process, process_answer},
    policy::Policy,
    state::{RoomState, TenantState},
};

/// What stands for words.
const WORDS: &str = "-";

/// A judgement with its time and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Digest of the policy.
    pub rules: Digest,
    /// The policy itself, in the first record of a process that judges by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The version of the program that judged.
    pub program: String,
    /// The time that it was judged by.
    pub now: Timestamp,
    /// What was judged.
    pub judged: Judged,
    /// What came of it. The stages of an event stand beside it in the record.
    pub led_to: Led,
}

/// What a judgement was a function of, beside time and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// An event.
    Event {
        /// It, without its words.
        event: Box<Event>,
        /// Digest of the whole.
        body: Digest,
        /// As it was found.
        room: RoomState,
        /// As it was read ([`TenantState::as_read`]); older records name all generations under way.
        tenant: TenantState,
        /// The external authoriser's word, where it was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorisation: Option<Authorisation>,
        /// What its words answer, where they do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answering: Option<Answering>,
    },
    /// A generation's result.
    Generation {
        /// It, without its words.
        result: GenerationResult,
        /// Digest of the whole.
        body: Digest,
        /// The plan that asked for it.
        asked: ResponsePlan,
        /// As it was found.
        room: RoomState,
        /// As it was read ([`TenantState::as_read`]); older records name all generations under way.
        tenant: TenantState,
    },
    /// An action's result.
    Action {
        /// It, without its words.
        result: ActionResult,
        /// Digest of the whole.
        body: Digest,
        /// The plan that holds the action, without its words.
        asked: ResponsePlan,
        /// As it was found.
        room: RoomState,
    },
}

/// What a judgement led to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Led {
    /// The response plan, or the receipt; of a generation's plan, what is said is left out.
    pub answer: Value,
    /// What each stage said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
    /// The room from then on, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomState>,
    /// The tenant from then on, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantState>,
}

impl Recorded {
    /// Judges it again by these rules: what it leads to, or in words why it leads to no answer.
    ///
    /// # Errors
    /// Where a value has no canonical form.
    pub fn again(&self, policy: &Policy) -> Result<Result<Led, String>, CanonicalError> {
        let now = self.now;
        match &self.judged {
            Judged::Event {
                event,
                room,
                tenant,
                authorisation,
                answering,
                ..
            } => {
                let case = Case {
                    event,
                    prior: None,
                    room,
                    tenant,
                    policy,
                    authorisation: authorisation.as_ref(),
                    now,
                };
                of_event(match answering {
                    Some(answering) => process_answer(&case, answering)?,
                    None => process(&case)?,
                })
            }
            Judged::Generation {
                result,
                asked,
                room,
                tenant,
                ..
            } => of_generation(generated(&GenerationCase {
                result,
                plan: Some(asked),
                prior: None,
                room,
                tenant,
                policy,
                now,
            })?),
            Judged::Action {
                result,
                asked,
                room,
                ..
            } => of_action(reported(&ActionCase {
                result,
                plan: Some(asked),
                prior: None,
                room,
                policy,
                now,
            })?),
        }
    }
}

type Again = Result<Result<Led, String>, CanonicalError>;

fn of_event(judgement: Judgement) -> Again {
    let (plan, stages, room, tenant) = match judgement {
        Judgement::Fresh {
            plan,
            stages,
            room,
            tenant,
        } => (plan, stages, room, tenant),
        Judgement::NeedsAuthorisation(_) => {
            let why =
                "it was decided without the external authoriser, which would have to be asked now";
            return Ok(Err(why.to_owned()));
        }
        other => return Ok(Err(format!("it was decided, now it is {other:?}"))),
    };
    Ok(Ok(Led {
        answer: value(&plan)?,
        stages,
        room,
        tenant,
    }))
}

fn of_generation(closing: Closing) -> Again {
    Ok(match closing {
        Closing::Closed { plan, room, tenant } => Ok(Led {
            answer: value(&wordless_plan(&plan))?,
            room,
            tenant,
            ..Led::default()
        }),
        other => Err(format!("it was taken, now it is {other:?}")),
    })
}

fn of_action(noting: Noting) -> Again {
    Ok(match noting {
        Noting::Noted { receipt, room } => Ok(Led {
            answer: value(&receipt)?,
            room,
            ..Led::default()
        }),
        other => Err(format!("it was noted, now it is {other:?}")),
    })
}

fn value<T: Serialize>(of: &T) -> Result<Value, CanonicalError> {
    let bytes = chiffon_common::to_canonical(of)?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// An event without what was said and what an entry is called with.
pub fn wordless_event(event: &Event) -> Event {
    Event {
        content: Content {
            text: WORDS.to_owned(),
            call: None,
            ..event.content.clone()
        },
        ..event.clone()
    }
}

/// A generation's result without its text.
pub fn wordless_generation(result: &GenerationResult) -> GenerationResult {
    let words = |words: &Option<String>| words.as_ref().map(|_| WORDS.to_owned());
    GenerationResult {
        text: words(&result.text),
        error: words(&result.error),
        ..result.clone()
    }
}

/// An action's result without what went wrong.
pub fn wordless_action(result: &ActionResult) -> ActionResult {
    ActionResult {
        error: result.error.as_ref().map(|_| WORDS.to_owned()),
        ..result.clone()
    }
}

/// A plan without what is to be said.
pub fn wordless_plan(plan: &ResponsePlan) -> ResponsePlan {
    let mut plan = plan.clone();
    for action in &mut plan.actions {
        match action {
            Action::SendMessage { text, .. }
            | Action::SendReply { text, .. }
            | Action::RequestApproval { text, .. } => *text = WORDS.to_owned(),
            Action::DoNothing { .. }
            | Action::RequestGeneration { .. }
            | Action::StartAgentJob { .. } => {}
        }
    }
    plan
}
