//! A worker whose changes a test steers one by one: when each ends, and how. What only reads ends at once.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chiffon_agent::{Ended, Progress, Swept, Work, Worker};
use chiffon_common::{
    AgentKind, AttemptRef, HostOutcome, HostSummary, Mode, Problem, ResourceMetrics, ResourceUsage,
    ResultStatus,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// One run of a change, as its worker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub attempt: AttemptRef,
    /// `path` of `write_file`; the name of the entry otherwise.
    pub name: String,
    pub hosts: Vec<String>,
}

/// How a run ends.
#[derive(Debug, Clone)]
pub struct How {
    pub status: ResultStatus,
    pub outcome: HostOutcome,
    pub changed: u32,
    pub problem: Option<Problem>,
}

impl How {
    pub fn done() -> Self {
        Self {
            status: ResultStatus::Completed,
            outcome: HostOutcome::Changed,
            changed: 1,
            problem: None,
        }
    }

    /// Failed with this code, and nothing was changed.
    pub fn failed(code: chiffon_common::ErrorCode, outcome: HostOutcome) -> Self {
        Self {
            status: ResultStatus::Failed,
            outcome,
            changed: 0,
            problem: Some(Problem::new(code, "the words of a host", "look at it")),
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    /// Those that run now.
    inside: Vec<Run>,
    /// All that began, in order, each with those that ran at that moment.
    begun: Vec<(Run, Vec<Run>)>,
    /// By name: how its runs end, the next first. What has no line runs until it gets one.
    scripts: BTreeMap<String, Vec<How>>,
    /// Hosts that have not come to their last count when a run is stopped.
    cut_off: BTreeSet<String>,
}

/// Runs that end when and how the test says.
#[derive(Debug)]
pub struct Crew {
    book: watch::Sender<Arc<Mutex<Book>>>,
}

impl Crew {
    pub fn new() -> Arc<Self> {
        let (book, _) = watch::channel(Arc::default());
        Arc::new(Self { book })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        let found = look(&mut self.book.borrow().lock().unwrap());
        self.book.send_modify(|_| {});
        found
    }

    /// The next run of this name ends like this, now or when it comes.
    pub fn end(&self, name: &str, how: How) {
        self.with(|book| book.scripts.entry(name.to_owned()).or_default().push(how));
    }

    /// A run that is stopped is cut off on this host.
    pub fn cut_off_on(&self, host: &str) {
        self.with(|book| book.cut_off.insert(host.to_owned()));
    }

    fn is_cut_off_on(&self, host: &str) -> bool {
        self.book.borrow().lock().unwrap().cut_off.contains(host)
    }

    /// Runs of changes that have begun, in order, each with those that ran then.
    pub fn begun(&self) -> Vec<(Run, Vec<Run>)> {
        self.book.borrow().lock().unwrap().begun.clone()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.begun().into_iter().map(|(run, _)| run.name).collect()
    }

    /// Runs of changes under way.
    pub fn inside(&self) -> Vec<Run> {
        self.book.borrow().lock().unwrap().inside.clone()
    }

    async fn script(&self, name: &str) -> How {
        let mut news = self.book.subscribe();
        loop {
            let how = {
                let book = news.borrow_and_update().clone();
                let mut book = book.lock().unwrap();
                let lines = book.scripts.get_mut(name).filter(|lines| !lines.is_empty());
                lines.map(|lines| lines.remove(0))
            };
            match how {
                Some(how) => return how,
                None => news.changed().await.unwrap(),
            }
        }
    }
}

fn name_of(work: &Work) -> String {
    let path = work.parameters.get("path").and_then(|path| path.as_str());
    path.map_or_else(|| work.action.to_string(), str::to_owned)
}

#[async_trait]
impl Worker for Crew {
    fn kind(&self) -> AgentKind {
        AgentKind::Infrastructure
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    async fn resources(&self) -> Option<ResourceMetrics> {
        None
    }

    async fn run(&self, work: Work, _: mpsc::Sender<Progress>, stop: CancellationToken) -> Ended {
        let run = Run {
            attempt: work.attempt,
            name: name_of(&work),
            hosts: work.hosts.iter().map(ToString::to_string).collect(),
        };
        let how = if work.mode == Mode::Check || work.action.as_str() == "ping" {
            How::done()
        } else {
            self.with(|book| {
                let others = book.inside.clone();
                book.begun.push((run.clone(), others));
                book.inside.push(run.clone());
            });
            let how = tokio::select! {
                how = self.script(&run.name) => how,
                () = stop.cancelled() => How { status: ResultStatus::Cancelled, ..How::done() },
            };
            self.with(|book| book.inside.retain(|other| other.attempt != run.attempt));
            how
        };
        let summary = HostSummary {
            outcome: how.outcome,
            changed: how.changed,
            ..HostSummary::default()
        };
        let hosts = run.hosts.into_iter().map(|host| {
            let mut summary = summary.clone();
            if how.status == ResultStatus::Cancelled && self.is_cut_off_on(&host) {
                summary.outcome = HostOutcome::CutOff;
            }
            (host, summary)
        });
        Ended {
            status: how.status,
            output: String::new(),
            usage: ResourceUsage::default(),
            hosts: hosts.collect(),
            diff: None,
            error: how.problem,
            isolation: String::new(),
        }
    }

    async fn sweep(&self, _: AttemptRef, _: Option<PathBuf>) -> Swept {
        Swept::Clean
    }
}
