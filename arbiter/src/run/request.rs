//! How a request moves by itself: planning, preview, cancellation, its deadlines.

use chiffon_common::{ErrorCode, Fidelity, Mode, Plan, Principal, Problem, Redactor, Tier};
use jiff::{SignedDuration, Timestamp};

use super::{
    Cancelling, DecisionKind, DecisionState, Effect, Refusal, RequestState, TaskState, TimerKind,
    WaitingOn,
    desk::Desk,
    gate::{is_intact, turned_away},
};

/// How many steps, and hosts of a step, are named where there is one line.
const NAMED: usize = 8;

impl Desk<'_> {
    pub(super) fn planning_began(&mut self) -> Result<(), Refusal> {
        match self.run.request.state {
            RequestState::Received => {
                self.move_request(RequestState::Planning, "the planner took it up");
                Ok(())
            }
            RequestState::Planning => Err(Refusal::Nothing),
            _ => Err(self.out_of_turn()),
        }
    }

    pub(super) fn planned(&mut self, plan: Plan) -> Result<(), Refusal> {
        self.must_be_planning()?;
        let because = in_short(&plan);
        let tier = plan.tier;
        // From here on the sentence is kept and shown without what turned out to be secret in it.
        self.redact_words(&secrets_of(&plan));
        let previewable: Vec<_> = plan
            .steps
            .iter()
            .filter(|step| {
                // What a check afterwards would find before the work is done tells nothing.
                tier > Tier::Zero
                    && step.verifies.is_none()
                    && matches!(step.fidelity, Fidelity::Exact | Fidelity::Simulated)
            })
            .map(|step| step.no)
            .collect();
        self.take_plan(plan);
        if tier == Tier::Zero {
            self.start_running(&format!(
                "{because}; it only reads, so it needs no approval"
            ));
        } else if previewable.is_empty() {
            self.ask_for_approval(&because);
        } else {
            self.move_request(RequestState::Previewing, because);
            for step in previewable {
                self.add_task(step, Mode::Check);
            }
            self.push(Effect::Wake);
        }
        Ok(())
    }

    fn take_plan(&mut self, plan: Plan) {
        self.run.request.planned = Some(plan.digest);
        self.run.plan = Some(plan);
    }

    pub(super) fn planning_failed(&mut self, problem: Problem) -> Result<(), Refusal> {
        self.must_be_planning()?;
        let because = problem.detail.clone();
        self.move_request(RequestState::Failed { problem }, because);
        Ok(())
    }

    /// The preview is complete and under the digest: now a person may be asked.
    pub(super) fn preview_sealed(&mut self, plan: Plan) -> Result<(), Refusal> {
        let complete = self.run.tasks.values().all(|task| task.state.ended());
        if !matches!(self.run.request.state, RequestState::Previewing) || !complete {
            return Err(self.out_of_turn());
        }
        // A plan that somebody has edited meanwhile gets no new digest over the edit.
        let intact = self
            .run
            .plan
            .as_ref()
            .map(|planned| is_intact(&self.run, planned, self.rules));
        if let Some(problem) = intact.and_then(|intact| turned_away(&intact.err()?)) {
            let because = problem.detail.clone();
            self.move_request(RequestState::Failed { problem }, because);
            return Ok(());
        }
        let exact = plan
            .steps
            .iter()
            .filter(|step| step.verifies.is_none())
            .all(|step| step.fidelity == Fidelity::Exact);
        let changes = |task: &super::Task| {
            let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
            task.state != TaskState::Completed
                || hosts.is_none_or(|hosts| hosts.values().any(|host| host.changed > 0))
        };
        let already_so = exact && !self.run.tasks.values().any(changes);
        let because = in_short(&plan);
        self.take_plan(plan);
        if already_so {
            self.move_request(
                RequestState::Completed,
                "it is so already on every host; nothing was to be done",
            );
        } else {
            self.ask_for_approval(&because);
        }
        Ok(())
    }

    fn ask_for_approval(&mut self, because: &str) {
        let Some(plan) = &self.run.plan else { return };
        let mut hosts: Vec<_> = plan
            .steps
            .iter()
            .flat_map(|step| step.hosts.clone())
            .collect();
        hosts.sort();
        hosts.dedup();
        let titles = plan.steps.iter().map(|step| step.title.as_str());
        let question = format!("May this run? {}", first_of(titles, "; ", "steps"));
        let kind = DecisionKind::Approval {
            digest: plan.digest,
            tier: plan.tier,
            hosts,
        };
        let decision = self.ask(kind, question, &["approve", "reject"]);
        self.move_request(RequestState::AwaitingApproval { decision }, because);
    }

    /// What holds up what waits, in words.
    fn held_up_by(&self) -> Option<String> {
        let words = |task: &super::Task| match &task.state {
            TaskState::Waiting {
                on: WaitingOn::Freeze { words },
            } => Some(format!("the fleet was {words}")),
            TaskState::Waiting {
                on: WaitingOn::Ledger { words },
            } => Some(words.clone()),
            _ => None,
        };
        self.run.tasks.values().find_map(words)
    }

    fn waits_for_a_person(&self) -> bool {
        self.run
            .tasks
            .values()
            .any(|task| task.state.asked().is_some())
    }

    /// A person said "again": what is left gets as long as the whole had.
    pub(super) fn extend_deadline(&mut self) {
        let Some(later) = self.run_deadline() else {
            return;
        };
        if let RequestState::Running { deadline } = &mut self.run.request.state {
            *deadline = later.max(*deadline);
            let due = *deadline;
            self.set_timer_at(super::TimerSubject::Request, TimerKind::Deadline, due);
        }
    }

    /// Every step may wait its turn, run to its time-out and be tried again.
    fn run_deadline(&self) -> Option<Timestamp> {
        let steps = &self.run.plan.as_ref()?.steps;
        let seconds = steps
            .iter()
            .map(|step| step.timeout_seconds)
            .fold(0, u64::saturating_add);
        let seconds = i64::try_from(seconds)
            .unwrap_or(i64::MAX / 8)
            .saturating_mul(i64::from(self.policy.attempts));
        let waits = self
            .policy
            .start
            .saturating_mul(i32::try_from(steps.len()).unwrap_or(i32::MAX));
        let limit = waits.saturating_add(SignedDuration::from_secs(seconds));
        Some(self.now.checked_add(limit).unwrap_or(Timestamp::MAX))
    }

    /// The request runs: its tasks come into being and may start until the deadline.
    pub(super) fn start_running(&mut self, because: &str) {
        let Some(plan) = &self.run.plan else { return };
        let steps: Vec<_> = plan.steps.iter().map(|step| step.no).collect();
        let Some(deadline) = self.run_deadline() else {
            return;
        };
        self.move_request(RequestState::Running { deadline }, because);
        for step in steps {
            self.add_task(step, Mode::Apply);
        }
        self.push(Effect::Wake);
    }

    pub(super) fn cancel_asked(
        &mut self,
        by: &Principal,
        limit_seconds: Option<u64>,
    ) -> Result<(), Refusal> {
        let request = &mut self.run.request;
        // Asked for twice is asked for once, also where the first time has come to its end.
        if matches!(request.state, RequestState::Cancelled { .. }) {
            return Err(Refusal::Nothing);
        }
        if request.state.ended() {
            return Err(Refusal::AlreadyEnded(request.state.name()));
        }
        if request.cancelling.is_some() {
            return Err(Refusal::Nothing);
        }
        let cancelling = Cancelling {
            by: by.id.clone(),
            at: self.now,
            limit_seconds,
        };
        let (words, because) = (cancelling.words(), cancelling.because());
        request.cancelling = Some(cancelling);
        self.close_questions(&by.id, "cancelled");
        match self.run.request.state {
            RequestState::Previewing | RequestState::Running { .. } => self.stop_tasks(because),
            _ => {
                let to = RequestState::Cancelled { by: by.id.clone() };
                self.move_request(to, words);
            }
        }
        Ok(())
    }

    /// Ends what has not begun and tells the agents to stop what has.
    pub(super) fn stop_tasks(&mut self, because: &str) {
        let open: Vec<_> = self
            .run
            .tasks
            .values()
            .filter(|task| !task.state.ended())
            .cloned()
            .collect();
        for task in open {
            match task.state {
                TaskState::Open | TaskState::Waiting { .. } => {
                    self.move_task(task.task_id, TaskState::Cancelled, because);
                }
                TaskState::Interrupted { .. } => {
                    let open = self.open_words(task.task_id, TaskState::Cancelled);
                    let because = format!("cut off after it had begun; {because}{open}");
                    self.move_task(task.task_id, TaskState::Cancelled, because);
                }
                // What an agent may have is over only when the agent says so.
                _ => self.push(Effect::Cancel { task: task.task_id }),
            }
        }
    }

    pub(super) fn close_questions(&mut self, by: &str, choice: &str) {
        let pending: Vec<_> = self
            .run
            .decisions
            .values()
            .filter(|d| !d.state.ended())
            .map(|d| (d.decision_id, d.kind.clone()))
            .collect();
        for (id, kind) in pending {
            // Whether an unknown run took effect is still open after a cancellation.
            if matches!(kind, DecisionKind::UnknownOutcome { .. }) {
                continue;
            }
            let to = DecisionState::Resolved {
                choice: choice.to_owned(),
                by: by.to_owned(),
                at: self.now,
                comment: None,
            };
            self.move_decision(id, to, "no longer needed");
        }
    }

    pub(super) fn request_timer(&mut self, kind: TimerKind) -> Result<(), Refusal> {
        match (kind, self.run.request.state.clone()) {
            (TimerKind::Deadline, RequestState::Received | RequestState::Planning) => {
                let problem = Problem::new(
                    ErrorCode::Internal,
                    "no plan was made in time",
                    "ask again; if it happens twice, look at the log of the orchestrator",
                );
                self.move_request(RequestState::Failed { problem }, "no plan was made in time");
            }
            (TimerKind::Deadline, RequestState::NeedsInput { .. }) => self.question_unanswered(),
            (TimerKind::Deadline, RequestState::AwaitingApproval { .. }) => {
                self.expire("nobody answered in time");
            }
            // A question stays open as long as it says, whatever the run's own deadline.
            (TimerKind::Deadline, RequestState::Running { .. }) if self.waits_for_a_person() => {
                self.set_timer(
                    super::TimerSubject::Request,
                    TimerKind::Deadline,
                    self.policy.grace,
                );
            }
            (TimerKind::Deadline, RequestState::Previewing | RequestState::Running { .. }) => {
                self.stop_tasks("the run's deadline has passed");
                // Looked at again until every agent has said how its part ended.
                self.set_timer(
                    super::TimerSubject::Request,
                    TimerKind::Deadline,
                    self.policy.grace,
                );
            }
            (TimerKind::Approval, RequestState::Running { .. }) => {
                let mut why = "the approval was not used in time".to_owned();
                if let Some(words) = self.held_up_by() {
                    why += &format!(": {words}");
                }
                self.stop_tasks(&why);
                self.expire(&why);
            }
            _ => return Err(Refusal::Nothing),
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, why: &str) {
        self.time_out_questions();
        self.close_questions("chiffon", "expired");
        let problem = Problem::new(
            ErrorCode::ApprovalExpired,
            why,
            "ask again: a new plan needs a new approval",
        );
        self.move_request(RequestState::Expired { problem }, why);
    }

    pub(super) fn must_be_planning(&mut self) -> Result<(), Refusal> {
        match self.run.request.state {
            RequestState::Received => {
                self.move_request(RequestState::Planning, "the planner took it up");
                Ok(())
            }
            RequestState::Planning => Ok(()),
            _ => Err(self.out_of_turn()),
        }
    }

    pub(super) fn out_of_turn(&self) -> Refusal {
        let state = &self.run.request.state;
        if state.ended() {
            Refusal::AlreadyEnded(state.name())
        } else {
            Refusal::OutOfTurn(state.name())
        }
    }
}

