//! Which isolation a run gets (S6): what the host offers is tried for real, once, and the best that was asked
//! for is used. A sandbox is for plays over SSH; a play on this machine is there to change it, so it
//! gets limits only. How each kind is entered is left to the modules below, the limits to `limits`.

mod bubblewrap;
mod needs;
mod systemd;
#[cfg(test)]
mod tests;
mod trees;
mod user;

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

use chiffon_common::{ErrorCode, Problem};
use chiffon_program::settings::Sources;

use crate::{ansible::Ansible, folder::Folder, limits::Limits, settings::PATH};
use bubblewrap::Bubblewrap;
pub(crate) use needs::Needs;
use systemd::Systemd;
use user::User;

/// How long one thing that is tried may take: a cold start from a slow disk.
const TRY: Duration = Duration::from_secs(20);

/// Where to read on.
const PAGE: &str = "docs/isolation.md";

/// What a person asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IsolationChoice {
    /// The best that the host offers.
    #[default]
    Auto,
    /// None, knowingly.
    None,
    /// Namespaces through bubblewrap.
    Bubblewrap,
    /// A service of systemd with its sandbox.
    Systemd,
    /// An unprivileged user.
    User,
}

impl FromStr for IsolationChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "auto" => Self::Auto,
            "none" => Self::None,
            "bubblewrap" => Self::Bubblewrap,
            "systemd" => Self::Systemd,
            "user" => Self::User,
            _ => return Err(()),
        })
    }
}

/// The settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IsolationConfig {
    /// Which isolation.
    pub choice: IsolationChoice,
    /// Name of the Unix user for [`IsolationChoice::User`]; only an agent that is root can become another.
    pub run_as: Option<String>,
    /// Files and folders, absolute, that a sandboxed run may read beside the system's and its own.
    pub readable: Vec<PathBuf>,
    /// How much a run may take, sandboxed or not.
    pub limits: Limits,
}

/// What `agents.infrastructure.*` says of it.
///
/// # Errors
/// 5802 for a value that is not permitted.
pub fn isolation_of(sources: &Sources) -> Result<IsolationConfig, Problem> {
    let limit = |name, most| sources.number(name, 0..=most);
    let run_as = sources.parsed("agents.infrastructure.run_as", |text| {
        let is_permitted = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = text.chars().all(is_permitted) && !text.starts_with('-') && text != "root";
        is_name.then(|| text.to_owned())
    })?;
    let nice = limit("agents.infrastructure.limits.nice", 19)?;
    Ok(IsolationConfig {
        choice: sources.parsed("agents.infrastructure.isolation", |text| text.parse().ok())?,
        run_as: (!run_as.is_empty()).then_some(run_as),
        readable: sources.folders("agents.infrastructure.readable")?,
        limits: Limits {
            memory_mib: limit("agents.infrastructure.limits.memory_mib", 4_194_304)?,
            processes: limit("agents.infrastructure.limits.processes", 4_194_304)?,
            file_mib: limit("agents.infrastructure.limits.file_mib", 4_194_304)?,
            open_files: limit("agents.infrastructure.limits.open_files", 1_048_576)?,
            nice: u8::try_from(nice).unwrap_or_default(),
        },
    })
}

/// One way to isolate that was tried and works.
#[derive(Debug, Clone)]
enum Means {
    Bubblewrap(Bubblewrap),
    Systemd(Systemd),
    User(User),
}

/// What this host offers of what was asked for.
#[derive(Debug, Clone)]
pub struct Isolation {
    config: IsolationConfig,
    found: Option<Means>,
    /// Why each thing that was tried and comes first is not to be had.
    missing: Vec<String>,
}

/// What stands between a run and the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fence {
    /// Program and arguments that the run's own are added to; empty for none.
    pub(crate) command: Vec<String>,
    /// Whether its processes do not descend from the supervisor.
    pub(crate) detached: bool,
    /// For people.
    pub(crate) words: String,
}

/// What a fence must know of a run.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) folder: &'a Folder,
    /// Where ssh keeps its shared connections.
    pub(crate) control: PathBuf,
    pub(crate) environment: &'a BTreeMap<String, String>,
    pub(crate) needs: &'a Needs,
    /// Whether a host of the run is this machine.
    pub(crate) local: bool,
    pub(crate) keeps_daemons: bool,
}

