//! The arguments of `chiffon fleet`.

use clap::{Args, Subcommand};

/// The agents: how they are, and whether they get work
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon fleet
  chiffon fleet pause infrastructure
  chiffon fleet resume infrastructure")]
pub struct Fleet {
    #[command(subcommand)]
    pub change: Option<Change>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Change {
    /// Give an agent no new work; what it has in hand goes on
    Pause {
        /// Its id, as `chiffon fleet` shows it
        agent: String,
    },
    /// Give an agent work again
    Resume {
        /// Its id, as `chiffon fleet` shows it
        agent: String,
    },
}
