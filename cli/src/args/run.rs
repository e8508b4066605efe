//! The arguments of `chiffon run` and `chiffon ask`.

use clap::Args;

use super::{Belongs, Consent, Patience};

/// Ask for something: plan, approve, follow, record
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon run \"How full are the disks on this machine?\"
  chiffon run \"Install htop on nas\" --yes
  chiffon run \"Restart nginx on web\" --dry-run
  chiffon run \"Restart nginx on web\" --yes=2 --timeout 300
  chiffon run \"Which updates are waiting?\" --json")]
pub struct Run {
    /// The sentence; - reads it from standard input
    pub text: String,
    #[command(flatten)]
    pub consent: Consent,
    /// Plan and preview only: show the plan, then close the request (what only reads, tier 0, simply runs)
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub belongs: Belongs,
    #[command(flatten)]
    pub patience: Patience,
}

/// Hand a request in and come back at once
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon ask \"Install htop on nas\"
  chiffon ask \"Which updates are waiting?\" --room chat:ada
  chiffon watch $(chiffon ask \"Ping nas\" --json | jq -r .request_id)")]
pub struct Ask {
    /// The sentence; - reads it from standard input
    pub text: String,
    #[command(flatten)]
    pub belongs: Belongs,
}
