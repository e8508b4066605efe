//! Planning: requests that were received get a plan, a question, or a reason why there is none.
//!
//! The planner only proposes. Tier, fidelity, time-out and undo are the catalogue's word, the bundle is
//! resolved here, and the digest that an approval is bound to is computed here (S15, S18).

use std::time::Duration;

use chiffon_arbiter::{Request, Run, RunEvent, Said, Wants};
use chiffon_common::{
    Cost, Digest, EntryCall, ErrorCode, Fidelity, Plan, PlanId, Problem, Redactor, RequestId, Step,
    StepNo, Tier,
};
use chiffon_store::RequestRow;
use futures_util::{StreamExt as _, future, stream};
use serde_json::Value;

use super::{
    AdvanceError, Cause, Shared,
    library::{Loaded, Moment},
    preview::digest_of,
    shared::nudged,
};
use crate::{
    catalogue::Check,
    planner::{Given, Planned, Proposal, Proposed, Question},
};

/// Requests planned in one round.
const BATCH: u32 = 100;
/// Requests planned at the same time.
const AT_ONCE: usize = 8;
/// The name of the catalogue that comes with the program.
const SHIPPED: &str = "shipped";
/// What a check may take beyond the time that it keeps trying: reaching the host, and the last try.
const CHECK_GRACE: u64 = 120;
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
        let moment = self.library.moment();
        let plan = async |row: &RequestRow| {
            // One that cannot be planned must not hold up the others; its deadline ends it.
            let planned = self.plan_one(row.request_id, moment).await;
            if let Err(error) = &planned {
                tracing::error!(%error, request.id = %row.request_id, "request could not be planned");
            }
            planned.is_ok()
        };
        // Together, so that they share commits: each waits for the disk.
        let all = stream::iter(&rows).map(plan).buffer_unordered(AT_ONCE);
        let planned = all.filter(|planned| future::ready(*planned)).count().await;
        // Only a full round without a fault is followed by the next at once.
        Ok(planned)
    }

    async fn plan_one(&self, id: RequestId, moment: Moment) -> Result<(), AdvanceError> {
        let (run, _) = self.load(id).await?;
        let event = match self.propose(&run, moment).await {
            Ok(event) => event,
            Err(problem) => RunEvent::PlanningFailed { problem },
        };
        chiffon_failpoint::hit!("planning.commit.before");
        self.advance(id, event, Cause::own("planned")).await?;
        chiffon_failpoint::hit!("planning.commit.after");
        Ok(())
    }

    /// The plan that a request would get now.
    pub(crate) async fn plan_ahead(&self, run: &Run) -> Result<Plan, Problem> {
        match self.propose(run, self.library.moment()).await? {
            RunEvent::Planned { plan } => Ok(*plan),
            RunEvent::AskedBack { problem, .. } | RunEvent::PlanningFailed { problem } => {
                Err(problem)
            }
            other => Err(Problem::new(
                ErrorCode::Internal,
                format!("the planner said {other:?}"),
                "please report this",
            )),
        }
    }

    async fn propose(&self, run: &Run, moment: Moment) -> Result<RunEvent, Problem> {
        let loaded = self.library.since(moment).await?;
        let inventory = loaded.inventory()?;
        if let Some(undoing) = run.request.undo_of {
            let id = Some(run.request.request_id);
            let taken_back = self.take_back(&loaded, undoing, id).await?;
            let mut plan = self.plan_of(run, &loaded, taken_back.planned, &taken_back.secrets)?;
            if plan.tier < Tier::One {
                // Whatever its steps say of themselves.
                plan.tier = Tier::One;
                plan.tier_because = "it takes back what a person had approved".to_owned();
            }
            plan.digest = first_digest(run, &plan)?;
            return Ok(RunEvent::Planned {
                plan: Box::new(plan),
            });
        }
        let (what, given) = asked_for(&run.request);
        let proposal = match what {
            What::Entry(call) => loaded.planner.plan_call(&call, inventory),
            What::Sentence(text) => loaded.planner.plan_with(text, &given, inventory),
        };
        match proposal {
            Proposal::Ask(question) | Proposal::Nothing(question) => Ok(RunEvent::AskedBack {
                question: question.problem.detail.clone(),
                wants: wants(&question),
                nearest: question.nearest,
                problem: question.problem,
            }),
            Proposal::Plan(planned) => {
                let plan = self.plan_of(run, &loaded, planned, &[])?;
                Ok(RunEvent::Planned {
                    plan: Box::new(plan),
                })
            }
        }
    }

    /// `secrets` are values that stay secret in whichever parameter of a step they stand.
    fn plan_of(
        &self,
        run: &Run,
        loaded: &Loaded,
        planned: Planned,
        secrets: &[String],
    ) -> Result<Plan, Problem> {
        let mut steps: Vec<Step> = Vec::new();
        // The last step of each that was proposed: itself, or the last check of its work.
        let mut ends: Vec<StepNo> = Vec::new();
        for proposed in &planned.steps {
            let mut step = self.step_of(loaded, next_no(&steps), proposed)?;
            step.depends_on = waits_for(&planned.steps, ends.len(), &ends);
            hide(&mut step, secrets);
            let entry = loaded.catalogue.find(proposed.entry.as_str())?;
            let known = secret_values(&step);
            let (no, tier) = (step.no, step.tier);
            steps.push(step);
            for check in &entry.verify {
                let mut step = self.check_of(loaded, next_no(&steps), check, proposed)?;
                step.verifies = Some(no);
                if loaded.catalogue.find(step.entry.as_str())?.verifies_only {
                    // What a command does nobody can tell from outside: it counts as the entry whose author
                    // wrote it down, and is never more than that.
                    step.tier = step.tier.min(tier);
                }
                hide(&mut step, &known);
                steps.push(step);
            }
            ends.push(next_no(&steps).saturating_sub(1));
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
        plan.digest = first_digest(run, &plan)?;
        Ok(plan)
    }

    /// A check that must pass after a step: a step of its own that depends on it, so that a failed check is a
    /// failed task (DESIGN section 4.7).
    fn check_of(
        &self,
        loaded: &Loaded,
        no: StepNo,
        check: &Check,
        of: &Proposed,
    ) -> Result<Step, Problem> {
        let entry = loaded.catalogue.find(check.call.entry.as_str())?;
        let parameters = entry.check(&check.filled(&of.parameters));
        let parameters = parameters.map_err(|problems| {
            let first = problems.into_iter().next();
            let first = first.map_or_else(String::new, |problem| problem.detail);
            Problem::new(
                ErrorCode::CatalogueBroken,
                format!("the check that {} names cannot be made: {first}", of.entry),
                format!("correct `verify` in {}.chiffon.yml", of.entry),
            )
        })?;
        let declared = entry.parameter("within").and_then(|p| p.default.as_ref());
        let within = parameters
            .get("within")
            .or(declared)
            .and_then(Value::as_u64);
        let proposed = Proposed {
            entry: entry.id.clone(),
            hosts: of.hosts.clone(),
            parameters,
            after: Vec::new(),
        };
        let mut step = self.step_of(loaded, no, &proposed)?;
        step.depends_on = no.checked_sub(1).into_iter().collect();
        step.title = format!("Check afterwards: {}", step.title);
        if let Some(within) = within.filter(|_| check.short) {
            step.timeout_seconds = within.saturating_add(CHECK_GRACE).min(step.timeout_seconds);
        }
        Ok(step)
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
        let inventory = loaded.inventory()?.weigh(&proposed.hosts);
        let because = [inventory.because, entry.fidelity_because()];
        let because: Vec<String> = because.into_iter().flatten().collect();
        let bundle = loaded.bundle_of(&entry.id, &proposed.hosts)?;
        let digest = bundle.digest();
        self.library.keep(digest, bundle);
        Ok(Step {
            no,
            entry: entry.id.clone(),
            title: entry.title_with(&proposed.parameters),
            hosts: proposed.hosts.clone(),
            parameters: proposed.parameters.clone(),
            depends_on: Vec::new(),
            tier: entry.tier.max(least_tier(inventory.fidelity)),
            fidelity: entry.preview.max(inventory.fidelity),
            fidelity_because: (!because.is_empty()).then(|| because.join("; ")),
            bundle: digest,
            timeout_seconds: entry.timeout_seconds,
            on_interrupt: entry.on_interrupt,
            resources: entry.resources,
            undo: entry.undo_planned(&proposed.parameters),
            secret_parameters: entry.secret_parameters(),
            verifies: None,
        })
    }
}

