//! The preview: when every check run of a request has ended, what they found goes under the plan's digest,
//! and a person is asked.

use std::{collections::BTreeMap, time::Duration};

use chiffon_arbiter::{Run, RunEvent, Task, TaskState};
use chiffon_common::{CanonicalError, Digest, Fidelity, Mode, Plan, RequestId, to_canonical};
use serde_json::json;

use super::{
    AdvanceError, Cause, Shared,
    foresight::{Seen, say_unforeseen},
    outgoing::OutgoingError,
    shared::nudged,
};

/// Requests looked at in one round.
const BATCH: u32 = 200;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(2);

impl Shared {
    /// Seals previews for ever.
    pub(crate) async fn seal_previews(&self) {
        loop {
            if let Err(error) = self.preview_round().await {
                tracing::warn!(%error, "preview round failed; trying again");
            }
            nudged(&self.nudges.preview, PERIOD).await;
        }
    }

    async fn preview_round(&self) -> Result<(), AdvanceError> {
        for row in self.store.requests_in(&["previewing"], BATCH).await? {
            // One broken slice must not hold up the others; its deadline ends it.
            if let Err(error) = self.seal_preview(row.request_id).await {
                tracing::error!(%error, request.id = %row.request_id, "preview could not be sealed");
            }
        }
        Ok(())
    }

    async fn seal_preview(&self, request: RequestId) -> Result<(), AdvanceError> {
        let (run, _) = self.load(request).await?;
        let complete = !run.tasks.is_empty() && run.tasks.values().all(|task| task.state.ended());
        if !complete || run.request.cancelling.is_some() {
            return Ok(());
        }
        let Some(plan) = self.with_preview(&run).map_err(OutgoingError::from)? else {
            return Ok(());
        };
        let event = RunEvent::PreviewSealed {
            plan: Box::new(plan),
        };
        chiffon_failpoint::hit!("preview.commit.before");
        self.advance(request, event, Cause::own("preview_complete"))
            .await
            .map(drop)
    }

    fn with_preview(&self, run: &Run) -> Result<Option<Plan>, CanonicalError> {
        let Some(mut plan) = run.plan.clone() else {
            return Ok(None);
        };
        let mut found = BTreeMap::new();
        let mut seen = BTreeMap::new();
        for task in run.tasks.values().filter(|task| task.mode == Mode::Check) {
            let Some(step) = plan.steps.get_mut(task.step as usize) else {
                continue;
            };
            seen.insert(step.no, what_was_seen(task));
            match &task.state {
                TaskState::Completed => {}
                TaskState::Failed { problem } => {
                    step.fidelity = Fidelity::Blind;
                    step.fidelity_because =
                        Some(format!("the check run failed: {}", problem.detail));
                }
                state => {
                    step.fidelity = Fidelity::Blind;
                    step.fidelity_because = Some(format!("the check run was {}", state.name()));
                }
            }
            let outcome = task.outcome.as_ref();
            let hosts: BTreeMap<_, _> = outcome
                .map(|o| {
                    o.hosts
                        .iter()
                        .map(|(host, h)| (host.clone(), (h.outcome, h.changed)))
                        .collect()
                })
                .unwrap_or_default();
            found.insert(
                task.step.to_string(),
                json!({ "hosts": hosts, "diff": outcome.and_then(|o| o.diff.clone()) }),
            );
        }
        say_unforeseen(&mut plan, &seen);
        plan.preview = Some(Digest::of_value(&found)?);
        plan.digest = digest_of(run, &plan)?;
        Ok(Some(plan))
    }
}

/// What an approval of this plan is bound to.
pub(crate) fn digest_of(run: &Run, plan: &Plan) -> Result<Digest, CanonicalError> {
    let request = &run.request;
    let subject = plan.subject(&request.tenant_id, &request.requester.id);
    subject.digest()
}

/// The bytes whose digest that is. They hold the values of secret parameters.
pub(crate) fn sealed_bytes(run: &Run, plan: &Plan) -> Result<Vec<u8>, CanonicalError> {
    let request = &run.request;
    to_canonical(&plan.subject(&request.tenant_id, &request.requester.id))
}

/// What the check run of a step came to.
fn what_was_seen(task: &Task) -> Seen {
    let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
    match (&task.state, hosts) {
        (TaskState::Completed, Some(hosts)) if hosts.values().all(|host| host.changed == 0) => {
            Seen::Unchanged
        }
        (TaskState::Completed, _) => Seen::Changes,
        _ => Seen::Failed,
    }
}