impl Isolation {
    /// Tries what was asked for, in the order of its worth. Blocks for a fraction of a second, at worst for [`TRY`]
    /// a piece. Without an Ansible it is only seen whether the means themselves work.
    pub fn look(config: IsolationConfig, ansible: Option<&Ansible>) -> Self {
        let choices: &[IsolationChoice] = match &config.choice {
            IsolationChoice::None => &[],
            // A service of systemd only by name: its command line is held by tests, a run in one is not.
            IsolationChoice::Auto => &[IsolationChoice::Bubblewrap, IsolationChoice::User],
            named => std::slice::from_ref(named),
        };
        let mut missing = Vec::new();
        let mut found = None;
        for choice in choices {
            let tried = match choice {
                IsolationChoice::Bubblewrap => {
                    Bubblewrap::attempt(ansible, &config.readable).map(Means::Bubblewrap)
                }
                IsolationChoice::Systemd => {
                    Systemd::attempt(ansible, &config.readable).map(Means::Systemd)
                }
                _ => User::attempt(config.run_as.as_deref(), ansible).map(Means::User),
            };
            match tried {
                Ok(means) => {
                    found = Some(means);
                    break;
                }
                Err(why) => missing.push(why),
            }
        }
        Self {
            config,
            found,
            missing,
        }
    }

    /// Whether bubblewrap works on this machine; the error says why not.
    #[cfg(test)]
    pub(crate) fn bubblewrap_works() -> Result<(), String> {
        Bubblewrap::attempt(None, &[]).map(drop)
    }

    /// The fence of a run; also gives it its folder where that is needed.
    ///
    /// # Errors
    /// 5418 where the isolation that is asked for by name is not to be had, or keeps the run from its keys.
    pub(crate) fn fence(&self, site: &Site<'_>) -> Result<Fence, Problem> {
        let limits = self.config.limits.words(site.keeps_daemons);
        if site.local {
            let words = format!("no sandbox, because it is there to change this machine; {limits}");
            return Ok(plain(words));
        }
        let mut fence = match &self.found {
            Some(Means::Bubblewrap(found)) => found.fence(site)?,
            Some(Means::Systemd(found)) => found.fence(site, &self.config.limits),
            Some(Means::User(found)) => found.fence(site)?,
            None => plain(self.unfenced()?),
        };
        fence.words += &format!("; {limits}");
        Ok(fence)
    }

    fn unfenced(&self) -> Result<String, Problem> {
        match self.config.choice {
            IsolationChoice::None => {
                Ok("no sandbox, because the setting isolation is none".to_owned())
            }
            IsolationChoice::Auto => Ok("no sandbox, because this machine offers none".to_owned()),
            _ => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> Problem {
        Problem::new(
            ErrorCode::IsolationMissing,
            format!(
                "The isolation that the settings ask for is not to be had: {}.",
                self.missing.join("; ")
            ),
            format!(
                "Nothing was run. Provide it, or change agents.infrastructure.isolation; {PAGE} tells how."
            ),
        )
    }

    /// What plays over SSH get, and all runs, for the heartbeat.
    pub fn words(&self) -> String {
        let ssh = match (&self.found, self.unfenced()) {
            (Some(found), _) => found.words(),
            (None, Ok(words)) => words,
            (None, Err(problem)) => format!("refused: {}", problem.detail),
        };
        let limits = self.config.limits.words(false);
        format!("plays over SSH: {ssh}; plays on this machine: no sandbox; {limits}")
    }

    /// What is weaker than it could be and how to get more; nothing where a sandbox is in force, or none is wanted.
    pub fn advice(&self) -> Option<String> {
        let asked = self.config.choice == IsolationChoice::Auto && self.found.is_none();
        let weak = matches!(self.found, Some(Means::User(_)));
        (asked || weak).then(|| {
            format!(
                "For a sandbox: apt install bubblewrap. Tried: {}. {PAGE} tells more.",
                self.missing.join("; ")
            )
        })
    }

    /// Why no play over SSH can run; nothing where one can.
    pub fn refuses(&self) -> Option<Problem> {
        match &self.found {
            Some(_) => None,
            None => self.unfenced().err(),
        }
    }

    /// How much a run may take.
    pub(crate) fn limits(&self) -> Limits {
        self.config.limits
    }
}

impl Means {
    fn words(&self) -> String {
        match self {
            Self::Bubblewrap(found) => found.words(),
            Self::Systemd(found) => found.words(),
            Self::User(found) => found.words(),
        }
    }
}

fn plain(words: String) -> Fence {
    Fence {
        words,
        ..Fence::default()
    }
}

/// A program in a sandbox of bubblewrap's without network, in which it can write below this folder alone; `at` is where it
/// stands. Its arguments are still to be added. The error is a fragment.
pub(crate) fn enclosed(
    program: &std::path::Path,
    writable: &std::path::Path,
    at: &std::path::Path,
) -> Result<std::process::Command, String> {
    Bubblewrap::around(program)?.alone(program, writable, at)
}

/// The programs of that name where the system has its own.
fn programs(name: &str) -> Vec<PathBuf> {
    crate::ansible::candidates(&PATH.into(), name)
}

/// A path as an argument; only such paths come here whose text is whole.
fn text(path: impl AsRef<std::path::Path>) -> String {
    path.as_ref().display().to_string()
}
