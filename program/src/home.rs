//! The data folder of a program, and files in it that only their owner may read. What lies in it is left to the programs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use chiffon_common::{ErrorCode, Problem};

use crate::Env;

/// `CHIFFON_HOME`, or `chiffon` in the XDG data folder. Touches nothing.
///
/// # Errors
/// 5803 where neither `CHIFFON_HOME` nor `HOME` is an absolute path.
pub fn locate(env: &Env) -> Result<PathBuf, Problem> {
    if let Some(given) = env.get("CHIFFON_HOME") {
        let path = PathBuf::from(given);
        return match path.is_absolute() {
            true => Ok(path),
            false => Err(unusable(
                format!(
                    "CHIFFON_HOME is {}, which is no absolute path.",
                    path.display()
                ),
                "Set it to a path that begins with /.",
            )),
        };
    }
    let data = env
        .absolute("XDG_DATA_HOME")
        .or_else(|| Some(env.absolute("HOME")?.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("chiffon")),
        None => Err(unusable(
            "There is no place for the data folder: HOME is not set.".to_owned(),
            "Set HOME or CHIFFON_HOME.",
        )),
    }
}

/// Makes a folder for its owner only, if it is missing; one that is open to others is refused.
///
/// # Errors
/// 5803.
pub fn private_folder(path: &Path) -> Result<(), Problem> {
    let shown = path.display();
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    let found = made.and_then(|()| fs::metadata(path));
    let found = found.map_err(|error| {
        let todo = "Make it a folder of your own, or set CHIFFON_HOME to another one.";
        unusable(
            format!("The data folder {shown} cannot be used: {error}."),
            todo,
        )
    })?;
    let mode = found.mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(unusable(
            format!("The data folder {shown} is open to others (mode {mode:04o}); it holds keys."),
            &format!("Run: chmod 700 {shown}"),
        )),
    }
}

/// The text of a file that only its owner can read.
///
/// # Errors
/// Why not, in words.
pub fn read_private(path: &Path) -> Result<String, String> {
    let words = |error: io::Error| error.to_string();
    let mode = fs::metadata(path).map_err(words)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("it is open to others (mode {mode:04o})"));
    }
    fs::read_to_string(path).map_err(words)
}

fn unusable(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::HomeUnusable, detail, todo)
}
