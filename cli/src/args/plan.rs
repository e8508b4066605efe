//! The arguments of `chiffon plan`.

use clap::Subcommand;

/// What would be done
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon plan show 0199e2f4-77a1
  chiffon plan show 0199e2f4-77a1 --json | jq -r .digest")]
pub enum Plan {
    /// Show the plan of a request, whole, with the digest that an approval is bound to
    Show {
        /// The request's id, or the first 6 characters or more
        request: String,
    },
}
