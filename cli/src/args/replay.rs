//! The arguments of `chiffon replay`.

use clap::Args;

/// Run the recorded events of a request through the arbiter again and show that every move comes out the same
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon replay 0199e2f4-77a1
  chiffon replay 0199e2f4-77a1 -o json | jq .same")]
pub struct Replay {
    /// The request's id, or the first 6 characters or more
    pub request: String,
}
