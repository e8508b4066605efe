//! What the callback plugin says, line by line. What it means for the run is left to `outcome`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The run begins; how many tasks there are, as far as can be told.
    Start { total: u64 },
    /// A play begins.
    Play { name: String },
    /// A task begins.
    Task { number: u64, name: String },
    /// A play matched no host.
    Nobody,
    /// A task ended on a host.
    Host(Box<HostEvent>),
    /// A task is tried again.
    Retry { host: String, task: String },
    /// A task changed something.
    Diff {
        host: String,
        task: String,
        diff: String,
        /// Bytes of the difference that are not in it.
        #[serde(default)]
        left_out: u64,
    },
    /// What the playbook answers for a host.
    Answer {
        host: String,
        values: Map<String, Value>,
    },
    /// The run is over; counts by host.
    End { hosts: BTreeMap<String, Counts> },
}

/// A task's end on a host.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct HostEvent {
    pub(crate) host: String,
    pub(crate) status: Status,
    pub(crate) task: String,
    pub(crate) message: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) module_stdout: String,
    pub(crate) module_stderr: String,
    pub(crate) warnings: Vec<String>,
}

/// How a task ended on a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    #[default]
    Ok,
    Changed,
    Failed,
    /// Failed, and the playbook goes on regardless.
    Ignored,
    Unreachable,
    Skipped,
}

impl Status {
    /// The word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Failed => "failed",
            Self::Ignored => "failed (ignored)",
            Self::Unreachable => "unreachable",
            Self::Skipped => "skipped",
        }
    }
}

/// Ansible's own count for a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) ok: u32,
    pub(crate) changed: u32,
    pub(crate) failures: u32,
    pub(crate) unreachable: u32,
    pub(crate) skipped: u32,
}
