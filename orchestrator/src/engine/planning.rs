//! Planning: requests that were received get a plan, a question, or a reason why there is none.
//!
//! The planner only proposes. Tier, fidelity, time-out and undo are the catalogue's word, the bundle is
//! resolved here, and the digest that an approval is bound to is computed here (S15, S18).

use std::time::Duration;

use chiffon_arbiter::{Request, Run, RunEvent, Said, Wants};
use chiffon_common::{
    Cost, EntryCall, ErrorCode, Plan, PlanId, Problem, RequestId, Step, StepNo, Tier,
};

use super::{AdvanceError, Cause, Shared, library::Loaded, preview::digest_of, shared::nudged};
use crate::planner::{Given, Planned, Proposal, Proposed, Question};

/// Requests planned in one round.
const BATCH: u32 = 100;
/// The name of the catalogue that comes with the program.
const SHIPPED: &str = "shipped";
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
        let (what, given) = asked_for(&run.request);
        let proposal = match what {
            What::Entry(call) => loaded.planner.plan_call(&call, inventory),
            What::Sentence(text) => loaded.planner.plan_with(text, &given, inventory),
        };
        match proposal {
            Proposal::Ask(question) => Ok(RunEvent::AskedBack {
                question: question.problem.detail.clone(),
                wants: wants(&question),
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
            policy: Some(self.settings.rules),
            preview: None,
            tier_because: tier_because(loaded, &planned.steps, tier)?,
            // Made below, over all of it.
            digest: self.settings.rules,
        };
        plan.digest = digest_of(run, &plan).map_err(|error| {
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

/// Which entries make a plan as risky as it is, and whose word that is.
fn tier_because(loaded: &Loaded, steps: &[Proposed], tier: Tier) -> Result<String, Problem> {
    if tier == Tier::Zero {
        return Ok("every step only reads".to_owned());
    }
    let mut reasons: Vec<String> = Vec::new();
    for step in steps {
        let entry = loaded.catalogue.find(step.entry.as_str())?;
        let reason = match entry.origin.as_str() {
            SHIPPED => format!("{} of the shipped catalogue", entry.id),
            origin => format!("{} of the folder {origin}", entry.id),
        };
        if entry.tier == tier && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    Ok(reasons.join("; "))
}

/// What is to be planned.
enum What<'r> {
    /// An entry that was named.
    Entry(EntryCall),
    /// A sentence that has to be understood.
    Sentence(&'r str),
}

/// What a request asks for with all that was answered to the questions about it.
fn asked_for(request: &Request) -> (What<'_>, Given) {
    let mut text = request.text.as_str();
    let mut call = request.call.clone();
    let mut given = Given::default();
    for round in &request.rounds {
        match &round.words.said {
            Said::Sentence { text: other } => {
                (text, call, given) = (other, None, Given::default());
            }
            Said::Missing { parameters, hosts } => {
                given.parameters.extend(parameters.clone());
                if !hosts.is_empty() {
                    given.hosts.clone_from(hosts);
                }
            }
        }
    }
    let Some(mut call) = call else {
        return (What::Sentence(text), given);
    };
    call.parameters
        .extend(std::mem::take(&mut given.parameters));
    if !given.hosts.is_empty() {
        call.hosts = std::mem::take(&mut given.hosts);
    }
    (What::Entry(call), given)
}

/// What would be an answer to a question, beside another sentence.
fn wants(question: &Question) -> Wants {
    match (&question.about, question.problem.code) {
        (_, ErrorCode::UnknownHost) => Wants::Hosts,
        (Some(entry), _) => Wants::Parameters {
            entry: entry.clone(),
            missing: question.missing.clone(),
        },
        (None, _) => Wants::Sentence,
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
