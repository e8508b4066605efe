//! Running a helper program to its end, within a bound, and ending it with its children otherwise.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

/// Runs the command and returns what it said. Past the limit its process group is killed and the error
/// is `TimedOut`.
pub(crate) fn output_within(command: &mut Command, limit: Duration) -> io::Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let (ended, end) = mpsc::sync_channel(1);
    thread::spawn(move || ended.send(child.wait_with_output()));
    end.recv_timeout(limit).unwrap_or_else(|_| {
        // An error means that it has just ended by itself.
        let _gone = kill_process_group(group, Signal::KILL);
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", limit.as_secs()),
        ))
    })
}

/// The last lines of what a program complained about, for a sentence.
pub(crate) fn complaint(output: &Output) -> String {
    let said = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines[lines.len().saturating_sub(4)..].join(" / ");
    chiffon_common::visible(&last.chars().take(600).collect::<String>())
}
