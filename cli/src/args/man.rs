//! The arguments of `chiffon man`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Print the manual page, or write one for every command
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon man | man -l -
  chiffon man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// Write all pages into this folder instead of one to standard output
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}
