//! Completion by Tab. The script of `chiffon completions` makes the shell call this program with `COMPLETE`
//! set and the line so far; it answers with what may come next. Ids of the running fleet are left to `live`.

mod live;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCandidates, CompletionCandidate},
    env::Shells,
};

use crate::args;
use live::Which;

/// Says that a shell asks, and which.
const VARIABLE: &str = "COMPLETE";

const PROGRAM: &str = "chiffon";

/// Answers the shell if one asks; otherwise it costs a look at one variable. Must come before the first thread: clap
/// takes the variable out of the environment.
pub fn answered() -> Option<ExitCode> {
    let asks = std::env::var_os(VARIABLE)?;
    let shell = Path::new(&asks).file_stem()?.to_str()?;
    // The variable may be somebody else's, who means something else by it.
    Shells::builtins().completer(shell)?;
    let here = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(PROGRAM)
        .try_complete(std::env::args_os(), here.as_deref());
    match answer {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => None,
        // No word about it: it would land within the line that is being typed.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The script that a shell reads to complete by this program. `called` is how this program was started.
pub fn script(shell: &str, called: Option<OsString>) -> io::Result<String> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell);
    let shell = shell.ok_or_else(|| io::Error::other("the shell is not known"))?;
    let program = program(called, std::env::current_dir().ok().as_deref());
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, &program, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// How the script calls this program: by its path, where it was called by one. A path that shells would want
/// quoted cannot stand in the scripts of all of them; then the one on the PATH is left.
fn program(called: Option<OsString>, here: Option<&Path>) -> String {
    let called = called.map(PathBuf::from).unwrap_or_default();
    let path = match here {
        Some(here) if called.components().count() > 1 => here.join(&called),
        _ => called,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match path.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        _ => PROGRAM.to_owned(),
    }
}

/// The command line with what can stand for its values.
fn command() -> clap::Command {
    with_values(args::command())
}

/// Arguments of the same name mean the same in every command, so a new command is completed by its names alone.
fn with_values(command: clap::Command) -> clap::Command {
    let which = match command.get_name() {
        "answer" | "approve" | "reject" => Which::Waiting,
        "cancel" | "watch" => Which::Open,
        _ => Which::All,
    };
    let with_candidates = |arg: clap::Arg| match arg.get_id().as_str() {
        "request" => arg.add(ArgValueCandidates::new(move || live::requests(which))),
        "decision" => arg.add(ArgValueCandidates::new(live::decisions)),
        "schedule" => arg.add(ArgValueCandidates::new(live::schedules)),
        "entry" => arg.add(ArgValueCandidates::new(live::entries)),
        "on" => arg.add(ArgValueCandidates::new(live::places)),
        "agent" => arg.add(ArgValueCandidates::new(live::agents)),
        "host" => arg.add(ArgValueCandidates::new(live::hosts)),
        "code" => arg.add(ArgValueCandidates::new(codes)),
        _ => arg,
    };
    command
        .mut_args(with_candidates)
        .mut_subcommands(with_values)
}

fn codes() -> Vec<CompletionCandidate> {
    let codes = chiffon_common::ErrorCode::ALL.iter();
    let candidate = |code: &chiffon_common::ErrorCode| {
        CompletionCandidate::new(code.to_string()).help(Some(code.title().into()))
    };
    codes.map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_completed_wherever_a_command_takes_one() {
        fn completed(path: &str, command: &clap::Command, found: &mut Vec<String>) {
            let has = |arg: &&clap::Arg| arg.get::<ArgValueCandidates>().is_some();
            for arg in command.get_arguments().filter(has) {
                found.push(format!("{path} {}", arg.get_id()));
            }
            for inner in command.get_subcommands() {
                completed(&format!("{path} {}", inner.get_name()), inner, found);
            }
        }
        let mut found = Vec::new();
        completed("chiffon", &command(), &mut found);
        for wanted in [
            "chiffon request show request",
            "chiffon request cancel request",
            "chiffon answer request",
            "chiffon approve request",
            "chiffon decision show decision",
            "chiffon decision answer decision",
            "chiffon reject request",
            "chiffon watch request",
            "chiffon request retry request",
            "chiffon undo request",
            "chiffon plan show request",
            "chiffon schedule show schedule",
            "chiffon schedule edit schedule",
            "chiffon decision list request",
            "chiffon catalogue run entry",
            "chiffon catalogue run on",
            "chiffon fleet pause agent",
            "chiffon catalogue show entry",
            "chiffon inventory trust host",
            "chiffon explain code",
        ] {
            assert!(found.iter().any(|one| one == wanted), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn the_script_calls_the_program_as_it_was_called() {
        let here = Some(Path::new("/home/ada"));
        let program = |called: &str| program(Some(called.into()), here);
        assert_eq!(program("chiffon"), "chiffon");
        assert_eq!(program("bin/chiffon"), "/home/ada/bin/chiffon");
        assert_eq!(program("/opt/chiffon"), "/opt/chiffon");
        assert_eq!(program("/opt/my $(tools)/chiffon"), "chiffon");
        assert_eq!(super::program(None, here), "chiffon");
    }
}
