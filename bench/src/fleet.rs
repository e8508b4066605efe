//! Tasks a second of the whole embedded fleet, from the request over HTTP to the committed result, with a worker that
//! does nothing; and how long one takes when nothing else is under way. Beside it, in the same run, a bare loop over
//! SQLite that commits four small rows a task, each for good.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use chiffon_agent::{Agent, AgentConfig, AgentHandle, Ended, Progress, Swept, Work, Worker};
use chiffon_arbiter::RunPolicy;
use chiffon_bus::{Bus, MemoryBus};
use chiffon_common::{
    AgentKind, AttemptRef, HostOutcome, HostSummary, Principal, ResourceMetrics, ResourceUsage,
    ResultStatus, Signer, SshSigner, TrustedKeys,
};
use chiffon_orchestrator::{
    Config, HttpLimits, Orchestrator, Parts, SystemClock,
    catalogue::{Root, Trust, extract_shipped},
};
use chiffon_store::{Options, Sqlite, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    store::bare_commits,
    table::{median, milliseconds, quantile, row},
};

/// Requests under way at once.
const UNDER_WAY: u32 = 64;
/// Requests one after the other, for the latency.
const ALONE: usize = 100;
const HOSTS: u32 = 50;
const TOKEN: &str = "chf_bench";
const SECRET: [u8; 32] = [7; 32];

pub(crate) async fn measure(tasks: u32) -> anyhow::Result<()> {
    let folder = crate::on_disk()?;
    let fleet = Arc::new(Fleet::start(folder.path()).await?);
    for number in 0..20 {
        fleet.one(number).await?;
    }
    let mut alone = Vec::new();
    for number in 0..ALONE {
        let begun = Instant::now();
        fleet.one(number as u32).await?;
        alone.push(milliseconds(begun.elapsed()));
    }
    let begun = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..UNDER_WAY {
        let fleet = Arc::clone(&fleet);
        clients.spawn(async move {
            for number in (client..tasks).step_by(UNDER_WAY as usize) {
                fleet.one(number).await?;
            }
            anyhow::Ok(())
        });
    }
    for ended in clients.join_all().await {
        ended?;
    }
    let rate = f64::from(tasks) / begun.elapsed().as_secs_f64();
    let caught_up = fleet.until_recorded().await?;
    let path = folder.path().join("bare.db");
    let time = Duration::from_secs(3);
    let bare = tokio::task::spawn_blocking(move || bare_commits(&path, time)).await?? / 4.0;
    fleet.stop().await;
    row(
        &format!("embedded fleet, tasks a second, {UNDER_WAY} under way"),
        &format!(
            "{rate:.0} ({tasks} tasks; ledger {:.1} s behind at the end)",
            caught_up.as_secs_f64()
        ),
        &format!("bare SQLite, four commits a task: {bare:.0}"),
        &format!("{:.2}", rate / bare),
        "none (with RabbitMQ and Postgres: 5 times Celery)",
    );
    row(
        "latency of one task, idle fleet",
        &format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            median(&mut alone),
            quantile(&mut alone, 0.99)
        ),
        "the goal",
        &format!("{:.2}", median(&mut alone) / 5.0),
        "p50 under 5 ms",
    );
    Ok(())
}

struct Fleet {
    client: reqwest::Client,
    base: String,
    // In the order in which they end.
    agent: tokio::sync::Mutex<Option<AgentHandle>>,
    orchestrator: tokio::sync::Mutex<Option<Orchestrator>>,
}

