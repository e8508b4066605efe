//! What an adapter or a generator sent and was not taken: no contract, another document under an id that is known, a result
//! that nothing waits for. Nothing of it is stored but the record that it came (RFC-ARB-0001, sections 7 and 12), by which
//! somebody who uses another's id is found; what it says is kept in no record (S70).

use chiffon_arbiter::plan_id_of;
use chiffon_common::{
    ActionResult, AuditEntry, ErrorCode, Event, GenerationResult, PlanId, Principal, ReasonCode,
    RoomId, Subject, TraceId,
};
use chiffon_store::Commit;
use serde_json::json;

use super::{IntakeError, Shared, arrived::in_words};

/// What was turned away, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct TurnedAway {
    action: &'static str,
    target: Subject,
    by: Principal,
    room: Option<RoomId>,
    plan: Option<PlanId>,
    trace: TraceId,
}

impl TurnedAway {
    fn new(action: &'static str, kind: &str, id: String, by: Principal, trace: TraceId) -> Self {
        Self {
            action,
            target: Subject {
                kind: kind.to_owned(),
                id,
            },
            by,
            room: None,
            plan: None,
            trace,
        }
    }

    /// An event, in the name of whoever it says has asked.
    pub(crate) fn event(event: &Event, trace: TraceId) -> Self {
        let by = Principal {
            id: event.actor.id.clone(),
            kind: event.actor.kind.clone(),
        };
        let id = event.event_id.to_string();
        Self {
            room: Some(event.room_id.clone()),
            plan: Some(plan_id_of(&event.tenant_id, &event.event_id)),
            ..Self::new("event.refused", "event", id, by, trace)
        }
    }

    /// A generation's result.
    pub(crate) fn generation(result: &GenerationResult, by: &Principal, trace: TraceId) -> Self {
        let id = result.plan_id.to_string();
        Self {
            plan: Some(result.plan_id),
            ..Self::new("generation.refused", "plan", id, by.clone(), trace)
        }
    }

    /// An action's result.
    pub(crate) fn action(result: &ActionResult, by: &Principal, trace: TraceId) -> Self {
        let id = result.action_id.to_string();
        Self {
            plan: Some(result.plan_id),
            ..Self::new("action.refused", "action", id, by.clone(), trace)
        }
    }

    /// A body of a contract that it does not fit: nobody knows what it holds.
    pub(crate) fn unread(contract: &str, by: &Principal, trace: TraceId) -> Self {
        let action = match contract {
            "generation_result" => "generation.refused",
            "action_result" => "action.refused",
            _ => "event.refused",
        };
        Self::new(action, "contract", contract.to_owned(), by.clone(), trace)
    }
}

impl Shared {
    /// Records it. Its answer leaves only then, as every other.
    pub(crate) async fn note_turned_away(
        &self,
        what: TurnedAway,
        reason: ReasonCode,
        code: ErrorCode,
    ) -> Result<(), IntakeError> {
        let data = json!({
            "because": code.title(),
            "code": code,
            "room_id": what.room,
            "response_plan": what.plan,
        });
        let correlation = match &what.plan {
            Some(plan) => plan.to_string(),
            None => what.trace.to_string(),
        };
        let reason = in_words(&reason)?;
        let entry = self.audit_of_fleet(what.action, what.target, &reason, Vec::new(), data);
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![AuditEntry {
                actor: what.by,
                correlation_id: correlation,
                trace_id: what.trace,
                result: "refused".to_owned(),
                ..entry
            }],
            ..Commit::default()
        };
        self.commit(commit).await?;
        Ok(())
    }
}
