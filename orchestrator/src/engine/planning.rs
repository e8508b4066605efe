//! Planning: requests that were received get a plan, a question, or a reason why there is none.
//!
//! The planner only proposes. Tier, fidelity, time-out and undo are the catalogue's word, the bundle is
//! resolved here, and the digest that an approval is bound to is computed here (S15, S18).

use std::time::Duration;

use chiffon_arbiter::{Run, RunEvent};
use chiffon_common::{Cost, ErrorCode, Plan, PlanId, Problem, RequestId, Step, StepNo, Tier};

use super::{AdvanceError, Cause, Shared, library::Loaded, shared::nudged};
use crate::planner::{Planned, Proposal, Proposed};

/// Requests planned in one round.
const BATCH: u32 = 100;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(2);

impl Shared {
    /// Plans for ever.
    pub(crate) async fn plan_requests(&self) {
        loop {
            match self.planning_round().await {
                Ok(planned) if planned == BATCH as usize => {}
                Ok(_) => nudged(&self.nudges.planning, PERIOD).await,
                Err(error) => {
                    tracing::warn!(%error, "planning round failed; trying again");
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    }

    async fn planning_round(&self) -> Result<usize, AdvanceError> {
        let rows = self
            .store
            .requests_in(&["received", "planning"], BATCH)
            .await?;
        let mut planned = 0;
        for row in &rows {
            // One that cannot be planned must not hold up the others; its deadline ends it.
            match self.plan_one(row.request_id).await {
                Ok(()) => planned += 1,
                Err(error) => {
                    tracing::error!(%error, request.id = %row.request_id, "request could not be planned");
                }
            }
        }
        // Only a full round without a fault is followed by the next at once.
        Ok(planned)
    }

    async fn plan_one(&self, id: RequestId) -> Result<(), AdvanceError> {
        let (run, _) = self.load(id).await?;
        let event = match self.propose(&run).await {
            Ok(event) => event,
            Err(problem) => RunEvent::PlanningFailed { problem },
        };
        self.advance(id, event, Cause::own("planned"))
            .await
            .map(drop)
    }

    async fn propose(&self, run: &Run) -> Result<RunEvent, Problem> {
        let loaded = self.library.current().await?;
        let inventory = loaded.inventory()?;
        let proposal = match &run.request.call {
            Some(call) => loaded.planner.plan_call(call, inventory),
            None => loaded.planner.plan(&run.request.text, inventory),
        };
        match proposal {
            Proposal::Ask(question) => Ok(RunEvent::AskedBack {
                question: question.problem.detail.clone(),
                nearest: question.nearest,
                problem: question.problem,
            }),
            Proposal::Plan(planned) => {
                let plan = self.plan_of(run, &loaded, planned)?;
                Ok(RunEvent::Planned {
                    plan: Box::new(plan),
                })
            }
        }
    }

    fn plan_of(&self, run: &Run, loaded: &Loaded, planned: Planned) -> Result<Plan, Problem> {
        let mut steps: Vec<Step> = Vec::new();
        for proposed in &planned.steps {
            let no = StepNo::try_from(steps.len()).unwrap_or(StepNo::MAX);
            steps.push(self.step_of(loaded, no, proposed)?);
            if let Some(check) = verification(loaded, proposed)? {
                let step = self.step_of(loaded, no.saturating_add(1), &check)?;
                let title = format!("Check afterwards: {}", step.title);
                steps.push(Step { title, ..step });
            }
        }
        let tier = steps
            .iter()
            .map(|step| step.tier)
            .max()
            .unwrap_or(Tier::Two);
        let question = self.settings.lifecycles.question;
        let expires_at = self
            .clock
            .now()
            .checked_add(question)
            .unwrap_or(jiff::Timestamp::MAX);
        let mut plan = Plan {
            plan_id: PlanId::from_uuid(self.clock.fresh_id()),
            request_id: run.request.request_id,
            cost: Cost {
                provider_usd: 0.0,
                at_most_seconds: steps.iter().map(|step| step.timeout_seconds).sum(),
            },
            steps,
            tier,
            confidence: planned.confidence,
            because: planned.because,
            expires_at,
            good_for_seconds: self.settings.good_for_seconds,
            digest: self.settings.policy_digest,
        };
        plan.digest = self.plan_digest(run, &plan, None).map_err(|error| {
            Problem::new(ErrorCode::Internal, error.to_string(), "please report this")
        })?;
        Ok(plan)
    }

    fn step_of(&self, loaded: &Loaded, no: StepNo, proposed: &Proposed) -> Result<Step, Problem> {
        let entry = loaded.catalogue.find(proposed.entry.as_str())?;
        if let Some(open) = loaded.inventory()?.unpinned(&proposed.hosts)?.first() {
            return Err(Problem::new(
                ErrorCode::HostKeyUnknown,
                format!(
                    "the key of {} is not pinned, so nobody can say that it is the right machine",
                    open.host
                ),
                format!(
                    "compare and pin it once: chiffon inventory trust {}",
                    open.host
                ),
            ));
        }
        let bundle = loaded.bundle_of(&entry.id, &proposed.hosts)?;
        let digest = bundle.digest();
        self.library.keep(digest, bundle);
        Ok(Step {
            no,
            entry: entry.id.clone(),
            title: entry.title_with(&proposed.parameters),
            hosts: proposed.hosts.clone(),
            parameters: proposed.parameters.clone(),
            // One after the other, as the sentence says them.
            depends_on: no.checked_sub(1).into_iter().collect(),
            tier: entry.tier,
            fidelity: entry.preview,
            fidelity_because: entry.fidelity_because(),
            bundle: digest,
            timeout_seconds: entry.timeout_seconds,
            on_interrupt: entry.on_interrupt,
            resources: entry.resources,
            undo: entry.undo_planned(&proposed.parameters),
            secret_parameters: entry.secret_parameters(),
        })
    }
}

/// The check that must pass after a step, where its entry names one: a step of its own that depends on it,
/// so that a failed check is a failed task (DESIGN section 4.7).
fn verification(loaded: &Loaded, proposed: &Proposed) -> Result<Option<Proposed>, Problem> {
    let entry = loaded.catalogue.find(proposed.entry.as_str())?;
    let Some(call) = &entry.verify else {
        return Ok(None);
    };
    let check = loaded.catalogue.find(call.entry.as_str())?;
    let parameters = check
        .check(&call.filled(&proposed.parameters))
        .map_err(|problems| {
            let first = problems
                .into_iter()
                .next()
                .map_or_else(String::new, |problem| problem.detail);
            Problem::new(
                ErrorCode::CatalogueBroken,
                format!("the check that {} names cannot be made: {first}", entry.id),
                format!("correct `verify` in {}.chiffon.yml", entry.id),
            )
        })?;
    Ok(Some(Proposed {
        entry: check.id.clone(),
        hosts: proposed.hosts.clone(),
        parameters,
    }))
}