/// A plan without anybody's words: entries, hosts, digest. The plan itself tells more of a long one.
fn in_short(plan: &Plan) -> String {
    let step = |step: &chiffon_common::Step| {
        let hosts = step.hosts.iter().map(chiffon_common::HostName::as_str);
        format!("{} on {}", step.entry, first_of(hosts, ", ", "hosts"))
    };
    let steps = plan.steps.iter().map(step);
    format!(
        "planned {}; digest {}",
        first_of(steps, "; ", "steps"),
        plan.digest.short()
    )
}

/// The first of many, and how many more there are.
pub(super) fn first_of<T: AsRef<str>>(
    all: impl ExactSizeIterator<Item = T>,
    between: &str,
    what: &str,
) -> String {
    let count = all.len();
    let mut shown = String::new();
    for (n, one) in all.take(NAMED).enumerate() {
        if n > 0 {
            shown += between;
        }
        shown += one.as_ref();
    }
    match count.saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}{between}and {more} more {what}"),
    }
}

/// Strikes out the values of the plan's secret parameters.
pub fn secrets_of(plan: &Plan) -> Redactor {
    let values = plan.steps.iter().flat_map(|step| {
        let secret = step.secret_parameters.iter();
        secret
            .filter_map(|name| step.parameters.get(name))
            .filter_map(serde_json::Value::as_str)
    });
    Redactor::new(values)
}
