//! The `chiffon` program, and what `chiffon-orchestrator` shares with it (`served`). Reads the command line, runs the command,
//! and ends with its exit code. What commands do is left to `commands`, what a supervisor does to `chiffon-agent-infra`.

mod args;
mod client;
mod commands;
mod completion;
mod exit;
mod failure;
mod fleet;
mod home;
mod interrupt;
mod logging;
mod output;
mod progress;
#[cfg(test)]
mod reference;
mod render;
pub mod served;
mod session;
mod settings;
mod terminal;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use crate::{
    args::{Cli, Command},
    commands::Context,
    exit::Exit,
    failure::Failure,
    terminal::{Format, Terminal, Wishes},
};
use chiffon_program::Env;

/// Reads the command line of this process, does what it says, and ends with the exit code.
pub fn main() -> ExitCode {
    // A supervisor must stay small and have no threads but its own: before everything else.
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == chiffon_agent_infra::SUPERVISE_ARG)
    {
        return chiffon_agent_infra::supervise(arguments);
    }
    #[cfg(feature = "faults")]
    if let Err(why) = chiffon_failpoint::arm() {
        eprintln!("error: {why}");
        return ExitCode::from(Exit::Usage.code());
    }
    if let Some(ended) = completion::answered() {
        return ended;
    }
    ExitCode::from(begin(std::env::args_os()).code())
}

fn begin(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let env = Env::of_process();
    #[cfg(feature = "faults")]
    let env = env.without(&chiffon_failpoint::VARIABLES);
    let cli = match args::parse(arguments.clone()) {
        Ok(cli) => cli,
        Err(asked_for_help_or_wrong) => {
            return not_understood(&asked_for_help_or_wrong, &env, &arguments);
        }
    };
    let terminal = Terminal::new(&env, cli.global.wishes());
    let ended = match &cli.command {
        // These make no data folder and need no runtime.
        Command::Config(args) => commands::config(&env, &terminal, args),
        Command::Completions(args) => commands::completions(&terminal, args),
        Command::Explain(args) => commands::explain(&terminal, args),
        Command::Man(args) => commands::man(&terminal, args),
        Command::Version(_) => Ok(commands::version(&terminal)),
        _ => with_runtime(&cli, &env, &terminal),
    };
    let exit = ended.unwrap_or_else(|failure| {
        output::failure(&terminal, &failure);
        failure.exit
    });
    match terminal.lost() {
        Some(why) if exit == Exit::Ok => {
            terminal.say(&format!("error: standard output cannot be written: {why}"));
            Exit::Failure
        }
        _ => exit,
    }
}

/// clap's own words for people; a document where documents were asked for, as far as that was understood.
fn not_understood(said: &clap::Error, env: &Env, arguments: &[OsString]) -> Exit {
    if !said.use_stderr() {
        // Help that nobody reads any more is no error.
        let _closed = said.print();
        return Exit::Ok;
    }
    let format = args::format_wished(arguments);
    if format == Format::Table {
        let _closed = said.print();
        return Exit::Usage;
    }
    let wishes = Wishes {
        format,
        ..Wishes::default()
    };
    let failure = args::failure(said);
    output::failure(&Terminal::new(env, wishes), &failure);
    failure.exit
}

fn with_runtime(cli: &Cli, env: &Env, terminal: &Terminal) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The store has threads of its own; what is left here is waiting.
        .worker_threads(2)
        // Idle threads of the blocking pool are woken in turn: with the usual ten seconds the least work keeps all of
        // them that the busiest moment needed, for ever.
        .thread_keep_alive(Duration::from_secs(1))
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let context = Context::new(cli, env, terminal)?;
        // On the heap: the future of a whole fleet is large.
        Box::pin(commands::dispatch(&cli.command, context)).await
    });
    // A look for Ansible or a read from a terminal may still block a thread; nobody waits for it.
    runtime.shutdown_background();
    ended
}
