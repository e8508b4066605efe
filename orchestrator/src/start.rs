//! Starting and stopping: parts in, a running orchestrator out.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use chiffon_arbiter::{Authz, Grant, Pattern, Policy, RunPolicy, rules_digest};
use chiffon_authorizer::{Asking, Authorizer};
use chiffon_bus::{Bus, QueueName};
use chiffon_common::{
    AgentId, Digest, ErrorCode, Permission, Principal, Problem, Signer, SshSigner, TenantId,
};
use chiffon_store::Store;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::{
    Clock,
    catalogue::Root,
    engine::{Jobs, Library, Limits, Settings, Shared, store_problem},
    http,
    inventory::Here,
    ledger::Place,
};

/// What the orchestrator is told. Paths are those of this machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder: `inventory/` and `ledger/` are read and written below it.
    pub home: PathBuf,
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Names of this server beside those of loopback, for whoever puts a proxy in front.
    pub hosts: Vec<String>,
    /// How much a caller may ask for.
    pub limits: http::HttpLimits,
    /// The token that every request must carry.
    pub token: String,
    /// Who the token stands for.
    pub principal: Principal,
    /// What this orchestrator is called among others, in audit streams and claims.
    pub name: String,
    /// Name of this machine.
    pub hostname: String,
    /// The user's home folder, for `~` in the inventory.
    pub user_home: PathBuf,
    /// Catalogue folders in order.
    pub catalogue_roots: Vec<Root>,
    /// The rules of the control plane.
    pub control: Policy,
    /// The external authoriser, where those rules ask one.
    pub authorizer: Option<Authorizer>,
    /// Limits of the lifecycles.
    pub lifecycles: RunPolicy,
    /// How long an approval may wait for its first step, in seconds. Default 3600.
    pub good_for_seconds: u64,
    /// How long requests are kept after their end, in days; 0 keeps them for ever. Default 730.
    pub history_days: u32,
    /// Whether it stays, as `chiffon up` does: what comes and goes with a command lets no schedule ask by itself, and
    /// tidies up no more than it must.
    pub stays: bool,
    /// How many tasks of one project may be at work at once; as many as there are slots where absent.
    pub project_tasks: Option<std::num::NonZeroU32>,
    /// Agents that are known beforehand: their queues are there before they are.
    pub agents: Vec<AgentId>,
    /// The key that signs the ledger's commits; without it they are not signed.
    pub ledger_key: Option<SshSigner>,
    /// Why there is no key though there should be one: nothing is written to the ledger until there is.
    pub ledger_key_fault: Option<String>,
    /// The repository that ledger and audit heads are pushed to, as git takes it.
    pub ledger_remote: Option<String>,
    /// Version of the program.
    pub version: String,
}

/// The backends and the key it works with.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The key that seals.
    pub signer: Signer,
}

/// A running orchestrator.
pub struct Orchestrator {
    server: chiffon_http::Server,
    jobs: Jobs,
    draining: CancellationToken,
    shared: Arc<Shared>,
}

/// Where a part that is not the orchestrator's own says what is wrong with it, for `health` to tell.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

impl Board {
    /// Why the database cannot be written, while it cannot.
    pub fn store_fault(&self) -> Option<String> {
        self.0.store_fault()
    }

    /// Says what is wrong with a part, in words; nothing, once it is well.
    pub fn part_is(&self, part: &str, fault: Option<String>) {
        self.0.part_is(part, fault);
    }
}

