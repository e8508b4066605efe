//! One Chiffon at a time: a lock that the kernel drops with its process, and beside it a file that tells
//! whoever comes second where the first one is. The file is believed only while the lock is held.

use std::{
    fs::{self, File, TryLockError},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use chiffon_common::Problem;
use jiff::Timestamp;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::{Home, create::write_private, fault};

/// What holds the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `chiffon up`: stays.
    Up,
    /// A command with agents: ends when its request has.
    Run,
    /// A command that only reads or answers.
    Look,
}

/// Where the fleet of this folder can be reached: `up.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Where its HTTP API listens.
    pub address: SocketAddr,
    /// Whether it stays.
    pub kind: Kind,
    /// Version of its program.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
}

impl Running {
    /// The fleet that uses this folder now, found without making or taking anything.
    pub fn of(home: &Home) -> Option<Self> {
        let text = fs::read_to_string(home.told()).ok()?;
        let running: Self = serde_json::from_str(&text).ok()?;
        // First of all, so that the lock of one that was killed is not ours for a moment, against one that starts.
        if !running.lives() {
            return None;
        }
        let lock = File::open(lock_file(home)).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(running),
            _ => None,
        }
    }

    /// Whether its process is there. What a killed one told stays until somebody takes the lock.
    fn lives(&self) -> bool {
        let pid = self.pid.try_into().ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid).is_ok())
    }
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    told: PathBuf,
    // Closing the file is what gives the lock back, after `told` was removed.
    _file: File,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Held {
    /// It is ours now.
    Ours(Lock),
    /// Another process has it; it tells where it is once it listens.
    Theirs(Option<Running>),
}

impl Lock {
    /// Asks for the lock of a folder that exists. Does not wait.
    pub fn try_take(home: &Home) -> Result<Held, Problem> {
        let path = lock_file(home);
        let opened = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| fault(&path, "opened", &error))?;
        let told = home.told();
        match file.try_lock() {
            Ok(()) => {
                // Left by one that was killed.
                let _missing = fs::remove_file(&told);
                Ok(Held::Ours(Self { told, _file: file }))
            }
            Err(TryLockError::WouldBlock) => {
                let text = fs::read_to_string(&told).unwrap_or_default();
                let running: Option<Running> = serde_json::from_str(&text).ok();
                Ok(Held::Theirs(running.filter(Running::lives)))
            }
            Err(TryLockError::Error(error)) => Err(fault(&path, "locked", &error)),
        }
    }

    /// Tells where the fleet listens, from now until the lock is dropped.
    pub fn tell(&self, running: &Running) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(running).unwrap_or_default();
        write_private(&self.told, text.as_bytes())
    }
}

fn lock_file(home: &Home) -> PathBuf {
    home.path().join("chiffon.lock")
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that stays is not believed: the lock is gone.
        let _missing = fs::remove_file(&self.told);
    }
}
