//! What `chiffon-orchestrator` takes from here: the data folder, settings and database that `chiffon up` has, and an
//! orchestrator over a bus that the program brings.

use std::{net::SocketAddr, path::Path, path::PathBuf, sync::Arc, time::Duration};

use chiffon_bus::Bus;
use chiffon_common::{ErrorCode, Problem};
use chiffon_orchestrator::{Config, Orchestrator, Parts, SystemClock};
use chiffon_program::{
    Env,
    settings::{Broker, Flag, LogFormat, LogLevel, Sources, log_of_program},
};
use chiffon_store::Store;
use jiff::Timestamp;

use crate::{
    failure::Failure,
    fleet::{config, open_database},
    home::{Held, Home, Kind, Lock, Running, hostname, signer},
    session::in_use,
    settings::Settings,
};

/// Data folder and settings, before anything is begun.
pub struct Ground {
    home: Home,
    settings: Settings,
    log: (LogLevel, LogFormat),
}

impl Ground {
    /// Reads the settings: of `file`, else of `chiffon.yaml` in the data folder.
    ///
    /// # Errors
    /// 5801, 5802, 5803 and 5830, as everywhere.
    pub fn of(env: &Env, file: Option<&Path>, flags: &[Flag]) -> Result<Self, Problem> {
        let home = Home::locate(env)?;
        let file = file.map_or_else(|| home.config(), Path::to_owned);
        let sources = Sources::read(&file, env, flags)?;
        Ok(Self {
            settings: Settings::of(&sources)?,
            log: log_of_program(&sources)?,
            home,
        })
    }

    /// How much and how the log is written.
    pub fn log(&self) -> (LogLevel, LogFormat) {
        self.log
    }

    /// `bus.*`.
    pub fn broker(&self) -> Option<&Broker> {
        self.settings.broker.as_ref()
    }

    /// The data folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The public key by which agents know this orchestrator, drawn if it is not there yet.
    ///
    /// # Errors
    /// Where the data folder cannot be used.
    pub fn public_key(&self) -> Result<String, Problem> {
        self.home.make_folder(&|_| {})?;
        self.home.draw_key()?;
        Ok(signer(&self.home)?.public().to_string())
    }

    /// Takes the data folder for this process, and makes what is missing in it.
    ///
    /// # Errors
    /// 5803, 5804 where another process has it, 5701.
    pub fn take(self, tell: &dyn Fn(&str)) -> Result<Taken, Problem> {
        self.home.make_folder(tell)?;
        let lock = match Lock::try_take(&self.home)? {
            Held::Ours(lock) => lock,
            Held::Theirs(other) => return Err(in_use(&self.home, other.as_ref())),
        };
        self.home.fill(tell)?;
        Ok(Taken {
            home: self.home,
            settings: self.settings,
            lock,
        })
    }
}

/// A data folder that is held.
pub struct Taken {
    home: Home,
    settings: Settings,
    lock: Lock,
}

/// Why something could not be begun.
pub struct NotYet {
    /// In words.
    pub problem: Problem,
    /// Whether waiting may heal it.
    pub passes: bool,
}

impl Taken {
    /// Opens the database.
    ///
    /// # Errors
    /// Why not; a server that is not there may come.
    pub async fn open_store(&self) -> Result<Arc<dyn Store>, NotYet> {
        let opened = open_database(&self.home, self.settings.database.as_ref()).await;
        opened.map_err(|failure| NotYet {
            passes: failure.code == Some(ErrorCode::StoreUnavailable),
            problem: problem_of(failure),
        })
    }

    /// Starts the orchestrator, and tells whoever looks into the data folder where it listens.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn start(self, store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> Result<Served, Problem> {
        let parts = Parts {
            store,
            bus,
            clock: Arc::new(SystemClock),
            signer: signer(&self.home)?,
        };
        let config = Config {
            name: self
                .settings
                .orchestrator_name
                .clone()
                .unwrap_or_else(hostname),
            ..config(&self.home, &self.settings)?
        };
        let orchestrator = Box::pin(chiffon_orchestrator::start(config, parts)).await?;
        let served = Served {
            orchestrator,
            lock: self.lock,
        };
        served.lock.tell(&Running {
            pid: std::process::id(),
            address: served.address(),
            kind: Kind::Up,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: Timestamp::now(),
        })?;
        Ok(served)
    }
}

/// A running orchestrator.
pub struct Served {
    orchestrator: Orchestrator,
    lock: Lock,
}

impl Served {
    /// Where its HTTP API listens.
    pub fn address(&self) -> SocketAddr {
        self.orchestrator.address()
    }

    /// What is wrong with its database, if anything is.
    pub fn store_fault(&self) -> impl Fn() -> Option<String> + Send + 'static {
        let board = self.orchestrator.board();
        move || board.store_fault()
    }

    /// Takes nothing new, answers what was asked within `grace`, and ends.
    pub async fn stop(self, grace: Duration) {
        self.orchestrator.stop(grace).await;
        drop(self.lock);
    }
}

/// Where the health file of a program lies.
pub fn health_file(home: &Path, program: &str) -> PathBuf {
    home.join(format!("{program}.health"))
}

fn problem_of(failure: Failure) -> Problem {
    let code = failure.code.unwrap_or(ErrorCode::Internal);
    Problem::new(code, failure.what, failure.todo)
}