/// The steps that one waits for: those that the sentence names, and those before it on the same hosts, since a person
/// says them in the order in which they are to happen.
fn waits_for(steps: &[Proposed], at: usize, ends: &[StepNo]) -> Vec<StepNo> {
    let Some(step) = steps.get(at) else {
        return Vec::new();
    };
    let shares = |other: &Proposed| other.hosts.iter().any(|host| step.hosts.contains(host));
    let before = steps.iter().zip(ends).enumerate();
    before
        .filter(|(n, (other, _))| step.after.contains(n) || shares(other))
        .map(|(_, (_, end))| *end)
        .collect()
}

/// What acts where Ansible runs is not run unasked, however little the entry itself does.
fn least_tier(inventory: Fidelity) -> Tier {
    match inventory {
        Fidelity::Acts => Tier::One,
        _ => Tier::Zero,
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
        let inventory = loaded.inventory()?.weigh(&step.hosts);
        if least_tier(inventory.fidelity) == tier {
            let reason = "a variable of the inventory acts where Ansible runs".to_owned();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
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

/// The digest of a plan that has no preview yet.
fn first_digest(run: &Run, plan: &Plan) -> Result<Digest, Problem> {
    digest_of(run, plan)
        .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string(), "please report this"))
}

/// The number of the step that comes after these.
fn next_no(steps: &[Step]) -> StepNo {
    StepNo::try_from(steps.len()).unwrap_or(StepNo::MAX)
}

/// The values of a step that are never shown.
pub(super) fn secret_values(step: &Step) -> Vec<String> {
    let secret = step.secret_parameters.iter();
    let values = secret.filter_map(|name| step.parameters.get(name));
    values
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .filter(|value| !value.is_empty())
        .collect()
}

/// A value that was secret where it came from stays secret where it was put in.
fn hide(step: &mut Step, secrets: &[String]) {
    let holds = |value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        secrets.iter().any(|secret| text.contains(secret.as_str()))
    };
    let hidden = step.parameters.iter().filter(|(_, value)| holds(value));
    let hidden: Vec<String> = hidden.map(|(name, _)| name.clone()).collect();
    if hidden.is_empty() {
        return;
    }
    step.title = Redactor::new(secrets).redact(&step.title);
    step.secret_parameters.extend(hidden);
    step.secret_parameters.sort();
    step.secret_parameters.dedup();
}
