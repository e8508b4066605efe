//! Tasks: one step at work each (a bead in the Arbiter documents).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AgentId, EntryId, HostSummary, Problem, RequestId, ResourceUsage, TaskId};

/// One task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// Its id.
    pub task_id: TaskId,
    /// The request it belongs to.
    pub request_id: RequestId,
    /// The step it does.
    pub step: u32,
    /// For people.
    pub title: String,
    /// The task whose open end it looks at, where it is a check that runs for that and out of its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<TaskId>,
    /// The entry.
    pub entry: EntryId,
    /// `check` or `apply`.
    pub mode: String,
    /// `open`, `waiting`, `dispatched`, `accepted`, `running`, `unknown`, `completed`, `failed`, `cancelled`, `interrupted`.
    pub state: String,
    /// The work-item word for it: `open`, `in_progress`, `blocked`, `closed`.
    pub bead_state: String,
    /// Why it is in this state, or what it waits for, for people.
    pub because: String,
    /// When it is tried again by itself, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries_again_at: Option<Timestamp>,
    /// When it came.
    pub created_at: Timestamp,
    /// The attempt in hand, from 1; 0 before the first.
    pub attempt: u32,
    /// Whether an attempt before it had begun and was cut off or lost: what that one changed is counted nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_off_before: bool,
    /// The agent that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// 0 to 100.
    pub progress: u8,
    /// By host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, HostSummary>,
    /// What changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Wall time of the run in seconds, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// What it used, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<ResourceUsage>,
    /// Which isolation was in force.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub isolation: String,
    /// When the agent had done this attempt, where it was given to it once more after that: nothing was run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_before: Option<Timestamp>,
}
