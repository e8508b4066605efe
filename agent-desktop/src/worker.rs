//! The desktop's side of the seam.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chiffon_agent::{Ended, Progress, Swept, Work, Worker};
use chiffon_common::{
    AgentKind, AttemptRef, ErrorCode, Problem, ResourceMetrics, ResourceUsage, ResultStatus,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::host::{self, Host};

/// Reports its host; takes no work yet.
pub struct DesktopWorker {
    /// `None` where the system gives no figures.
    host: Option<Arc<Mutex<Host>>>,
}

impl DesktopWorker {
    /// Takes a first reading; processor use is counted from here.
    pub fn new() -> Self {
        let host = Host::new()
            .inspect_err(|error| tracing::warn!("the host gives no figures: {error}"))
            .ok();
        Self {
            host: host.map(|host| Arc::new(Mutex::new(host))),
        }
    }
}

impl Default for DesktopWorker {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Worker for DesktopWorker {
    fn kind(&self) -> AgentKind {
        AgentKind::Desktop
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        tokio::task::spawn_blocking(host::describe)
            .await
            .unwrap_or_default()
    }

    async fn resources(&self) -> Option<ResourceMetrics> {
        let host = Arc::clone(self.host.as_ref()?);
        // A dead network mount can hold a reading for ever; then there are no figures, and no queue of
        // threads waiting for it.
        let read = move || Some(host.try_lock().ok()?.read());
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    async fn run(
        &self,
        work: Work,
        _progress: mpsc::Sender<Progress>,
        _stop: CancellationToken,
    ) -> Ended {
        Ended {
            status: ResultStatus::Refused,
            output: String::new(),
            usage: ResourceUsage::default(),
            hosts: BTreeMap::new(),
            diff: None,
            error: Some(Problem::new(
                ErrorCode::NoAgent,
                format!(
                    "this desktop agent takes no host actions, so it did not run {}",
                    work.action
                ),
                "let the infrastructure agent run it: the entry's agent must be `infrastructure`",
            )),
            isolation: String::new(),
        }
    }

    async fn sweep(&self, _attempt: AttemptRef, _folder: Option<PathBuf>) -> Swept {
        // It never starts anything.
        Swept::Clean
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chiffon_common::{Bundle, Mode, Parameters};

    use super::*;

    #[tokio::test]
    async fn every_action_is_refused_with_a_reason() {
        let bundle = Bundle::default();
        let work = Work {
            attempt: AttemptRef {
                task_id: "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
                attempt: 1,
            },
            action: "service_restart".parse().unwrap(),
            mode: Mode::Apply,
            hosts: Vec::new(),
            parameters: Parameters::new(),
            secret_parameters: Vec::new(),
            digest: bundle.digest(),
            bundle,
            timeout: Duration::from_secs(1),
            folder: PathBuf::new(),
        };
        let (progress, _rest) = mpsc::channel(1);
        let ended = DesktopWorker::new()
            .run(work, progress, CancellationToken::new())
            .await;
        assert_eq!(ended.status, ResultStatus::Refused);
        assert_eq!(ended.error.unwrap().code, ErrorCode::NoAgent);
    }

    #[expect(clippy::await_holding_lock, reason = "a held lock is what is tested")]
    #[tokio::test]
    async fn figures_come_and_a_reading_in_progress_gives_none() {
        let worker = DesktopWorker::new();
        assert!(worker.resources().await.unwrap().memory_total > 0);
        let host = Arc::clone(worker.host.as_ref().unwrap());
        let _held = host.lock().unwrap();
        assert_eq!(worker.resources().await, None);
    }
}
