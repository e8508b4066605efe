//! The worker: holds which Ansible runs, and hands each run and each sweep to its module.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use async_trait::async_trait;
use chiffon_agent::{Ended, Progress, Swept, Work, Worker, run_id};
use chiffon_common::{AgentKind, AttemptRef, ErrorCode, Problem, ResourceMetrics};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    ansible::{Ansible, AnsibleLocator},
    isolation::{Isolation, IsolationConfig},
    run::{self, Means},
    sweep,
};

/// Settings of the worker.
#[derive(Debug, Clone)]
pub struct InfraConfig {
    /// The data folder; a private Ansible goes to `ansible/` in it.
    pub home: PathBuf,
    /// Program and first arguments of the supervisor: [`SUPERVISE_ARG`](crate::SUPERVISE_ARG) and one
    /// more argument are added, and the program must hand what follows to [`supervise`](crate::supervise).
    pub supervisor: Vec<OsString>,
    /// The socket of an ssh-agent that runs may use; without it they see none.
    pub ssh_agent: Option<PathBuf>,
    /// How runs are kept from the rest of this machine.
    pub isolation: IsolationConfig,
}

impl InfraConfig {
    /// With this very program as the supervisor, also where its file was replaced meanwhile.
    pub fn new(home: PathBuf) -> Self {
        Self {
            home,
            supervisor: vec!["/proc/self/exe".into()],
            ssh_agent: None,
            isolation: IsolationConfig::default(),
        }
    }
}

/// Runs playbooks.
#[derive(Debug)]
pub struct InfraWorker {
    config: InfraConfig,
    ansible: OnceCell<Ansible>,
    isolation: OnceCell<Isolation>,
}

impl InfraWorker {
    /// Looks for Ansible when it is first needed.
    pub fn new(config: InfraConfig) -> Self {
        Self {
            config,
            ansible: OnceCell::new(),
            isolation: OnceCell::new(),
        }
    }

    /// With an Ansible that was found already.
    pub fn with_ansible(config: InfraConfig, ansible: Ansible) -> Self {
        Self {
            config,
            ansible: OnceCell::new_with(Some(ansible)),
            isolation: OnceCell::new(),
        }
    }

    /// The Ansible that runs, installed on the way if there is none.
    async fn ansible(&self, progress: &mpsc::Sender<Progress>) -> Result<&Ansible, Problem> {
        let locator = AnsibleLocator::new(&self.config.home);
        let progress = progress.clone();
        let ensure = || async move {
            let tell = move |message: &str| {
                let step = Progress::Step {
                    percent: 0,
                    message: message.to_owned(),
                };
                // Who does not listen misses a line about the installation.
                let _not_told = progress.try_send(step);
            };
            let found = tokio::task::spawn_blocking(move || locator.ensure(&tell)).await;
            found.unwrap_or_else(|error| Err(fault(&error.to_string())))
        };
        self.ansible.get_or_try_init(ensure).await
    }

    /// What the host offers, tried once.
    async fn isolation(&self, ansible: &Ansible) -> Result<&Isolation, Problem> {
        let (config, ansible) = (self.config.isolation.clone(), ansible.clone());
        let look = || async move {
            let looked =
                tokio::task::spawn_blocking(move || Isolation::look(config, Some(&ansible)));
            looked.await.map_err(|error| fault(&error.to_string()))
        };
        self.isolation.get_or_try_init(look).await
    }
}

fn fault(why: &str) -> Problem {
    Problem::new(
        ErrorCode::AgentFault,
        format!("Looking for Ansible failed: {why}."),
        "`chiffon doctor` looks for the cause.",
    )
}

#[async_trait]
impl Worker for InfraWorker {
    fn kind(&self) -> AgentKind {
        AgentKind::Infrastructure
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        let found = match self.ansible.get() {
            Some(ansible) => Some(ansible.clone()),
            None => {
                let locator = AnsibleLocator::new(&self.config.home);
                let found = tokio::task::spawn_blocking(move || locator.find()).await;
                let found = found.ok().and_then(Result::ok);
                if let Some(ansible) = &found {
                    // A run may have come first.
                    let _known = self.ansible.set(ansible.clone());
                }
                found
            }
        };
        let mut capabilities = BTreeMap::new();
        if let Some(ansible) = found {
            if let Ok(isolation) = self.isolation(&ansible).await {
                capabilities.insert("isolation".to_owned(), isolation.words());
            }
            capabilities.insert("ansible-core".to_owned(), ansible.version.to_string());
            capabilities.insert("python".to_owned(), ansible.python);
        }
        capabilities
    }

    async fn resources(&self) -> Option<ResourceMetrics> {
        None
    }

    async fn run(
        &self,
        work: Work,
        progress: mpsc::Sender<Progress>,
        stop: CancellationToken,
    ) -> Ended {
        let ansible = tokio::select! {
            found = self.ansible(&progress) => found,
            () = stop.cancelled() => return run::cancelled(),
        };
        let ansible = match ansible {
            Ok(ansible) => ansible.clone(),
            Err(problem) => return run::refused(problem),
        };
        let isolation = match self.isolation(&ansible).await {
            Ok(isolation) => isolation.clone(),
            Err(problem) => return run::refused(problem),
        };
        let means = Means {
            supervisor: self.config.supervisor.clone(),
            ansible,
            ssh_agent: self.config.ssh_agent.clone(),
            isolation,
        };
        run::run(means, work, progress, stop).await
    }

    async fn sweep(&self, attempt: AttemptRef, folder: Option<PathBuf>) -> Swept {
        sweep::sweep(&self.config.supervisor, &run_id(attempt), folder).await
    }
}
