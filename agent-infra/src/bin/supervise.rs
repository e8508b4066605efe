//! The supervisor of runs as a program of its own. All it does is left to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|argument| argument == chiffon_agent_infra::SUPERVISE_ARG);
    chiffon_agent_infra::supervise(arguments)
}
