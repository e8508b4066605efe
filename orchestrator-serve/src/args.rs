//! The command line; the texts here are its help.

use std::path::PathBuf;

use chiffon_program::settings::Flag;
use clap::{Parser, Subcommand, ValueHint};

/// The orchestrator: plans, asks, and gives work to the agents behind a RabbitMQ
#[derive(Debug, Parser)]
#[command(
    name = "chiffon-orchestrator",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 it was done or drained, 1 it failed or is not well, 2 the command line, the configuration or a key is not permitted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The configuration, in place of chiffon.yaml in the data folder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true)]
    pub(crate) config: Option<PathBuf>,
    /// A setting, over file and environment; not for secrets, which everybody on the machine could read here
    #[arg(long, value_name = "KEY=VALUE", value_parser = Flag::parse, global = true)]
    pub(crate) set: Vec<Flag>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP API and work until SIGTERM or Ctrl-C, then drain
    Run {
        /// Where to listen, in place of `http.listen`; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<String>,
    },
    /// Say whether the one that runs in this data folder is well
    Healthcheck,
    /// Print the public key that agents are given to obey this orchestrator
    PublicKey,
}

impl Command {
    pub(crate) fn listen(&self) -> Option<Flag> {
        let Self::Run {
            listen: Some(listen),
        } = self
        else {
            return None;
        };
        Some(Flag {
            key: "http.listen".to_owned(),
            flag: "--listen",
            value: listen.clone(),
        })
    }
}
