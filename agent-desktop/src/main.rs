//! The program `chiffon-agent-desktop`: the desktop agent as a program of its own. What every agent's program does is left to
//! `chiffon-agent`.

use std::{process::ExitCode, sync::Arc};

use chiffon_agent::program::{Program, main as run};
use chiffon_agent_desktop::DesktopWorker;

fn main() -> ExitCode {
    let program = Program {
        name: "chiffon-agent-desktop",
        about: "The desktop agent: reports the host it runs on to the orchestrators behind a RabbitMQ",
        version: env!("CARGO_PKG_VERSION"),
        called: "desktop",
        needs_suffix: true,
    };
    run(&program, |_, _| Ok((Arc::new(DesktopWorker::new()), None)))
}