/// How long what agents have said last is waited for.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Starts the orchestrator: binds first, then declares the queues, then works.
pub async fn start(config: Config, parts: Parts) -> Result<Orchestrator, Problem> {
    let choose = "http.listen in chiffon.yaml";
    let bound = chiffon_http::bind(config.listen, choose).await?;
    let policy = config.control;
    let good_for = i64::try_from(config.good_for_seconds).unwrap_or(i64::MAX);
    let good_for = SignedDuration::from_secs(good_for);
    let rules = rules_digest(&policy, &config.lifecycles, good_for).map_err(|error| {
        Problem::new(ErrorCode::Internal, error.to_string(), "please report this")
    })?;
    let policy_digest = Digest::of_value(&policy).map_err(|error| {
        Problem::new(ErrorCode::Internal, error.to_string(), "please report this")
    })?;
    let limits = Limits::of(&config.lifecycles).map_err(|error| {
        Problem::new(ErrorCode::Internal, error.to_string(), "please report this")
    })?;
    let settings = Settings {
        limits,
        tenant: TenantId::default(),
        replica: config.name,
        policy,
        policy_digest,
        rules,
        lifecycles: config.lifecycles,
        good_for_seconds: config.good_for_seconds,
        history_days: config.history_days,
        stays: config.stays,
        project_tasks: config.project_tasks,
        ledger_remote: config.ledger_remote,
        ledger: Place {
            path: config.home.join("ledger"),
            key: config.ledger_key,
            key_fault: config.ledger_key_fault,
        },
        version: config.version,
    };
    let here = Here {
        hostname: config.hostname,
        home: config.user_home,
    };
    let callers = config.limits.connections.get() as usize;
    let authorizer = config.authorizer.map(|it| Asking::new(it, callers));
    let authorizer = authorizer.transpose();
    let authorizer = authorizer.map_err(|error| {
        let detail = format!("the external authoriser cannot be asked: {error}");
        let todo = "Correct control.authz.ca_file, or ask one over plain HTTP on this machine.";
        Problem::new(ErrorCode::InvalidValue, detail, todo)
    })?;
    let library = Library::new(config.catalogue_roots, config.home.clone(), here);
    let shared = Shared::new(parts, settings, library, authorizer);
    let shared = Arc::new(shared);
    shared.declare_topology().await;
    for agent in &config.agents {
        shared.declare_agent_queue(agent).await;
    }
    shared
        .remember_acceptances()
        .await
        .map_err(|error| store_problem(&error))?;
    shared
        .begin_telling()
        .await
        .map_err(|error| store_problem(&error))?;
    let jobs = Jobs::start(&shared);
    let draining = CancellationToken::new();
    let state = http::State {
        shared: Arc::clone(&shared),
        draining: draining.clone(),
        principal: config.principal,
        token: config.token.into(),
        hosts: config
            .hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect(),
        limiters: Arc::new(http::Limiters::new(&config.limits)),
        in_hand: http::InHand::default(),
        ending: CancellationToken::new(),
    };
    let connections = config.limits.connections.get() as usize;
    let (ending, router) = (state.ending.clone(), http::router(state));
    let answer =
        move |request, peer: std::net::SocketAddr| http::answer(router.clone(), request, peer.ip());
    let server = chiffon_http::Server::start(bound, connections, ending, answer);
    Ok(Orchestrator {
        server,
        jobs,
        draining,
        shared,
    })
}

/// The rules of the control plane where nobody chose others: no gate is shut, persons and services may ask for work.
pub fn usual_control() -> Policy {
    let asker = "asker";
    let may_ask = |kind: &str| Grant {
        role: asker.to_owned(),
        kind: Pattern(kind.to_owned()),
        ..Grant::default()
    };
    Policy {
        jobs: true,
        authz: Authz {
            roles: [(asker.to_owned(), [Permission::StartAgentJob].into())].into(),
            grants: vec![may_ask("person"), may_ask("service")],
            ..Authz::default()
        },
        ..Policy::default()
    }
}

impl Orchestrator {
    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where parts of the same process that are not the orchestrator's own say how they are.
    pub fn board(&self) -> Board {
        Board(Arc::clone(&self.shared))
    }

    /// Takes no new requests from now on; what was taken goes on.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends it: answers what was asked within `grace`, then the jobs. Whatever is unfinished is in the store.
    pub async fn stop(self, grace: Duration) {
        self.drain();
        // The last words of agents that have said goodbye before.
        let settled = everything_settled(&self.shared);
        let _rest_comes_with_the_next_start =
            tokio::time::timeout(grace.min(LAST_WORDS), settled).await;
        self.server.stop(grace).await;
        self.jobs.stop().await;
        self.shared.leave_posts().await;
    }
}

async fn everything_settled(shared: &Shared) {
    for queue in [QueueName::results(), QueueName::heartbeats()] {
        while shared
            .bus
            .depth(&queue)
            .await
            .is_some_and(|depth| depth > 0)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    // An ended request is recorded before one leaves, as far as the ledger can be written at all.
    while shared.has_unrecorded().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
