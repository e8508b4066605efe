//! An orchestrator in miniature and a worker that does what the test says: the two ends between which
//! the agent is tested.

mod orchestrator;
mod worker;

pub use orchestrator::{Heard, Orchestrator, work};
pub use worker::{FakeWorker, Script};

use std::{path::Path, sync::Arc, time::Duration};

use chiffon_agent::{Agent, AgentConfig, AgentHandle, SystemClock};
use chiffon_bus::Bus;
use chiffon_common::{ErrorCode, WorkResult};

/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Starts an agent on a home, with a fast pulse and its run folders below the home.
pub async fn start(
    home: &Path,
    orchestrator: &Orchestrator,
    worker: &Arc<FakeWorker>,
) -> AgentHandle {
    start_on(Arc::clone(&orchestrator.bus), home, orchestrator, worker).await
}

/// The same on another bus.
pub async fn start_on(
    bus: Arc<dyn Bus>,
    home: &Path,
    orchestrator: &Orchestrator,
    worker: &Arc<FakeWorker>,
) -> AgentHandle {
    let config = config(home, orchestrator);
    let worker = Arc::clone(worker) as Arc<_>;
    let handle = Agent::start(config, bus, worker, Arc::new(SystemClock))
        .await
        .expect("the agent starts");
    orchestrator.learn_incarnation(handle.incarnation());
    handle
}

/// Why a result is no success.
pub fn code(result: &WorkResult) -> Option<ErrorCode> {
    result.error.as_ref().map(|error| error.code)
}

/// Its settings.
pub fn config(home: &Path, orchestrator: &Orchestrator) -> AgentConfig {
    AgentConfig {
        heartbeat: Duration::from_millis(200),
        memory_folders: Vec::new(),
        ..AgentConfig::new(
            orchestrator.agent.clone(),
            home.to_owned(),
            orchestrator.trusted(),
        )
    }
}
