//! The agents of this machine: one that runs Ansible, one that reports the host.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use chiffon_agent::{AgentConfig, Kept, Seed, Worker};
use chiffon_agent_desktop::DesktopWorker;
use chiffon_agent_infra::{InfraConfig, InfraWorker};
use chiffon_bus::Bus;
use chiffon_common::{AgentId, ErrorCode, Problem, TrustedKeys};
use chiffon_orchestrator::Board;

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
            let (board, part) = (board.clone(), format!("agent {name}"));
            let tell = Box::new(move |fault| board.part_is(&part, fault));
            match Kept::start(seed, tell).await {
                Ok(agent) => members.running.push(agent),
                Err(error) => {
                    members.drain(Duration::ZERO).await;
                    return Err(error.problem(&name));
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

#[cfg(test)]
mod tests {
    use super::*;

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
