//! The program `chiffon-orchestrator`: the orchestrator over RabbitMQ, with agents that are programs of their own. What an
//! orchestrator does is left to `chiffon-orchestrator`, its data folder and settings to `chiffon`.

mod args;
mod life;

use std::{process::ExitCode, time::Duration};

use chiffon::served::{Ground, health_file};
use chiffon_common::{ErrorCode, Problem};
use chiffon_program::{Env, ended_by, healthcheck};
use clap::Parser as _;

use args::{Cli, Command};

/// How it is called, in files and lists.
const NAME: &str = "chiffon-orchestrator";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = done(&cli, &Env::of_process());
    ended.unwrap_or_else(|problem| ended_by(&problem))
}

fn done(cli: &Cli, env: &Env) -> Result<ExitCode, Problem> {
    let mut flags = cli.set.clone();
    flags.extend(cli.command.listen());
    if let Command::Healthcheck = cli.command {
        return Ok(healthcheck(&health_file(
            &chiffon_program::locate(env)?,
            NAME,
        )));
    }
    let ground = Ground::of(env, cli.config.as_deref(), &flags)?;
    if let Command::PublicKey = cli.command {
        println!("{}", ground.public_key()?);
        return Ok(ExitCode::SUCCESS);
    }
    let (level, format) = ground.log();
    chiffon_program::begin_log(level, format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("There is no runtime: {error}."),
            "Try again.",
        )
    })?;
    let ended = runtime.block_on(Box::pin(life::live(ground, env)));
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}
