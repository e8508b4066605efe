//! The way back of what the control plane asked for (RFC-ARB-0001, section 13): results of generations and of actions.
//! Judged by the arbiter, durable before they are answered, and answered the same whenever they come again.

use chiffon_arbiter::{
    ActionCase, Closing, GenerationCase, Judged, Led, Noting, TenantState, generated, reported,
    wordless_action, wordless_generation, wordless_plan,
};
use chiffon_common::{
    Action, ActionReceipt, ActionResult, AuditEntry, Digest, Event, EventId, GenerationResult,
    PlanId, Principal, ReasonCode, ResponsePlan, Subject, TraceId,
};
use chiffon_store::{Commit, Error, EventRow, Write};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    AdvanceError, IntakeError, Shared,
    arrived::in_words,
    judged::{answer, prior},
    places::Places,
    told::told_as,
};

/// Rounds against others who change the same room at the same time.
const ROUNDS: usize = 8;

/// How the names begin that results are kept under; no event may have one.
pub(super) const RESULT: &str = "result:";

/// An answer that is durable.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    /// The answer.
    pub(crate) answer: T,
    /// Whether it was given before.
    pub(crate) is_repeated: bool,
}

impl<T> Answered<T> {
    const fn new(answer: T, is_repeated: bool) -> Self {
        Self {
            answer,
            is_repeated,
        }
    }
}

/// What is stored of a result.
struct KeptResult<'a> {
    key: EventId,
    body: Digest,
    result: Value,
    plan: Value,
    action: &'a str,
    code: ReasonCode,
    correlation: PlanId,
    /// The judgement as its record keeps it.
    recorded: Value,
}

/// The plan that a result names, with the event it belongs to.
struct Named {
    plan: ResponsePlan,
    event: Event,
}

impl Shared {
    /// Takes a generation's result. When this returns, the answer is durable.
    pub(crate) async fn generation_ended(
        &self,
        result: &GenerationResult,
        by: &Principal,
        trace: TraceId,
    ) -> Result<Answered<ResponsePlan>, IntakeError> {
        let key = key_of(&result.plan_id)?;
        for _round in 0..ROUNDS {
            let stored = self.store.event(&result.tenant_id, &key).await?;
            let prior = stored.as_ref().map(prior).transpose()?;
            let named = self.named(&result.tenant_id, result.plan_id).await?;
            let places = self.places_of_plan(named.as_ref()).await?;
            let now = self.clock.now();
            let judged = generated(&GenerationCase {
                result,
                plan: named.as_ref().map(|named| &named.plan),
                prior: prior.as_ref(),
                room: &places.room_state,
                tenant: &places.tenant_state,
                policy: &self.settings.policy,
                now,
            })?;
            let (plan, room, tenant) = match judged {
                Closing::Malformed(error) => return Err(IntakeError::Malformed(error)),
                Closing::Refused(code) => return Err(IntakeError::Unasked(code)),
                Closing::Repeated { plan } => return Ok(Answered::new(plan, true)),
                Closing::Closed { plan, room, tenant } => (plan, room, tenant),
            };
            let Some(named) = named else {
                return Err(IntakeError::Unasked(ReasonCode::UnknownPlan));
            };
            let body = Digest::of_value(result)?;
            let read = places.tenant_state.as_read(result.plan_id, now);
            let led_to = Led {
                answer: answer(&wordless_plan(&plan))?,
                room: room.clone(),
                tenant: TenantState::left_as_read(tenant.as_ref(), &read, result.plan_id, now),
                ..Led::default()
            };
            let judged = Judged::Generation {
                result: wordless_generation(result),
                body,
                asked: wordless_plan(&named.plan),
                room: places.room_state.clone(),
                tenant: read,
            };
            let writes = self.moves_of(&named.event, &places, room, tenant)?;
            let kept = KeptResult {
                recorded: self.recorded(judged, led_to, now)?,
                key: key.clone(),
                body,
                result: serde_json::to_value(result)?,
                plan: serde_json::to_value(&plan)?,
                action: "generation.judged",
                code: plan.reason_code,
                correlation: result.plan_id,
            };
            if self.keep(&named.event, kept, writes, by, trace).await? {
                return Ok(Answered::new(plan, false));
            }
        }
        Err(busy(&key))
    }

