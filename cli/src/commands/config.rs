//! `chiffon config show|validate`. Only reads: makes no data folder and starts nothing.

use std::path::{Path, PathBuf};

use chiffon_common::Problem;
use serde::Serialize;

use chiffon_program::Env;

use crate::{
    args::Config, exit::Exit, failure::Failure, home::Home, output, render, settings::Settings,
    terminal::Terminal,
};

#[derive(Serialize)]
struct Validated {
    file: PathBuf,
    /// Whether the file is there; without it the defaults hold.
    exists: bool,
    valid: bool,
    faults: Vec<Problem>,
}

pub fn config(env: &Env, terminal: &Terminal, args: &Config) -> Result<Exit, Failure> {
    match args {
        Config::Show { origin } => show(env, terminal, *origin),
        Config::Validate { file } => validate(env, terminal, file.as_deref()),
    }
}

fn show(env: &Env, terminal: &Terminal, with_origin: bool) -> Result<Exit, Failure> {
    let file = Home::locate(env)?.config();
    let settings = Settings::in_force(&file, env, &[])?;
    output::list(terminal, &settings, &settings, || match with_origin {
        true => render::settings_with_origin(terminal.out, &settings),
        false => render::settings(terminal.out, &settings),
    });
    Ok(Exit::Ok)
}

fn validate(env: &Env, terminal: &Terminal, named: Option<&Path>) -> Result<Exit, Failure> {
    let file = match named {
        Some(named) => named.to_owned(),
        None => Home::locate(env)?.config(),
    };
    // What cannot be looked at is told as a fault, with the reason.
    let exists = file.try_exists().unwrap_or(true);
    if named.is_some() && !exists {
        let shown = file.display();
        return Err(Failure::plain(
            Exit::NotFound,
            format!("There is no file {shown}."),
            "Without a name, chiffon.yaml in the data folder is read.",
        ));
    }
    let faults = Settings::faults(&file, env);
    let validated = Validated {
        file,
        exists,
        valid: faults.is_empty(),
        faults,
    };
    output::list(terminal, &validated.faults, &validated, || {
        text(terminal, &validated)
    });
    match validated.valid {
        true => Ok(Exit::Ok),
        false => Ok(Exit::Usage),
    }
}

fn text(terminal: &Terminal, validated: &Validated) -> String {
    let paint = terminal.out;
    let file = validated.file.display();
    if validated.valid {
        let good = paint.good("Nothing is wrong");
        return match validated.exists {
            true => format!("{good} with {file} and the environment."),
            false => {
                format!("{good}: there is no {file}, so the defaults and the environment hold.")
            }
        };
    }
    let shown = |fault: &Problem| render::failure(paint, &fault.clone().into());
    let mut lines: Vec<String> = validated.faults.iter().map(shown).collect();
    lines.push(match lines.len() {
        1 => "1 fault.".to_owned(),
        several => format!("{several} faults."),
    });
    lines.join("\n")
}
