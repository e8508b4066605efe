//! The command line. What a command does is left to `commands`; the texts here are its help.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::audit::Anchor;

/// Decides what is to happen with an event, and records it: the control plane of RFC-ARB-0001
#[derive(Debug, Parser)]
#[command(
    name = "arbiter",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 it was done, 1 it failed or does not verify, 2 the command line or configuration is not permitted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log more: what is done, then everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP API until SIGTERM or Ctrl-C
    Serve(Serve),
    /// The audit files
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Judge recorded decisions again, and prove that every plan comes out identical
    Replay(Replay),
    /// Print what `GET /v0/contracts` answers
    Contracts,
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Where the configuration stands.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration; config.yaml where it is there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Where to listen, in place of `listen`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Hold every record against its hash and the one before it, and name the first that does not fit
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// An audit file, or the folder of all
    #[arg(value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// A head that was noted elsewhere: shows whether the end was cut off
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) anchor: Vec<Anchor>,
    /// Fail where the chain does not begin with record 1, whatever audit.keep says
    #[arg(long)]
    pub(crate) whole: bool,
    /// The configuration whose audit.keep may have removed the beginning; without it none is missing by right
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// An audit file, the folder of all, or what `chiffon audit export` wrote
    #[arg(value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// Judge by this configuration instead of the recorded rules
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Name every fault of the configuration at once
    Check(Configured),
}
