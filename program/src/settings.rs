//! The one table of settings of all programs (DESIGN section 10), and reading them: built-in defaults, then `chiffon.yaml`,
//! then `CHIFFON_...`, then flags. An unknown key and a value that is not permitted are errors that name file, key and what
//! to do. Which keys there are stands in `keys`; laying the sources over each other is left to `sources`, reading one to
//! `said`, the file to `file`, telling what is in force to `shown`. What a program makes of them is left to it.

mod broker;
mod file;
mod keys;
mod said;
mod shown;
mod sources;

use std::path::{Path, PathBuf};

use chiffon_common::{ErrorCode, Problem};

pub use self::{
    broker::Broker,
    file::reason as yaml_reason,
    keys::{KEYS, Key, commented_defaults, variable},
    said::Place,
    shown::{Setting, settings as shown},
    sources::Sources,
};
use crate::env::Env;
use said::Said;

/// A flag that overrides a key.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The key.
    pub key: String,
    /// How the flag is called.
    pub flag: &'static str,
    /// Its value.
    pub value: String,
}

impl Flag {
    /// `KEY=VALUE` of `--set`; what is secret is refused, because everybody on the machine could read it there.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or("it has not the form KEY=VALUE")?;
        if KEYS.iter().any(|known| known.name == key && known.secret) {
            return Err(format!(
                "{key} may hold a secret: set it in chiffon.yaml or by {}",
                variable(key)
            ));
        }
        Ok(Self {
            key: key.to_owned(),
            flag: "--set",
            value: value.to_owned(),
        })
    }
}

/// Everything that is wrong with the file, which may be missing, and with the environment; also what another source would
/// win over. Of a file that is no YAML only the first fault is known. `check` reads all settings.
pub fn faults(
    file: &Path,
    env: &Env,
    check: impl Fn(&Sources) -> Result<(), Problem>,
) -> Vec<Problem> {
    let mut faults = Vec::new();
    for said in [Said::by_file(file), Said::by_environment(env)] {
        faults.extend(said.faults);
        let alone = |leaf| Sources::only(leaf).and_then(|sources| check(&sources));
        let faulty = said.leaves.into_iter().filter_map(|leaf| alone(leaf).err());
        // What lacks another one may have it: that is for all of them together.
        faults.extend(faulty.filter(|fault| fault.code != ErrorCode::SettingsContradict));
    }
    if faults.is_empty() {
        // Each is permitted alone; what they say together may contradict itself.
        let all = Sources::read(file, env, &[]).and_then(|sources| check(&sources));
        faults.extend(all.err());
    }
    faults
}

/// How much the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what is odd.
    Warn,
    /// And each change of state.
    Info,
    /// And why.
    Debug,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON document a line.
    Json,
}

/// `log.level`.
///
/// # Errors
/// 5802 where it is none.
pub fn log_level(sources: &Sources) -> Result<LogLevel, Problem> {
    sources.parsed("log.level", |text| match text {
        "error" => Some(LogLevel::Error),
        "warn" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        _ => None,
    })
}

/// `log.format`.
///
/// # Errors
/// 5802 where it is none.
pub fn log_format(sources: &Sources) -> Result<LogFormat, Problem> {
    sources.parsed("log.format", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

/// How much and how the log of a separate program is written: it stays where nobody looks at it, so where neither is set it
/// says each change of state, and for programs.
///
/// # Errors
/// 5802 where one of them is none.
pub fn log_of_program(sources: &Sources) -> Result<(LogLevel, LogFormat), Problem> {
    let (level, format) = (log_level(sources)?, log_format(sources)?);
    let is_set = |key| sources.place_of(key).is_some();
    Ok((
        if is_set("log.level") {
            level
        } else {
            LogLevel::Info
        },
        if is_set("log.format") {
            format
        } else {
            LogFormat::Json
        },
    ))
}

/// An absolute path, or none.
pub fn path(text: &str) -> Option<Option<PathBuf>> {
    let path = PathBuf::from(text);
    let is_fit = text.is_empty() || path.is_absolute();
    is_fit.then_some((!text.is_empty()).then_some(path))
}

/// Settings that contradict each other.
pub fn contradicts(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::SettingsContradict, detail, todo)
}

/// A value that is not permitted.
pub fn invalid(detail: String, todo: &str) -> Problem {
    Problem::new(ErrorCode::InvalidValue, detail, todo)
}
