//! Slices as people and programs see them: the bodies of the HTTP API.

use chiffon_arbiter::{
    Decision, DecisionKind, DecisionState, RequestState, Round, Run, Task, TaskState, WaitingOn,
    Wants, secrets_of,
};
use chiffon_common::{
    HostName, Mode, Plan, Problem, ResourceUsage, Undo,
    api::{DecisionView, RequestView, RoundView, TaskView},
};
use jiff::Timestamp;
use serde_json::Value;

use super::reasons::waiting_words;

/// What an undo says until the run that it takes back has an id.
const RUN_ID: &str = "{chiffon_run_id}";

/// Hosts that are named in what a question is about; the plan names all.
const CONTEXT_HOSTS: usize = 8;

/// What stands in place of a secret value.
pub(crate) const MASK: &str = "[secret]";

/// A slice, whole.
pub(crate) fn request_view(
    run: &Run,
    updated_at: Timestamp,
    ledger_commit: Option<String>,
) -> RequestView {
    let mut tasks: Vec<_> = run.tasks.values().collect();
    tasks.sort_by_key(|task| (task.mode == Mode::Apply, task.step));
    let mut decisions: Vec<_> = run.decisions.values().collect();
    decisions.sort_by_key(|decision| (decision.created_at, decision.decision_id));
    RequestView {
        plan: run.plan.as_ref().map(|plan| shown_plan(run, plan)),
        tasks: tasks
            .into_iter()
            .filter_map(|task| task_view(run, task))
            .collect(),
        decisions: decisions
            .into_iter()
            .map(|decision| decision_view(run, decision))
            .collect(),
        rounds: run.request.rounds.iter().map(round_view).collect(),
        ledger_commit,
        ..request_line(run, updated_at)
    }
}

/// A slice in a list.
pub(crate) fn request_line(run: &Run, updated_at: Timestamp) -> RequestView {
    let request = &run.request;
    let (problem, nearest) = match &request.state {
        RequestState::Failed { problem } | RequestState::Expired { problem } => {
            (Some(problem.clone()), Vec::new())
        }
        RequestState::NeedsInput {
            problem, nearest, ..
        } => (Some(problem.clone()), nearest.clone()),
        _ => (None, Vec::new()),
    };
    let cancelling = request
        .cancelling
        .as_ref()
        .filter(|_| !request.state.ended());
    RequestView {
        request_id: request.request_id,
        project_id: request.project_id.clone(),
        room_id: request.room_id.clone(),
        requester: request.requester.id.clone(),
        text: request.text.clone(),
        rounds: Vec::new(),
        retry_of: request.retry_of,
        undo_of: request.undo_of.map(|undoing| undoing.request),
        undone_by: None,
        schedule: request.schedule.clone(),
        state: request.state.name().to_owned(),
        ended: request.state.ended(),
        waits_for_person: waits_for_person(run),
        stands_still: None,
        because: cancelling.map_or_else(
            || request.because.clone(),
            |cancelling| format!("being {}", cancelling.words()),
        ),
        problem,
        created_at: request.created_at,
        updated_at,
        plan: None,
        warnings: Vec::new(),
        tasks: Vec::new(),
        decisions: Vec::new(),
        nearest,
        ledger_commit: None,
    }
}

fn round_view(round: &Round) -> RoundView {
    RoundView {
        decision_id: round.decision,
        question: round.question.clone(),
        answer: round.words.text.clone(),
        by: round.by.clone(),
        at: round.at,
    }
}

/// Whether a person is asked for something. In a list only what the request's own state says is known.
fn waits_for_person(run: &Run) -> bool {
    let asks = |decision: &Decision| !decision.state.ended();
    match &run.request.state {
        RequestState::NeedsInput { .. } | RequestState::AwaitingApproval { .. } => true,
        _ => run.decisions.values().any(asks),
    }
}

/// Secret values are never shown; the digest is over the real ones. Where a step has a task, its undo
/// says the id under which the run keeps what is needed.
pub(crate) fn shown_plan(run: &Run, plan: &Plan) -> Plan {
    let secrets = secrets_of(plan);
    let mut plan = plan.clone();
    plan.because = secrets.redact(&plan.because);
    for step in &mut plan.steps {
        step.title = secrets.redact(&step.title);
        if let Undo::Entry { parameters, .. } = &mut step.undo {
            *parameters = secrets.redact_map(parameters);
        }
        let task = run.tasks.values().find(|task| task.does(step.no));
        if let (Undo::Entry { parameters, .. }, Some(task)) = (&mut step.undo, task) {
            for value in parameters.values_mut().filter(|value| *value == RUN_ID) {
                *value = Value::String(task.task_id.to_string());
            }
        }
        for name in &step.secret_parameters {
            if let Some(value) = step.parameters.get_mut(name) {
                *value = Value::String(MASK.to_owned());
            }
        }
    }
    plan
}

