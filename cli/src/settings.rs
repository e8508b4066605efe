//! What the settings come to for the orchestrator and its command line (DESIGN section 10). The table of keys and reading
//! them are the same for all programs, and left to `chiffon-program`.

mod control;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chiffon_agent_infra::IsolationConfig;
use chiffon_arbiter::Policy;
use chiffon_common::Problem;
use chiffon_orchestrator::HttpLimits;
use chiffon_program::{
    Env,
    settings::{self, Broker, Flag, LogFormat, LogLevel, Setting, Sources, contradicts, path},
};

use crate::fleet::Database;
use control::External;

/// The configuration, whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `http.listen`: where the HTTP API listens.
    pub listen: SocketAddr,
    /// `http.hosts`: names of the server beside those of loopback.
    pub hosts: Vec<String>,
    /// `http.requests_per_second`, `http.burst`, `http.connections`, `http.streams`.
    pub limits: HttpLimits,
    /// `control.*`: who may ask and approve, what is answered, how much is let through.
    pub control: Policy,
    /// `control.authz.*`: the external authoriser, where one is asked, and the file with its token.
    pub authorizer: Option<External>,
    /// `decisions.timeout`: how long a question to a person stays open, in minutes.
    pub question_minutes: u32,
    /// `approvals.good_for_minutes`: how long an approval may wait for its first step.
    pub good_for_minutes: u32,
    /// `retention.history_days`: how long requests are kept after their end; 0 for ever.
    pub history_days: u32,
    /// `projects.tasks`: how many tasks of one project may be at work at once.
    pub project_tasks: u32,
    /// `retry.attempts`: how often a task is tried at most.
    pub attempts: u32,
    /// `retry.wait_seconds`: the wait before a change is tried the second time.
    pub retry_seconds: u32,
    /// `agents.infrastructure.slots`: how many runs the infrastructure agent takes at once.
    pub slots: u32,
    /// `agents.infrastructure.isolation`, `run_as`, `readable` and `limits`: what its runs are kept in.
    pub isolation: IsolationConfig,
    /// `agents.heartbeat_seconds`: how often agents say that they are alive.
    pub heartbeat_seconds: u32,
    /// `catalogue.folders`: catalogues beside the shipped one.
    pub catalogue_folders: Vec<PathBuf>,
    /// `store.url` and `store.ca_file`: the database, where it is not the file in the data folder.
    pub database: Option<Database>,
    /// `bus.*`: the broker, where the agents are programs of their own.
    pub broker: Option<Broker>,
    /// `orchestrator.name`: what the orchestrator is called among others.
    pub orchestrator_name: Option<String>,
    /// `agents.orchestrators`: the orchestrators that agents of other programs obey; heeded by them.
    pub orchestrators: Option<PathBuf>,
    /// `ledger.remote`: where the ledger is pushed to, if anywhere.
    pub ledger_remote: Option<String>,
    /// `log.level`.
    pub log_level: LogLevel,
    /// `log.format`.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads the sources in their order; `file` may be missing.
    ///
    /// # Errors
    /// 5801 for an unknown key, 5802 for a value that is not permitted or a file that is no YAML, 5830 for settings that
    /// contradict each other.
    pub fn load(file: &Path, env: &Env, flags: &[Flag]) -> Result<Self, Problem> {
        Self::of(&Sources::read(file, env, flags)?)
    }

    /// Every key with its value in force, in the order of the reference.
    ///
    /// # Errors
    /// As for [`load`](Self::load): of a configuration that is not permitted, nothing is in force.
    pub fn in_force(file: &Path, env: &Env, flags: &[Flag]) -> Result<Vec<Setting>, Problem> {
        let sources = Sources::read(file, env, flags)?;
        Self::of(&sources)?;
        Ok(settings::shown(&sources))
    }

    /// Everything that is wrong with the file, which may be missing, and with the environment; also what another source
    /// would win over. Of a file that is no YAML only the first fault is known.
    pub fn faults(file: &Path, env: &Env) -> Vec<Problem> {
        settings::faults(file, env, |sources| Self::of(sources).map(drop))
    }

    /// What the sources come to.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn of(sources: &Sources) -> Result<Self, Problem> {
        Ok(Self {
            listen: sources.parsed("http.listen", loopback)?,
            hosts: sources.names("http.hosts")?,
            limits: HttpLimits {
                requests_per_second: sources.count("http.requests_per_second", 100_000)?,
                burst: sources.count("http.burst", 100_000)?,
                connections: sources.count("http.connections", 65_536)?,
                streams: sources.count("http.streams", 65_536)?,
            },
            control: control::policy(sources)?,
            authorizer: control::authorizer(sources)?,
            question_minutes: sources.parsed("decisions.timeout", minutes)?,
            good_for_minutes: sources.number("approvals.good_for_minutes", 1..=10_080)?,
            history_days: sources.number("retention.history_days", 0..=36_500)?,
            project_tasks: sources.number("projects.tasks", 0..=10_000)?,
            attempts: sources.number("retry.attempts", 1..=20)?,
            retry_seconds: sources.number("retry.wait_seconds", 1..=300)?,
            slots: sources.number("agents.infrastructure.slots", 1..=64)?,
            isolation: chiffon_agent_infra::isolation_of(sources)?,
            heartbeat_seconds: sources.number("agents.heartbeat_seconds", 1..=60)?,
            catalogue_folders: sources.folders("catalogue.folders")?,
            database: database(sources)?,
            broker: Broker::of(sources)?,
            orchestrator_name: sources.parsed("orchestrator.name", name)?,
            orchestrators: sources.parsed("agents.orchestrators", path)?,
            ledger_remote: sources.parsed("ledger.remote", remote)?,
            log_level: settings::log_level(sources)?,
            log_format: settings::log_format(sources)?,
        })
    }
}

