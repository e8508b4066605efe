//! The arguments of `chiffon plan`.

use clap::{Args, Subcommand};

/// What would be done
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon plan show 0199e2f4-77a1
  chiffon plan show 0199e2f4-77a1 --all
  chiffon plan show 0199e2f4-77a1 --json | jq -r .digest
  chiffon plan show 0199e2f4-77a1 --bytes | sha256sum
  chiffon plan try \"restart nginx on web1 and smbd on nas\"
  chiffon plan try --inventory hosts.yml < sentences.txt")]
pub enum Plan {
    /// Show the plan of a request on one screen, with the digest that an approval is bound to
    Show(ShowPlan),
    /// Show what a sentence would come to, as JSON: nothing is stored, nothing starts
    Try(TryPlan),
}

/// Show what a sentence would come to, as JSON: nothing is stored, nothing starts
///
/// One line a sentence: `kind` is `plan`, `ask` or `none`. Works without a fleet.
#[derive(Debug, Clone, Args)]
pub struct TryPlan {
    /// The sentence; without it standard input, one sentence a line
    pub sentence: Option<String>,
    /// Another inventory than that of the data folder: a file in Ansible's YAML form
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub inventory: Option<std::path::PathBuf>,
}

/// Show the plan of a request on one screen, with the digest that an approval is bound to
#[derive(Debug, Clone, Args)]
pub struct ShowPlan {
    /// The request's id, or the first 6 characters or more
    pub request: String,
    /// All of it: every step, every host, every line
    #[arg(long, conflicts_with = "bytes")]
    pub all: bool,
    /// The exact bytes whose SHA-256 is the digest, without a line end
    #[arg(long)]
    pub bytes: bool,
}
