//! What an audit record says (RFC-ARB-0001, section 12): the fields of the document, what each stage said, and all that
//! the judgement was a function of, so that it can be judged again (`replay`) and brought back (`restore`).

use std::borrow::Cow;

use chiffon_arbiter::{Authorisation, Policy, RoomState, StageRecord, TenantState};
use chiffon_common::{
    ActionReceipt, ActionResult, AuditId, Digest, Event, GenerationResult, ReasonCode,
    ResponsePlan, RoomId, TenantId, TraceId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of this form.
pub(crate) const VERSION: u32 = 0;
/// The version of the program that judged.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// One record. Fields that are no part of its kind are absent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    pub(crate) v: u32,
    pub(crate) kind: Kind,
    pub(crate) audit_id: AuditId,
    /// Nobody's where it could not be understood whose it is, and of rules.
    pub(crate) tenant_id: Option<Cow<'a, TenantId>>,
    /// The id of the event's plan, for everything that follows from that event; else the record's own.
    pub(crate) correlation_id: String,
    /// What was decided on: the action of the plan, or what was asked for.
    pub(crate) action: Cow<'a, str>,
    pub(crate) result: Outcome,
    /// Which rule decided.
    pub(crate) reason_code: ReasonCode,
    /// When it was judged, and the time it was judged by.
    pub(crate) ts: Timestamp,
    /// The caller's trace, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<TraceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room_id: Option<Cow<'a, RoomId>>,
    /// Why it was refused, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<Cow<'a, str>>,
    /// Digest of the rules in force; their record stands before this one in the same file.
    pub(crate) rules: Digest,
    /// What each stage said, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stages: Vec<StageRecord>,
    /// What was sent, and everything else that it was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<Judged<'a>>,
    /// The rules themselves, in a record of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Cow<'a, Policy>>,
    /// The program that judges by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<Cow<'a, str>>,
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The rules in force from here on.
    Rules,
    /// An event (`POST /v0/events`).
    Event,
    /// A generation's result (`POST /v0/generations`).
    Generation,
    /// An action's result (`POST /v0/action-results`).
    Action,
    /// The audit file itself was repaired.
    Repair,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A new answer, which is in force.
    Decided,
    /// The answer of before, given again.
    Repeated,
    /// Nothing was changed.
    Refused,
    /// Said, not asked.
    Noted,
}

/// The values that a decision was a function of, and what it led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Judged<'a> {
    Event {
        event: Cow<'a, Event>,
        /// As it was found.
        room: Cow<'a, RoomState>,
        /// As it was found.
        tenant: Cow<'a, TenantState>,
        /// The external authoriser's word, where it was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorisation: Option<Cow<'a, Authorisation>>,
        plan: Cow<'a, ResponsePlan>,
        next: Next<'a>,
    },
    Generation {
        result: Cow<'a, GenerationResult>,
        /// The plan that asked for it.
        asked: Cow<'a, ResponsePlan>,
        room: Cow<'a, RoomState>,
        tenant: Cow<'a, TenantState>,
        plan: Cow<'a, ResponsePlan>,
        next: Next<'a>,
    },
    Action {
        result: Cow<'a, ActionResult>,
        /// The plan that holds the action.
        asked: Cow<'a, ResponsePlan>,
        room: Cow<'a, RoomState>,
        receipt: Cow<'a, ActionReceipt>,
        next: Next<'a>,
    },
}

/// The states from then on, where they changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Next<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<Cow<'a, RoomState>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Cow<'a, TenantState>>,
}

impl Record<'_> {
    /// Its bytes, a JSON object in one line. Nothing in it can fail to be written; an empty object would be refused by
    /// every reader.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2_048);
        match serde_json::to_writer(&mut bytes, self) {
            Ok(()) => bytes,
            Err(_) => b"{}".to_vec(),
        }
    }
}

/// The record of the rules in force.
pub(crate) fn of_rules(
    policy: &Policy,
    rules: Digest,
    audit_id: AuditId,
    ts: Timestamp,
) -> Record<'_> {
    Record {
        kind: Kind::Rules,
        action: "load_rules".into(),
        policy: Some(Cow::Borrowed(policy)),
        program: Some(PROGRAM.into()),
        ..noted(rules, audit_id, ts)
    }
}

/// A record of something that nobody asked for.
pub(crate) fn noted<'a>(rules: Digest, audit_id: AuditId, ts: Timestamp) -> Record<'a> {
    Record {
        v: VERSION,
        kind: Kind::Repair,
        audit_id,
        tenant_id: None,
        correlation_id: audit_id.to_string(),
        action: "".into(),
        result: Outcome::Noted,
        reason_code: ReasonCode::Pass,
        ts,
        trace_id: None,
        room_id: None,
        detail: None,
        rules,
        stages: Vec::new(),
        judged: None,
        policy: None,
        program: None,
    }
}
