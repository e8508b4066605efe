//! The limits of a run. Those that a process passes on to its children are set here, by the supervisor on
//! itself before it starts anything; memory and number of processes are watched by the supervisor.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use serde::{Deserialize, Serialize};

/// Where the kernel is told what to end first when memory runs out (proc(5)).
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// From -1000 to 1000: well before the agent, which has 0, and after what asks to be the first.
const OOM_OF_A_RUN: &str = "500";

/// How much a run may take. A nought means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Resident memory of all its processes together on this machine, in MiB; looked at five times a second.
    pub memory_mib: u32,
    /// Processes on this machine, all together; looked at five times a second.
    pub processes: u32,
    /// The largest file that it may write on this machine, in MiB.
    pub file_mib: u32,
    /// Files that one process may have open.
    pub open_files: u32,
    /// How far it stands back for others: 0 not at all, 19 most.
    pub nice: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 4096,
            processes: 1024,
            file_mib: 16_384,
            open_files: 4096,
            nice: 0,
        }
    }
}

/// What was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Passed {
    Memory,
    Processes,
}

impl Limits {
    /// For people. What outlives a run inherits nothing of it.
    pub(crate) fn words(&self, keeps_daemons: bool) -> String {
        let mut parts = Vec::new();
        let mut say = |limit: u32, words: String| {
            if limit > 0 {
                parts.push(words);
            }
        };
        say(self.memory_mib, format!("{} MiB", self.memory_mib));
        say(self.processes, format!("{} processes", self.processes));
        if !keeps_daemons {
            say(self.open_files, format!("{} open files", self.open_files));
            say(self.file_mib, format!("{} MiB a file", self.file_mib));
            say(self.nice.into(), format!("nice {}", self.nice));
        }
        match parts.is_empty() {
            true => "no limits".to_owned(),
            false => format!("at most {}", parts.join(", ")),
        }
    }

    /// Whether so much is too much; `bytes` are resident.
    pub(crate) fn passed(&self, bytes: u64, processes: usize) -> Option<Passed> {
        let over = |limit: u32, used: u64| limit > 0 && used > u64::from(limit);
        if over(self.memory_mib, bytes >> 20) {
            Some(Passed::Memory)
        } else {
            let count = u64::try_from(processes).unwrap_or(u64::MAX);
            over(self.processes, count).then_some(Passed::Processes)
        }
    }

    /// Sets what is inherited, on this process.
    pub(crate) fn set(&self) -> io::Result<()> {
        lower(Resource::Core, 0)?;
        if self.file_mib > 0 {
            lower(Resource::Fsize, u64::from(self.file_mib) << 20)?;
        }
        if self.open_files > 0 {
            lower(Resource::Nofile, self.open_files.into())?;
        }
        if self.nice > 0 {
            nice(self.nice.min(19).into())?;
        }
        Ok(())
    }
}

/// Never raises what is lower already.
fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(to, |limit| limit.min(to)));
    let limit = Rlimit {
        current: lower(now.current),
        maximum: lower(now.maximum),
    };
    Ok(setrlimit(resource, limit)?)
}

/// Does something, the start of a process, with a score that this process then passes on. It takes its own
/// back, because the supervisor must live to end the run.
pub(crate) fn as_first_to_end<T>(start: impl FnOnce() -> T) -> T {
    let before = fs::read_to_string(OOM_SCORE).unwrap_or_default();
    let is_higher = before.trim().parse::<i32>().is_ok_and(|score| score >= 500);
    // Where /proc cannot be written there is no score, and the kernel chooses as it does for others.
    let raised = !is_higher && fs::write(OOM_SCORE, OOM_OF_A_RUN).is_ok();
    let started = start();
    if raised {
        let _as_above = fs::write(OOM_SCORE, before.trim());
    }
    started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_passed_only_above_it_and_nought_is_none() {
        let limits = Limits {
            memory_mib: 10,
            processes: 3,
            ..Limits::default()
        };
        assert_eq!(limits.passed(10 << 20, 3), None);
        assert_eq!(limits.passed(11 << 20, 9), Some(Passed::Memory));
        assert_eq!(limits.passed(0, 4), Some(Passed::Processes));
        let none = Limits {
            memory_mib: 0,
            processes: 0,
            file_mib: 0,
            open_files: 0,
            nice: 0,
        };
        assert_eq!(none.passed(u64::MAX, usize::MAX), None);
        assert_eq!(none.words(false), "no limits");
        assert_eq!(
            Limits::default().words(false),
            "at most 4096 MiB, 1024 processes, 4096 open files, 16384 MiB a file"
        );
        assert_eq!(
            Limits::default().words(true),
            "at most 4096 MiB, 1024 processes"
        );
    }
}
