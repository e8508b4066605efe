//! The arguments of `chiffon inventory`.

use chiffon_common::HostName;
use clap::{Args, Subcommand};

/// Which machines there are
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon inventory show
  chiffon inventory check
  chiffon inventory trust nas
  chiffon inventory trust nas --fingerprint SHA256:0yfx...
  chiffon inventory clear nas")]
pub enum Inventory {
    /// List the hosts
    Show,
    /// Name everything that is wrong: files, addresses, keys that are not pinned
    Check,
    /// Ask a host for its SSH keys, show their fingerprints, and pin them
    Trust(Trust),
    /// Say that somebody has looked at a host on which the outcome of a change was open
    Clear(Clear),
}

/// Say that somebody has looked at a host on which the outcome of a change was open
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon inventory clear nas
  chiffon inventory clear nas --json")]
pub struct Clear {
    /// The host's name in the inventory
    pub host: HostName,
}

/// Ask a host for its SSH keys, show their fingerprints, and pin them
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon inventory trust nas
  chiffon inventory trust nas --fingerprint SHA256:0yfx...")]
pub struct Trust {
    /// The host's name in the inventory
    pub host: String,
    /// Pin what answers without asking, unless another key is pinned
    #[arg(long)]
    pub yes: bool,
    /// Pin only if the host has this key (SHA256:...), as read on the host itself
    #[arg(long, value_name = "FINGERPRINT")]
    pub fingerprint: Option<String>,
}
