//! The one way in: whatever came, from wherever, becomes an event, is judged, and is durable before it is
//! answered (DESIGN sections 4.1 and 4.2).

use chiffon_arbiter::{Authorisation, Judgement, NewRun, Prior, Run, StageRecord, process};
use chiffon_common::{
    Action, AuditEntry, CanonicalError, Digest, Event, EventError, MoveRecord, RequestId,
    ResponsePlan, Subject, TraceId,
};
use chiffon_store::{Commit, Error, EventRow, Expected, RoomRow, Write};
use serde_json::json;

use super::{Cause, Shared, rows};

/// Rounds against others who bring the same event or open the same room at the same time.
const ROUNDS: usize = 8;

/// What became of an event.
#[derive(Debug)]
pub(crate) struct Intake {
    /// The request it became, now or the first time.
    pub(crate) request: Option<RequestId>,
    /// The stored answer.
    pub(crate) plan: ResponsePlan,
}

/// Why an event was not taken. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error(transparent)]
    Malformed(EventError),
    #[error("the same id was used for another event")]
    Conflict,
    #[error("event has no canonical form")]
    Canonical(#[from] CanonicalError),
    #[error("event cannot be stored")]
    Unwritable(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Shared {
    /// Takes an event. When this returns, the answer is durable.
    pub(crate) async fn intake(
        &self,
        mut event: Event,
        authorisation: &Authorisation,
    ) -> Result<Intake, IntakeError> {
        for _round in 0..ROUNDS {
            let stored = self.store.event(&event.tenant_id, &event.event_id).await?;
            if let Some(stored) = &stored {
                // The time is our own clock's, not part of what was asked.
                event.ts = serde_json::from_value::<Event>(stored.event.clone())?.ts;
            }
            let prior = stored.as_ref().map(prior).transpose()?;
            match process(&event, prior.as_ref(), &self.settings.policy, authorisation)? {
                Judgement::Malformed(error) => return Err(IntakeError::Malformed(error)),
                Judgement::Conflict => return Err(IntakeError::Conflict),
                Judgement::Repeated { plan } => {
                    return Ok(Intake {
                        request: stored.and_then(|stored| stored.request_id),
                        plan,
                    });
                }
                Judgement::Fresh { plan, stages } => {
                    match self.store_answer(&event, &plan, &stages).await {
                        Ok(request) => return Ok(Intake { request, plan }),
                        Err(IntakeError::Store(Error::Conflict { .. })) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Err(IntakeError::Store(Error::Conflict {
            what: format!("event {}", event.event_id),
        }))
    }

    async fn store_answer(
        &self,
        event: &Event,
        plan: &ResponsePlan,
        stages: &[StageRecord],
    ) -> Result<Option<RequestId>, IntakeError> {
        let now = self.clock.now();
        let wants_work = plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::StartAgentJob { .. }));
        let run = wants_work.then(|| self.new_run(event));
        let request = run.as_ref().map(|run| run.request.request_id);
        let mut writes = vec![Write::Event(EventRow {
            tenant_id: event.tenant_id.clone(),
            event_id: event.event_id.clone(),
            body: Digest::of_value(event)?,
            request_id: request,
            created_at: now,
            event: serde_json::to_value(event)?,
            plan: serde_json::to_value(plan)?,
        })];
        if self
            .store
            .room(&event.tenant_id, &event.room_id)
            .await?
            .is_none()
        {
            writes.push(Write::Room(
                Expected::Absent,
                RoomRow {
                    tenant_id: event.tenant_id.clone(),
                    room_id: event.room_id.clone(),
                    project_id: event.project_id.clone(),
                    version: 1,
                    updated_at: now,
                    doc: json!({}),
                },
            ));
        }
        if let Some(run) = &run {
            writes.extend(rows::writes(None, &rows::Versions::default(), run, now)?);
        }
        let audit = self.audit_of_answer(event, plan, stages, run.as_ref());
        let commit = Commit {
            tenant_id: event.tenant_id.clone(),
            writes,
            audit: vec![audit],
            ..Commit::default()
        };
        self.store.commit(commit).await?;
        if let Some(request) = request {
            self.changed(request);
            self.nudges.planning.notify_one();
        }
        Ok(request)
    }

    /// What every stage said, and the request that came of it, if one did.
    fn audit_of_answer(
        &self,
        event: &Event,
        plan: &ResponsePlan,
        stages: &[StageRecord],
        run: Option<&Run>,
    ) -> AuditEntry {
        let data =
            json!({ "stages": stages, "response_plan": plan.plan_id, "source": event.source });
        let Some(run) = run else {
            let target = Subject {
                kind: "event".to_owned(),
                id: event.event_id.to_string(),
            };
            return self.audit_of_fleet("event.judged", target, "not_accepted", Vec::new(), data);
        };
        let moved = MoveRecord {
            subject: Subject {
                kind: "request".to_owned(),
                id: run.request.request_id.to_string(),
            },
            from: None,
            to: run.request.state.name().to_owned(),
            because: run.request.because.clone(),
        };
        let cause = Cause {
            rule: "control_plane",
            ..Cause::by(run.request.requester.clone(), "accepted")
        };
        self.audit_of_moves(run, &cause, vec![moved], data)
    }

    fn new_run(&self, event: &Event) -> Run {
        let new = NewRun {
            request_id: RequestId::from_uuid(self.clock.fresh_id()),
            tenant_id: event.tenant_id.clone(),
            project_id: event.project_id.clone(),
            room_id: event.room_id.clone(),
            event_id: event.event_id.clone(),
            trace_id: TraceId::from_uuid(self.clock.fresh_id()),
            requester: chiffon_common::Principal {
                id: event.actor.id.clone(),
                kind: event.actor.kind.clone(),
            },
            text: event.content.text.clone(),
        };
        Run::received(new, self.clock.now(), &self.settings.lifecycles)
    }
}

fn prior(row: &EventRow) -> Result<Prior, serde_json::Error> {
    Ok(Prior {
        body: row.body,
        plan: serde_json::from_value(row.plan.clone())?,
    })
}
