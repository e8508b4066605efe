//! The command line. What a command does is left to `commands`; the texts here are its help, with the
//! examples first (C11).

mod audit;
mod catalogue;
mod chat;
mod complaint;
mod completions;
mod config;
mod decision;
mod explain;
mod fleet;
mod freeze;
mod inventory;
mod man;
mod plan;
mod replay;
mod request;
mod run;
mod schedule;
mod shared;
mod undo;
mod watch;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::config::Config;
use crate::terminal::{Format, Wishes};
pub use audit::{AcceptKey, Anchor, Audit, Export, Verify};
pub use catalogue::{
    AcceptEntries, AddRepository, Catalogue, CheckEntries, NewEntry, RepositoryHosts, RunEntry,
    UpdateRepository,
};
pub use chat::Chat;
pub use complaint::{failure, format_wished};
pub use completions::Completions;
pub use decision::{Answer, AnswerDecision, Decision, ListDecisions, WatchDecisions};
pub use explain::Explain;
pub use fleet::{Change, Fleet};
pub use freeze::{Freeze, Thaw};
pub use inventory::{Clear, Inventory, Trust};
pub use man::Man;
pub use plan::{Plan, ShowPlan, TryPlan};
pub use replay::Replay;
pub use request::{Ending, Request, Resolve, Retry, RetryNow};
pub use run::{Ask, Run};
pub use schedule::{
    AddSchedule, ApproveSchedule, EditSchedule, ListSchedules, MissedRuns, NextOfSchedule,
    RunSchedule, Schedule, ScheduleWords,
};
pub use shared::{Belongs, Consent, Part, Patience};
pub use undo::Undo;
pub use watch::Watch;

const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

/// From a sentence to a verified, recorded change on your machines.
#[derive(Debug, Parser)]
#[command(
    name = "chiffon",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    before_help = "Examples:
  chiffon run \"How full are the disks on this machine?\"
  chiffon run \"Install htop on nas\" --yes
  chiffon up
  chiffon log",
    after_help = "Exit codes: 0 done, 1 failed, 2 not permitted as written, 3 not found, 4 denied, 5 conflict,
6 waits for a person, 7 outcome unknown, 8 too late, 130 Ctrl-C.
Data folder: CHIFFON_HOME, else chiffon in the XDG data folder."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// How data is written
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    /// The same as --output json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// No colours (also NO_COLOR, CHIFFON_NO_COLOR, TERM=dumb)
    #[arg(long, global = true)]
    no_color: bool,
    /// Never ask; a missing answer is an error that names the flag
    #[arg(long, global = true)]
    no_input: bool,
    /// Show the log on standard error; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// What the flags say about the terminal.
    pub fn wishes(&self) -> Wishes {
        let json = self.json.then_some(Format::Json);
        Wishes {
            format: self.output.or(json).unwrap_or_default(),
            no_color: self.no_color,
            no_input: self.no_input,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(Run),
    Up(Up),
    Ask(Ask),
    Chat(Chat),
    Log(Log),
    #[command(subcommand)]
    Request(Request),
    #[command(subcommand)]
    Plan(Plan),
    #[command(subcommand)]
    Decision(Decision),
    Answer(Answer),
    Approve(Approve),
    Reject(Reject),
    Undo(Undo),
    Watch(Watch),
    #[command(subcommand)]
    Schedule(Schedule),
    #[command(subcommand)]
    Catalogue(Catalogue),
    #[command(subcommand)]
    Inventory(Inventory),
    Fleet(Fleet),
    Freeze(Freeze),
    Thaw(Thaw),
    Doctor(Doctor),
    Status(Status),
    #[command(subcommand)]
    Audit(Audit),
    Replay(Replay),
    #[command(subcommand)]
    Config(Config),
    Explain(Explain),
    Completions(Completions),
    Man(Man),
    Version(Version),
}

/// Start the fleet on this machine and serve the HTTP API until Ctrl-C
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon up
  chiffon up --listen 127.0.0.1:9000")]
pub struct Up {
    /// Where to listen [default: http.listen in chiffon.yaml, 127.0.0.1:8420]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// Show what was done: the ledger, newest first
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon log
  chiffon log -n 100
  chiffon log -o ndjson | jq .subject")]
pub struct Log {
    /// How many lines
    #[arg(short = 'n', long = "lines", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub lines: u32,
}

/// Approve the plan that waits, or answer another open question
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon approve 0199e2f4-77a1
  chiffon approve 0199e2f4-77a1 --digest sha256:6f1c... --no-input
  chiffon approve 0199e2f4-77a1 --confirm nas --comment \"agreed with Ada\"")]
