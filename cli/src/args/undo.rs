//! The arguments of `chiffon undo`.

use clap::Args;

use super::{Consent, Patience};

/// Take a request back, as a new request with its own plan, preview and approval
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon undo 0199e2f4-77a1
  chiffon undo 0199e2f4-77a1 --dry-run
  chiffon undo 0199e2f4-77a1 --what-can-be --yes")]
pub struct Undo {
    /// Its id, or the first 6 characters or more; it must have ended
    pub request: String,
    /// Take back what can be taken back, and leave the rest as it is
    #[arg(long)]
    pub what_can_be: bool,
    /// Show the plan and close the request: nothing is changed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub patience: Patience,
}