impl Fleet {
    async fn start(home: &Path) -> anyhow::Result<Self> {
        extract_shipped(&home.join("catalogue")).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let inventory = home.join("inventory");
        std::fs::create_dir_all(&inventory)?;
        let mut hosts = "all:\n  hosts:\n".to_owned();
        for host in 0..HOSTS {
            hosts += &format!("    host-{host}:\n      ansible_connection: local\n");
        }
        std::fs::write(inventory.join("hosts.yml"), hosts)?;
        let store: Arc<dyn Store> =
            Arc::new(Sqlite::open(&home.join("chiffon.db"), Options::default())?);
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
        let parts = Parts {
            store,
            bus: Arc::clone(&bus),
            clock: Arc::new(SystemClock),
            signer: Signer::from_secret(SECRET),
        };
        let started = chiffon_orchestrator::start(config(home)?, parts).await;
        let orchestrator = started.map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        let base = format!("http://{}", orchestrator.address());
        let mut keys = TrustedKeys::default();
        keys.trust(Signer::from_secret(SECRET).public());
        let id = "infrastructure".parse()?;
        let config = AgentConfig {
            slots: NonZeroUsize::new(UNDER_WAY as usize).context("slots")?,
            prefetch: NonZeroU32::new(UNDER_WAY).context("prefetch")?,
            ..AgentConfig::new(id, home.join("agents/infrastructure"), keys)
        };
        let clock = Arc::new(chiffon_agent::SystemClock);
        let agent = Agent::start(config, bus, Arc::new(NoOp), clock).await?;
        Ok(Self {
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(120))
                .build()?,
            base,
            agent: Some(agent).into(),
            orchestrator: Some(orchestrator).into(),
        })
    }

    async fn json(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(TOKEN).send().await?;
        let status = answer.status();
        let body = answer.json().await?;
        ensure!(status.is_success(), "{status}: {body}");
        Ok(body)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.client.get(format!("{}{path}", self.base)))
            .await
    }

    /// A request, followed to its end.
    async fn one(&self, number: u32) -> anyhow::Result<()> {
        let body = json!({ "text": format!("ping host-{}", number % HOSTS) });
        let asked = self
            .client
            .post(format!("{}/request", self.base))
            .json(&body);
        let asked = self.json(asked).await?;
        let id = asked["request_id"].as_str().context("no id")?;
        let mut version = 0;
        loop {
            let path = format!("/api/v1/requests/{id}/follow?version={version}&after=1000000");
            let body = self.get(&path).await?;
            if body["request"]["ended"] == json!(true) {
                ensure!(body["request"]["state"] == "completed", "{body}");
                return Ok(());
            }
            version = body["version"].as_u64().context("no version")?;
        }
    }

    /// Waits for the ledger's record of everything; how long that took.
    async fn until_recorded(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut last = json!(null);
        loop {
            // The newest request is among the last recorded.
            let page = self.get("/api/v1/requests?limit=50").await?;
            let items = page["items"].as_array().context("no items")?;
            let mut open = 0;
            for item in items {
                let id = item["request_id"].as_str().context("no id")?;
                let request = self.get(&format!("/request/{id}")).await?;
                if !request["ledger_commit"].is_string() {
                    last = request;
                    open += 1;
                }
            }
            if open == 0 {
                return Ok(begun.elapsed());
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(120),
                "not recorded: {last}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(&self) {
        if let Some(agent) = self.agent.lock().await.take() {
            agent.abort().await;
        }
        if let Some(orchestrator) = self.orchestrator.lock().await.take() {
            orchestrator.stop(Duration::from_secs(5)).await;
        }
    }
}

fn config(home: &Path) -> anyhow::Result<Config> {
    let plenty = NonZeroU32::new(1_000_000).context("a limit")?;
    Ok(Config {
        name: "local".to_owned(),
        home: home.to_owned(),
        listen: "127.0.0.1:0".parse()?,
        hosts: Vec::new(),
        limits: HttpLimits {
            requests_per_second: plenty,
            burst: plenty,
            ..HttpLimits::default()
        },
        token: TOKEN.to_owned(),
        principal: Principal {
            id: "local:anna".to_owned(),
            kind: "person".to_owned(),
        },
        hostname: "bench".to_owned(),
        user_home: PathBuf::from("/nonexistent"),
        catalogue_roots: vec![Root {
            name: "shipped".to_owned(),
            path: home.join("catalogue"),
            trust: Trust::Shipped,
        }],
        control: chiffon_orchestrator::usual_control(),
        authorizer: None,
        lifecycles: RunPolicy::default(),
        good_for_seconds: 3_600,
        history_days: 0,
        stays: true,
        project_tasks: None,
        agents: Vec::new(),
        ledger_remote: None,
        ledger_key: Some(SshSigner::from_secret(SECRET)),
        ledger_key_fault: None,
        version: "bench".to_owned(),
    })
}

/// Does nothing, at once, and says that all hosts are well.
#[derive(Debug)]
struct NoOp;

#[async_trait]
impl Worker for NoOp {
    fn kind(&self) -> AgentKind {
        AgentKind::Infrastructure
    }

    async fn capabilities(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    async fn resources(&self) -> Option<ResourceMetrics> {
        None
    }

    async fn run(&self, work: Work, _: mpsc::Sender<Progress>, _: CancellationToken) -> Ended {
        let summary = HostSummary {
            outcome: HostOutcome::Ok,
            ok: 1,
            ..HostSummary::default()
        };
        let hosts = work
            .hosts
            .iter()
            .map(|host| (host.to_string(), summary.clone()));
        Ended {
            status: ResultStatus::Completed,
            output: String::new(),
            usage: ResourceUsage::default(),
            hosts: hosts.collect(),
            diff: None,
            error: None,
            isolation: String::new(),
        }
    }

    async fn sweep(&self, _: AttemptRef, _: Option<PathBuf>) -> Swept {
        Swept::Clean
    }
}
