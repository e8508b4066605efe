//! The arguments of `chiffon schedule`.

use chiffon_common::api::SCHEDULE_STATES;
use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::{Consent, Part, Patience};

/// What is asked at set times
#[derive(Debug, Clone, Subcommand)]
#[command(
    before_help = "Examples:
  chiffon schedule add \"How full are the disks on nas?\" --cron \"0 7 * * *\" --zone Europe/Berlin
  chiffon schedule add --entry ping --on nas,web --cron @hourly --missed skip
  chiffon schedule next --cron \"30 3 * * MON-FRI\"
  chiffon schedule list
  chiffon schedule pause 0199e2f4-77a1",
    after_help = "Schedules ask while `chiffon up` runs; what came due in between is told by --missed."
)]
pub enum Schedule {
    /// Make one: a sentence or an entry, and when
    Add(AddSchedule),
    /// List them, newest first
    List(ListSchedules),
    /// Show one in full
    Show {
        /// Its id, or the first 6 characters or more
        schedule: String,
    },
    /// Change what is named; the rest stays
    Edit(EditSchedule),
    /// Let it ask nothing for now
    Pause {
        /// Its id, or the first 6 characters or more
        schedule: String,
    },
    /// Let it ask again, from now on
    Resume {
        /// Its id, or the first 6 characters or more
        schedule: String,
    },
    /// Remove it; what it has asked goes on
    Remove {
        /// Its id, or the first 6 characters or more
        schedule: String,
    },
    /// Tell when one asks next, or when an expression would
    Next(NextOfSchedule),
    /// Ask at once, and see it through
    Run(RunSchedule),
    /// Approve exactly the plan of now for every run, until a date
    Approve(ApproveSchedule),
    /// Withdraw that approval
    Withdraw {
        /// Its id, or the first 6 characters or more
        schedule: String,
    },
}

/// What becomes of times that passed unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissedRuns {
    /// They are passed over
    Skip,
    /// It asks once, however many they are
    Once,
    /// It asks for each within --missed-within, one after the other
    All,
}

/// When and what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ScheduleWords {
    /// Five fields (minute hour day-of-month month day-of-week), or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "at")]
    pub cron: Option<String>,
    /// One time, such as 2030-05-01T03:00, of --zone; or with the zone at it, as in 2030-05-01T03:00[Europe/Berlin]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// A name of the IANA time zone database, or an offset such as +02:00 [default: that of --at, else UTC]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub zone: Option<String>,
    /// What becomes of times that passed unused [default: once]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub missed: Option<MissedRuns>,
    /// How old a time may be for --missed all, in seconds; a week at most [default: 86400]
    #[arg(long, value_name = "SECONDS")]
    pub missed_within: Option<u64>,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// An entry of the catalogue, in place of a sentence
    #[arg(long, value_name = "ENTRY", conflicts_with = "text")]
    pub entry: Option<String>,
    /// Hosts and groups of the entry, with commas between or given several times
    #[arg(
        long = "on",
        id = "on",
        value_name = "HOST[,HOST]",
        value_delimiter = ','
    )]
    pub on: Vec<String>,
    /// A parameter of the entry: NAME=TEXT, or NAME:=JSON
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    pub parameter: Vec<String>,
    /// A file with parameters, JSON or YAML; - reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub parameters: Option<String>,
    /// The group that its requests belong to
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
}

/// Make one: a sentence or an entry, and when
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon schedule add \"How full are the disks on nas?\" --cron \"0 7 * * *\" --zone Europe/Berlin
  chiffon schedule add --entry ping --on nas --cron @hourly --missed skip
  chiffon schedule add \"Restart cron on nas\" --at 2030-05-01T03:00 --zone Europe/Berlin")]
pub struct AddSchedule {
    /// The sentence
    pub text: Option<String>,
    #[command(flatten)]
    pub words: ScheduleWords,
    /// The same key gives the same schedule again
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// Change what is named; the rest stays
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon schedule edit 0199e2f4-77a1 --cron \"30 6 * * *\"
  chiffon schedule edit 0199e2f4-77a1 --text \"How full are the disks on web?\"")]
pub struct EditSchedule {
    /// Its id, or the first 6 characters or more
    pub schedule: String,
    /// Another sentence
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    #[command(flatten)]
    pub words: ScheduleWords,
}

/// List them, newest first
#[derive(Debug, Clone, Args)]
pub struct ListSchedules {
    #[command(flatten)]
    pub part: Part,
    /// Only in this state
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SCHEDULE_STATES))]
    pub state: Option<String>,
}

/// Tell when one asks next, or when an expression would
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon schedule next 0199e2f4-77a1
  chiffon schedule next --cron \"30 3 * * MON-FRI\" --zone Europe/Berlin -n 10")]
pub struct NextOfSchedule {
    /// Its id, or the first 6 characters or more
    #[arg(conflicts_with = "cron")]
    pub schedule: Option<String>,
    /// An expression to try; nothing is stored
    #[arg(long, value_name = "EXPRESSION")]
    pub cron: Option<String>,
    /// The zone of that expression [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub zone: Option<String>,
    /// How many times
    #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub count: u32,
}

/// Ask at once, and see it through
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon schedule run 0199e2f4-77a1
  chiffon schedule run 0199e2f4-77a1 --yes --timeout 300")]
pub struct RunSchedule {
    /// Its id, or the first 6 characters or more
    pub schedule: String,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub patience: Patience,
}

/// Approve exactly the plan of now for every run, until a date
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon schedule approve 0199e2f4-77a1
  chiffon schedule approve 0199e2f4-77a1 --days 30 --digest sha256:6f1c... --no-input")]
pub struct ApproveSchedule {
    /// Its id, or the first 6 characters or more
    pub schedule: String,
    /// The standing digest of the plan that was read; without it the plan is shown and asked about
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    /// For how many days
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
}
