//! What the tests share: a worker with the private Ansible, work to give it, and what came of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use chiffon_agent::{Ended, Progress, Work, Worker};
use chiffon_agent_infra::{Ansible, AnsibleLocator, InfraConfig, InfraWorker, IsolationConfig};
use chiffon_common::{AttemptRef, Bundle, BundleFile, Mode, Parameters, TaskId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const LOCALHOST: &str =
    "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n";

/// Beside the test programs, so that it is installed once.
pub(crate) fn ansible_home() -> PathBuf {
    let debug = supervisor().parent().unwrap().to_owned();
    debug.parent().unwrap().join("test-ansible")
}

/// The private Ansible, whatever else is on the PATH.
pub(crate) fn ansible() -> Ansible {
    static ANSIBLE: OnceLock<Ansible> = OnceLock::new();
    let install = || {
        let search = without_ansible();
        let locator = AnsibleLocator::with_search_path(&ansible_home(), search);
        locator.ensure(&|step| println!("{step}")).unwrap()
    };
    ANSIBLE.get_or_init(install).clone()
}

/// The PATH without the folders in which there is an Ansible.
fn without_ansible() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path);
    std::env::join_paths(folders.filter(|folder| !folder.join("ansible-playbook").exists()))
        .unwrap()
}

pub(crate) fn supervisor() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_chiffon-supervise"))
}

pub(crate) fn worker(home: &Path) -> InfraWorker {
    isolated_worker(home, IsolationConfig::default())
}

pub(crate) fn isolated_worker(home: &Path, isolation: IsolationConfig) -> InfraWorker {
    let config = InfraConfig {
        supervisor: vec![supervisor().into()],
        isolation,
        ..InfraConfig::new(home.to_owned())
    };
    InfraWorker::with_ansible(config, ansible())
}

/// A folder for one test, and the work in it.
pub(crate) struct Room {
    pub(crate) temporary: TempDir,
    pub(crate) work: Work,
    pub(crate) isolation: IsolationConfig,
}

impl Room {
    /// Work that runs these tasks (the lines below `tasks:`, indented by four) on localhost.
    pub(crate) fn new(tasks: &str) -> Self {
        Self::with_inventory(tasks, LOCALHOST, &["localhost"])
    }

    pub(crate) fn with_inventory(tasks: &str, inventory: &str, hosts: &[&str]) -> Self {
        let playbook =
            format!("- name: A test\n  hosts: all\n  gather_facts: false\n  tasks:\n{tasks}");
        Self::with_files(
            &[
                ("playbooks/trial.yml", &playbook),
                ("inventory/hosts.yml", inventory),
            ],
            hosts,
        )
    }

    pub(crate) fn with_files(files: &[(&str, &str)], hosts: &[&str]) -> Self {
        let temporary = tempfile::Builder::new()
            .prefix("chiffon-run-")
            .tempdir()
            .unwrap();
        let mut bundle = Bundle::default();
        for (path, content) in files {
            bundle.insert(path, file(content)).unwrap();
        }
        let task_id = TaskId::from_uuid(Uuid::now_v7());
        let work = Work {
            attempt: AttemptRef {
                task_id,
                attempt: 1,
            },
            action: "trial".parse().unwrap(),
            mode: Mode::Apply,
            hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            parameters: Parameters::new(),
            secret_parameters: Vec::new(),
            digest: bundle.digest(),
            bundle,
            timeout: Duration::from_secs(120),
            folder: temporary.path().join("run"),
        };
        Self {
            temporary,
            work,
            isolation: IsolationConfig::default(),
        }
    }

    /// Adds a file to the bundle.
    pub(crate) fn add(&mut self, path: &str, content: &str) {
        self.work.bundle.insert(path, file(content)).unwrap();
        self.work.digest = self.work.bundle.digest();
    }

    pub(crate) fn parameter(&mut self, name: &str, value: impl Into<Value>) {
        self.work.parameters.insert(name.to_owned(), value.into());
    }

    /// A path in the test's own folder, outside the run's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs to the end.
    pub(crate) async fn run(&self) -> Ended {
        self.run_telling().await.0
    }

    /// Runs to the end, and says what was told on the way.
    pub(crate) async fn run_telling(&self) -> (Ended, Vec<Progress>) {
        self.run_until(CancellationToken::new(), |_| false).await
    }

    /// Runs until a piece of progress meets the condition; then it is stopped.
    pub(crate) async fn run_until(
        &self,
        stop: CancellationToken,
        mut enough: impl FnMut(&Progress) -> bool,
    ) -> (Ended, Vec<Progress>) {
        let worker = isolated_worker(self.temporary.path(), self.isolation.clone());
        let (tell, mut told) = mpsc::channel(1000);
        let run = worker.run(self.work.clone(), tell, stop.clone());
        let mut all = Vec::new();
        let listen = async {
            while let Some(piece) = told.recv().await {
                if enough(&piece) {
                    stop.cancel();
                }
                all.push(piece);
            }
        };
        let (ended, ()) = tokio::join!(run, listen);
        (ended, all)
    }
}

fn file(content: &str) -> BundleFile {
    BundleFile {
        executable: false,
        content: content.as_bytes().to_vec(),
    }
}

/// Whether a line holds the text.
pub(crate) fn tells(piece: &Progress, text: &str) -> bool {
    match piece {
        Progress::Lines(lines) => lines.iter().any(|line| line.contains(text)),
        Progress::Step { message, .. } => message.contains(text),
    }
}

/// As JSON, for a look at everything that leaves a run.
pub(crate) fn everything(ended: &Ended, told: &[Progress]) -> String {
    let hosts = serde_json::to_value(&ended.hosts).unwrap();
    let rest = json!([ended.output, ended.diff, ended.error, hosts]);
    format!("{rest} {told:?}")
}
