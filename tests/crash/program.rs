//! One life of `chiffon up`: started with its surroundings, addressed, stopped in every way that a fault stops it.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use chiffon_tests::Chiffon;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::yard::Yard;

/// Longest wait for a start: recovery sweeps what the life before had left.
const START: Duration = Duration::from_secs(120);

/// Short enough that the moment of a death is known.
const LOOK: Duration = Duration::from_millis(5);

/// Where a life of the program is reached.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    pub token: String,
}

/// What a life is started with beside its data folder.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The program with failpoints and mutants in it, in place of the one that is shipped.
    pub faulty: bool,
    pub env: Vec<(String, String)>,
}

impl Surroundings {
    /// The program with failpoints, and what happens at which, such as `store.commit.after=kill@3`.
    pub fn armed(failpoints: &str) -> Self {
        Self {
            faulty: true,
            ..Self::default()
        }
        .env("CHIFFON_FAILPOINTS", failpoints)
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A running `chiffon up`. Dropped, it is killed.
pub struct Program {
    child: Child,
    pub target: Target,
}

/// What was measured of a life at rest (I11).
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct Measure {
    pub files: u64,
    pub threads: u64,
    pub resident_kib: u64,
    pub children: u64,
}

/// A program ended before it was ready.
#[derive(Debug)]
pub struct DiedEarly(pub ExitStatus);

impl Program {
    /// Starts life number `life` and waits until it can be asked.
    ///
    /// # Errors
    /// That it ended before, which a failpoint on the way may well do.
    pub async fn start(yard: &Yard, with: &Surroundings, life: usize) -> Result<Self, DiedEarly> {
        let log = yard.logs().join(format!("life-{life:02}.log"));
        let file = File::create(&log).unwrap();
        let about = yard.home.path().join("up.json");
        // One of a life that was killed names an address where nobody listens.
        let _absent = fs::remove_file(&about);
        let mut child = command(yard, with, &["up", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        let until = Instant::now() + START;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Err(DiedEarly(status));
            }
            if let Some(target) = read_target(yard, &about) {
                return Ok(Self { child, target });
            }
            if Instant::now() > until {
                let _ended = child.kill();
                let _reaped = child.wait();
                panic!(
                    "not ready after {START:?}: {}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself; nothing if it is still there after `patience`.
    pub async fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > until {
                return ended;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// As a crash or the out-of-memory killer would.
    pub fn kill(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    pub fn signal(&mut self, signal: Signal) {
        // Once it has been waited for, its id may belong to somebody else.
        if self.ended().is_none() {
            let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
            kill_process(pid.unwrap(), signal).unwrap();
        }
    }

    /// Whether a SIGSTOP has taken hold.
    pub async fn wait_until_stopped(&self) -> bool {
        for _look in 0..2_000 {
            let status =
                fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
            if status
                .lines()
                .any(|line| line.starts_with("State:") && line.contains('T'))
            {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    pub fn measure(&self) -> Measure {
        let place = PathBuf::from(format!("/proc/{}", self.pid()));
        let status = fs::read_to_string(place.join("status")).unwrap();
        let number = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let files = fs::read_dir(place.join("fd")).unwrap().count();
        Measure {
            files: u64::try_from(files).unwrap(),
            threads: number("Threads:"),
            resident_kib: number("VmRSS:"),
            children: u64::try_from(chiffon_tests::children_of(self.pid()).len()).unwrap(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Stopped ones take no other signal.
        self.kill();
    }
}

/// Whether a SIGKILL ended it, as a failpoint does.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// The program with its surroundings.
pub fn command(yard: &Yard, with: &Surroundings, args: &[&str]) -> Command {
    let program = match with.faulty {
        true => Chiffon::faulty(&yard.home),
        false => Chiffon::new(&yard.home),
    };
    let mut command = program.command(args);
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(yard.programs.clone()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).unwrap());
    command.envs(with.env.iter().map(|(key, value)| (key, value)));
    command
}

fn read_target(yard: &Yard, about: &PathBuf) -> Option<Target> {
    let about: Value = serde_json::from_str(&fs::read_to_string(about).ok()?).ok()?;
    Some(Target {
        url: format!("http://{}", about["address"].as_str()?),
        token: yard.home.read("token").ok()?.trim().to_owned(),
    })
}
