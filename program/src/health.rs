//! The health file of a program that stays, for its `healthcheck`: what is wrong, and a sign of life that a program which
//! hangs does not give. The time counts on the boot clock, which nobody sets.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time::interval};

use crate::{Env, Notifier, watchdog_period};

/// How often a program gives a sign of life.
const EVERY: Duration = Duration::from_secs(2);

/// After so long without one it hangs: a busy machine needs less.
const HANGS_AFTER: Duration = Duration::from_secs(20);

/// What a program says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Seconds on the boot clock.
    pub at: u64,
    /// What is wrong, each in a sentence; nothing where it does its work.
    pub wrong: Vec<String>,
}

/// What came of looking.
#[derive(Debug, PartialEq, Eq)]
pub enum Healthy {
    /// It does its work.
    Yes(Told),
    /// It does not, and why.
    No(String),
}

/// Keeps the file, and tells the service manager the same. Ends with [`Health::end`].
pub struct Health {
    file: PathBuf,
    notifier: Arc<Notifier>,
    keeper: JoinHandle<()>,
    extra: Arc<Mutex<Option<String>>>,
    is_ready: Arc<AtomicBool>,
}

impl Health {
    /// Begins to tell, within a runtime; `wrong` says what is wrong now, and must not block.
    pub fn start(
        file: PathBuf,
        version: &str,
        env: &Env,
        wrong: impl Fn() -> Vec<String> + Send + 'static,
    ) -> Self {
        let notifier = Arc::new(Notifier::of(env));
        let extra: Arc<Mutex<Option<String>>> = Arc::default();
        let is_ready: Arc<AtomicBool> = Arc::default();
        let watchdog = watchdog_period(env);
        let every = watchdog.map_or(EVERY, |period| period.min(EVERY));
        let version = version.to_owned();
        let keeper = tokio::spawn({
            let (file, notifier, extra) = (file.clone(), Arc::clone(&notifier), Arc::clone(&extra));
            let is_ready = Arc::clone(&is_ready);
            async move {
                let (mut ticks, mut before) = (interval(every), None);
                loop {
                    ticks.tick().await;
                    let mut wrong = wrong();
                    wrong.extend(extra.lock().unwrap_or_else(PoisonError::into_inner).clone());
                    if before.as_ref() != Some(&wrong) {
                        notifier.status(&match wrong.is_empty() {
                            true => "works".to_owned(),
                            false => wrong.join("; "),
                        });
                        before = Some(wrong.clone());
                    }
                    if !is_ready.load(Ordering::Relaxed) {
                        notifier.still_starting();
                    }
                    if watchdog.is_some() {
                        notifier.alive();
                    }
                    let told = Told {
                        pid: std::process::id(),
                        version: version.clone(),
                        at: now(),
                        wrong,
                    };
                    if let Err(error) = written(&file, &told) {
                        tracing::debug!(%error, "the health file cannot be written");
                    }
                }
            }
        });
        Self {
            file,
            notifier,
            keeper,
            extra,
            is_ready,
        }
    }

    /// Says what it waits for, until it is told otherwise.
    pub fn waits(&self, what: Option<String>) {
        *self.extra.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Tells the service manager that it does its work.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
        self.notifier.ready();
    }

    /// Tells the service manager that it ends.
    pub fn stopping(&self) {
        self.notifier.stopping();
        self.waits(Some("it drains".to_owned()));
    }

    /// Takes the file away.
    pub fn end(self) {
        self.keeper.abort();
        let _missing = fs::remove_file(&self.file);
    }

    /// Looks at the file of a program.
    pub fn look(file: &Path) -> Healthy {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Healthy::No("it does not run".to_owned());
            }
            Err(error) => {
                return Healthy::No(format!("{} cannot be read: {error}", file.display()));
            }
        };
        let told: Told = match serde_json::from_str(&text) {
            Ok(told) => told,
            Err(error) => {
                return Healthy::No(format!("{} cannot be read: {error}", file.display()));
            }
        };
        let silent = Duration::from_secs(now().saturating_sub(told.at));
        // After a start of the machine the clock is lower than it was.
        if silent > HANGS_AFTER || told.at > now() {
            return Healthy::No("it has ended, or hangs: there is no sign of life".to_owned());
        }
        match told.wrong.is_empty() {
            true => Healthy::Yes(told),
            false => Healthy::No(told.wrong.join("; ")),
        }
    }
}

fn now() -> u64 {
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or_default()
}

/// Whole or not at all.
fn written(file: &Path, told: &Told) -> io::Result<()> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, serde_json::to_vec(told)?)?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_tells_what_is_wrong_as_long_as_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.health");
        assert_eq!(
            Health::look(&file),
            Healthy::No("it does not run".to_owned())
        );
        let health = Health::start(file.clone(), "1", &Env::default(), Vec::new);
        let until = async |is_so: fn(&Healthy) -> bool| {
            let so = async {
                while !is_so(&Health::look(&file)) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), so)
                .await
                .unwrap();
        };
        until(|told| matches!(told, Healthy::Yes(_))).await;
        health.waits(Some("the broker is not there".to_owned()));
        until(|told| *told == Healthy::No("the broker is not there".to_owned())).await;
        health.end();
        assert_eq!(
            Health::look(&file),
            Healthy::No("it does not run".to_owned())
        );
    }

    #[test]
    fn one_that_gives_no_sign_of_life_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.health");
        let told = |at| Told {
            pid: 1,
            version: "1".to_owned(),
            at,
            wrong: Vec::new(),
        };
        let at = now();
        written(&file, &told(at)).unwrap();
        assert_eq!(Health::look(&file), Healthy::Yes(told(at)));
        for at in [now() + 1_000, now().saturating_sub(1_000)] {
            written(&file, &told(at)).unwrap();
            let Healthy::No(why) = Health::look(&file) else {
                panic!("{at} is no sign of life");
            };
            assert!(why.contains("no sign of life"), "{why}");
        }
    }
}
