//! What can happen to a slice, what follows for the world outside, and what is refused.

use std::collections::BTreeMap;

use chiffon_common::{
    AgentId, DecisionId, Digest, Frozen, HostSummary, Incarnation, Plan, Principal, Problem,
    ResourceUsage, ResultStatus, ScheduleId, Standing, StatusKind, TaskId, api::Nearest,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Sent, TimerName, WaitingOn, Wants, Words};

/// What happened. Past tense: an event is never refused for being unwelcome, only for being untrue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The planner took it up.
    PlanningBegan,
    /// The planner is sure.
    Planned {
        /// The plan.
        plan: Box<Plan>,
    },
    /// The planner is not sure.
    AskedBack {
        /// What to ask.
        question: String,
        /// The nearest entries.
        nearest: Vec<Nearest>,
        /// Why.
        problem: Problem,
        /// What would be an answer beside a sentence.
        wants: Wants,
    },
    /// No plan can be made.
    PlanningFailed {
        /// Why.
        problem: Problem,
    },
    /// The check runs changed what a person is to approve: the plan as it is now, with its preview under the digest.
    PreviewSealed {
        /// The plan with its new digest.
        plan: Box<Plan>,
    },
    /// A person answered a question with one of its options.
    Answered(Answered),
    /// A question of the planner was answered in own words.
    Replied(Replied),
    /// A person had answered beforehand, for exactly this plan.
    StandingApproved(StandingApproved),
    /// Such an answer is not to be trusted, so a person is waited for.
    StandingWithheld {
        /// Why.
        because: String,
    },
    /// A person wants it to end.
    CancelAsked {
        /// Who.
        by: Principal,
        /// How long the command was to take that asked for it, where it asks because that time is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit_seconds: Option<u64>,
    },
    /// A task could not be given to an agent yet.
    TaskHeld {
        /// Which.
        task: TaskId,
        /// Why.
        on: WaitingOn,
    },
    /// A task was given to an agent.
    TaskDispatched {
        /// Which.
        task: TaskId,
        /// To whom.
        sent: Sent,
        /// The host leases that are taken in the same transaction.
        leases: Vec<String>,
    },
    /// What would run is no longer what was planned, so it is not given to anybody.
    DispatchRefused {
        /// Which.
        task: TaskId,
        /// Why.
        problem: Problem,
    },
    /// An agent told how it goes.
    Reported(Reported),
    /// An agent told how it ended.
    Ended {
        /// Which.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// The sender's sequence number.
        seq: u64,
        /// The sender.
        agent: AgentId,
        /// The life of its journal.
        incarnation: Incarnation,
        /// How.
        status: ResultStatus,
        /// With what.
        outcome: Box<Outcome>,
        /// Why not.
        problem: Option<Problem>,
    },
    /// The agent that has the task began a new journal: what it had in hand is not known to it.
    JournalLost {
        /// Which.
        task: TaskId,
        /// The new life.
        incarnation: Incarnation,
    },
    /// A person says how a task ended of which nobody else knows it, or whether it is to run again.
    Resolved(Resolved),
    /// A person does not want to wait for the next try of a task.
    RetryNow {
        /// Which.
        task: TaskId,
        /// Who.
        by: Principal,
    },
    /// A timer came due.
    TimerFired {
        /// Which.
        timer: TimerName,
        /// When the agent of the timer's task was last heard of, where that matters.
        heard: Option<Timestamp>,
    },
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The question.
    pub decision: DecisionId,
    /// The answer.
    pub choice: String,
    /// Who.
    pub by: Principal,
    /// The plan that was read, for approvals.
    pub digest: Option<Digest>,
    /// The typed host name.
    pub confirm: Option<String>,
    /// For the record.
    pub comment: Option<String>,
}

/// An answer in own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replied {
    /// The question.
    pub decision: DecisionId,
    /// The words, and what they come to.
    pub words: Words,
    /// Who.
    pub by: Principal,
    /// For the record.
    pub comment: Option<String>,
}

/// A standing approval, as its schedule holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StandingApproved {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// What a person said of it.
    pub standing: Standing,
}

/// A person's word on a task whose outcome is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// Which.
    pub task: TaskId,
    /// `completed`, `failed` or `retry`.
    pub choice: String,
    /// Who.
    pub by: Principal,
    /// For the record.
    pub comment: Option<String>,
}

