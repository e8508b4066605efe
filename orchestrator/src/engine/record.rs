//! What of an ended request is recorded in the ledger. The entry is made in the transaction that ends the
//! request; writing it into the repository is left to the scribe.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_arbiter::{
    Decision, DecisionKind, DecisionState, Outcome, RequestState, Run, Task, TaskState,
    UNKNOWN_CHANGES, uncounted,
};
use chiffon_common::{ErrorCode, HostName, HostOutcome, Redactor, Step, TaskId, Tier};
use chiffon_store::LedgerEntryRow;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::ledger::{FORM, LedgerDoc, ProblemDoc, RequestOutcome, SaidDoc, StepDoc, StepOutcome};

/// Words by which a person settles how a step ended; any other one only closed the question.
const SAID: [&str; 3] = ["completed", "failed", "retry"];

/// What stands in place of a secret value.
const MASK: &str = "[secret]";

/// The ledger's entry for a request that has ended; nothing for one that never had a plan.
pub(crate) fn entry(
    run: &Run,
    now: Timestamp,
) -> Result<Option<LedgerEntryRow>, serde_json::Error> {
    let Some(plan) = &run.plan else {
        return Ok(None);
    };
    let Some(outcome) = outcome_of(&run.request.state) else {
        return Ok(None);
    };
    let steps: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| step_doc(run, step))
        .collect();
    let problem = problem_of(&run.request.state);
    let says_what_is_open = |problem: &ProblemDoc| problem.detail.contains(UNKNOWN_CHANGES);
    let tells_changes = steps.iter().any(|step| step.changes_unknown)
        && problem
            .as_ref()
            .is_some_and(|problem| !says_what_is_open(problem));
    let titles: Vec<_> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    let doc = LedgerDoc {
        form: FORM,
        request_id: run.request.request_id,
        requester: run.request.requester.id.clone(),
        approvers: run
            .request
            .approval
            .iter()
            .map(|approval| approval.approver.clone())
            .collect(),
        undo_of: run.request.undo_of.map(|undoing| undoing.request),
        text: redactor(&plan.steps).redact(&words(run)),
        plan_digest: Some(plan.digest),
        title: titles.join("; "),
        tier: plan.tier,
        started_at: run.request.created_at,
        ended_at: now,
        outcome,
        limit_seconds: match (outcome, &run.request.cancelling) {
            (RequestOutcome::Cancelled, Some(cancelling)) => cancelling.limit_seconds,
            _ => None,
        },
        steps,
        problem,
        tells_changes,
    };
    Ok(Some(LedgerEntryRow {
        tenant_id: run.request.tenant_id.clone(),
        entry_no: 0,
        request_id: run.request.request_id,
        shares_commit: !doc.is_change(),
        created_at: now,
        doc: serde_json::to_value(doc)?,
    }))
}

/// What was asked for, with what was answered to the questions about it.
fn words(run: &Run) -> String {
    let mut text = run.request.text.clone();
    for round in &run.request.rounds {
        text += &format!("\n{} -> {}", round.question, round.words.text);
    }
    text
}

fn outcome_of(state: &RequestState) -> Option<RequestOutcome> {
    match state {
        RequestState::Completed => Some(RequestOutcome::Completed),
        RequestState::Failed { .. } => Some(RequestOutcome::Failed),
        RequestState::Rejected { .. } => Some(RequestOutcome::Rejected),
        RequestState::Expired { .. } => Some(RequestOutcome::Expired),
        RequestState::Cancelled { .. } => Some(RequestOutcome::Cancelled),
        RequestState::Received
        | RequestState::Planning
        | RequestState::Previewing
        | RequestState::NeedsInput { .. }
        | RequestState::AwaitingApproval { .. }
        | RequestState::Running { .. } => None,
    }
}

fn problem_of(state: &RequestState) -> Option<ProblemDoc> {
    match state {
        RequestState::Failed { problem } | RequestState::Expired { problem } => Some(ProblemDoc {
            code: problem.code,
            detail: problem.detail.clone(),
        }),
        _ => None,
    }
}

fn step_doc(run: &Run, step: &Step) -> Option<StepDoc> {
    let task = run.tasks.values().find(|task| task.does(step.no))?;
    let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
    let host_outcomes: BTreeMap<HostName, HostOutcome> = hosts
        .into_iter()
        .flatten()
        .filter_map(|(host, summary)| Some((host.parse().ok()?, summary.outcome)))
        .collect();
    let changes = step.tier > Tier::Zero && step.verifies.is_none();
    let changed_before = match changes {
        true => changed_before(task.outcome.as_ref()),
        false => BTreeSet::new(),
    };
    let outcome = step_outcome(task);
    let mut parameters = step.parameters.clone();
    for name in &step.secret_parameters {
        if let Some(value) = parameters.get_mut(name) {
            *value = Value::String(MASK.to_owned());
        }
    }
    Some(StepDoc {
        task_id: task.task_id,
        entry: step.entry.clone(),
        title: step.title.clone(),
        tier: step.tier,
        hosts: step.hosts.clone(),
        parameters,
        outcome,
        changed: !changed_before.is_empty()
            || host_outcomes
                .values()
                .any(|outcome| *outcome == HostOutcome::Changed),
        changes_unknown: !uncounted(task, step).is_empty(),
        changed_before,
        said: said_of(run, task.task_id, &redactor(std::slice::from_ref(step))),
        host_outcomes,
        duration_seconds: task
            .outcome
            .as_ref()
            .map_or(0.0, |outcome| outcome.duration_seconds),
        done_before: task
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.done_before),
        evidence: step.verifies.map(|_| evidence(task)),
    })
}

