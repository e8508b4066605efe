//! Arguments that several commands take, so that they have the same names and mean the same everywhere.

use clap::Args;

/// Where a request belongs.
#[derive(Debug, Clone, Args)]
pub struct Belongs {
    /// The group of requests it belongs to
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// The conversation it belongs to
    #[arg(long, value_name = "ROOM")]
    pub room: Option<String>,
    /// The same key gives the same request again
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// What is agreed to beforehand.
#[derive(Debug, Clone, Default, Args)]
pub struct Consent {
    /// Approve without asking: tier 1, or up to tier 2 with --yes=2
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_name = "TIER",
        value_parser = clap::value_parser!(u8).range(1..=2)
    )]
    pub yes: Option<u8>,
    /// The host name that tier 2 wants typed (--yes=2 names it by itself)
    #[arg(long, value_name = "HOST")]
    pub confirm: Option<String>,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Patience {
    /// Stop waiting after so many seconds, with exit code 8
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub timeout: Option<u64>,
}

/// A part of a list.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Where the last page ended
    #[arg(long)]
    pub cursor: Option<String>,
}
