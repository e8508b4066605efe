//! The program `chiffon-agent-infra`: the infrastructure agent as a program of its own. What every agent's program does is left
//! to `chiffon-agent`.

use std::{num::NonZeroUsize, path::PathBuf, process::ExitCode, sync::Arc};

use chiffon_agent::program::{Program, main as run};
use chiffon_agent_infra::{InfraConfig, InfraWorker, isolation_of};

fn main() -> ExitCode {
    // A supervisor must stay small and have no threads but its own: before everything else.
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == chiffon_agent_infra::SUPERVISE_ARG)
    {
        return chiffon_agent_infra::supervise(arguments);
    }
    let program = Program {
        name: "chiffon-agent-infra",
        about: "The infrastructure agent: runs Ansible for the orchestrators behind a RabbitMQ",
        version: env!("CARGO_PKG_VERSION"),
        called: "infrastructure",
        needs_suffix: false,
    };
    run(&program, |home, sources| {
        let slots = sources.number("agents.infrastructure.slots", 1..=64)?;
        let slots = usize::try_from(slots).ok().and_then(NonZeroUsize::new);
        let mut config = InfraConfig::new(home.to_owned());
        // The one of the person who started this: their hosts are reached as they reach them.
        config.ssh_agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        config.isolation = isolation_of(sources)?;
        Ok((Arc::new(InfraWorker::new(config)), slots))
    })
}
