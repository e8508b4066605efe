//! One run around the worker: its folder, its output in batches, its panic. Deadlines and what the end
//! means are left to the core.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chiffon_common::{
    AttemptRef, Bundle, ErrorCode, Problem, ResourceUsage, ResultStatus, WorkRequest,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    clock::Clock,
    core::Event,
    folders::Folders,
    lines::{Batch, Lines},
    worker::{Ended, Progress, Swept, Work, Worker},
};

/// Progress that waits for this task; a worker that says more waits with its output.
const PROGRESS: usize = 64;
/// How often what has come is told.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// Longest sweep; hosts that do not answer make it uncertain, not endless.
const SWEEP: Duration = Duration::from_secs(120);

/// What runs and sweeps need of the agent.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) worker: Arc<dyn Worker>,
    pub(crate) folders: Arc<Folders>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Runner {
    /// Runs to the end and says so. Dropping the future drops the worker's.
    pub(crate) async fn run(
        self,
        request: Box<WorkRequest>,
        bundle: Box<Bundle>,
        stop: CancellationToken,
    ) {
        let attempt = request.attempt;
        let began = self.clock.boot();
        let folders = Arc::clone(&self.folders);
        let made = tokio::task::spawn_blocking(move || folders.make(attempt)).await;
        let event = match made.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            Ok(folder) => match self.work(work(*request, *bundle, folder), stop).await {
                Some(ended) => {
                    self.remove_folder(attempt).await;
                    Event::RunEnded {
                        attempt,
                        ended: Box::new(ended),
                        took: self.took(began),
                    }
                }
                None => Event::RunPanicked { attempt },
            },
            Err(error) => {
                let ended = Box::new(no_folder(&error));
                Event::RunEnded {
                    attempt,
                    ended,
                    took: self.took(began),
                }
            }
        };
        self.tell(event).await;
    }

    fn took(&self, began: Duration) -> Duration {
        self.clock.boot().saturating_sub(began)
    }

    async fn tell(&self, event: Event) {
        // The shell is gone only when the agent is; the journal then knows what is left to do.
        let _ = self.events.send(event).await;
    }

    /// The worker's word; none where it panicked.
    async fn work(&self, work: Work, stop: CancellationToken) -> Option<Ended> {
        let attempt = work.attempt;
        let (sender, mut progress) = mpsc::channel(PROGRESS);
        let worker = Arc::clone(&self.worker);
        let run = async move { worker.run(work, sender, stop).await };
        let mut run = AbortOnDropHandle::new(tokio::spawn(run));
        let mut lines = Lines::default();
        let mut timer = interval(TELL_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                Some(progress) = progress.recv() => self.take(attempt, progress, &mut lines).await,
                _ = timer.tick() => self.pass_on(attempt, lines.take()).await,
                outcome = &mut run => break outcome,
            }
        };
        while let Ok(progress) = progress.try_recv() {
            self.take(attempt, progress, &mut lines).await;
        }
        self.pass_on(attempt, lines.take()).await;
        match outcome {
            Ok(ended) => Some(ended),
            Err(error) => {
                tracing::error!(task.id = %attempt.task_id, attempt = attempt.attempt, "the worker panicked: {error}");
                None
            }
        }
    }

    async fn take(&self, attempt: AttemptRef, progress: Progress, lines: &mut Lines) {
        match progress {
            Progress::Step { percent, message } => lines.step(percent, message),
            Progress::Lines(new) => {
                for line in new {
                    let full = lines.push(line, self.clock.boot());
                    self.pass_on(attempt, full).await;
                }
            }
        }
    }

    async fn pass_on(&self, attempt: AttemptRef, batch: Option<Batch>) {
        if let Some(Batch {
            percent,
            message,
            lines,
        }) = batch
        {
            self.tell(Event::Progressed {
                attempt,
                percent,
                message,
                lines,
            })
            .await;
        }
    }

    /// Ends what an attempt has left behind, then removes its folder.
    pub(crate) async fn sweep(self, attempt: AttemptRef) {
        let swept = self.sweep_quietly(attempt).await;
        self.tell(Event::Swept { attempt, swept }).await;
    }

    /// The same for an attempt that the journal does not know.
    pub(crate) async fn sweep_quietly(&self, attempt: AttemptRef) -> Swept {
        let folder = self.folders.find(attempt);
        let worker = Arc::clone(&self.worker);
        chiffon_failpoint::hit!("agent.sweep.before");
        let sweep = async move { worker.sweep(attempt, folder).await };
        let sweep = AbortOnDropHandle::new(tokio::spawn(sweep));
        let swept = match timeout(SWEEP, sweep).await {
            Ok(Ok(swept)) => swept,
            Ok(Err(error)) => {
                tracing::error!(task.id = %attempt.task_id, "sweeping panicked: {error}");
                Swept::Uncertain
            }
            Err(_) => Swept::Uncertain,
        };
        chiffon_failpoint::hit!("agent.sweep.after");
        self.remove_folder(attempt).await;
        swept
    }

    async fn remove_folder(&self, attempt: AttemptRef) {
        let folders = Arc::clone(&self.folders);
        // A failure is logged there; a panic has nobody else to tell.
        let _ = tokio::task::spawn_blocking(move || folders.remove(attempt)).await;
    }
}

fn work(request: WorkRequest, bundle: Bundle, folder: PathBuf) -> Work {
    Work {
        attempt: request.attempt,
        action: request.action,
        mode: request.mode,
        hosts: request.hosts,
        parameters: request.parameters,
        secret_parameters: request.secret_parameters,
        bundle,
        digest: request.bundle,
        timeout: Duration::from_secs(request.timeout_seconds),
        folder,
    }
}

fn no_folder(error: &std::io::Error) -> Ended {
    Ended {
        status: ResultStatus::Refused,
        output: String::new(),
        usage: ResourceUsage::default(),
        hosts: std::collections::BTreeMap::new(),
        diff: None,
        error: Some(Problem::new(
            ErrorCode::AgentFault,
            format!("the run's folder cannot be made: {error}"),
            "see that the agent's home and memory folder can be written, then try again",
        )),
        isolation: String::new(),
    }
}
