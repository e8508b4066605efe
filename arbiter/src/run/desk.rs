//! The working copy of a slice: every move goes through here, so that no state changes without a line
//! for the audit record, and none is entered without its timers.

use chiffon_common::{DecisionId, Digest, Frozen, MoveRecord, Problem, StepNo, Subject, TaskId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Context, Decision, DecisionKind, DecisionState, Effect, Gate, Ids, Refusal, Request,
    RequestState, Run, Task, TaskState, TimerKind, TimerName, TimerSubject, may_start,
};

/// Limits of the lifecycles. All durations are positive. A limit that an older record lacks has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunPolicy {
    /// How long planning may take. Default 60 s.
    pub planning: SignedDuration,
    /// How long a question stays open. Default 48 h (document 001).
    pub question: SignedDuration,
    /// How long a task that could start may wait for lease, resources and agent. Default 1 h: as long as
    /// an approval is good.
    pub start: SignedDuration,
    /// How long the agent may take to start what it was sent. Default 5 min.
    pub not_after: SignedDuration,
    /// First wait for an acknowledgement; doubles with each resend. Default 2 s.
    pub ack: SignedDuration,
    /// Longest wait for an acknowledgement. Default 30 s.
    pub ack_longest: SignedDuration,
    /// How often contact is looked at. Default 15 s.
    pub contact: SignedDuration,
    /// Silence after which contact counts as lost. Default 60 s.
    pub silence: SignedDuration,
    /// What an agent may take beyond the time-out to end everything, sweep and report: 20 s and 120 s by
    /// its own limits. Default 3 min.
    pub grace: SignedDuration,
    /// How long the unknown may resolve itself before a person is asked. Default 2 min.
    pub unknown: SignedDuration,
    /// Attempts at most, where the catalogue's `retry` or a failure that passes by itself permits another.
    /// Default 3.
    pub attempts: u32,
    /// Wait before the second attempt after a failure that passes by itself; doubles with each. Default 1 s.
    pub retry: SignedDuration,
    /// The same where nobody sits and waits for the answer, and the cause takes its time: an approved change on a
    /// host that does not answer (it may be starting), a package manager at work. Default 30 s.
    pub retry_change: SignedDuration,
    /// Longest wait between two attempts. Default 5 min.
    pub retry_longest: SignedDuration,
    /// How far clocks may be apart. Default 5 min (R53).
    pub skew: SignedDuration,
    /// Whether only one person is configured, so that tier 2 takes the typed host name.
    pub single_person: bool,
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self {
            planning: SignedDuration::from_secs(60),
            question: SignedDuration::from_hours(48),
            start: SignedDuration::from_hours(1),
            not_after: SignedDuration::from_mins(5),
            ack: SignedDuration::from_secs(2),
            ack_longest: SignedDuration::from_secs(30),
            contact: SignedDuration::from_secs(15),
            silence: SignedDuration::from_secs(60),
            grace: SignedDuration::from_mins(3),
            unknown: SignedDuration::from_mins(2),
            attempts: 3,
            retry: SignedDuration::from_secs(1),
            retry_change: SignedDuration::from_secs(30),
            retry_longest: SignedDuration::from_mins(5),
            skew: SignedDuration::from_mins(5),
            single_person: true,
        }
    }
}

/// How the reason of a request begins while a question about one of its runs is open.
const WAITS: &str = "waits for an answer";

/// What an event leads to. Saved in one transaction with its audit record, then performed.
#[must_use = "a move that is not performed is a lost decision"]
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The slice as it is now.
    pub run: Run,
    /// The moves, for the audit record.
    pub moves: Vec<MoveRecord>,
    /// What follows for the world outside.
    pub effects: Vec<Effect>,
    /// The ids that were used, in order: with them the same event gives the same slice again.
    pub minted: Vec<Uuid>,
}

