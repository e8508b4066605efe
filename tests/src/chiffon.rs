//! Running the `chiffon` program as a person or a service manager would.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use crate::lines::Lines;
use crate::wait::poll;
use crate::{Home, binary, process};

/// Generous, because two busy cores are slow; a hang is still found.
const USUAL_LIMIT: Duration = Duration::from_secs(120);

/// The program with its surroundings: data folder, environment, time limit. It never sees a
/// `CHIFFON_*` variable of the caller, nor the caller's standard input.
pub struct Chiffon {
    program: fn() -> &'static Path,
    home: OsString,
    env: Vec<(String, OsString)>,
    limit: Duration,
}

/// What a finished program said.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The exit code, `None` when a signal ended the program.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns itself if the program ended with `code`.
    ///
    /// # Panics
    /// Otherwise, showing all the program said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        let Self {
            status,
            stdout,
            stderr,
        } = &self;
        assert!(
            status.code() == Some(code),
            "{status}, not exit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }
}

impl Chiffon {
    /// The program, working in `home`.
    pub fn new(home: &Home) -> Self {
        Self {
            program: binary::chiffon,
            home: home.path().into(),
            env: Vec::new(),
            limit: USUAL_LIMIT,
        }
    }

    /// `arbiter`, the control plane alone. It has no data folder: what it needs is in its configuration.
    pub fn arbiter(home: &Home) -> Self {
        Self {
            program: binary::arbiter,
            ..Self::new(home)
        }
    }

    /// `chiffon-orchestrator`.
    pub fn orchestrator(home: &Home) -> Self {
        Self {
            program: binary::orchestrator,
            ..Self::new(home)
        }
    }

    /// `chiffon-agent-infra`.
    pub fn agent_infra(home: &Home) -> Self {
        Self {
            program: binary::agent_infra,
            ..Self::new(home)
        }
    }

    /// `chiffon-agent-desktop`.
    pub fn agent_desktop(home: &Home) -> Self {
        Self {
            program: binary::agent_desktop,
            ..Self::new(home)
        }
    }

    /// `chiffon-faulty`, working in `home`: the same program with failpoints and mutants in it, which
    /// `CHIFFON_FAILPOINTS`, `CHIFFON_FAILPOINT_LOG` and `CHIFFON_MUTANT` switch on.
    pub fn faulty(home: &Home) -> Self {
        Self {
            program: binary::chiffon_faulty,
            ..Self::new(home)
        }
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// How long [`run`](Self::run) may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it takes longer than the limit; it is killed then.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).wait(self.limit)
    }

    /// Starts the program and comes back at once.
    #[track_caller]
    pub fn spawn(&self, args: &[&str]) -> Running {
        let child = self.command(args).spawn();
        Running::follow(
            child.expect("the program starts"),
            format!(
                "{} {}",
                (self.program)().file_name().unwrap_or_default().display(),
                args.join(" ")
            ),
        )
    }

    /// The bare command, for a test with needs of its own (a terminal, limits). Its output is
    /// piped and its input empty unless told otherwise.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new((self.program)());
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("CHIFFON_") {
                command.env_remove(key);
            }
        }
        command.args(args).env("CHIFFON_HOME", &self.home);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A started program. Dropping it kills it (and it alone) and waits for its end.
pub struct Running {
    child: Child,
    what: String,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Takes over a child whose output is piped.
    pub(crate) fn follow(mut child: Child, what: String) -> Self {
        let (stdout, out) = Lines::follow(child.stdout.take().expect("piped"));
        let (stderr, err) = Lines::follow(child.stderr.take().expect("piped"));
        Self {
            child,
            what,
            stdout,
            stderr,
            readers: vec![out, err],
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until a line on either stream contains `needle`, and returns that line.
    ///
    /// # Panics
    /// When the program ends, or `timeout` passes, before it has said so.
    #[track_caller]
    pub fn wait_for_line(&mut self, needle: &str, timeout: Duration) -> String {
        let found = poll(timeout, || {
            // Asked before looking, so that the last words of a dying program count.
            let ended = !self.is_running();
            let line = self
                .stdout
                .find(needle)
                .or_else(|| self.stderr.find(needle));
            match line {
                Some(line) => Some(Some(line)),
                None if ended && self.readers.iter().all(JoinHandle::is_finished) => Some(None),
                None => None,
            }
        });
        match found.flatten() {
            Some(line) => line,
            None => panic!(
                "{} never said {needle:?} within {timeout:?}{}",
                self.what,
                self.said()
            ),
        }
    }

    /// Ends it as a crash or the out-of-memory killer would: at once, its children live on.
    pub fn kill_9(&mut self) {
        // An error means that it has ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Asks it to end, as a service manager does (SIGTERM).
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, as Ctrl-C does (SIGINT).
    pub fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it is still running after `timeout`; it is killed then.
    #[track_caller]
    pub fn wait(mut self, timeout: Duration) -> Output {
        let ended = poll(timeout, || {
            self.child.try_wait().expect("a child can be waited for")
        });
        let Some(status) = ended else {
            self.kill_9();
            panic!("{} still ran after {timeout:?}{}", self.what, self.said());
        };
        // A child it left behind may hold the pipes open for ever; what was said is there by now.
        let _drained = poll(Duration::from_secs(2), || {
            self.readers
                .iter()
                .all(JoinHandle::is_finished)
                .then_some(())
        });
        Output {
            status,
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Once it has been waited for, its id may belong to somebody else.
        if self.is_running() {
            process::signal(self.pid(), signal);
        }
    }

    fn said(&self) -> String {
        format!(
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout(),
            self.stderr()
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_9();
    }
}

#[cfg(test)]
mod tests;
