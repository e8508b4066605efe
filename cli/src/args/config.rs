//! The arguments of `chiffon config`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

/// Show the configuration, or look for what is wrong with it
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon config show --origin
  chiffon config validate
  chiffon config validate ./chiffon.yaml")]
pub enum Config {
    /// Show every key with its value in force
    Show {
        /// Tell where each value comes from: default, file, environment
        #[arg(long)]
        origin: bool,
    },
    /// Name everything that is wrong with the file and the environment
    Validate {
        /// The file to read [default: chiffon.yaml in the data folder]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}
