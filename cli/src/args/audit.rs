//! The arguments of `chiffon audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// The record of every decision
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon audit verify
  chiffon audit export --out audit.ndjson
  chiffon audit export --after 1200 | jq .record.entry.action")]
pub enum Audit {
    /// Hold the whole record against its chain and the ledger
    Verify,
    /// Write all records, one JSON document a line, lowest number first
    Export(Export),
}

/// Write all records, one JSON document a line, lowest number first
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon audit export --out audit.ndjson
  chiffon audit export --after 1200 | jq .record.entry.action")]
pub struct Export {
    /// Only records after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=9_223_372_036_854_775_807))]
    pub after: u64,
    /// A new file that only you can read, instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}
