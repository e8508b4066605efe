//! How the programs of the fleet end: the same words and the same status for the same thing.

use std::{path::Path, process::ExitCode};

use chiffon_common::{ErrorCode, Problem};

use crate::{Health, Healthy};

/// The status where command line or configuration are not permitted.
pub const NOT_PERMITTED: u8 = 2;

/// Says on standard error why a program ends; its status: 2 where its settings are at fault, else 1.
pub fn ended_by(problem: &Problem) -> ExitCode {
    let Problem {
        code, detail, todo, ..
    } = problem;
    eprintln!("error: {detail} ({code})\n{todo}");
    match code {
        ErrorCode::UnknownKey
        | ErrorCode::InvalidValue
        | ErrorCode::SettingsContradict
        | ErrorCode::KeyFault => ExitCode::from(NOT_PERMITTED),
        _ => ExitCode::FAILURE,
    }
}

/// What `healthcheck` answers from this health file, on standard output; its status: 0 where all is well, else 1.
pub fn healthcheck(file: &Path) -> ExitCode {
    match Health::look(file) {
        Healthy::Yes(told) => {
            println!("ok (pid {}, version {})", told.pid, told.version);
            ExitCode::SUCCESS
        }
        Healthy::No(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