/// One task of a slice; nothing where the slice has no step for it.
pub(crate) fn task_view(run: &Run, task: &Task) -> Option<TaskView> {
    let step = run.plan.as_ref()?.steps.get(task.step as usize)?;
    let outcome = task.outcome.as_ref();
    // Of a run that was cut off and found again nothing was measured.
    let measured = outcome.filter(|one| one.duration_seconds > 0.0 || !one.hosts.is_empty());
    Some(TaskView {
        task_id: task.task_id,
        request_id: run.request.request_id,
        step: task.step,
        title: match task.probes.and_then(|probed| run.tasks.get(&probed)) {
            Some(probed) => format!("{} (looks how step {} ended)", step.title, probed.step + 1),
            None => step.title.clone(),
        },
        probes: task.probes,
        entry: step.entry.clone(),
        mode: if task.mode == Mode::Check {
            "check"
        } else {
            "apply"
        }
        .to_owned(),
        state: task.state.name().to_owned(),
        bead_state: task.state.bead_name().to_owned(),
        because: waiting_words(task).unwrap_or_else(|| task.because.clone()),
        tries_again_at: match &task.state {
            TaskState::Waiting {
                on: WaitingOn::Retry { at, .. },
            } => Some(*at),
            _ => None,
        },
        created_at: task.created_at,
        attempt: task.attempt,
        cut_off_before: task.cut_off_before,
        agent: task.state.sent().map(|sent| sent.agent.clone()),
        progress: task.progress,
        hosts: outcome
            .map(|outcome| outcome.hosts.clone())
            .unwrap_or_default(),
        diff: outcome.and_then(|outcome| outcome.diff.clone()),
        problem: task_problem(task),
        duration_seconds: measured.map(|outcome| outcome.duration_seconds),
        // Nothing runs without memory: where the one that measures was killed, nothing is known.
        resource_usage: measured
            .map(|outcome| outcome.usage)
            .filter(|usage| *usage != ResourceUsage::default()),
        isolation: outcome
            .map(|outcome| outcome.isolation.clone())
            .unwrap_or_default(),
        done_before: outcome.and_then(|outcome| outcome.done_before),
    })
}

fn task_problem(task: &Task) -> Option<Problem> {
    match &task.state {
        TaskState::Failed { problem } => Some(problem.clone()),
        _ => None,
    }
}

/// One question of a slice.
pub(crate) fn decision_view(run: &Run, decision: &Decision) -> DecisionView {
    let (digest, tier) = match &decision.kind {
        DecisionKind::Approval { digest, tier, .. } => (Some(*digest), Some(*tier)),
        _ => (None, None),
    };
    let (nearest, missing) = match &decision.kind {
        DecisionKind::Question { nearest, wants } => (nearest.clone(), missing(wants)),
        _ => (Vec::new(), Vec::new()),
    };
    let is_question = matches!(decision.kind, DecisionKind::Question { .. });
    let default_choice = decision.options.last().filter(|_| !is_question).cloned();
    let (resolved_at, resolved_by, choice, comment) = match &decision.state {
        DecisionState::Resolved {
            choice,
            by,
            at,
            comment,
        } => (
            Some(*at),
            Some(by.clone()),
            Some(choice.clone()),
            comment.clone(),
        ),
        DecisionState::TimedOut { at } => (Some(*at), None, None, None),
        DecisionState::Pending => (None, None, None, None),
    };
    let rounds = &run.request.rounds;
    let round = rounds
        .iter()
        .find(|round| round.decision == decision.decision_id);
    // A question may repeat words that turned out to be secret only later.
    let question = match &run.plan {
        Some(plan) => secrets_of(plan).redact(&decision.question),
        None => decision.question.clone(),
    };
    DecisionView {
        decision_id: decision.decision_id,
        request_id: run.request.request_id,
        project_id: run.request.project_id.clone(),
        kind: decision.kind.name().to_owned(),
        state: decision.state.name().to_owned(),
        requester: run.request.requester.id.clone(),
        question,
        context: context(run, &decision.kind),
        options: decision.options.clone(),
        takes_text: is_question,
        default_choice,
        nearest,
        missing,
        digest,
        tier,
        created_at: decision.created_at,
        deadline: decision.deadline,
        resolved_at,
        resolved_by,
        choice,
        text: round.map(|round| round.words.text.clone()),
        comment,
    }
}

fn missing(wants: &Wants) -> Vec<String> {
    match wants {
        Wants::Parameters { missing, .. } => missing.clone(),
        Wants::Sentence | Wants::Hosts => Vec::new(),
    }
}

/// What a question is about, in words.
fn context(run: &Run, kind: &DecisionKind) -> String {
    let task = match kind {
        DecisionKind::Approval { .. } | DecisionKind::Question { .. } => None,
        DecisionKind::Interrupted { task } | DecisionKind::UnknownOutcome { task } => {
            run.tasks.get(task).and_then(|task| task_view(run, task))
        }
    };
    let steps = run.plan.iter().flat_map(|plan| &plan.steps);
    task.map_or_else(
        || run.request.text.clone(),
        |task| {
            let hosts = steps.filter(|step| step.no == task.step);
            let hosts: Vec<&str> = hosts
                .flat_map(|step| &step.hosts)
                .map(HostName::as_str)
                .take(CONTEXT_HOSTS)
                .collect();
            let (step, attempt) = (task.step + 1, task.attempt);
            format!(
                "step {step}: {} on {} (attempt {attempt})",
                task.title,
                hosts.join(", ")
            )
        },
    )
}
