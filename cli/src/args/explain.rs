//! The arguments of `chiffon explain`.

use clap::Args;

/// Tell what an error code means, why it comes, and what to do
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:
  chiffon explain 5408
  chiffon explain
  chiffon explain 5408 --json")]
pub struct Explain {
    /// The number behind an error; without it all codes are listed
    #[arg(value_parser = number)]
    pub code: Option<u64>,
}

fn number(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "a code is a number, such as 5408";
    // Rust's own reading would take a sign too.
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().map_err(|_| FORM),
        false => Err(FORM),
    }
}
