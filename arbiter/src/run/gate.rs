//! The one gate before every start, for the first time, again, and after whatever came in between: whether this task
//! may be given to an agent now.
//!
//! It believes nothing that it can reckon: the plan's digest is made anew from the stored plan, and held against what
//! the plan, the question and the approval say (S27, S28, S34). What only the files know (playbooks, inventory) is held
//! against the plan by the shell, and by the agent once more.

use chiffon_common::{Digest, ErrorCode, Frozen, Mode, Plan, Problem, Tier};
use jiff::{SignedDuration, Timestamp};

use super::{
    Approval, Decision, DecisionKind, DecisionState, Refusal, RequestState, Run, Task, TaskState,
};

/// What the gate has to know beside the slice.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The orchestrator's clock.
    pub now: Timestamp,
    /// Digest of the rules in force.
    pub rules: Digest,
    /// A person's word that nothing is to be started, while it stands.
    pub frozen: Option<&'a Frozen>,
}

/// Whether this task may be given to an agent now. Check runs belong to the preview; the real ones need a plan that
/// only reads, or a live approval of exactly this plan. Neither starts in a frozen fleet.
///
/// # Errors
/// Why not; [`Refusal::Frozen`] only where nothing else stands against it.
pub fn may_start(run: &Run, task: &Task, gate: &Gate<'_>) -> Result<(), Refusal> {
    let plan = run.plan.as_ref().ok_or(Refusal::NotApproved)?;
    if run.request.cancelling.is_some() {
        return Err(Refusal::OutOfTurn("being cancelled"));
    }
    let now = gate.now.max(run.latest());
    match (&run.request.state, task.mode) {
        (RequestState::Previewing, Mode::Check) => {}
        (RequestState::Running { deadline }, Mode::Apply) if now <= *deadline => {
            is_approved(run, plan, now)?;
        }
        (state, _) => return Err(Refusal::OutOfTurn(state.name())),
    }
    if plan.steps.get(task.step as usize).is_none() {
        return Err(Refusal::PlanAltered);
    }
    is_intact(run, plan, gate.rules)?;
    match gate.frozen {
        Some(frozen) => Err(Refusal::Frozen(frozen.clone())),
        None => Ok(()),
    }
}

impl Run {
    /// The latest moment that the slice remembers. Its time never goes back behind it, whatever the clock says.
    pub(super) fn latest(&self) -> Timestamp {
        let request = &self.request;
        let approval = request.approval.as_ref();
        let of_request = [
            Some(request.created_at),
            request.cancelling.as_ref().map(|cancelling| cancelling.at),
            approval.map(|approval| approval.at),
            approval.and_then(|approval| approval.used_at),
        ];
        let of_decision = |decision: &Decision| match &decision.state {
            DecisionState::Pending => decision.created_at,
            DecisionState::Resolved { at, .. } | DecisionState::TimedOut { at } => *at,
        };
        let of_task = |task: &Task| match &task.state {
            TaskState::Running { since, .. } | TaskState::Unknown { since, .. } => *since,
            _ => task.started_at.unwrap_or(task.created_at),
        };
        let times = of_request.into_iter().flatten();
        let times = times.chain(self.decisions.values().map(of_decision));
        let times = times.chain(self.tasks.values().map(of_task));
        times.max().unwrap_or(request.created_at)
    }
}

/// A live approval of this plan, or none where the plan only reads and nobody was ever asked.
fn is_approved(run: &Run, plan: &Plan, now: Timestamp) -> Result<(), Refusal> {
    let was_asked = |kind: &DecisionKind| matches!(kind, DecisionKind::Approval { .. });
    let reads_only = plan.tier == Tier::Zero
        && plan.steps.iter().all(|step| step.tier == Tier::Zero)
        && run.request.approval.is_none()
        && !run.decisions.values().any(|one| was_asked(&one.kind));
    if reads_only {
        return Ok(());
    }
    let approval = run.request.approval.as_ref().ok_or(Refusal::NotApproved)?;
    let given = given_at(run, approval).filter(|_| approval.digest == plan.digest);
    let given = given.ok_or(Refusal::PlanAltered)?;
    let has_begun = |task: &Task| task.mode == Mode::Apply && task.attempt > 0;
    let is_used = approval.used_at.is_some() && run.tasks.values().any(has_begun);
    if is_used || now <= good_until(plan, given) {
        Ok(())
    } else {
        Err(Refusal::NotApproved)
    }
}

/// Until when the first step of an approved plan must have started.
pub(super) fn good_until(plan: &Plan, given: Timestamp) -> Timestamp {
    let seconds = i64::try_from(plan.good_for_seconds).unwrap_or(i64::MAX);
    let good_for = SignedDuration::from_secs(seconds);
    given.checked_add(good_for).unwrap_or(Timestamp::MAX)
}

/// When the approval was given: the question that it answers was asked of its plan, and answered so by its person.
fn given_at(run: &Run, approval: &Approval) -> Option<Timestamp> {
    let decision = run.decisions.get(&approval.decision)?;
    match (&decision.kind, &decision.state) {
        (DecisionKind::Approval { digest, .. }, DecisionState::Resolved { choice, by, at, .. })
            if *digest == approval.digest && choice == "approve" && *by == approval.approver =>
        {
            Some(*at)
        }
        _ => None,
    }
}

/// The plan is the one that its digest was made from, under the rules of now.
pub(super) fn is_intact(run: &Run, plan: &Plan, rules: Digest) -> Result<(), Refusal> {
    let request = &run.request;
    let subject = plan.subject(&request.tenant_id, &request.requester.id);
    let digest = subject.digest().map_err(|_| Refusal::PlanAltered)?;
    if digest != plan.digest
        || request.planned != Some(digest)
        || plan.request_id != request.request_id
    {
        return Err(Refusal::PlanAltered);
    }
    if plan.policy == Some(rules) {
        Ok(())
    } else {
        Err(Refusal::PolicyChanged)
    }
}

/// What a task ends with that the gate turned away for good; nothing where time or a person may still open it.
pub fn turned_away(refusal: &Refusal) -> Option<Problem> {
    let (code, detail) = match refusal {
        Refusal::PlanAltered => (
            ErrorCode::PlanAltered,
            "the stored rows of this request are not those that its records led to, so it is not started",
        ),
        Refusal::PolicyChanged => (
            ErrorCode::PolicyChanged,
            "the rules have changed since the plan was made, so it is not started",
        ),
        _ => return None,
    };
    let todo = "ask again: a new plan gets an approval of its own";
    Some(Problem::new(code, detail, todo))
}