    /// Takes an action's result. When this returns, the answer is durable.
    pub(crate) async fn action_ended(
        &self,
        result: &ActionResult,
        by: &Principal,
        trace: TraceId,
    ) -> Result<Answered<ActionReceipt>, IntakeError> {
        let key = key_of(&result.action_id)?;
        for _round in 0..ROUNDS {
            let stored = self.store.event(&result.tenant_id, &key).await?;
            let mut named = self.named(&result.tenant_id, result.plan_id).await?;
            if let Some(named) = &mut named
                && named.plan.action(result.action_id).is_none()
            {
                // Not the answer to the event, but what the room was told later.
                let told = self.told_in_room(&named.event, result).await?;
                named.plan.actions.extend(told);
            }
            let places = self.places_of_plan(named.as_ref()).await?;
            let now = self.clock.now();
            let judged = reported(&ActionCase {
                result,
                plan: named.as_ref().map(|named| &named.plan),
                prior: stored.map(|row| row.body),
                room: &places.room_state,
                policy: &self.settings.policy,
                now,
            })?;
            let (receipt, room) = match judged {
                Noting::Malformed(error) => return Err(IntakeError::Malformed(error)),
                Noting::Refused(code) => return Err(IntakeError::Unasked(code)),
                Noting::Repeated { receipt } => return Ok(Answered::new(receipt, true)),
                Noting::Noted { receipt, room } => (receipt, room),
            };
            let Some(named) = named else {
                return Err(IntakeError::Unasked(ReasonCode::UnknownPlan));
            };
            let body = Digest::of_value(result)?;
            let judged = Judged::Action {
                result: wordless_action(result),
                body,
                asked: wordless_plan(&named.plan),
                room: places.room_state.clone(),
            };
            let led_to = Led {
                answer: answer(&receipt)?,
                room: room.clone(),
                ..Led::default()
            };
            let writes = self.moves_of(&named.event, &places, room, None)?;
            let kept = KeptResult {
                recorded: self.recorded(judged, led_to, now)?,
                key: key.clone(),
                body,
                result: serde_json::to_value(result)?,
                // Not found by the plan's id, which is that of the plan itself.
                plan: json!({ "receipt": receipt }),
                action: "action.reported",
                code: receipt.reason_code,
                correlation: named.plan.plan_id,
            };
            if self.keep(&named.event, kept, writes, by, trace).await? {
                return Ok(Answered::new(receipt, false));
            }
        }
        Err(busy(&key))
    }

    /// The plan of an id, and the event that it goes back to.
    async fn named(
        &self,
        tenant: &chiffon_common::TenantId,
        plan: PlanId,
    ) -> Result<Option<Named>, IntakeError> {
        let Some(row) = self.store.event_of_plan(tenant, plan).await? else {
            return Ok(None);
        };
        let plan = prior(&row)?.plan;
        let event = match row.event_id == plan.event_id {
            true => Some(row),
            false => self.store.event(tenant, &plan.event_id).await?,
        };
        let Some(event) = event else { return Ok(None) };
        let event = serde_json::from_value(event.event)?;
        Ok(Some(Named { plan, event }))
    }

    /// The action among the messages of the request that the event became.
    async fn told_in_room(
        &self,
        event: &Event,
        result: &ActionResult,
    ) -> Result<Option<Action>, IntakeError> {
        let row = self.store.event(&event.tenant_id, &event.event_id).await?;
        let Some(request) = row.and_then(|row| row.request_id) else {
            return Ok(None);
        };
        match self.load(request).await {
            Ok((run, _)) => Ok(told_as(&run, result.action_id)),
            Err(AdvanceError::NoRequest | AdvanceError::Forgotten(_)) => Ok(None),
            Err(error) => Err(IntakeError::Unanswered(Box::new(error))),
        }
    }

    async fn places_of_plan(&self, named: Option<&Named>) -> Result<Places, IntakeError> {
        match named {
            Some(Named { event, .. }) => self.places(&event.tenant_id, &event.room_id).await,
            None => Ok(Places::default()),
        }
    }

    /// Commits a result with what it changed; whether nobody was faster.
    async fn keep(
        &self,
        event: &Event,
        kept: KeptResult<'_>,
        mut writes: Vec<Write>,
        by: &Principal,
        trace: TraceId,
    ) -> Result<bool, IntakeError> {
        let target = Subject {
            kind: "event".to_owned(),
            id: event.event_id.to_string(),
        };
        let code = in_words(&kept.code)?;
        let data = json!({
            "result": kept.key,
            "response_plan": kept.correlation,
            "judgement": kept.recorded,
        });
        let entry = self.audit_of_fleet(kept.action, target, &code, Vec::new(), data);
        let audit = AuditEntry {
            actor: by.clone(),
            correlation_id: kept.correlation.to_string(),
            trace_id: trace,
            ..entry
        };
        writes.push(Write::Event(EventRow {
            tenant_id: event.tenant_id.clone(),
            event_id: kept.key,
            body: kept.body,
            request_id: None,
            created_at: self.clock.now(),
            event: kept.result,
            plan: kept.plan,
        }));
        let commit = Commit {
            tenant_id: event.tenant_id.clone(),
            writes,
            audit: vec![audit],
            ..Commit::default()
        };
        match self.commit(commit).await {
            Ok(_) => {
                self.policy_is_told();
                Ok(true)
            }
            Err(Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The name that a result is kept under, beside the events.
fn key_of<T: Serialize + std::fmt::Display>(id: &T) -> Result<EventId, IntakeError> {
    format!("{RESULT}{id}")
        .parse()
        .map_err(|_| IntakeError::Unasked(ReasonCode::UnknownPlan))
}

fn busy(key: &EventId) -> IntakeError {
    IntakeError::Store(Error::Conflict {
        what: format!("result {key}"),
    })
}
