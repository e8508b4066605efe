//! How a supervised run ended, as the supervisor writes it down and the agent reads it.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::limits::Passed;

/// What set the end off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Why {
    /// The program ended by itself.
    #[default]
    Ended,
    /// The agent said so, or died.
    Stopped,
    /// It passed the supervisor's own limit of time, or one of [`Passed`].
    Limit,
}

/// The end of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) why: Why,
    /// Exit code of the program.
    pub(crate) exit: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Processor time of all its processes.
    pub(crate) cpu_seconds: f64,
    /// Highest sum of the resident memory of all its processes.
    pub(crate) peak_bytes: u64,
    /// Which limit of the run was passed, where it was not time.
    #[serde(default)]
    pub(crate) passed: Option<Passed>,
    /// Processes that were still there and were told to end.
    pub(crate) ended_early: usize,
    /// Daemons that outlive the run, because the entry says so.
    #[serde(default)]
    pub(crate) kept: usize,
    /// Processes that could not be ended.
    pub(crate) left: usize,
    /// Whether the hosts were left clean, where there was something to clean up with.
    pub(crate) cleaned: Option<bool>,
    /// Why the program never started.
    pub(crate) not_started: Option<String>,
}

impl End {
    pub(super) fn not_started(why: String) -> Self {
        Self {
            not_started: Some(why),
            ..Self::default()
        }
    }

    /// Writes it so that a reader sees all of it or nothing.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("new");
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(draft, path)
    }

    /// Reads it; `None` where the supervisor did not come to write it.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }
}