/// What persons said of how a task ended. A question that was closed because it had answered itself is nobody's word.
fn said_of(run: &Run, id: TaskId, redactor: &Redactor) -> Vec<SaidDoc> {
    let about = |decision: &&Decision| {
        matches!(
            decision.kind,
            DecisionKind::Interrupted { task } | DecisionKind::UnknownOutcome { task } if task == id
        )
    };
    let mut answered: Vec<_> = run
        .decisions
        .values()
        .filter(about)
        .filter_map(|decision| match &decision.state {
            DecisionState::Resolved {
                choice,
                by,
                at,
                comment,
            } if SAID.contains(&choice.as_str()) => Some((at, choice, by, comment)),
            _ => None,
        })
        .collect();
    answered.sort_by_key(|(at, ..)| **at);
    let said = answered
        .into_iter()
        .map(|(_, choice, by, comment)| SaidDoc {
            by: by.clone(),
            choice: choice.clone(),
            comment: comment.as_ref().map(|comment| redactor.redact(comment)),
        });
    said.collect()
}

/// The hosts that counted a change and whose outcome is another word.
fn changed_before(outcome: Option<&Outcome>) -> BTreeSet<HostName> {
    let hosts = outcome.into_iter().flat_map(|outcome| &outcome.hosts);
    hosts
        .filter(|(_, host)| host.changed > 0 && host.outcome != HostOutcome::Changed)
        .filter_map(|(host, _)| host.parse().ok())
        .collect()
}

/// What a check found, by host. Redacted by the agent, as all that it reports.
fn evidence(task: &Task) -> BTreeMap<HostName, Map<String, Value>> {
    let hosts = task.outcome.iter().flat_map(|outcome| &outcome.hosts);
    hosts
        .filter_map(|(host, found)| Some((host.parse().ok()?, found.data.clone())))
        .collect()
}

fn step_outcome(task: &Task) -> StepOutcome {
    match &task.state {
        TaskState::Completed => StepOutcome::Completed,
        TaskState::Failed { problem } if problem.code == ErrorCode::OutcomeUnknown => {
            StepOutcome::Unknown
        }
        TaskState::Failed { problem } if problem.code == ErrorCode::Interrupted => {
            StepOutcome::Interrupted
        }
        TaskState::Failed { .. } if task.attempt == 0 => StepOutcome::NotRun,
        TaskState::Failed { .. } => StepOutcome::Failed,
        TaskState::Cancelled if task.attempt > 0 => StepOutcome::Cancelled,
        TaskState::Cancelled => StepOutcome::NotRun,
        TaskState::Open | TaskState::Waiting { .. } | TaskState::Interrupted { .. } => {
            StepOutcome::NotRun
        }
        TaskState::Dispatched { .. }
        | TaskState::Accepted { .. }
        | TaskState::Running { .. }
        | TaskState::Unknown { .. } => StepOutcome::Unknown,
    }
}

/// Strikes the values of secret parameters out of the sentence that may hold them.
pub(crate) fn redactor(steps: &[Step]) -> Redactor {
    let values = steps.iter().flat_map(|step| {
        let secret = step.secret_parameters.iter();
        secret
            .filter_map(|name| step.parameters.get(name))
            .filter_map(Value::as_str)
            .map(str::to_owned)
    });
    Redactor::new(values)
}

#[cfg(test)]
mod tests {
    use chiffon_common::HostSummary;

    use super::*;

    #[test]
    fn a_host_that_failed_or_went_away_after_a_change_was_changed() {
        let words = [
            ("a", HostOutcome::Changed, 1),
            ("b", HostOutcome::Failed, 2),
            ("c", HostOutcome::Unreachable, 1),
            ("d", HostOutcome::Unreachable, 0),
            ("e", HostOutcome::Ok, 0),
        ];
        let hosts = words.map(|(host, outcome, changed)| {
            let summary = HostSummary {
                outcome,
                changed,
                ..HostSummary::default()
            };
            (host.to_owned(), summary)
        });
        let outcome = Outcome {
            hosts: hosts.into(),
            ..Outcome::default()
        };
        let told = changed_before(Some(&outcome));
        let told: Vec<_> = told.iter().map(HostName::as_str).collect();
        assert_eq!(told, ["b", "c"], "of a, its own word says it");
        assert!(changed_before(None).is_empty());
    }
}
