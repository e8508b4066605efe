//! The response plan: the arbiter's deterministic answer to an event (RFC-ARB-0001, 6.2 and 6.3).

use serde::{Deserialize, Serialize};

use crate::{EventId, PlanId, RoomId, TenantId};

/// What is to happen next. Holds no minted id and no time, so the same input gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponsePlan {
    /// Version of this form; 0.
    pub v: u32,
    /// UUIDv5 of tenant and event id.
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
    pub actions: Vec<Action>,
    /// Which rule decided.
    pub reason_code: ReasonCode,
}

/// The three intents of RFC-ARB-0001, section 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
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
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action {
    /// Nothing, and why.
    DoNothing {
        /// Which rule decided.
        reason_code: ReasonCode,
    },
    /// Ask the generator for a text.
    RequestGeneration {
        /// The room it is for.
        target: RoomId,
    },
    /// Say something to the room.
    SendMessage {
        /// The room.
        target: RoomId,
        /// What to say.
        text: String,
    },
    /// Answer the actor.
    SendReply {
        /// The room.
        target: RoomId,
        /// What to say.
        text: String,
    },
    /// Start the work that the text asks for: in Chiffon, a request.
    StartAgentJob {
        /// The room that hears of it.
        target: RoomId,
    },
    /// Ask a person.
    RequestApproval {
        /// The room that is asked.
        target: RoomId,
    },
}

/// Which rule decided, for the audit record and for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The event asks for work and may.
    Accepted,
    /// The event has no permitted form.
    SchemaInvalid,
    /// The actor may not.
    Unauthorized,
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
}
