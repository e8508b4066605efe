//! What an event that was judged leaves behind: its project, its audit record, the request it becomes, and the answer to
//! whoever brought it. Judging it, and making all of this one commit, is left to `intake`.

use chiffon_arbiter::{NewRun, Run, StageRecord};
use chiffon_common::{
    AuditEntry, Event, MoveRecord, Principal, ReasonCode, RequestId, ResponsePlan, Subject,
    api::RequestAccepted,
};
use chiffon_store::{Expected, ProjectRow, Write};
use serde_json::{Value, json};

use super::{
    Cause, KeptAnswer, Shared,
    intake::{Incoming, IntakeError, Way},
};

/// A new answer.
pub(super) struct Answer<'a> {
    pub(super) plan: &'a ResponsePlan,
    pub(super) stages: &'a [StageRecord],
    /// The judgement as its record keeps it.
    pub(super) recorded: Value,
}

impl Shared {
    /// The project of an event, where it is the first of it.
    pub(super) async fn project_of(&self, event: &Event) -> Result<Option<Write>, IntakeError> {
        let project = self.store.project(&event.tenant_id, &event.project_id);
        if project.await?.is_some() {
            return Ok(None);
        }
        let now = self.clock.now();
        let row = ProjectRow {
            tenant_id: event.tenant_id.clone(),
            project_id: event.project_id.clone(),
            title: String::new(),
            description: String::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        Ok(Some(Write::Project(Expected::Absent, row)))
    }

    /// What every stage said, and the request that came of it, if one did.
    pub(super) fn audit_of_answer(
        &self,
        incoming: &Incoming,
        fresh: Answer<'_>,
        run: Option<&Run>,
    ) -> Result<AuditEntry, IntakeError> {
        let event = &incoming.event;
        let plan = fresh.plan;
        let data = json!({
            "stages": fresh.stages,
            "response_plan": plan.plan_id,
            "source": event.source,
            "judgement": fresh.recorded,
        });
        let Some(run) = run else {
            let target = Subject {
                kind: "event".to_owned(),
                id: event.event_id.to_string(),
            };
            let actor = Principal {
                id: event.actor.id.clone(),
                kind: event.actor.kind.clone(),
            };
            let code = in_words(&plan.reason_code)?;
            let entry = self.audit_of_fleet("event.judged", target, &code, Vec::new(), data);
            return Ok(AuditEntry {
                actor,
                correlation_id: plan.plan_id.to_string(),
                trace_id: incoming.trace,
                ..entry
            });
        };
        let fired = incoming.schedule.as_ref();
        let actor = fired.map_or(&run.request.requester, |fired| &fired.by.by);
        let actor = actor.clone();
        let cause = Cause {
            rule: "control_plane",
            trace: Some(run.request.trace_id),
            ..Cause::by(actor, "accepted")
        };
        let proof = run.proof()?;
        Ok(self.audit_of_moves(run, &cause, vec![arrival(run)], data, proof))
    }

    pub(super) fn new_run(&self, incoming: &Incoming) -> NewRun {
        let event = &incoming.event;
        NewRun {
            request_id: RequestId::from_uuid(self.clock.fresh_id()),
            tenant_id: event.tenant_id.clone(),
            project_id: event.project_id.clone(),
            room_id: event.room_id.clone(),
            event_id: event.event_id.clone(),
            trace_id: incoming.trace,
            requester: Principal {
                id: event.actor.id.clone(),
                kind: match incoming.way {
                    // Named by the adapter, not authenticated here: no other person's eyes on what is asked so.
                    Way::Adapter | Way::Bus => "service".to_owned(),
                    Way::Own => event.actor.kind.clone(),
                },
            },
            text: event.content.text.clone(),
            call: event.content.call.clone(),
            retry_of: event.content.retry_of,
            undo_of: event.content.undo_of,
            schedule: incoming.schedule.as_ref().map(|fired| fired.scheduled()),
        }
    }
}

/// A code as it stands in records.
pub(super) fn in_words(code: &ReasonCode) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(code)?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// The first move of a request: it came.
pub(super) fn arrival(run: &Run) -> MoveRecord {
    MoveRecord {
        subject: Subject {
            kind: "request".to_owned(),
            id: run.request.request_id.to_string(),
        },
        from: None,
        to: run.request.state.name().to_owned(),
        because: run.request.because.clone(),
    }
}

/// The answer to a request that was taken: the same whenever the same is asked again.
pub(crate) fn accepted(request_id: RequestId) -> Result<KeptAnswer, serde_json::Error> {
    let body = RequestAccepted {
        request_id,
        state: "received".to_owned(),
    };
    Ok(KeptAnswer {
        status: 202,
        body: serde_json::to_value(body)?,
    })
}
