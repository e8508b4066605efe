//! The slice: one request with its plan, tasks, decisions and timers. Data only; moves are elsewhere.

use std::collections::BTreeMap;

use chiffon_common::{
    AgentId, DecisionId, Digest, EntryCall, EventId, Incarnation, Mode, Plan, Principal, Problem,
    ProjectId, RequestId, RoomId, ScheduleId, Scheduled, StepNo, TaskId, TenantId, TraceId,
    Undoing, api::Nearest,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Outcome, Round, TimerName, WaitingOn};

/// Everything of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The request.
    pub request: Request,
    /// Its plan.
    pub plan: Option<Plan>,
    /// Its tasks.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Its questions.
    pub decisions: BTreeMap<DecisionId, Decision>,
    /// When what is to be looked at again.
    pub timers: BTreeMap<TimerName, Timestamp>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub request_id: RequestId,
    /// Owner.
    pub tenant_id: TenantId,
    /// Group.
    pub project_id: ProjectId,
    /// Conversation.
    pub room_id: RoomId,
    /// The event it came from.
    pub event_id: EventId,
    /// Correlation.
    pub trace_id: TraceId,
    /// Who asked.
    pub requester: Principal,
    /// The sentence.
    pub text: String,
    /// The entry it names, where no sentence has to be understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<EntryCall>,
    /// The request that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RequestId>,
    /// What was asked back and answered, in order: with the sentence, the words that led to the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// The request that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<Undoing>,
    /// The schedule that asked, where nobody did by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Scheduled>,
    /// When it came.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: RequestState,
    /// Why it stands there, for people.
    pub because: String,
    /// A person wants it to end.
    pub cancelling: Option<Cancelling>,
    /// Digest of the plan that was made for it: a plan edited with its digest is found out by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Digest>,
    /// The approval, once given.
    pub approval: Option<Approval>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum RequestState {
    /// Stored; nothing was done yet.
    Received,
    /// A plan is being made.
    Planning,
    /// Check runs are under way.
    Previewing,
    /// It asks back.
    NeedsInput {
        /// What it asks.
        question: String,
        /// The nearest entries.
        nearest: Vec<Nearest>,
        /// Why it could not plan.
        problem: Problem,
        /// The question as a decision; none where an earlier version asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<DecisionId>,
    },
    /// A person is asked.
    AwaitingApproval {
        /// The question.
        decision: DecisionId,
    },
    /// Steps may start.
    Running {
        /// No step starts after this.
        deadline: Timestamp,
    },
    /// Done.
    Completed,
    /// Not done.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// A person said no.
    Rejected {
        /// Who.
        by: String,
    },
    /// Nobody answered in time, or the approval was not used in time.
    Expired {
        /// Why.
        problem: Problem,
    },
    /// A person ended it.
    Cancelled {
        /// Who.
        by: String,
    },
}

impl RequestState {
    /// Its name, as it stands in database, API and audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Planning => "planning",
            Self::Previewing => "previewing",
            Self::NeedsInput { .. } => "needs_input",
            Self::AwaitingApproval { .. } => "awaiting_approval",
            Self::Running { .. } => "running",
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Expired { .. } => "expired",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// What went wrong, where something did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::NeedsInput { problem, .. }
            | Self::Failed { problem }
            | Self::Expired { problem } => Some(problem),
            Self::Received
            | Self::Planning
            | Self::Previewing
            | Self::AwaitingApproval { .. }
            | Self::Running { .. }
            | Self::Completed
            | Self::Rejected { .. }
            | Self::Cancelled { .. } => None,
        }
    }

    /// Whether nothing moves it any more.
    pub fn ended(&self) -> bool {
        match self {
            Self::Received
            | Self::Planning
            | Self::Previewing
            | Self::NeedsInput { .. }
            | Self::AwaitingApproval { .. }
            | Self::Running { .. } => false,
            Self::Completed
            | Self::Failed { .. }
            | Self::Rejected { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. } => true,
        }
    }
}

/// A person wants the request to end, or had set a time for it that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelling {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// How long the command was to take, where it is that time that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
}

impl Cancelling {
    /// Why its tasks are stopped.
    pub(super) fn because(&self) -> &'static str {
        match self.limit_seconds {
            None => "a person cancelled the request",
            Some(_) => "the time limit of the command was over",
        }
    }

    /// By whom, and why where that is known: `cancelled by ...`.
    pub fn words(&self) -> String {
        let by = &self.by;
        match self.limit_seconds {
            None => format!("cancelled by {by}"),
            Some(limit) => {
                format!("cancelled by the command of {by}, whose time limit of {limit} s was over")
            }
        }
    }
}