pub struct Approve {
    /// The request's id, or the first 6 characters or more
    pub request: String,
    /// The digest of the plan that was read; without it the plan is shown and asked about
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// The host name that tier 2 wants typed
    #[arg(long, value_name = "HOST")]
    pub confirm: Option<String>,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// The answer, where the question is no approval
    #[arg(long, value_name = "ANSWER")]
    pub choice: Option<String>,
}

/// Refuse the plan that waits
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon reject 0199e2f4-77a1
  chiffon reject 0199e2f4-77a1 --comment \"not during the backup\"")]
pub struct Reject {
    /// The request's id, or the first 6 characters or more
    pub request: String,
    /// For the record
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// Look for what is wrong with this installation
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon doctor
  chiffon doctor --json")]
pub struct Doctor {}

/// Tell how the fleet is: health, agents, open requests
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon status
  chiffon status --json")]
pub struct Status {}

/// Tell the version
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon version
  chiffon version --json")]
pub struct Version {}

/// The whole command line as clap knows it.
pub fn command() -> clap::Command {
    examples_first(Cli::command().max_term_width(100))
}

fn examples_first(command: clap::Command) -> clap::Command {
    command
        .help_template(TEMPLATE)
        .mut_subcommands(examples_first)
}

/// Reads the arguments. The error is clap's, for help and version too.
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The help of a command and of all below it, by name.
    fn helps(path: &str, command: &mut clap::Command, found: &mut Vec<(String, String)>) {
        let help = command.clone().term_width(100).render_long_help();
        found.push((path.to_owned(), help.to_string()));
        for inner in command.get_subcommands_mut() {
            let path = format!("{path}_{}", inner.get_name());
            helps(&path, inner, found);
        }
    }

    #[test]
    fn the_help_of_every_command() {
        let mut command = command();
        command.build();
        let mut found = Vec::new();
        helps("chiffon", &mut command, &mut found);
        assert!(found.len() > 20, "{}", found.len());
        for (name, help) in found {
            insta::assert_snapshot!(format!("help_{name}"), help);
        }
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        let parse = |line: &str| parse(line.split(' ').map(Into::into));
        for line in [
            "chiffon --json status",
            "chiffon status --json",
            "chiffon status -o json",
        ] {
            let wishes = parse(line).unwrap().global.wishes();
            assert_eq!(wishes.format, Format::Json, "{line}");
        }
        assert!(parse("chiffon status --json -o yaml").is_err());
        assert!(parse("chiffon run x --yes=3").is_err());
        assert!(parse("chiffon request list --state needs_input").is_ok());
        let error = parse("chiffon request list --state bogus").unwrap_err();
        assert!(error.to_string().contains("awaiting_approval"), "{error}");
    }

    #[test]
    fn yes_takes_its_tier_with_an_equals_sign_only() {
        let tier = |line: &str| match parse(line.split(' ').map(Into::into)).unwrap().command {
            Command::Run(run) => (run.consent.yes, run.text),
            other => panic!("{other:?}"),
        };
        assert_eq!(tier("chiffon run x"), (None, "x".to_owned()));
        assert_eq!(tier("chiffon run --yes x"), (Some(1), "x".to_owned()));
        assert_eq!(tier("chiffon run x --yes=2"), (Some(2), "x".to_owned()));
    }
}
