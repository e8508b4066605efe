//! A whole fleet in this process: orchestrator, bus, store and an agent whose worker is a test double at the
//! seam; everything else is the product. Speaks to it as a user does, over HTTP.
//!
//! Part of several suites, each of which brings what only it needs as methods of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chiffon_agent::{Agent, AgentConfig, AgentHandle, Ended, Progress, Swept, Work, Worker};
use chiffon_arbiter::{Policy, Recorded, RunPolicy};
use chiffon_bus::{Bus, MemoryBus};
use chiffon_common::{
    AgentKind, AttemptRef, HostOutcome, HostSummary, Mode, Principal, ResourceMetrics,
    ResourceUsage, ResultStatus, Signer, SshSigner, TrustedKeys,
};
use chiffon_orchestrator::{
    Config, HttpLimits, Orchestrator, Parts, SystemClock,
    catalogue::{Root, Trust, extract_shipped},
};
use chiffon_store::{Sqlite, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest wait for anything; a busy machine needs some of it, a fault all of it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the test double does with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Done at once.
    Complete,
    /// Fails at once.
    Fail,
    /// Runs until it is stopped or [`Double::let_go`] is called.
    Hold,
}

/// The worker at the seam. Records every start: the effect that must never double.
#[derive(Debug)]
pub struct Double {
    pub act: Mutex<Act>,
    pub starts: Mutex<Vec<(AttemptRef, Mode)>>,
    go: Notify,
}

impl Double {
    pub fn new(act: Act) -> Arc<Self> {
        Arc::new(Self {
            act: Mutex::new(act),
            starts: Mutex::default(),
            go: Notify::new(),
        })
    }

    /// Starts of real runs.
    pub fn starts(&self) -> Vec<AttemptRef> {
        let starts = self.starts.lock().unwrap();
        starts
            .iter()
            .filter(|(_, mode)| *mode == Mode::Apply)
            .map(|(attempt, _)| *attempt)
            .collect()
    }

    pub fn let_go(&self) {
        *self.act.lock().unwrap() = Act::Complete;
        self.go.notify_waiters();
    }
}

#[async_trait]
impl Worker for Double {
    fn kind(&self) -> AgentKind {
        AgentKind::Infrastructure
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
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
        self.starts.lock().unwrap().push((work.attempt, work.mode));
        let lines = vec![format!("running {}", work.action)];
        let _nobody = progress.send(Progress::Lines(lines)).await;
        let act = *self.act.lock().unwrap();
        let mut status = match act {
            Act::Complete | Act::Hold => ResultStatus::Completed,
            Act::Fail => ResultStatus::Failed,
        };
        if act == Act::Hold && work.mode == Mode::Apply {
            tokio::select! {
                () = self.go.notified() => {}
                () = stop.cancelled() => status = ResultStatus::Cancelled,
            }
        }
        let summary = HostSummary {
            outcome: HostOutcome::Changed,
            changed: 1,
            ok: 1,
            ..HostSummary::default()
        };
        Ended {
            status,
            output: String::new(),
            usage: ResourceUsage::default(),
            hosts: work
                .hosts
                .iter()
                .map(|host| (host.to_string(), summary.clone()))
                .collect(),
            diff: None,
            error: None,
            isolation: String::new(),
        }
    }

    async fn sweep(&self, _: AttemptRef, _: Option<PathBuf>) -> Swept {
        Swept::Clean
    }
}

/// The machine's clock, set forward or back by the test.
#[derive(Debug, Default)]
pub struct Clock {
    pub seconds: AtomicI64,
}

impl chiffon_orchestrator::Clock for Clock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    fn fresh_id(&self) -> Uuid {
        SystemClock.fresh_id()
    }
}

/// The parts that outlive a crash, and those that do not.
pub struct World {
    pub home: TempDir,
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    pub worker: Arc<Double>,
    pub lifecycles: RunPolicy,
    pub project_tasks: Option<NonZeroU32>,
    /// The rules of the control plane.
    pub control: chiffon_arbiter::Policy,
    /// Who is asked, where the rules leave it to somebody outside.
    pub authorizer: Option<chiffon_orchestrator::Authorizer>,
    pub limits: HttpLimits,
    /// Where the ledger is pushed to.
    pub remote: Option<String>,
    /// Who the token stands for.
    pub principal: Principal,
    pub history_days: u32,
    pub clock: Arc<Clock>,
    /// Of the key that signs the ledger.
    pub ledger_secret: [u8; 32],
    pub orchestrator: Option<Orchestrator>,
    pub agent: Option<AgentHandle>,
    pub client: reqwest::Client,
}

