//! The arguments of `chiffon request`.

use chiffon_common::api::REQUEST_STATES;
use clap::{Args, Subcommand};

use super::{Consent, Part, Patience};

/// Look at requests, cancel one, or ask for the same again
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon request list --open
  chiffon request show 0199e2f4-77a1
  chiffon request cancel 0199e2f4-77a1
  chiffon request retry 0199e2f4-77a1 --yes")]
pub enum Request {
    /// Show one in full: plan, tasks, questions, outcome
    Show {
        /// Its id, or the first 6 characters or more
        request: String,
    },
    /// List them, newest first
    List(ListRequests),
    /// Stop it, wherever it is
    Cancel {
        /// Its id, or the first 6 characters or more
        request: String,
    },
    /// Ask for the same again, as a new request with its own plan and approval
    Retry(Retry),
}

/// List them, newest first
#[derive(Debug, Clone, Args)]
pub struct ListRequests {
    #[command(flatten)]
    pub part: Part,
    /// Only those that have not ended
    #[arg(long)]
    pub open: bool,
    /// Only in this state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(REQUEST_STATES))]
    pub state: Option<String>,
    /// Only of this group
    #[arg(long)]
    pub project: Option<String>,
    /// Only of this conversation
    #[arg(long)]
    pub room: Option<String>,
}

/// Ask for the same again, as a new request with its own plan and approval
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon request retry 0199e2f4-77a1
  chiffon request retry 0199e2f4-77a1 --yes --timeout 300")]
pub struct Retry {
    /// Its id, or the first 6 characters or more; it must have ended
    pub request: String,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub patience: Patience,
}