/// An approval: one run of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The question it answers.
    pub decision: DecisionId,
    /// Who gave it.
    pub approver: String,
    /// The plan it is bound to.
    pub digest: Digest,
    /// When it was given.
    pub at: Timestamp,
    /// The first step must have started by then.
    pub good_until: Timestamp,
    /// When the first step started: from then on it belongs to this run.
    pub used_at: Option<Timestamp>,
    /// The schedule whose standing approval it comes from, where the approver did not answer this very question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<ScheduleId>,
}

/// A task: one step at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub task_id: TaskId,
    /// The step it does.
    pub step: StepNo,
    /// Check or apply.
    pub mode: Mode,
    /// When it came into being.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: TaskState,
    /// Why it stands there, for people.
    pub because: String,
    /// The attempt in hand; 0 before the first.
    pub attempt: u32,
    /// The highest sequence number heard in this attempt.
    pub seq: u64,
    /// The host leases it holds.
    pub leases: Vec<String>,
    /// 0 to 100.
    pub progress: u8,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// When the attempt in hand was first heard to run.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// The task whose open end it looks at, where it is a probe: then it is not its step's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<TaskId>,
    /// An attempt before the one in hand had begun and was cut off or lost: what that one changed, nobody has counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off_before: bool,
}

impl Task {
    /// Whether it is the one that does this step of the plan: no check run, and no probe.
    pub fn does(&self, step: StepNo) -> bool {
        self.step == step && self.mode == Mode::Apply && self.probes.is_none()
    }
}

/// To whom an attempt was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The agent.
    pub agent: AgentId,
    /// The life of its journal.
    pub incarnation: Incarnation,
    /// It must not start after this.
    pub not_after: Timestamp,
    /// How often it was sent.
    pub sends: u32,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum TaskState {
    /// Made.
    Open,
    /// It could start but for this.
    Waiting {
        /// What it waits for.
        on: WaitingOn,
    },
    /// Given to an agent that has not answered.
    Dispatched {
        /// To whom.
        sent: Sent,
    },
    /// In the agent's journal.
    Accepted {
        /// By whom.
        sent: Sent,
    },
    /// Running.
    Running {
        /// Where.
        sent: Sent,
        /// Since when.
        since: Timestamp,
    },
    /// Contact lost: how it goes or ended is open.
    Unknown {
        /// Who had it.
        sent: Sent,
        /// Since when.
        since: Timestamp,
        /// The question to a person, once asked.
        asked: Option<DecisionId>,
    },
    /// It began and was cut off; everything it started has ended.
    Interrupted {
        /// The question to a person.
        asked: DecisionId,
    },
    /// Done.
    Completed,
    /// Not done.
    Failed {
        /// Why.
        problem: Problem,
    },
    /// Ended by a person, or because a step before it failed.
    Cancelled,
}

impl TaskState {
    /// Its name, as it stands in database, API and audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting { .. } => "waiting",
            Self::Dispatched { .. } => "dispatched",
            Self::Accepted { .. } => "accepted",
            Self::Running { .. } => "running",
            Self::Unknown { .. } => "unknown",
            Self::Interrupted { .. } => "interrupted",
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing moves it any more.
    pub fn ended(&self) -> bool {
        match self {
            Self::Open
            | Self::Waiting { .. }
            | Self::Dispatched { .. }
            | Self::Accepted { .. }
            | Self::Running { .. }
            | Self::Unknown { .. }
            | Self::Interrupted { .. } => false,
            Self::Completed | Self::Failed { .. } | Self::Cancelled => true,
        }
    }

    /// The word that work-item users know it by (document 001).
    pub fn bead_name(&self) -> &'static str {
        bead_state(self.name())
    }

    /// The question that is asked about it.
    pub fn asked(&self) -> Option<DecisionId> {
        match self {
            Self::Unknown { asked, .. } => *asked,
            Self::Interrupted { asked } => Some(*asked),
            Self::Open
            | Self::Waiting { .. }
            | Self::Dispatched { .. }
            | Self::Accepted { .. }
            | Self::Running { .. }
            | Self::Completed
            | Self::Failed { .. }
            | Self::Cancelled => None,
        }
    }

    /// To whom the attempt in hand was given, while that agent may still have it.
    pub fn sent(&self) -> Option<&Sent> {
        match self {
            Self::Dispatched { sent }
            | Self::Accepted { sent }
            | Self::Running { sent, .. }
            | Self::Unknown { sent, .. } => Some(sent),
            Self::Open
            | Self::Waiting { .. }
            | Self::Interrupted { .. }
            | Self::Completed
            | Self::Failed { .. }
            | Self::Cancelled => None,
        }
    }
}

/// The word that work-item users know a task's state by (document 001); for records, which hold names only.
pub fn bead_state(state: &str) -> &'static str {
    match state {
        "open" => "open",
        "dispatched" | "accepted" | "running" => "in_progress",
        "completed" | "failed" | "cancelled" => "closed",
        // Waiting, unknown, interrupted, and whatever a later version adds that does not move.
        _ => "blocked",
    }
}
