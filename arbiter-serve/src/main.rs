//! The `arbiter` program: reads the command line, runs the command, and ends with its exit code.

mod args;
mod audit;
mod clocks;
mod commands;
mod config;
mod decide;
mod http;
mod outbox;
mod record;
mod replay;
mod restore;
mod serve;
mod states;
mod watch;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::run(args::Cli::parse())
}