pub const TOKEN: &str = "chf_test";
const SECRET: [u8; 32] = [7; 32];

impl World {
    /// A fleet over this bus, of which nothing runs yet.
    pub fn at_rest(bus: Arc<dyn Bus>, act: Act) -> Self {
        let home = tempfile::tempdir().unwrap();
        extract_shipped(&home.path().join("catalogue")).unwrap();
        let inventory = home.path().join("inventory");
        std::fs::create_dir_all(&inventory).unwrap();
        let hosts = "all:\n  hosts:\n    localhost:\n    nas:\n      ansible_connection: local\n    tower:\n      ansible_connection: local\n";
        std::fs::write(inventory.join("hosts.yml"), hosts).unwrap();
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        Self {
            home,
            store,
            bus,
            worker: Double::new(act),
            lifecycles: RunPolicy::default(),
            project_tasks: None,
            control: chiffon_orchestrator::usual_control(),
            authorizer: None,
            limits: HttpLimits::default(),
            remote: None,
            principal: Principal {
                id: "local:anna".to_owned(),
                kind: "person".to_owned(),
            },
            history_days: 0,
            clock: Arc::default(),
            ledger_secret: SECRET,
            orchestrator: None,
            agent: None,
            client: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .unwrap(),
        }
    }

    /// Starts both processes.
    pub async fn start(mut self) -> Self {
        self.start_orchestrator().await;
        self.start_agent().await;
        self
    }

    /// A running fleet over a plain memory bus.
    pub async fn plain(act: Act) -> Self {
        Self::at_rest(Arc::new(MemoryBus::new()), act).start().await
    }

    pub async fn start_orchestrator(&mut self) {
        let config = Config {
            name: "local".to_owned(),
            home: self.home.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: Vec::new(),
            limits: self.limits.clone(),
            token: TOKEN.to_owned(),
            principal: self.principal.clone(),
            hostname: "testhost".to_owned(),
            user_home: PathBuf::from("/nonexistent"),
            catalogue_roots: vec![Root {
                name: "shipped".to_owned(),
                path: self.home.path().join("catalogue"),
                trust: Trust::Shipped,
            }],
            control: self.control.clone(),
            authorizer: self.authorizer.clone(),
            lifecycles: self.lifecycles.clone(),
            good_for_seconds: 3600,
            history_days: self.history_days,
            stays: true,
            project_tasks: self.project_tasks,
            agents: Vec::new(),
            ledger_remote: self.remote.clone(),
            ledger_key: Some(SshSigner::from_secret(self.ledger_secret)),
            ledger_key_fault: None,
            version: "test".to_owned(),
        };
        let parts = Parts {
            store: Arc::clone(&self.store),
            bus: Arc::clone(&self.bus),
            clock: self.clock.clone(),
            signer: Signer::from_secret(SECRET),
        };
        self.orchestrator = Some(chiffon_orchestrator::start(config, parts).await.unwrap());
    }

    pub async fn start_agent(&mut self) {
        let worker: Arc<dyn Worker> = self.worker.clone();
        self.start_agent_of(worker).await;
    }

    /// An agent whose work this worker does.
    pub async fn start_agent_of(&mut self, worker: Arc<dyn Worker>) {
        let mut keys = TrustedKeys::default();
        keys.trust(Signer::from_secret(SECRET).public());
        let id = "infrastructure".parse().unwrap();
        let config = AgentConfig {
            slots: NonZeroUsize::new(4).unwrap(),
            heartbeat: Duration::from_secs(1),
            memory_folders: Vec::new(),
            ..AgentConfig::new(id, self.home.path().join("agents/infrastructure"), keys)
        };
        let clock = Arc::new(chiffon_agent::SystemClock);
        let started = Agent::start(config, Arc::clone(&self.bus), worker, clock).await;
        self.agent = Some(started.unwrap());
    }

    /// The orchestrator is gone between two durable steps; nothing is told to anybody.
    pub async fn crash_orchestrator(&mut self) {
        if let Some(orchestrator) = self.orchestrator.take() {
            orchestrator.stop(Duration::ZERO).await;
        }
    }

