//! The arguments of `chiffon freeze` and `chiffon thaw`.

use clap::Args;

/// Start nothing any more until the thaw; what runs goes on
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon freeze \"backup of the NAS until noon\"
  chiffon status")]
pub struct Freeze {
    /// Why; shown to everybody who meets it
    pub reason: String,
}

/// End the freeze; what waits goes on by itself
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon thaw")]
pub struct Thaw {}
