//! The supervisor: a small process between the agent and one run. It starts the program, adopts whatever
//! escapes from it, measures it, and ends all of it when the program ends, when the agent says so, and
//! when the agent dies: the agent holds the other end of its standard input.
//!
//! What is started and where the end is written stands in a file; both are `supervised`'s business.

mod end;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, WaitOptions, getpid, set_child_subreaper, setsid, wait};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{Limits, as_first_to_end},
    processes::{
        MARK, cpu_of_ended_children, daemons, descendants, marked, resident_below, signal_all,
    },
};
pub(crate) use end::{End, Why};

/// The hidden first argument by which a program becomes a supervisor.
pub const SUPERVISE_ARG: &str = "__supervise";

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(200);

/// Between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long cleaning up the hosts may take.
const CLEANING: Duration = Duration::from_secs(7);

/// How long killing is tried.
const KILLING: Duration = Duration::from_secs(6);

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) run_id: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: PathBuf,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where the [`End`] is written.
    pub(crate) end: PathBuf,
    /// A second fence behind the agent's own clock.
    pub(crate) limit_seconds: u64,
    /// What cleans up the hosts when the run is cut short.
    pub(crate) cleanup: Option<Cleanup>,
    /// Whether daemons outlive the run if it ends well: an entry that restarts a service on a machine
    /// without an init would otherwise end it again.
    pub(crate) keeps_daemons: bool,
    /// Program and arguments that everything is started through, before its own; empty for none.
    #[serde(default)]
    pub(crate) fence: Vec<String>,
    /// Whether what is started through them does not descend from this process and is known by its mark only.
    #[serde(default)]
    pub(crate) detached: bool,
    /// How much it may take.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// A program that cleans up the hosts of a run, in the run's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cleanup {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
}

enum Happened {
    AgentGone,
    Ended(u32, ExitStatus),
    NothingLeft,
}

