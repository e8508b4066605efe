//! The arguments of `chiffon watch`.

use clap::Args;

use super::Patience;

/// Follow a request live until it ends, or everything that happens
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon watch 0199e2f4-77a1
  chiffon watch 0199e2f4-77a1 -o ndjson
  chiffon watch
  chiffon watch --type bead. --type decision. --project lab
  chiffon watch --after 1200 -o ndjson | jq .type",
    after_help = "Without a request it needs a fleet that runs and tells all that happens there from now on. Where
the line is cut it connects again for ever; Ctrl-C ends it. An event `reset` says that some were
missed: look anew at what matters then."
)]
pub struct Watch {
    /// The request's id, or the first 6 characters or more; without it everything is followed
    pub request: Option<String>,
    /// Only events of this group
    #[arg(long, value_name = "PROJECT", conflicts_with = "request")]
    pub project: Option<String>,
    /// Only events of this type; one that ends with a dot, such as bead., means all that begin so
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "request")]
    pub types: Vec<String>,
    /// Begin after the event of this number, instead of with what comes
    #[arg(long, value_name = "NUMBER", conflicts_with = "request")]
    pub after: Option<u64>,
    #[command(flatten)]
    pub patience: Patience,
}