fn database(sources: &Sources) -> Result<Option<Database>, Problem> {
    let url = sources.parsed("store.url", |text| {
        let is_address = text.starts_with("postgres://")
            || text.starts_with("postgresql://")
            || text.contains("host=");
        (text.is_empty() || is_address).then(|| text.to_owned())
    })?;
    let ca_file = sources.parsed("store.ca_file", path)?;
    match (url.is_empty(), ca_file) {
        (false, ca_file) => Ok(Some(Database { url, ca_file })),
        (true, None) => Ok(None),
        (true, Some(_)) => Err(contradicts(
            "store.ca_file is set, and store.url is not.".to_owned(),
            "Set store.url to the address of a Postgres database, or take store.ca_file away.",
        )),
    }
}

fn name(text: &str) -> Option<Option<String>> {
    let is_permitted = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_fit = text.len() <= 64 && text.chars().all(is_permitted);
    is_fit.then(|| (!text.is_empty()).then(|| text.to_owned()))
}

/// Without TLS the token would cross the network in the clear, so only this machine may connect.
fn loopback(text: &str) -> Option<SocketAddr> {
    text.parse()
        .ok()
        .filter(|at: &SocketAddr| at.ip().is_loopback())
}

/// Ways that git knows and that run no program of their own, as `ext::` would.
fn remote(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_plain = text.len() <= 1000 && text.chars().all(|c| c.is_ascii_graphic());
    let host = text.split_once(':').map(|(host, _)| host);
    let is_scp = host.is_some_and(|host| host.contains('@') && !host.contains('/'));
    let is_known = text.starts_with('/')
        || text.starts_with("https://")
        || text.starts_with("ssh://")
        || (is_scp && !text.starts_with('-') && !text.contains("::"));
    (is_plain && is_known).then(|| Some(text.to_owned()))
}

/// `90m`, `48h`, `2d`: from a minute to thirty days.
fn minutes(text: &str) -> Option<u32> {
    const MOST: u32 = 30 * 24 * 60;
    let unit = match text.bytes().last()? {
        b'm' => 1,
        b'h' => 60,
        b'd' => 24 * 60,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    let is_whole = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let minutes = number.parse::<u32>().ok().filter(|_| is_whole)?;
    minutes
        .checked_mul(unit)
        .filter(|all| (1..=MOST).contains(all))
}