/// Supervises the run described in the file that is the only argument. Returns when nothing of it is
/// left, or nothing more can be done; how it ended stands in the file named in the description.
pub fn supervise(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match begin(arguments.into_iter().next()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The agent reads this as the end of the output.
            eprintln!("chiffon supervisor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(description: Option<OsString>) -> io::Result<()> {
    let description = description.ok_or_else(|| io::Error::other("no run is named"))?;
    let spec: Spec = serde_json::from_slice(&std::fs::read(description)?)?;
    // A session of its own keeps the terminal's signals away.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    let end = match limit(&spec).and_then(|()| start(&spec)) {
        Ok(child) => follow(&spec, child),
        Err(error) => End::not_started(format!("{}: {error}", spec.program.display())),
    };
    end.write(&spec.end)
}

/// On this process, for all that it starts. A daemon that is kept would keep them, too.
fn limit(spec: &Spec) -> io::Result<()> {
    match spec.keeps_daemons {
        true => Ok(()),
        false => spec.limits.set(),
    }
}

fn start(spec: &Spec) -> io::Result<u32> {
    start_program(spec, &spec.program, &spec.arguments, &spec.environment)
}

fn start_program(
    spec: &Spec,
    program: &Path,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Result<u32> {
    let mut command = match spec.fence.split_first() {
        Some((fence, its_own)) => {
            let mut command = Command::new(fence);
            command.args(its_own).arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .env(MARK, &spec.run_id)
        .current_dir(&spec.folder)
        .stdin(Stdio::null());
    let child = match spec.keeps_daemons {
        true => command.spawn()?,
        false => as_first_to_end(|| command.spawn())?,
    };
    // It is waited for by pid, with everything else.
    Ok(child.id())
}

fn follow(spec: &Spec, child: u32) -> End {
    let (happened, happenings) = sync_channel(16);
    let agent = happened.clone();
    thread::spawn(move || watch_agent(&agent));
    thread::spawn(move || reap(&happened));
    let limit = Instant::now() + Duration::from_secs(spec.limit_seconds);
    let mut end = End::default();
    let this = std::process::id();
    let why = loop {
        let (bytes, processes) = resident_below(this);
        end.peak_bytes = end.peak_bytes.max(bytes);
        end.passed = spec.limits.passed(bytes, processes);
        if end.passed.is_some() {
            break Why::Limit;
        }
        match happenings.recv_timeout(SAMPLE) {
            Ok(Happened::Ended(pid, status)) if pid == child => {
                (end.exit, end.signal) = told(spec, status);
                break Why::Ended;
            }
            Ok(Happened::AgentGone) => break Why::Stopped,
            // The program itself is told first, so this is the other end of the channel going away.
            Ok(Happened::NothingLeft) | Err(RecvTimeoutError::Disconnected) => break Why::Ended,
            Err(RecvTimeoutError::Timeout) if Instant::now() > limit => break Why::Limit,
            Ok(Happened::Ended(..)) | Err(RecvTimeoutError::Timeout) => {}
        }
    };
    end.why = why;
    if why != Why::Ended
        && let Some(cleanup) = &spec.cleanup
    {
        end.cleaned = Some(clean_up(spec, cleanup, &happenings));
    }
    let ended_well = why == Why::Ended && end.exit == Some(0);
    let kept = if spec.keeps_daemons && ended_well {
        daemons(this)
    } else {
        BTreeSet::new()
    };
    end.kept = kept.len();
    end.ended_early = others(spec, &kept).len();
    end.left = end_all(spec, &kept, &happenings);
    end.cpu_seconds = cpu_of_ended_children();
    end
}

/// Exit code and signal of the program. What it is started through tells a signal as a shell does.
fn told(spec: &Spec, status: ExitStatus) -> (Option<i32>, Option<i32>) {
    match status.code() {
        Some(code @ 129..=192) if !spec.fence.is_empty() => (None, Some(code - 128)),
        code => (code, status.signal()),
    }
}

/// Everything of the run.
fn all(spec: &Spec) -> Vec<u32> {
    let mut found = descendants(std::process::id());
    if spec.detached {
        found.extend(marked(&spec.run_id));
        found.sort_unstable();
        found.dedup();
    }
    found
}

/// Everything of the run but what is kept.
fn others(spec: &Spec, kept: &BTreeSet<u32>) -> Vec<u32> {
    let all = all(spec).into_iter();
    all.filter(|pid| !kept.contains(pid)).collect()
}

/// Ends everything of the run but what is kept, and returns how many could not be ended.
fn end_all(spec: &Spec, kept: &BTreeSet<u32>, happenings: &Receiver<Happened>) -> usize {
    let left = others(spec, kept);
    if left.is_empty() && (!kept.is_empty() || spec.detached) {
        return 0;
    }
    signal_all(&left, Signal::TERM);
    signal_all(&left, Signal::CONT);
    let children_are_all = kept.is_empty() && !spec.detached;
    if children_are_all && nothing_left_within(happenings, GRACE) {
        return 0;
    }
    let until = Instant::now() + KILLING;
    let mut asked_sudo = false;
    while Instant::now() < until {
        let left = others(spec, kept);
        signal_all(&left, Signal::KILL);
        let no_child = nothing_left_within(happenings, Duration::from_millis(100));
        if no_child && children_are_all || others(spec, kept).is_empty() {
            return 0;
        }
        if !asked_sudo && until - Instant::now() < KILLING - GRACE {
            asked_sudo = true;
            kill_as_root(&left);
        }
    }
    others(spec, kept).len()
}

fn nothing_left_within(happenings: &Receiver<Happened>, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    loop {
        match happenings.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Happened::NothingLeft) | Err(RecvTimeoutError::Disconnected) => return true,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// What ran with `become` belongs to another user: where sudo asks for no password, it can end it.
fn kill_as_root(pids: &[u32]) {
    let mut kill = Command::new("sudo");
    kill.args(["-n", "kill", "-KILL"]);
    kill.args(pids.iter().map(u32::to_string));
    kill.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It is reaped with the others; whether it helped shows when one looks again.
    let _no_sudo = kill.spawn();
}

/// Nothing is ever written to it: its end is the agent's word, or the agent's death.
fn watch_agent(happened: &SyncSender<Happened>) {
    let mut byte = [0];
    let mut input = io::stdin().lock();
    while let Ok(1) = input.read(&mut byte) {}
    // Nobody listens any more when the run has ended.
    let _late = happened.send(Happened::AgentGone);
}

/// Cleans up the hosts while the run is frozen: as long as its connections stand, what runs there
/// still carries its mark, and nothing new can begin. Whether it is certain that nothing is left.
fn clean_up(spec: &Spec, cleanup: &Cleanup, happenings: &Receiver<Happened>) -> bool {
    signal_all(&all(spec), Signal::STOP);
    let Cleanup {
        program,
        arguments,
        environment,
    } = cleanup;
    let Ok(cleaner) = start_program(spec, program, arguments, environment) else {
        return false;
    };
    let until = Instant::now() + CLEANING;
    loop {
        match happenings.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Happened::Ended(pid, status)) if pid == cleaner => return status.success(),
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// Waits for the program and for every orphan that the kernel gives to this process. When it has no
/// child, it has no descendant either.
fn reap(happened: &SyncSender<Happened>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let status = ExitStatus::from_raw(status.as_raw());
                let pid = pid.as_raw_nonzero().get().unsigned_abs();
                // Nobody listens any more when everything else is done.
                let _late = happened.send(Happened::Ended(pid, status));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _late = happened.send(Happened::NothingLeft);
}
