//! What an audit record says (RFC-ARB-0001, section 12): the fields of the document, what each stage said, and all that
//! the judgement was a function of, so that it can be judged again (`replay`) and brought back (`restore`).

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use chiffon_arbiter::{Authorisation, Policy, RoomState, StageRecord, TenantState, answering_plan};
use chiffon_common::{
    Action, ActionReceipt, ActionResult, AuditId, Digest, Event, GenerationResult, PlanId,
    ReasonCode, ResponsePlan, RoomId, TenantId, TraceId,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Builder;

/// Version of this form. In version 0 the states of a tenant named all its generations under way, where they name the one
/// that the record is about now and count the others: read as one of this version, such a record says the same.
pub(crate) const VERSION: u32 = 1;
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
        /// As it was read.
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

impl<'a> Judged<'a> {
    /// The tenant as it was read and as it was left, where it moved.
    pub(crate) fn tenant_moved(&self) -> Option<(&TenantState, &TenantState)> {
        match self {
            Self::Event { tenant, next, .. } | Self::Generation { tenant, next, .. } => {
                Some((tenant.as_ref(), next.tenant.as_deref()?))
            }
            Self::Action { .. } => None,
        }
    }

    /// The states that it left behind.
    pub(crate) fn next(&self) -> &Next<'a> {
        match self {
            Self::Event { next, .. }
            | Self::Generation { next, .. }
            | Self::Action { next, .. } => next,
        }
    }
}

/// The states from then on, where they changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Next<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<Cow<'a, RoomState>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Cow<'a, TenantState>>,
}

impl<'a> Next<'a> {
    /// With as much of the tenant as a judgement about this plan, which read `tenant`, can have changed.
    pub(crate) fn reduced(self, tenant: &TenantState, plan: PlanId, now: Timestamp) -> Self {
        let left = TenantState::left_as_read(self.tenant.as_deref(), tenant, plan, now);
        Self {
            tenant: left.map(Cow::Owned),
            ..self
        }
    }
}

impl Record<'_> {
    /// Whether what the record says of its decision is what it was judged by and what came of it; in words where not. A
    /// record of no decision has nothing to be held against.
    pub(crate) fn fits(&self) -> Result<(), String> {
        if self.v > VERSION {
            return Err(format!(
                "it is of version {}, and this program reads up to {VERSION}: a newer one wrote it",
                self.v
            ));
        }
        let judged = match (self.result, &self.judged) {
            (Outcome::Decided, Some(judged)) => judged,
            (Outcome::Decided, None) => return Err("it decides, and says not on what".to_owned()),
            (_, Some(_)) => {
                return Err("it holds a decision, and its result is another".to_owned());
            }
            (_, None) => return Ok(()),
        };
        let id = self.correlation_id.parse::<PlanId>().ok();
        let (kind, tenant, room, fits_id, action, reason) = match judged {
            Judged::Event { event, plan, .. } => (
                Kind::Event,
                &event.tenant_id,
                &plan.room_id,
                id == Some(plan.plan_id),
                plan.actions.first().map_or("do_nothing", Action::name),
                plan.reason_code,
            ),
            Judged::Generation { result, plan, .. } => (
                Kind::Generation,
                &result.tenant_id,
                &plan.room_id,
                id == Some(result.plan_id),
                plan.actions.first().map_or("do_nothing", Action::name),
                plan.reason_code,
            ),
            Judged::Action {
                result,
                asked,
                receipt,
                ..
            } => (
                Kind::Action,
                &result.tenant_id,
                &receipt.room_id,
                // The action is one of the event's plan, or of the plan that answered its generation.
                id.is_some_and(|id| id == asked.plan_id || answering_plan(id) == asked.plan_id),
                asked.action(result.action_id).map_or("", Action::name),
                receipt.reason_code,
            ),
        };
        let other = |field: &str| Err(format!("its {field} is not that of what was decided"));
        match () {
            () if self.kind != kind => other("kind"),
            () if self.tenant_id.as_deref() != Some(tenant) => other("tenant_id"),
            () if self.room_id.as_deref() != Some(room) => other("room_id"),
            () if !fits_id => other("correlation_id"),
            () if self.action != action => other("action"),
            () if self.reason_code != reason => other("reason_code"),
            () => Ok(()),
        }
    }

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

/// A new id, a UUIDv7. Its chance is drawn from keys of this process, and not of the system for each record.
pub(crate) fn fresh_id(now: Timestamp) -> AuditId {
    static KEYS: LazyLock<[RandomState; 2]> =
        LazyLock::new(|| [RandomState::new(), RandomState::new()]);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let drawn = KEYS
        .each_ref()
        .map(|key| key.hash_one(number).to_be_bytes());
    let mut chance = [0; 10];
    for (to, from) in chance.iter_mut().zip(drawn.as_flattened()) {
        *to = *from;
    }
    let ms = u64::try_from(now.as_millisecond()).unwrap_or_default();
    AuditId::from_uuid(Builder::from_unix_timestamp_millis(ms, &chance).into_uuid())
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
