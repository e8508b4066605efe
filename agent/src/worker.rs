//! The seam between what every agent does and what one kind of agent can do.
//!
//! The runtime owns journal, seal, messages, time-out and cancellation; a worker only starts one run,
//! tells how it goes, ends it with everything it started, and sweeps up after an earlier life.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use chiffon_common::{
    AgentKind, AttemptRef, Bundle, EntryId, HostName, HostSummary, Mode, Parameters, Problem,
    ResourceMetrics, ResourceUsage, ResultStatus,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One run, already checked against its seal. Content is checked once more by the worker right before the start.
#[derive(Debug, Clone)]
pub struct Work {
    /// Task and attempt; also names the run folder (see [`Work::run_id`]).
    pub attempt: AttemptRef,
    /// The catalogue entry.
    pub action: EntryId,
    /// Check or apply.
    pub mode: Mode,
    /// Hosts, in order.
    pub hosts: Vec<HostName>,
    /// Parameters.
    pub parameters: Parameters,
    /// Names of parameters whose values are secret.
    pub secret_parameters: Vec<String>,
    /// The bundle behind the sealed digest, verified when it was cached.
    pub bundle: Bundle,
    /// The sealed digest, to hold against what is unpacked.
    pub digest: chiffon_common::Digest,
    /// Longest run, counted on the boot clock by the runtime.
    pub timeout: Duration,
    /// A folder of the run's own, made by the runtime, 0700, removed by the runtime afterwards.
    pub folder: PathBuf,
}

impl Work {
    /// A text that marks every process and remote folder of this attempt: `<task uuid>-<attempt>`.
    pub fn run_id(&self) -> String {
        run_id(self.attempt)
    }
}

/// The mark of an attempt: `<task uuid>-<attempt>`.
pub fn run_id(attempt: AttemptRef) -> String {
    format!("{}-{}", attempt.task_id, attempt.attempt)
}

/// How a run goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// New output lines, redacted, without line ends.
    Lines(Vec<String>),
    /// 0 to 100, and what is being done.
    Step {
        /// Per cent.
        percent: u8,
        /// For people, redacted.
        message: String,
    },
}

/// How a run ended, without what the runtime adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// `Completed`, `Failed`, `Cancelled` (everything it started has ended), `Refused` (never began) or `Unknown`.
    pub status: ResultStatus,
    /// The end of the output, redacted, at most 256 KiB.
    pub output: String,
    /// Measured over all of the run's processes.
    pub usage: ResourceUsage,
    /// By host.
    pub hosts: BTreeMap<String, HostSummary>,
    /// What changed.
    pub diff: Option<String>,
    /// Why it did not complete.
    pub error: Option<Problem>,
    /// Which isolation was in force.
    pub isolation: String,
}

/// Why a run is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A person cancelled it.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
    /// The agent goes down and cannot wait.
    ShuttingDown,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// Nothing of the attempt runs any more, here or on its hosts.
    Clean,
    /// Something may still run.
    Uncertain,
}

/// One kind of agent.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> AgentKind;

    /// What it can do, for the heartbeat: tools with versions. May take time at first.
    async fn capabilities(&self) -> BTreeMap<String, String>;

    /// Its host, for the heartbeat; `None` where it does not measure.
    async fn resources(&self) -> Option<ResourceMetrics>;

    /// Runs to the end. Returns only when everything it started has ended, or with `Unknown`. When
    /// `stop` is cancelled it ends the run within 20 s; the runtime then sets the final status from its
    /// own reason. Must not panic; must not block the thread.
    async fn run(
        &self,
        work: Work,
        progress: mpsc::Sender<Progress>,
        stop: CancellationToken,
    ) -> Ended;

    /// Ends everything that an earlier life of the agent left of this attempt, on this machine and on
    /// its hosts; `folder` is its run folder if it still exists (removed by the runtime afterwards).
    async fn sweep(&self, attempt: AttemptRef, folder: Option<PathBuf>) -> Swept;
}