/// An agent's word on how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Which.
    pub task: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// The sender's sequence number.
    pub seq: u64,
    /// The sender.
    pub agent: AgentId,
    /// The life of its journal.
    pub incarnation: Incarnation,
    /// What it says.
    pub status: StatusKind,
    /// 0 to 100.
    pub progress: u8,
}

/// What an attempt left behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// By host.
    pub hosts: BTreeMap<String, HostSummary>,
    /// What changed, redacted.
    pub diff: Option<String>,
    /// The end of the output, redacted.
    pub output: String,
    /// Wall time in seconds.
    pub duration_seconds: f64,
    /// What it used.
    pub usage: ResourceUsage,
    /// Which isolation was in force.
    pub isolation: String,
    /// When the agent had done this attempt, where it was given to it once more after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_before: Option<Timestamp>,
}

/// What follows for the world outside. Imperative; stored with the moves, done afterwards.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Mint a seal and send the attempt in hand, for the first time or again.
    Dispatch {
        /// The task.
        task: TaskId,
    },
    /// Ask the agent what it knows of the attempt in hand.
    Query {
        /// The task.
        task: TaskId,
    },
    /// Tell the agent to stop the attempt in hand.
    Cancel {
        /// The task.
        task: TaskId,
    },
    /// Send the bundle of the task's step.
    SendBundle {
        /// The task.
        task: TaskId,
    },
    /// The plan and its check runs are complete: give the preview a digest and ask.
    SealPreview,
    /// Make a plan.
    Plan,
    /// Look for tasks that can start.
    Wake,
    /// Record the request in the ledger.
    Record,
    /// A person should look at the hosts of this task, or need not any more.
    MarkHosts {
        /// The task.
        task: TaskId,
        /// Whether to look.
        needs_look: bool,
    },
}

/// Why an event was not taken. A normal answer; nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The request has ended.
    #[error("the request has ended: {0}")]
    AlreadyEnded(&'static str),
    /// It is not in a state in which this can happen.
    #[error("this cannot happen to a request that is {0}")]
    OutOfTurn(&'static str),
    /// There is no such question or task.
    #[error("there is no such {0} in this request")]
    NoSuch(&'static str),
    /// The question was answered or has expired.
    #[error("the question is {0}")]
    DecisionClosed(&'static str),
    /// The answer names another plan.
    #[error("the plan that waits has digest {expected}")]
    WrongDigest {
        /// The one that waits.
        expected: Digest,
    },
    /// The answer is not among the options.
    #[error("the answer must be one of: {}", options.join(", "))]
    InvalidChoice {
        /// The options.
        options: Vec<String>,
    },
    /// Services and agents cannot approve.
    #[error("only a person can answer this")]
    NotAPerson,
    /// The tier wants another person.
    #[error("tier 2 wants the approval of another person than {requester}")]
    OtherPerson {
        /// Who asked.
        requester: String,
    },
    /// The tier wants the typed host name.
    #[error("tier 2 wants the host name typed: {hosts}")]
    TypeHost {
        /// Which.
        hosts: String,
    },
    /// An earlier attempt, an old sequence number, or another agent than has it.
    #[error("the message is old or not from the agent that has the task")]
    Stale,
    /// Nothing to be changed: it is so already.
    #[error("it is so already")]
    Nothing,
    /// How the task ended is known, so nobody has to say it.
    #[error("nothing is open about a task that is {0}")]
    OutcomeKnown(&'static str),
    /// It does not wait for another try.
    #[error("the task does not wait for another try")]
    NoRetry,
    /// No approval permits it.
    #[error("no live approval permits the start")]
    NotApproved,
    /// The stored plan does not fit its digest, or its digest the approval.
    #[error("the stored rows of this request are not those that its records led to")]
    PlanAltered,
    /// The rules are others than those that the plan was made under.
    #[error("the policy has changed since the plan was made")]
    PolicyChanged,
    /// Nothing is started while the fleet is frozen.
    #[error("the fleet is {}", .0.words())]
    Frozen(Frozen),
    /// The question is closed because the request is being ended.
    #[error("the request was cancelled by {by}")]
    Cancelled {
        /// Who.
        by: String,
    },
    /// How it ended may still be said, but it is not run again.
    #[error("it cannot be run again: the request is being cancelled by {by}")]
    NothingStarts {
        /// Who cancels it.
        by: String,
    },
    /// The standing approval is not for this: another plan, another schedule, too late, or a tier that a person
    /// approves each time.
    #[error("the standing approval is not for this plan: {0}")]
    NotStanding(&'static str),
}
