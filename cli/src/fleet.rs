//! The embedded profile (DESIGN section 10): a database, the memory bus, the orchestrator and the agents of
//! this machine, in this process. With `database` the one place that names backends; what the parts do is left to them.

mod agents;
mod ansible;
mod database;
mod user;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chiffon_arbiter::RunPolicy;
use chiffon_bus::{Bus, MemoryBus};
use chiffon_common::{ErrorCode, Principal, Problem};
use chiffon_orchestrator::{
    Authorizer, Config, Orchestrator, Parts, SystemClock,
    catalogue::{Root, Trust},
};
use jiff::SignedDuration;

use crate::{
    failure::Failure,
    home::{Home, hostname, ledger_signer, read_token, signer},
    settings::Settings,
};
use agents::Members;
pub use ansible::first_ansible;
pub use database::Database;
pub(crate) use database::open as open_database;
pub use user::{home as user_home, name as user_name};

/// How long the bus waits for deliveries in hand when nothing listens any more.
const BUS: Duration = Duration::from_secs(2);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// As configured.
    Configured,
    /// A free one of this machine.
    Ephemeral,
}

/// Which agents to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// Those of this machine.
    All,
    /// None: nothing runs, and nothing is lost either.
    None,
}

/// A fleet in this process.
pub struct Fleet {
    orchestrator: Orchestrator,
    members: Members,
    bus: Arc<MemoryBus>,
    address: SocketAddr,
}

impl Fleet {
    /// Starts it. The lock of the data folder must be held.
    pub async fn start(
        home: &Home,
        settings: &Settings,
        ports: Ports,
        agents: Agents,
    ) -> Result<Self, Failure> {
        if settings.broker.is_some() {
            return Err(elsewhere().into());
        }
        let bus = Arc::new(MemoryBus::new());
        let parts = Parts {
            store: database::open(home, settings.database.as_ref()).await?,
            bus: Arc::clone(&bus) as Arc<dyn Bus>,
            clock: Arc::new(SystemClock),
            signer: signer(home)?,
        };
        let listen = match ports {
            Ports::Configured => settings.listen,
            Ports::Ephemeral => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let known = agents::names();
        let config = Config {
            listen,
            // A command that comes and goes must not begin what it will not see the end of.
            stays: ports == Ports::Configured,
            agents: known.iter().filter_map(|name| name.parse().ok()).collect(),
            ..config(home, settings)?
        };
        let orchestrator = Box::pin(chiffon_orchestrator::start(config, parts)).await?;
        let address = orchestrator.address();
        let begun = match agents {
            Agents::All => {
                let bus = Arc::clone(&bus) as Arc<dyn Bus>;
                Members::start(home, settings, bus, &orchestrator.board()).await
            }
            Agents::None => Ok(Members::default()),
        };
        match begun {
            Ok(members) => Ok(Self {
                orchestrator,
                members,
                bus,
                address,
            }),
            Err(problem) => {
                orchestrator.stop(BUS).await;
                Err(problem.into())
            }
        }
    }

    /// Where its HTTP API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Agents first, so that the orchestrator still hears how their runs ended.
    pub async fn stop(self, grace: Duration) {
        self.orchestrator.drain();
        self.members.drain(grace).await;
        self.orchestrator.stop(grace).await;
        self.bus.close(BUS).await;
    }
}

/// The fleet of such settings is one of several programs.
fn elsewhere() -> Problem {
    let detail = "bus.url is set, so this fleet is one of several programs, and `chiffon` starts none of its own beside it.";
    let todo = "Start it: `chiffon-orchestrator run` with this data folder; `chiffon` then speaks to it. Or take bus.url away.";
    Problem::new(ErrorCode::NotRunning, detail, todo)
}

/// An orchestrator that stays, and knows no agents beforehand.
pub(crate) fn config(home: &Home, settings: &Settings) -> Result<Config, Problem> {
    let question = SignedDuration::from_mins(settings.question_minutes.into());
    let (ledger_key, ledger_key_fault) = match ledger_signer(home) {
        Ok(key) => (Some(key), None),
        Err(fault) => (None, Some(fault.detail)),
    };
    Ok(Config {
        home: home.path().to_owned(),
        listen: settings.listen,
        hosts: settings.hosts.clone(),
        limits: settings.limits.clone(),
        token: read_token(home)?,
        principal: Principal {
            id: format!("local:{}", user::name()),
            kind: "person".to_owned(),
        },
        name: "local".to_owned(),
        hostname: hostname(),
        user_home: user::home().unwrap_or_else(|| PathBuf::from("/")),
        catalogue_roots: roots(home.shipped_catalogue(), settings),
        control: settings.control.clone(),
        authorizer: authorizer(settings)?,
        lifecycles: RunPolicy {
            question,
            attempts: settings.attempts,
            retry_change: SignedDuration::from_secs(settings.retry_seconds.into()),
            ..RunPolicy::default()
        },
        good_for_seconds: u64::from(settings.good_for_minutes) * 60,
        history_days: settings.history_days,
        stays: true,
        project_tasks: std::num::NonZeroU32::new(settings.project_tasks),
        agents: Vec::new(),
        ledger_remote: settings.ledger_remote.clone(),
        ledger_key,
        ledger_key_fault,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The external authoriser, with the token that it is shown.
fn authorizer(settings: &Settings) -> Result<Option<Authorizer>, Problem> {
    let Some((authorizer, token_file)) = &settings.authorizer else {
        return Ok(None);
    };
    let Some(path) = token_file else {
        return Ok(Some(authorizer.clone()));
    };
    let unfit = |why: String| {
        let detail = format!("control.authz.token_file is {}: {why}.", path.display());
        let todo = "Put the token into that file: at least 16 characters of ASCII without spaces.";
        Problem::new(ErrorCode::InvalidValue, detail, todo)
    };
    let text = std::fs::read_to_string(path).map_err(|error| unfit(error.to_string()))?;
    let token = text.trim();
    if token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unfit("it holds no such token".to_owned()));
    }
    Ok(Some(Authorizer {
        token: Some(token.to_owned()),
        ..authorizer.clone()
    }))
}

/// The catalogues in the order in which they are looked through; `shipped` is where the copy of the shipped one lies.
pub fn roots(shipped: PathBuf, settings: &Settings) -> Vec<Root> {
    let shipped = Root {
        name: "shipped".to_owned(),
        path: shipped,
        trust: Trust::Shipped,
    };
    let added = settings.catalogue_folders.iter().map(|path| Root {
        name: path.display().to_string(),
        path: path.clone(),
        trust: Trust::Added,
    });
    std::iter::once(shipped).chain(added).collect()
}
