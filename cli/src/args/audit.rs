//! The arguments of `chiffon audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// The record of every decision
#[derive(Debug, Clone, Subcommand)]
#[command(before_help = "Examples:
  chiffon audit verify
  chiffon audit anchor --to /mnt/usb/chiffon.anchors
  chiffon audit verify --anchors /mnt/usb/chiffon.anchors
  chiffon audit export --out audit.ndjson
  chiffon audit export --after 1200 | jq .record.entry.action
  chiffon audit accept-key SHA256:Wx0... --because \"the disk with the old one was lost\"")]
pub enum Audit {
    /// Hold chain, seals, rows and ledger against each other, and against what was noted elsewhere
    Verify(Verify),
    /// Note what the record ends with now, to be kept where nobody who can change it gets at it
    Anchor(Anchor),
    /// Write all records, one JSON document a line, lowest number first
    Export(Export),
    /// Say that another key signs the ledger from now on
    AcceptKey(AcceptKey),
}

/// Hold chain, seals, rows and ledger against each other, and against what was noted elsewhere
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon audit verify
  chiffon audit verify --anchors /mnt/usb/chiffon.anchors
  chiffon audit verify --remote")]
pub struct Verify {
    /// A file that `chiffon audit anchor --to` has written
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub anchors: Option<PathBuf>,
    /// Also against what lies in the ledger's remote (ledger.remote)
    #[arg(long)]
    pub remote: bool,
}

/// Note what the record ends with now, to be kept where nobody who can change it gets at it
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon audit anchor
  chiffon audit anchor --to /mnt/usb/chiffon.anchors")]
pub struct Anchor {
    /// Add it to this file, a line each, instead of printing it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub to: Option<PathBuf>,
}

/// Say that another key signs the ledger from now on
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon doctor
  chiffon audit accept-key SHA256:Wx0... --because \"the disk with the old one was lost\"")]
pub struct AcceptKey {
    /// Fingerprint of the key that lies in keys/ledger.key, as `chiffon doctor` names it
    #[arg(value_name = "FINGERPRINT")]
    pub key: String,
    /// Why; it stands in the record
    #[arg(long, value_name = "WORDS")]
    pub because: String,
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
