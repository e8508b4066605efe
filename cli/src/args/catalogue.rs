//! The arguments of `chiffon catalogue`.

use clap::{Args, Subcommand, ValueHint};

use super::{Belongs, Consent, Patience};

/// What may run, and starting it without a sentence
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon catalogue list
  chiffon catalogue show package_install
  chiffon catalogue run package_install name=htop --on nas --yes
  chiffon catalogue check")]
pub enum Catalogue {
    /// List all entries
    List,
    /// Show one entry with its parameters
    Show {
        /// Its id
        entry: String,
    },
    /// Name every file that did not load, with line and reason
    Check,
    /// Start an entry with parameters: no sentence needed
    Run(RunEntry),
}

/// Start an entry with parameters: no sentence needed
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon catalogue run ping --on nas,web
  chiffon catalogue run package_install name=htop --on nas --yes
  chiffon catalogue run write_file --on nas --parameters motd.yml --dry-run
  chiffon catalogue run backup 'paths:=[\"/etc\",\"/srv\"]' --on nas --timeout 3600",
    after_help = "Secret values do not belong on a command line, where every program on the machine can read
them: put them into a file that only you can read, and name it by --parameters."
)]
pub struct RunEntry {
    /// Its id; `chiffon catalogue show` tells the parameters
    pub entry: String,
    /// A parameter: NAME=TEXT, or NAME:=JSON for lists, mappings and exact types
    #[arg(value_name = "NAME=VALUE")]
    pub parameter: Vec<String>,
    /// Hosts and groups, with commas between or given several times; not needed where there is one host only
    #[arg(
        long = "on",
        id = "on",
        value_name = "HOST[,HOST]",
        value_delimiter = ','
    )]
    pub on: Vec<String>,
    /// A file with parameters, JSON or YAML; - reads standard input. What is given as NAME=VALUE wins over it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub parameters: Option<String>,
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
