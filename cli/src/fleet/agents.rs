//! The agents of this machine: one that runs Ansible, one that reports the host.

use std::{io, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use chiffon_agent::{AgentConfig, StartError, Worker};
use chiffon_agent_desktop::DesktopWorker;
use chiffon_agent_infra::{InfraConfig, InfraWorker};
use chiffon_bus::Bus;
use chiffon_common::{AgentId, ErrorCode, Problem, TrustedKeys};
use chiffon_orchestrator::Board;

use super::keeper::{Kept, Seed, words};
use crate::{
    home::{Home, hostname},
    settings::Settings,
};

/// What has been started.
#[derive(Debug, Default)]
pub(super) struct Members {
    running: Vec<Kept>,
}

impl Members {
    pub(super) async fn start(
        home: &Home,
        settings: &Settings,
        bus: Arc<dyn Bus>,
        board: &Board,
    ) -> Result<Self, Problem> {
        let keys = trusted(home)?;
        let mut infra = InfraConfig::new(home.path().to_owned());
        // The one of the person who started this: their hosts are reached as they reach them.
        infra.ssh_agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        infra.isolation = settings.isolation.clone();
        let workers: [Arc<dyn Worker>; 2] = [
            Arc::new(InfraWorker::new(infra)),
            Arc::new(DesktopWorker::new()),
        ];
        let mut members = Self::default();
        for (name, worker) in names().into_iter().zip(workers) {
            let config = agent_config(home, settings, &name, keys.clone())?;
            let bus = Arc::clone(&bus);
            let seed = Seed {
                config,
                bus,
                worker,
            };
            match Kept::start(seed, board.clone()).await {
                Ok(agent) => members.running.push(agent),
                Err(error) => {
                    members.drain(Duration::ZERO).await;
                    return Err(not_started(&name, &error));
                }
            }
        }
        Ok(members)
    }

    /// All at the same time, so that the grace is not spent twice.
    pub(super) async fn drain(self, grace: Duration) {
        let mut draining = tokio::task::JoinSet::new();
        for agent in self.running {
            draining.spawn(agent.drain(grace));
        }
        while draining.join_next().await.is_some() {}
    }
}

/// The agents of this machine: the one that runs Ansible, the one that reports the host.
pub(super) fn names() -> [String; 2] {
    let desktop = format!("desktop.{}", as_id(&hostname()));
    ["infrastructure".to_owned(), desktop]
}

fn agent_config(
    home: &Home,
    settings: &Settings,
    name: &str,
    keys: TrustedKeys,
) -> Result<AgentConfig, Problem> {
    let id = name.parse::<AgentId>().map_err(|error| {
        let todo = "Give the machine a plain host name.";
        Problem::new(ErrorCode::AgentFault, format!("{name}: {error}."), todo)
    })?;
    let mut config = AgentConfig::new(id, home.agent(name), keys);
    let slots = usize::try_from(settings.slots)
        .ok()
        .and_then(NonZeroUsize::new);
    config.slots = slots.unwrap_or(config.slots);
    config.heartbeat = Duration::from_secs(settings.heartbeat_seconds.into());
    config.version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(config)
}

fn trusted(home: &Home) -> Result<TrustedKeys, Problem> {
    let path = home.trusted_keys();
    let fault = |why: String| {
        Problem::new(
            ErrorCode::KeyFault,
            format!("{} cannot be used: {why}.", path.display()),
            "Remove it: the next start writes it with this orchestrator's key.",
        )
    };
    let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
    TrustedKeys::parse(&text).map_err(|error| fault(error.to_string()))
}

/// A host name as part of an id.
fn as_id(hostname: &str) -> String {
    let permitted = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let name: String = hostname
        .chars()
        .filter(|c| permitted(*c))
        .take(100)
        .collect();
    match name.is_empty() {
        true => "localhost".to_owned(),
        false => name,
    }
}

fn not_started(name: &str, error: &StartError) -> Problem {
    let cause = std::error::Error::source(error);
    let is_full = cause
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|cause| {
            let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
            full.contains(&cause.kind())
        });
    let (code, todo) = match error {
        _ if is_full => (
            ErrorCode::StoreFull,
            "Make room on that disk and start it again; nothing that was taken is lost.",
        ),
        StartError::Home { .. } => (
            ErrorCode::HomeUnusable,
            "Look at that folder; `chiffon doctor` tells more.",
        ),
        StartError::InUse(_) => (
            ErrorCode::HomeInUse,
            "Another agent uses this data folder: stop it.",
        ),
        StartError::Journal(_) => (
            ErrorCode::JournalFault,
            "Keep the folder of that agent for inspection, then move it away: what it had in hand becomes unknown.",
        ),
    };
    let detail = format!("The agent {name} cannot start: {}.", words(error));
    Problem::new(code, detail, todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_asks_for_room_and_for_nothing_to_be_moved() {
        let path = PathBuf::from("/x");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let (source, journal) = (full(), path.clone());
        let home = StartError::Home { path, source };
        let journal = StartError::Journal(chiffon_agent::JournalError::Io {
            path: journal,
            source: full(),
        });
        for error in [home, journal] {
            let problem = not_started("infrastructure", &error);
            assert_eq!(problem.code, ErrorCode::StoreFull, "{problem:?}");
            assert!(problem.todo.contains("Make room"), "{problem:?}");
        }
    }

    #[test]
    fn any_host_name_gives_an_id() {
        for (hostname, id) in [
            ("nas.lan", "nas.lan"),
            ("Büro pc", "Bropc"),
            ("", "localhost"),
        ] {
            assert_eq!(as_id(hostname), id);
            assert!(
                format!("desktop.{}", as_id(hostname))
                    .parse::<AgentId>()
                    .is_ok()
            );
        }
    }
}
