//! The seam's test double: it notes what it was asked, and ends as its script says.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chiffon_agent::{Ended, Progress, Swept, Work, Worker};
use chiffon_common::{AgentKind, AttemptRef, ResourceMetrics, ResourceUsage, ResultStatus};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What a run does.
#[derive(Debug, Clone)]
pub enum Script {
    /// Says these lines and completes.
    Complete(Vec<String>),
    /// Runs until told to stop, then ends with this.
    UntilStopped(ResultStatus),
    /// Panics.
    Panic,
}

pub struct FakeWorker {
    scripts: Mutex<VecDeque<Script>>,
    started: watch::Sender<Vec<AttemptRef>>,
    swept: Mutex<Vec<(AttemptRef, Option<PathBuf>)>>,
    sweeps_as: Swept,
    /// Whoever measures its host panics from now on.
    pub cannot_measure: AtomicBool,
}

impl Default for FakeWorker {
    fn default() -> Self {
        Self {
            scripts: Mutex::default(),
            started: watch::channel(Vec::new()).0,
            swept: Mutex::default(),
            sweeps_as: Swept::Clean,
            cannot_measure: AtomicBool::new(false),
        }
    }
}

impl FakeWorker {
    /// One whose sweeps end like this.
    pub fn sweeping(sweeps_as: Swept) -> Self {
        Self {
            sweeps_as,
            ..Self::default()
        }
    }

    /// The next runs; without one a run completes silently.
    pub fn script(&self, script: Script) {
        self.scripts.lock().unwrap().push_back(script);
    }

    /// Every start so far, in order.
    pub fn started(&self) -> Vec<AttemptRef> {
        self.started.borrow().clone()
    }

    /// Waits for this many starts.
    pub async fn wait_started(&self, count: usize) {
        let mut started = self.started.subscribe();
        let enough = started.wait_for(|started| started.len() >= count);
        tokio::time::timeout(super::PATIENCE, enough)
            .await
            .expect("a run starts")
            .unwrap();
    }

    pub fn swept(&self) -> Vec<(AttemptRef, Option<PathBuf>)> {
        self.swept.lock().unwrap().clone()
    }
}

fn ended(status: ResultStatus, output: String) -> Ended {
    Ended {
        status,
        output,
        usage: ResourceUsage {
            cpu_hours: f64::NAN,
            memory_peak_gb: 0.5,
        },
        hosts: BTreeMap::new(),
        diff: None,
        error: None,
        isolation: "none".to_owned(),
    }
}

#[async_trait]
impl Worker for FakeWorker {
    fn kind(&self) -> AgentKind {
        AgentKind::Infrastructure
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("fake".to_owned(), "1".to_owned())])
    }

    async fn resources(&self) -> Option<ResourceMetrics> {
        let cannot = self.cannot_measure.load(Ordering::Relaxed);
        assert!(!cannot, "the test says so");
        Some(ResourceMetrics {
            cpu_percent: 12.5,
            ..ResourceMetrics::default()
        })
    }

    async fn run(
        &self,
        work: Work,
        progress: mpsc::Sender<Progress>,
        stop: CancellationToken,
    ) -> Ended {
        assert!(work.folder.is_dir(), "the run has its folder");
        assert_eq!(work.bundle.digest(), work.digest);
        self.started
            .send_modify(|started| started.push(work.attempt));
        let script = self.scripts.lock().unwrap().pop_front();
        match script.unwrap_or(Script::Complete(Vec::new())) {
            Script::Complete(lines) => {
                let output = lines.join("\n");
                let _ = progress
                    .send(Progress::Step {
                        percent: 50,
                        message: "half".to_owned(),
                    })
                    .await;
                let _ = progress.send(Progress::Lines(lines)).await;
                ended(ResultStatus::Completed, output)
            }
            Script::UntilStopped(status) => {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                ended(status, String::new())
            }
            Script::Panic => panic!("the script says so"),
        }
    }

    async fn sweep(&self, attempt: AttemptRef, folder: Option<PathBuf>) -> Swept {
        self.swept.lock().unwrap().push((attempt, folder));
        self.sweeps_as
    }
}
