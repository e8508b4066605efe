//! The arguments of `chiffon decision`.

use chiffon_common::api::DECISION_STATES;
use clap::{Args, Subcommand};

use super::{Consent, Part, Patience};

/// Questions to a person
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon decision list
  chiffon decision show 0199e2f4-77a1
  chiffon decision watch -o ndjson
  chiffon decision answer 0199e2f4-77a1 reject --comment \"not during the backup\"")]
pub enum Decision {
    /// List those that wait for an answer, newest first, each with how to answer
    List(ListDecisions),
    /// Show one in full: what it is about, what it takes, who answered
    Show {
        /// Its id, or the first 6 characters or more
        decision: String,
    },
    /// Tell of those that wait, of new ones as they come, and of their answers
    Watch(WatchDecisions),
    /// Answer one
    Answer(AnswerDecision),
}

/// Tell of those that wait, of new ones as they come, and of their answers
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon decision watch
  chiffon decision watch --project lab
  chiffon decision watch -o ndjson | jq -r 'select(.state == \"pending\") | .decision_id'",
    after_help = "It needs a fleet that runs. Each decision is told when it is seen first and when it is closed. Where the
line is cut it connects again for ever, and tells anew what waits then; Ctrl-C ends it."
)]
pub struct WatchDecisions {
    /// Only of requests of this group
    #[arg(long)]
    pub project: Option<String>,
    #[command(flatten)]
    pub patience: Patience,
}

/// Answer one
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon decision answer 0199e2f4-77a1 approve --digest sha256:6f1c...
  chiffon decision answer 0199e2f4-77a1 reject --comment \"not during the backup\"
  chiffon decision answer 0199e2f4-77a1 --text name=htop",
    after_help = "An approval names the digest of the plan that was read, and tier 2 wants the host name by --confirm; without
a digest, at a terminal, the plan is shown and asked about. It answers and comes back: `chiffon watch`
follows the request."
)]
pub struct AnswerDecision {
    /// Its id, or the first 6 characters or more
    pub decision: String,
    /// One of its options
    #[arg(required_unless_present = "text", conflicts_with = "text")]
    pub choice: Option<String>,
    /// Own words, for a question of the planner: a value, name=value, or another sentence; - reads standard input
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// The digest of the plan that was read, for an approval
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// The host name that tier 2 wants typed
    #[arg(long, value_name = "HOST")]
    pub confirm: Option<String>,
}

/// Answer what a request asks back, and see it through
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Examples:
  chiffon answer 0199e2f4-77a1 name=htop
  chiffon answer 0199e2f4-77a1 nas
  chiffon answer 0199e2f4-77a1 2
  chiffon answer 0199e2f4-77a1 \"Install htop on nas\" --yes",
    after_help = "A number takes the sentence of that number among those that come near. A value, or name=value, fills what was
missing; anything else is another sentence. The request goes on with it as `chiffon run` would."
)]
pub struct Answer {
    /// The request's id, or the first 6 characters or more
    pub request: String,
    /// The answer; - reads it from standard input; without it the question is shown and asked
    pub answer: Option<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub patience: Patience,
}

/// List those that wait for an answer, newest first, each with how to answer
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon decision list
  chiffon decision list --state resolved -n 100
  chiffon decision list --project lab
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
    /// Only of requests of this group
    #[arg(long)]
    pub project: Option<String>,
    #[command(flatten)]
    pub part: Part,
}
