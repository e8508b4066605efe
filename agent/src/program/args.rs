//! The command line of an agent's program.

use std::{path::PathBuf, process::ExitCode};

use chiffon_program::{NOT_PERMITTED, settings::Flag};
use clap::{Arg, ArgAction, ArgMatches, Command as Clap, ValueHint, value_parser};

use super::Program;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Run,
    Healthcheck,
    Keys,
}

/// What was asked for.
pub(super) struct Asked {
    pub command: Command,
    pub config: Option<PathBuf>,
    pub flags: Vec<Flag>,
}

pub(super) fn parse(program: &Program) -> Result<Asked, ExitCode> {
    let found = clap(program).try_get_matches().map_err(|said| {
        // Help that nobody reads any more is no error.
        let _closed = said.print();
        match said.use_stderr() {
            true => ExitCode::from(NOT_PERMITTED),
            false => ExitCode::SUCCESS,
        }
    })?;
    let command = match found.subcommand_name() {
        Some("healthcheck") => Command::Healthcheck,
        Some("keys") => Command::Keys,
        _ => Command::Run,
    };
    Ok(Asked {
        command,
        config: found.get_one("config").cloned(),
        flags: flags(&found),
    })
}

fn clap(program: &Program) -> Clap {
    Clap::new(program.name)
        .about(program.about)
        .version(program.version)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "Exit codes: 0 it was done or drained, 1 it failed or is not well, 2 the command line, the configuration or a key is not permitted.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .value_parser(value_parser!(PathBuf))
                .global(true)
                .help("The configuration, in place of chiffon.yaml in the data folder"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .value_parser(Flag::parse)
                .global(true)
                .help("A setting, over file and environment; not for secrets, which everybody on the machine could read here"),
        )
        .subcommand(Clap::new("run").about("Work until SIGTERM or Ctrl-C, then drain"))
        .subcommand(
            Clap::new("healthcheck").about("Say whether the one that runs in this data folder is well"),
        )
        .subcommand(Clap::new("keys").about("Name the orchestrators that it obeys, by the ids of their keys"))
}

fn flags(found: &ArgMatches) -> Vec<Flag> {
    let flags = found.get_many::<Flag>("set");
    flags.into_iter().flatten().cloned().collect()
}