    pub fn url(&self, path: &str) -> String {
        let address = self
            .orchestrator
            .as_ref()
            .expect("no orchestrator runs")
            .address();
        format!("http://{address}{path}")
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let sent = self
            .client
            .get(self.url(path))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let sent = self
            .client
            .post(self.url(path))
            .bearer_auth(TOKEN)
            .json(&body)
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    pub async fn ask(&self, text: &str) -> String {
        let (status, body) = self.post("/request", json!({ "text": text })).await;
        assert_eq!(status, 202, "{body}");
        body["request_id"].as_str().unwrap().to_owned()
    }

    pub async fn show(&self, id: &str) -> Value {
        let (status, body) = self.get(&format!("/request/{id}")).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Follows until the request is in one of these states.
    pub async fn until(&self, id: &str, states: &[&str]) -> Value {
        let wanted = |request: &Value| states.contains(&request["state"].as_str().unwrap());
        self.until_it(id, &format!("state in {states:?}"), wanted)
            .await
    }

    /// Follows until the request is as wanted.
    pub async fn until_it(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let follow = async {
            let mut version = 0;
            loop {
                let (status, body) = self
                    .get(&format!(
                        "/api/v1/requests/{id}/follow?version={version}&after=1000000"
                    ))
                    .await;
                assert_eq!(status, 200, "{body}");
                if wanted(&body["request"]) {
                    return body["request"].clone();
                }
                version = body["version"].as_u64().unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, follow).await {
            Ok(request) => request,
            Err(_) => panic!("{what} was not reached in time: {:#}", self.show(id).await),
        }
    }

    /// Approves what waits.
    pub async fn approve(&self, id: &str) -> (u16, Value) {
        let request = self.until(id, &["awaiting_approval"]).await;
        let digest = request["plan"]["digest"].clone();
        self.post("/approve", json!({ "request_id": id, "digest": digest }))
            .await
    }

    /// Waits until a condition outside the API holds.
    pub async fn wait_for(&self, what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
            "{what} did not happen in time"
        );
    }

    /// Judges again whatever the control plane has judged, from what stands in its records; how many there were.
    pub async fn is_judged_the_same(&self) -> usize {
        let (mut after, mut judged) = (0, 0);
        let mut policies: BTreeMap<String, Policy> = BTreeMap::new();
        loop {
            let (_, page) = self
                .get(&format!("/api/v1/audit?limit=500&after={after}"))
                .await;
            let items = page["items"].as_array().unwrap();
            let Some(last) = items.last() else {
                return judged;
            };
            after = last["seq"].as_u64().unwrap();
            for item in items {
                let data = &item["record"]["entry"]["data"];
                if data["judgement"].is_null() {
                    continue;
                }
                let recorded: Recorded = serde_json::from_value(data["judgement"].clone()).unwrap();
                let rules = recorded.rules.to_string();
                if let Some(policy) = &recorded.policy {
                    policies.insert(rules.clone(), policy.clone());
                }
                let policy = &policies[&rules];
                let again = recorded.again(policy).unwrap().unwrap();
                assert_eq!(again.answer, recorded.led_to.answer, "{item:#}");
                assert_eq!(again.room, recorded.led_to.room, "{item:#}");
                assert_eq!(again.tenant, recorded.led_to.tenant, "{item:#}");
                if let Some(stages) = data.get("stages") {
                    let again = serde_json::to_value(&again.stages).unwrap();
                    assert_eq!(&again, stages, "{item:#}");
                }
                judged += 1;
            }
        }
    }

    /// Chain, seals, rows and ledger hold together, and every request and judgement comes out the same when it is told
    /// again.
    pub async fn holds_together(&self) {
        self.is_judged_the_same().await;
        let (status, report) = self.post("/api/v1/audit/verify", json!({})).await;
        assert_eq!(status, 200, "{report}");
        assert_eq!(report["faults"], json!([]), "{report:#}");
        let (_, page) = self.get("/api/v1/requests?limit=500").await;
        for request in page["items"].as_array().unwrap() {
            let id = request["request_id"].as_str().unwrap();
            let told = self.replay(id).await;
            assert_eq!(told["same"], true, "{told:#}");
        }
    }

    /// A request told again.
    pub async fn replay(&self, id: &str) -> Value {
        let address = format!("/api/v1/requests/{id}/replay");
        let (status, report) = self.post(&address, json!({})).await;
        assert_eq!(status, 200, "{report}");
        report
    }
}
