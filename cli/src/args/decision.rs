//! The arguments of `chiffon decision`.

use chiffon_common::api::DECISION_STATES;
use clap::{Args, Subcommand};

use super::Part;

/// Questions to a person
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon decision list
  chiffon decision list --all --request 0199e2f4-77a1")]
pub enum Decision {
    /// List those that wait for an answer, newest first, each with how to answer
    List(ListDecisions),
}

/// List those that wait for an answer, newest first, each with how to answer
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon decision list
  chiffon decision list --state resolved -n 100
  chiffon decision list --all --request 0199e2f4-77a1")]
pub struct ListDecisions {
    /// Also those that are answered or came too late
    #[arg(long, conflicts_with = "state")]
    pub all: bool,
    /// Only in this state [default: pending]
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(DECISION_STATES))]
    pub state: Option<String>,
    /// Only of this request: its id, or the first 6 characters or more
    #[arg(long)]
    pub request: Option<String>,
    #[command(flatten)]
    pub part: Part,
}
