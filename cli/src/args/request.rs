//! The arguments of `chiffon request`.

use chiffon_common::{TaskId, api::REQUEST_STATES};
use clap::{Args, Subcommand};

use super::{Consent, Part, Patience};

/// Look at requests, cancel one, say how one ended, or ask for the same again
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon request list --open
  chiffon request show 0199e2f4-77a1
  chiffon request cancel 0199e2f4-77a1
  chiffon request resolve 0199e2f4-77a1 completed
  chiffon request retry-now 0199e2f4-77a1
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
    /// Try at once what waits for its next try
    RetryNow(RetryNow),
    /// Say how a run ended of which nobody else knows it
    Resolve(Resolve),
}

/// Try at once what waits for its next try
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon request retry-now 0199e2f4-77a1
  chiffon request retry-now 0199e2f4-77a1 --task 0199e2f4-9b3c-7c1e-8a55-0d3f6b7a9c21")]
pub struct RetryNow {
    /// Its id, or the first 6 characters or more
    pub request: String,
    /// Only this task of it, by its whole id
    #[arg(long, value_name = "ID")]
    pub task: Option<TaskId>,
}

/// How it ended, in a person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Ending {
    /// It was done
    Completed,
    /// It was not done
    Failed,
    /// Run it again
    Retry,
}

/// Say how a run ended of which nobody else knows it
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon request resolve 0199e2f4-77a1 completed
  chiffon request resolve 0199e2f4-77a1 retry --comment \"looked at the host: nothing had begun\"")]
pub struct Resolve {
    /// Its id, or the first 6 characters or more
    pub request: String,
    /// How it ended, or whether it is to run again
    #[arg(value_enum)]
    pub ending: Ending,
    /// The task that is meant, by its whole id, where several are open
    #[arg(long, value_name = "ID")]
    pub task: Option<TaskId>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
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
