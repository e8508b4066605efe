//! The payloads of the bus (DESIGN section 6; document 004, section 4).
//!
//! Adding a message: 1. its type in [`MessageType`], 2. its payload here, 3. its arm in [`Payload`]
//! (three matches), 4. its golden example in docs/protocol.md.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    AgentId, BootId, Digest, EntryId, Event, HostName, Incarnation, MessageType, Parameters,
    ResourcesRequired, Seal, TaskId,
};

/// Which kind of agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AgentKind {
    /// Runs Ansible.
    Infrastructure,
    /// Reports its host and does host work.
    Desktop,
    /// Writes code.
    Code,
    /// An LLM bound to a provider.
    Llm,
}

/// Whether a run may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Check mode with diff.
    Check,
    /// The real run.
    Apply,
}

/// One try of a task. The number is the fencing token: a lower one never wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptRef {
    /// The task.
    pub task_id: TaskId,
    /// From 1.
    pub attempt: u32,
}

/// Orchestrator to agent: do this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkRequest {
    /// Which kind of agent it is for.
    pub agent_type: AgentKind,
    /// Task and attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The catalogue entry.
    pub action: EntryId,
    /// Checked parameters.
    pub parameters: Parameters,
    /// What the step needs of the agent's host.
    pub resources_required: ResourcesRequired,
    /// Check or apply.
    pub mode: Mode,
    /// Where.
    pub hosts: Vec<HostName>,
    /// Playbook tree and resolved inventory.
    pub bundle: Digest,
    /// Longest run in seconds on the agent's boot clock.
    pub timeout_seconds: u64,
    /// Must not start after this, by the orchestrator's clock.
    pub not_after: Timestamp,
    /// Parameters whose values are secret, for the redactor.
    #[serde(default)]
    pub secret_parameters: Vec<String>,
    /// What was approved, signed.
    pub seal: Seal,
}

/// Orchestrator to agent: a piece of the bundle behind a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundlePiece {
    /// The agent it is for.
    pub agent: AgentId,
    /// The digest of the whole.
    pub digest: Digest,
    /// From 0.
    pub piece: u32,
    /// How many there are.
    pub pieces: u32,
    /// Base64 of at most 512 KiB of [`crate::Bundle::to_bytes`].
    pub data: String,
}

/// Orchestrator to agent: stop it. One that comes before its request is kept until `not_after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkCancel {
    /// Task and attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The agent it is for.
    pub agent: AgentId,
    /// How long it is kept.
    pub not_after: Timestamp,
    /// Why, for the log.
    pub reason: String,
}

/// Orchestrator to agent: what do you know of it?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkQuery {
    /// Task and attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The agent it is for.
    pub agent: AgentId,
}

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusKind {
    /// In the agent's journal; it will run unless it is refused.
    Accepted,
    /// Accepted, but the bundle is missing here: send it.
    NeedsBundle,
    /// Running.
    Running,
    /// The answer to a query about an attempt that this journal has never seen.
    NeverSeen,
}

/// Agent to orchestrator: how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkStatus {
    /// Task and attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The sender.
    pub agent: AgentId,
    /// The life of the sender's journal.
    pub incarnation: Incarnation,
    /// Rises within an attempt; a receiver drops what is not higher than what it has.
    pub seq: u64,
    /// What it says.
    pub status: StatusKind,
    /// 0 to 100.
    pub progress: u8,
    /// For people.
    pub message: String,
    /// Of the agent's host: `cpu` in per cent, `memory` in MiB.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// New output lines, redacted.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// Done, and verified where the entry names a check.
    Completed,
    /// Not done; the reason is in `error`.
    Failed,
    /// Stopped because it was cancelled; everything it started has ended.
    Cancelled,
    /// It had begun and its process died; everything it started has ended. Whether it took effect is open.
    Interrupted,
    /// It never began: seal, attempt, time or content were refused.
    Refused,
    /// It was stopped, but not everything it started could be ended, or how it ended cannot be known.
    Unknown,
}

/// Agent to orchestrator: the end of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkResult {
    /// Task and attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The sender.
    pub agent: AgentId,
    /// The life of the sender's journal.
    pub incarnation: Incarnation,
    /// Higher than every status of the attempt.
    pub seq: u64,
    /// How it ended.
    pub status: ResultStatus,
    /// The end of the output, redacted, at most 256 KiB.
    pub output: String,
    /// Wall time of the run in seconds.
    pub duration_seconds: f64,
    /// Measured over all of the run's processes.
    pub resource_usage: ResourceUsage,
    /// One entry a host.
    #[serde(default)]
    pub hosts: BTreeMap<String, HostSummary>,
    /// What changed, as a unified diff, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Why it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<crate::Problem>,
    /// Which isolation was in force, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub isolation: String,
    /// When it had ended, by the agent's clock, where the attempt was given once more after that: the result is told again,
    /// and nothing was run for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_before: Option<Timestamp>,
}

/// What a run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResourceUsage {
    /// Processor time of all its processes, in hours.
    pub cpu_hours: f64,
    /// Highest sum of resident memory of all its processes at one time, in GiB.
    pub memory_peak_gb: f64,
}

/// How it went on one host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostSummary {
    /// The word for it.
    pub outcome: HostOutcome,
    /// Tasks that found nothing to do or did it.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Tasks left out.
    pub skipped: u32,
    /// Why it failed, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the playbook answers to a person, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The same for programs, redacted.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Map<String, Value>,
}

