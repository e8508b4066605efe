//! Looking at the machine's processes, to end what a fixture started and to prove that nothing
//! is left behind.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;

/// A process seen in `/proc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its arguments, joined by blanks; empty for a zombie.
    pub command_line: String,
}

/// All processes, except this one, whose environment holds exactly `key=value`. Those of other
/// users are seen by root only; zombies have no environment any more.
pub fn processes_with_env(key: &str, value: &str) -> Vec<Process> {
    let wanted = format!("{key}={value}");
    let holds_it = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let this = std::process::id();
    pids()
        .filter(|pid| *pid != this)
        .filter(holds_it)
        .map(describe)
        .collect()
}

/// The direct children of a process.
pub fn children_of(parent: u32) -> Vec<Process> {
    pids()
        .filter(|pid| parent_of(*pid) == Some(parent))
        .map(describe)
        .collect()
}

/// Sends a signal; that the process has ended meanwhile is fine.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The only error left is that there is no such process (any more).
        let _gone = kill_process(pid, signal);
    }
}

/// Whether it is gone, or only waits for its parent to look: everything that it held is closed then.
pub(crate) fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// The name of its program, cut to 15 bytes by the kernel.
pub(crate) fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn describe(pid: u32) -> Process {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&raw).replace('\0', " ");
    Process {
        pid,
        command_line: text.trim_end().to_owned(),
    }
}

fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}