/// The working copy.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    pub(super) policy: &'a RunPolicy,
    pub(super) rules: Digest,
    /// The slice as the event found it.
    pub(super) before: &'a Run,
    frozen: Option<&'a Frozen>,
    ids: Ids,
    moves: Vec<MoveRecord>,
    effects: Vec<Effect>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(run: &'a Run, context: Context<'a>) -> Self {
        Self {
            run: run.clone(),
            before: run,
            // A clock that is set back brings nothing back to life.
            now: context.now.max(run.latest()),
            policy: context.policy,
            rules: context.rules,
            frozen: context.frozen,
            ids: context.ids,
            moves: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// A task may end, or be given back, by the very event that first asked something of its agent; then
    /// there is nobody to ask any more.
    pub(super) fn finish(mut self) -> Moved {
        self.mark_hosts();
        let Self {
            run,
            moves,
            mut effects,
            ids,
            ..
        } = self;
        effects.retain(|effect| match effect {
            Effect::Dispatch { task }
            | Effect::Query { task }
            | Effect::Cancel { task }
            | Effect::SendBundle { task } => run
                .tasks
                .get(task)
                .is_some_and(|task| task.state.sent().is_some()),
            Effect::SealPreview
            | Effect::Plan
            | Effect::Wake
            | Effect::Record
            | Effect::MarkHosts { .. } => true,
        });
        Moved {
            run,
            moves,
            effects,
            minted: ids.minted(),
        }
    }

    /// The gate before every start.
    pub(super) fn may_start(&self, task: &Task) -> Result<(), Refusal> {
        let gate = Gate {
            now: self.now,
            rules: self.rules,
            frozen: self.frozen,
        };
        may_start(&self.run, task, &gate)
    }

    pub(super) fn push(&mut self, effect: Effect) {
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    pub(super) fn fresh_task_id(&mut self) -> TaskId {
        TaskId::from_uuid(self.ids.next())
    }

    pub(super) fn fresh_decision_id(&mut self) -> DecisionId {
        DecisionId::from_uuid(self.ids.next())
    }

    pub(super) fn set_timer(
        &mut self,
        subject: TimerSubject,
        kind: TimerKind,
        after: SignedDuration,
    ) {
        let due = self.now.checked_add(after).unwrap_or(Timestamp::MAX);
        self.set_timer_at(subject, kind, due);
    }

    pub(super) fn set_timer_at(&mut self, subject: TimerSubject, kind: TimerKind, due: Timestamp) {
        self.run.timers.insert(TimerName { subject, kind }, due);
    }

    pub(super) fn clear_timers(&mut self, subject: TimerSubject) {
        self.run.timers.retain(|name, _| name.subject != subject);
    }

    /// Moves the request. Its timers follow from the state alone.
    pub(super) fn move_request(&mut self, to: RequestState, because: impl Into<String>) {
        let because = because.into();
        let from = Some(self.run.request.state.name().to_owned());
        let kept = to
            .problem()
            .map_or_else(|| because.clone(), kept_of_problem);
        self.record(
            "request",
            self.run.request.request_id.to_string(),
            from,
            to.name(),
            &kept,
        );
        self.clear_timers(TimerSubject::Request);
        match &to {
            RequestState::Received | RequestState::Planning => {
                self.set_timer(
                    TimerSubject::Request,
                    TimerKind::Deadline,
                    self.policy.planning,
                );
            }
            RequestState::Previewing
            | RequestState::NeedsInput { .. }
            | RequestState::AwaitingApproval { .. } => {
                self.set_timer(
                    TimerSubject::Request,
                    TimerKind::Deadline,
                    self.policy.question,
                );
            }
            RequestState::Running { deadline } => {
                self.set_timer_at(TimerSubject::Request, TimerKind::Deadline, *deadline);
                if let Some(unused) = self
                    .run
                    .request
                    .approval
                    .as_ref()
                    .filter(|a| a.used_at.is_none())
                {
                    let due = unused.good_until;
                    self.set_timer_at(TimerSubject::Request, TimerKind::Approval, due);
                }
            }
            RequestState::Completed
            | RequestState::Failed { .. }
            | RequestState::Rejected { .. }
            | RequestState::Expired { .. }
            | RequestState::Cancelled { .. } => {
                // Nothing is planned with them any more.
                self.forget_secrets();
                self.push(Effect::Record);
            }
        }
        let Request {
            state,
            because: why,
            ..
        } = &mut self.run.request;
        *state = to;
        *why = because;
    }

    /// The approval was used: from now on only the run's deadline counts.
    pub(super) fn use_approval(&mut self) {
        if let Some(approval) = &mut self.run.request.approval {
            approval.used_at.get_or_insert(self.now);
            self.run.timers.remove(&TimerName {
                subject: TimerSubject::Request,
                kind: TimerKind::Approval,
            });
        }
    }

    /// Adds a task of the plan.
    pub(super) fn add_task(&mut self, step: StepNo, mode: chiffon_common::Mode) -> TaskId {
        self.add(step, mode, None, "made from the plan")
    }

    /// Adds a task.
    pub(super) fn add(
        &mut self,
        step: StepNo,
        mode: chiffon_common::Mode,
        probes: Option<TaskId>,
        because: &str,
    ) -> TaskId {
        let task_id = self.fresh_task_id();
        let because = because.to_owned();
        self.record(
            "task",
            task_id.to_string(),
            None,
            TaskState::Open.name(),
            &because,
        );
        let task = Task {
            task_id,
            step,
            mode,
            created_at: self.now,
            state: TaskState::Open,
            because,
            attempt: 0,
            seq: 0,
            leases: Vec::new(),
            progress: 0,
            outcome: None,
            started_at: None,
            probes,
            cut_off_before: false,
        };
        self.run.tasks.insert(task_id, task);
        self.arm_task(task_id);
        task_id
    }

    /// Moves a task. Its timers follow from the state alone; a task that has ended holds no lease, and a
    /// question about a state that was left is asked no more.
    pub(super) fn move_task(&mut self, id: TaskId, to: TaskState, because: impl Into<String>) {
        let because = because.into();
        let Some(task) = self.run.tasks.get_mut(&id) else {
            return;
        };
        let from = task.state.name();
        let name = to.name();
        let kept = match &to {
            TaskState::Failed { problem } => kept_of_problem(problem),
            _ => because.clone(),
        };
        if to.ended() {
            task.leases.clear();
        }
        task.state = to;
        task.because.clone_from(&because);
        if from != name {
            self.record("task", id.to_string(), Some(from.to_owned()), name, &kept);
            self.withdraw_questions(id);
        }
        self.arm_task(id);
    }

    /// A line for the audit record on a task that stays where it is.
    pub(super) fn note_task(&mut self, id: TaskId, because: &str) {
        if let Some(task) = self.run.tasks.get_mut(&id) {
            because.clone_into(&mut task.because);
            let name = task.state.name();
            self.record("task", id.to_string(), Some(name.to_owned()), name, because);
        }
    }

    fn withdraw_questions(&mut self, id: TaskId) {
        let about = |kind: &DecisionKind| match kind {
            DecisionKind::Approval { .. } | DecisionKind::Question { .. } => false,
            DecisionKind::Interrupted { task } | DecisionKind::UnknownOutcome { task } => {
                *task == id
            }
        };
        let asked = self.run.tasks.get(&id).and_then(|task| task.state.asked());
        let pending = self
            .run
            .decisions
            .values()
            .filter(|d| !d.state.ended() && about(&d.kind));
        let pending: Vec<_> = pending
            .map(|d| d.decision_id)
            .filter(|d| Some(*d) != asked)
            .collect();
        for decision in pending {
            let to = DecisionState::Resolved {
                choice: "withdrawn".to_owned(),
                by: "chiffon".to_owned(),
                at: self.now,
                comment: None,
            };
            self.move_decision(decision, to, "the agent has told how it goes");
        }
    }

    /// Asks a person.
    pub(super) fn ask(
        &mut self,
        kind: super::DecisionKind,
        question: String,
        options: &[&str],
    ) -> DecisionId {
        let decision_id = self.fresh_decision_id();
        let kept = format!("a person is asked: {}", kind.name());
        self.record("decision", decision_id.to_string(), None, "pending", &kept);
        if !matches!(kind, DecisionKind::Approval { .. }) {
            self.run.request.because = format!("{WAITS}: {question}");
        }
        let deadline = self
            .now
            .checked_add(self.policy.question)
            .unwrap_or(Timestamp::MAX);
        self.set_timer_at(
            TimerSubject::Decision(decision_id),
            TimerKind::Deadline,
            deadline,
        );
        let decision = Decision {
            decision_id,
            kind,
            created_at: self.now,
            deadline,
            question,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            state: DecisionState::Pending,
        };
        self.run.decisions.insert(decision_id, decision);
        decision_id
    }

    /// Moves a decision that is pending; another is left as it is.
    pub(super) fn move_decision(&mut self, id: DecisionId, to: DecisionState, because: &str) {
        let Some(decision) = self.run.decisions.get_mut(&id).filter(|d| !d.state.ended()) else {
            return;
        };
        let name = to.name();
        decision.state = to;
        if self.run.request.because.starts_with(WAITS) {
            self.run.request.because = "goes on".to_owned();
        }
        self.clear_timers(TimerSubject::Decision(id));
        self.record(
            "decision",
            id.to_string(),
            Some("pending".to_owned()),
            name,
            because,
        );
    }

    fn record(&mut self, kind: &str, id: String, from: Option<String>, to: &str, because: &str) {
        self.moves.push(MoveRecord {
            subject: Subject {
                kind: kind.to_owned(),
                id,
            },
            from,
            to: to.to_owned(),
            because: because.to_owned(),
        });
    }
}

/// What the audit keeps of a problem: its words may be a host's, and the chain cannot be cleaned (S70).
fn kept_of_problem(problem: &Problem) -> String {
    format!("error {}: {}", problem.code, problem.code.title())
}
