//! The response plan: the arbiter's deterministic answer to an event (RFC-ARB-0001, 6.2 and 6.3).
//!
//! Which plan an event gets is the arbiter's to say; carrying it out is left to adapters.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ActionId, DecisionId, ErrorCode, EventId, PlanId, RoomId, TenantId, contracts::whole};

/// What is to happen next. Holds no minted id and no time, so the same input gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResponsePlan {
    /// Version of this form; 0.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 0))]
    #[serde(deserialize_with = "whole")]
    pub v: u32,
    /// UUIDv5 of tenant and event id; of the answered plan, where a generation's result is answered.
    pub plan_id: PlanId,
    /// The owner.
    pub tenant_id: TenantId,
    /// The conversation.
    pub room_id: RoomId,
    /// The event this answers.
    pub event_id: EventId,
    /// What the planner of the control plane made of the event.
    pub intent: Intent,
    /// In order. Never empty: where nothing is to be done, that is said.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub actions: Vec<Action>,
    /// Which rule decided.
    pub reason_code: ReasonCode,
}

/// The three intents of RFC-ARB-0001, section 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Intent {
    /// Nothing is said or done.
    Ignore,
    /// The actor is answered.
    Reply,
    /// The room is told.
    Message,
}

/// The actions of RFC-ARB-0001, section 6.3. The two reserved ones are enabled by the orchestrator alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Action {
    /// Nothing, and why.
    DoNothing {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// Which rule decided.
        reason_code: ReasonCode,
    },
    /// Ask the generator for a text. Its result comes back under the id of the plan.
    RequestGeneration {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// The room it is for.
        target: RoomId,
        /// The event to be answered; absent where the room as a whole is addressed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<EventId>,
    },
    /// Say something to the room.
    SendMessage {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// The room.
        target: RoomId,
        /// What to say, at most 8,000 characters.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
        text: String,
    },
    /// Answer the actor.
    SendReply {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// The room.
        target: RoomId,
        /// The event that is answered.
        reply_to: EventId,
        /// What to say, at most 8,000 characters.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
        text: String,
    },
    /// Reserved. Start the work that the text asks for: in Chiffon, a request.
    StartAgentJob {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// The room that hears of it.
        target: RoomId,
    },
    /// Reserved. Ask a person.
    RequestApproval {
        /// UUIDv5 of plan and position.
        action_id: ActionId,
        /// The room that is asked.
        target: RoomId,
        /// What is asked, at most 8,000 characters.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 8000))]
        text: String,
        /// The question.
        decision_id: DecisionId,
    },
}

impl Action {
    /// The id of the action at a position of a plan, from 0. A newline occurs in neither part.
    pub fn id(plan: PlanId, position: usize) -> ActionId {
        let name = format!("chiffon:action\n{plan}\n{position}");
        ActionId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }

    /// The id it was given.
    pub const fn action_id(&self) -> ActionId {
        match self {
            Self::DoNothing { action_id, .. }
            | Self::RequestGeneration { action_id, .. }
            | Self::SendMessage { action_id, .. }
            | Self::SendReply { action_id, .. }
            | Self::StartAgentJob { action_id, .. }
            | Self::RequestApproval { action_id, .. } => *action_id,
        }
    }

    /// Its name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DoNothing { .. } => "do_nothing",
            Self::RequestGeneration { .. } => "request_generation",
            Self::SendMessage { .. } => "send_message",
            Self::SendReply { .. } => "send_reply",
            Self::StartAgentJob { .. } => "start_agent_job",
            Self::RequestApproval { .. } => "request_approval",
        }
    }
}

impl ResponsePlan {
    /// The action of this id.
    pub fn action(&self, id: ActionId) -> Option<&Action> {
        self.actions.iter().find(|action| action.action_id() == id)
    }

    /// Whether a text is asked of the generator.
    pub fn asks_generation(&self) -> bool {
        self.actions
            .iter()
            .any(|action| matches!(action, Action::RequestGeneration { .. }))
    }
}

/// Which rule decided, for the audit record and for people. Of a plan, or of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ReasonCode {
    /// Stages only: nothing stands against it.
    Pass,
    /// The event asks for work and may.
    Accepted,
    /// It has no permitted form.
    SchemaInvalid,
    /// It was answered before: the same answer again.
    Repeated,
    /// Its id was used for something else.
    IdConflict,
    /// No role of the actor permits it.
    Unauthorized,
    /// The external authoriser denies it.
    AuthzDenied,
    /// The external authoriser answered what is no decision, which `fail_mode` does not let through either.
    AuthzUnreadable,
    /// The external authoriser did not answer, and `fail_mode` is `deny`.
    AuthzUnavailable,
    /// Stages only: the external authoriser did not answer, and `fail_mode` is `allow`.
    AuthzSkipped,
    /// A generation for this room is under way.
    GeneratingLock,
    /// The room was answered a moment ago.
    Cooldown,
    /// Too much waits already.
    Backpressure,
    /// The tenant asks too often.
    RateLimited,
    /// The reply policy says no.
    ReplyPolicy,
    /// Chiffon was spoken to.
    Mentioned,
    /// The reply policy answers everything.
    ReplyAlways,
    /// The dice fell for an answer.
    Probability,
    /// The generator's text is passed on.
    Generated,
    /// The generator failed.
    GenerationFailed,
    /// The generator refused.
    GenerationRefused,
    /// It says yes to what the room is asked.
    Approved,
    /// It says no to what the room is asked.
    Rejected,
    /// It answers what the room is asked, which cannot be answered in a room.
    ApprovalByLink,
    /// It says yes or no, and the room is asked nothing that this answers.
    NothingAsked,
    /// There is no such plan.
    UnknownPlan,
    /// The plan asked for no generation.
    NotGenerating,
    /// The room's lock is over, or another plan's.
    GenerationLate,
    /// The plan has no such action, or none that could be carried out.
    UnknownAction,
    /// The action was carried out.
    ActionDone,
    /// The action could not be carried out.
    ActionFailed,
}

impl ReasonCode {
    /// The error code of a result that is refused for this reason; none where the reason is no error.
    pub const fn error_code(self) -> Option<ErrorCode> {
        match self {
            Self::SchemaInvalid => Some(ErrorCode::MalformedMessage),
            Self::IdConflict => Some(ErrorCode::IdReused),
            Self::UnknownPlan => Some(ErrorCode::UnknownPlan),
            Self::NotGenerating => Some(ErrorCode::NotGenerating),
            Self::GenerationLate => Some(ErrorCode::GenerationLate),
            Self::UnknownAction => Some(ErrorCode::UnknownAction),
            _ => None,
        }
    }
}