/// The word for how it went on a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HostOutcome {
    /// Everything was as asked already.
    Ok,
    /// Something was changed.
    Changed,
    /// A task failed.
    Failed,
    /// The host did not answer.
    Unreachable,
    /// The run was cut off or stopped before its last count: what else it changed there is not known.
    CutOff,
    /// The run ended before this host had its turn.
    #[default]
    NotReached,
}

/// Agent to orchestrator: alive, and what it has in hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The sender.
    pub agent: AgentId,
    /// Its kind.
    pub kind: AgentKind,
    /// Version of its program.
    pub version: String,
    /// The life of its journal.
    pub incarnation: Incarnation,
    /// This start of its process.
    pub boot: BootId,
    /// What it can do: entries, tools with versions.
    pub capabilities: BTreeMap<String, String>,
    /// How many runs it takes at once.
    pub slots: u32,
    /// Attempts accepted or running.
    pub running: Vec<AttemptRef>,
    /// Its host; absent where it does not measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceMetrics>,
    /// Seconds until the next one at the latest.
    pub interval_seconds: u32,
    /// It takes no new work and will be gone.
    #[serde(default)]
    pub draining: bool,
}

/// A host's state. Sizes are in bytes, loads are plain numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResourceMetrics {
    /// Host name as the kernel gives it.
    pub hostname: String,
    /// Per cent of all cores together, 0 to 100.
    pub cpu_percent: f64,
    /// Number of logical cores.
    pub cpu_cores: u32,
    /// Load average over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory in all.
    pub memory_total: u64,
    /// Memory that programs could still have.
    pub memory_available: u64,
    /// Swap in all.
    pub swap_total: u64,
    /// Swap in use.
    pub swap_used: u64,
    /// Real filesystems.
    pub disks: Vec<DiskMetrics>,
}

/// One filesystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskMetrics {
    /// Where it is mounted.
    pub mount: String,
    /// Its type.
    pub filesystem: String,
    /// Size in bytes.
    pub total: u64,
    /// Bytes that an ordinary user could still write.
    pub available: u64,
}

/// Any to any: something was wrong with a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// 5001 to 5999.
    pub code: u16,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// What an agent's journal knows of an attempt; for queries.
#[derive(Debug, Clone, PartialEq)]
pub enum Knowledge {
    /// The last status sent.
    Status(WorkStatus),
    /// It has ended.
    Result(Box<WorkResult>),
    /// Nothing.
    NeverSeen,
}

/// A payload of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// See [`Event`].
    Request(Box<Event>),
    /// See [`WorkRequest`].
    WorkRequest(Box<WorkRequest>),
    /// See [`BundlePiece`].
    Bundle(BundlePiece),
    /// See [`WorkCancel`].
    WorkCancel(WorkCancel),
    /// See [`WorkQuery`].
    WorkQuery(WorkQuery),
    /// See [`WorkStatus`].
    WorkStatus(WorkStatus),
    /// See [`WorkResult`].
    WorkResult(Box<WorkResult>),
    /// See [`Heartbeat`].
    Heartbeat(Box<Heartbeat>),
    /// See [`ErrorMessage`].
    Error(ErrorMessage),
}

impl Payload {
    /// Its type on the wire.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Request(_) => MessageType::Request,
            Self::WorkRequest(_) => MessageType::WorkRequest,
            Self::Bundle(_) => MessageType::Bundle,
            Self::WorkCancel(_) => MessageType::WorkCancel,
            Self::WorkQuery(_) => MessageType::WorkQuery,
            Self::WorkStatus(_) => MessageType::WorkStatus,
            Self::WorkResult(_) => MessageType::WorkResult,
            Self::Heartbeat(_) => MessageType::Heartbeat,
            Self::Error(_) => MessageType::Error,
        }
    }

    pub(crate) fn to_value(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Request(payload) => serde_json::to_value(payload),
            Self::WorkRequest(payload) => serde_json::to_value(payload),
            Self::Bundle(payload) => serde_json::to_value(payload),
            Self::WorkCancel(payload) => serde_json::to_value(payload),
            Self::WorkQuery(payload) => serde_json::to_value(payload),
            Self::WorkStatus(payload) => serde_json::to_value(payload),
            Self::WorkResult(payload) => serde_json::to_value(payload),
            Self::Heartbeat(payload) => serde_json::to_value(payload),
            Self::Error(payload) => serde_json::to_value(payload),
        }
    }

    pub(crate) fn from_value(kind: MessageType, value: Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            MessageType::Request => Self::Request(serde_json::from_value(value)?),
            MessageType::WorkRequest => Self::WorkRequest(serde_json::from_value(value)?),
            MessageType::Bundle => Self::Bundle(serde_json::from_value(value)?),
            MessageType::WorkCancel => Self::WorkCancel(serde_json::from_value(value)?),
            MessageType::WorkQuery => Self::WorkQuery(serde_json::from_value(value)?),
            MessageType::WorkStatus => Self::WorkStatus(serde_json::from_value(value)?),
            MessageType::WorkResult => Self::WorkResult(serde_json::from_value(value)?),
            MessageType::Heartbeat => Self::Heartbeat(serde_json::from_value(value)?),
            MessageType::Error => Self::Error(serde_json::from_value(value)?),
        })
    }
}
