//! `chiffon completions`: the script for a shell. What it makes the shell ask is answered by `completion`.

use crate::{args::Completions, completion, exit::Exit, failure::Failure, terminal::Terminal};

pub fn completions(terminal: &Terminal, args: &Completions) -> Result<Exit, Failure> {
    let script = completion::script(args.shell.name(), std::env::args_os().next());
    let script = script.map_err(|error| Failure::internal(format!("no script: {error}")))?;
    terminal.data(script.trim());
    Ok(Exit::Ok)
}
