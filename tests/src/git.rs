//! Git as somebody else than Chiffon runs it, untouched by the settings of this machine.

use std::path::Path;
use std::process::{Command, Output};

/// Runs git in a folder as Ada.
///
/// # Panics
/// Where git is not installed.
pub fn git(folder: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_EDITOR", "true")
        .output()
        .expect("git runs")
}
