//! Starting an agent from its home, and ending it: by draining, or at once.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chiffon_bus::{Bus, QueueName};
use chiffon_common::{AgentKind, BootId, Incarnation};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    bundles::{BundleCache, MAX_CACHE_BYTES},
    clock::Clock,
    config::AgentConfig,
    core::{Core, Identity, Moment, Plan},
    folders::Folders,
    heartbeat::{Pulse, Vitals},
    journal::{self, JournalError, JournalFault},
    outbox::{Outbox, Publisher},
    receive::receive,
    run::Runner,
    shell::{Command, Load, Shell, State, moment},
    worker::Worker,
};

/// Events from tasks on their way to the loop; a full channel makes workers' output wait.
const EVENTS: usize = 256;
/// How often the loop looks at its deadlines. They count on the boot clock, which timers do not follow
/// through a suspend.
const TICK: Duration = Duration::from_millis(250);
/// Beyond the workers' 20 s: for the sweep of one that did not end.
const STOPPING: Duration = Duration::from_secs(45);
/// How long a drain waits for confirms; what is not confirmed is in the journal.
const CONFIRMS: Duration = Duration::from_secs(10);

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The home, or the places below it, cannot be used.
    #[error("agent folder {path} cannot be used")]
    Home {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent has it.
    #[error("agent folder {0} is in use by another agent")]
    InUse(PathBuf),
    /// Its journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Results that the bus has not confirmed; they are in the journal and go out after the next start.
    pub unconfirmed: usize,
    /// Whether every run had ended and was journaled.
    pub is_idle: bool,
}

/// Starts agents.
#[derive(Debug)]
pub struct Agent;

/// A running agent. Dropping it is an [`AgentHandle::abort`] that nobody waits for.
#[derive(Debug)]
pub struct AgentHandle {
    incarnation: Incarnation,
    boot: BootId,
    commands: mpsc::Sender<Command>,
    load: watch::Receiver<Load>,
    folders: Arc<Folders>,
    shell: JoinHandle<Result<(), JournalFault>>,
    listening: CancellationToken,
    beating: CancellationToken,
    pulse: JoinHandle<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The agent has ended by a fault of its own: its journal could not be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("agent has ended: {0}")]
pub struct AgentFault(String);

impl Agent {
    /// Takes the home, reads the journal and begins to work; must be called within a tokio runtime. The
    /// agent's queue is declared by others; until it is there the agent tries again.
    pub async fn start(
        config: AgentConfig,
        bus: Arc<dyn Bus>,
        worker: Arc<dyn Worker>,
        clock: Arc<dyn Clock>,
    ) -> Result<AgentHandle, StartError> {
        let (home, kind, at) = (config.clone(), worker.kind(), moment(&*clock));
        let taken = tokio::task::spawn_blocking(move || take_home(&home, kind, at)).await;
        let home = taken.unwrap_or_else(|panic| {
            Err(StartError::Home {
                path: config.home.clone(),
                source: io::Error::other(panic),
            })
        })?;
        Ok(begin(config, home, Outside { bus, worker, clock }))
    }
}

impl AgentHandle {
    /// The life of the journal that the agent works with.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// This start.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Waits until the agent ends, which without a drain it does only by a fault.
    pub async fn ended(&mut self) -> Result<(), AgentFault> {
        match (&mut self.shell).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(AgentFault(fault.to_string())),
            Err(error) => Err(AgentFault(error.to_string())),
        }
    }

    /// Takes no new work, lets what runs end within `grace`, stops the rest, and waits until all results
    /// are confirmed, each within a bound. Work that had not started stays in the journal.
    pub async fn drain(mut self, grace: Duration) -> Drained {
        self.listening.cancel();
        let in_grace = Instant::now() + grace;
        // A shell that has ended by a fault takes no commands and needs none.
        let _ = self.commands.send(Command::Drain).await;
        let is_idle = |load: &Load| load.draining && load.working == 0;
        if timeout_at(in_grace, self.load.wait_for(is_idle))
            .await
            .is_err()
        {
            let _ = self.commands.send(Command::EndGrace).await;
            let _ = timeout(STOPPING, self.load.wait_for(is_idle)).await;
        }
        let is_done = |load: &Load| is_idle(load) && load.unconfirmed == 0;
        let _ = timeout(CONFIRMS, self.load.wait_for(is_done)).await;
        let load = *self.load.borrow();
        self.beating.cancel();
        let _ = timeout(CONFIRMS, &mut self.pulse).await;
        self.end().await;
        Drained {
            unconfirmed: load.unconfirmed,
            is_idle: is_idle(&load),
        }
    }

    /// Ends at once, as a crash would: what runs is swept by the next start on the same home.
    pub async fn abort(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        self.pulse.abort();
        self.stop.cancel();
        self.tasks.close();
        if !self.shell.is_finished() {
            // It has nothing left to do but to close the journal.
            let _ = timeout(CONFIRMS, &mut self.shell).await;
        }
        let _ = timeout(CONFIRMS, self.tasks.wait()).await;
        self.folders.tidy();
    }
}

impl Drop for AgentHandle {
    fn drop(&mut self) {
        self.pulse.abort();
        self.stop.cancel();
    }
}

/// What an agent works with that is not its own.
struct Outside {
    bus: Arc<dyn Bus>,
    worker: Arc<dyn Worker>,
    clock: Arc<dyn Clock>,
}

/// A home that is ours.
struct Home {
    lock: File,
    core: Core,
    first: Plan,
    journal: journal::Writer,
    incarnation: Incarnation,
    folders: Folders,
    cache: BundleCache,
}

fn take_home(config: &AgentConfig, kind: AgentKind, at: Moment) -> Result<Home, StartError> {
    let path = config.home.clone();
    let fault = |source| StartError::Home {
        path: path.clone(),
        source,
    };
    let lock = lock(&config.home)
        .map_err(fault)?
        .ok_or_else(|| StartError::InUse(path.clone()))?;
    let fresh = Incarnation::from_uuid(Uuid::now_v7());
    let mut opened = journal::open(&config.home, &config.id, fresh)?;
    let incarnation = opened.incarnation;
    let me = Identity {
        agent: config.id.clone(),
        kind,
        incarnation,
        keys: config.keys.clone(),
        max_clock_skew: config.max_clock_skew,
    };
    let history = std::mem::take(&mut opened.history);
    let (mut core, mut first) = Core::recover(me, config.slots.get(), history, at);
    // The journal is written anew with all of it.
    first.records.clear();
    let journal = opened.start(&core.snapshot(at))?;
    let folders =
        Folders::choose(&config.memory_folders, &config.id, &config.home).map_err(fault)?;
    let cache = BundleCache::open(config.home.join("bundles"), MAX_CACHE_BYTES).map_err(fault)?;
    Ok(Home {
        lock,
        core,
        first,
        journal,
        incarnation,
        folders,
        cache,
    })
}

/// Makes the home and takes its lock; none where another agent has it.
fn lock(home: &Path) -> io::Result<Option<File>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o700))?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(home.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn begin(config: AgentConfig, home: Home, outside: Outside) -> AgentHandle {
    let Home {
        lock,
        core,
        first,
        journal,
        incarnation,
        folders,
        cache,
    } = home;
    let Outside { bus, worker, clock } = outside;
    let stop = CancellationToken::new();
    let (listening, beating) = (stop.child_token(), stop.child_token());
    let tasks = TaskTracker::new();
    let (folders, outbox) = (Arc::new(folders), Arc::new(Outbox::default()));
    let boot = BootId::from_uuid(Uuid::now_v7());
    let (events_in, events) = mpsc::channel(EVENTS);
    let (deliveries_in, deliveries) = mpsc::channel(1);
    let (commands_in, commands) = mpsc::channel(2);
    let (vitals, seen_vitals) = watch::channel(Vitals::default());
    let (load, seen_load) = watch::channel(Load::starting());
    let (metrics, seen_metrics) = watch::channel(None);
    let runner = Runner {
        worker: Arc::clone(&worker),
        folders: Arc::clone(&folders),
        clock: Arc::clone(&clock),
        events: events_in.clone(),
    };
    let publisher = Publisher {
        bus: Arc::clone(&bus),
        outbox: Arc::clone(&outbox),
        agent: config.id.clone(),
        clock: Arc::clone(&clock),
        metrics: seen_metrics,
        events: events_in,
        stop: stop.clone(),
    };
    tasks.spawn(publisher.run());
    let unknown: Vec<_> = folders
        .left_over()
        .into_iter()
        .filter(|left| !core.is_sweeping(*left))
        .collect();
    let (ear, sweeper, queue) = (
        listening.clone(),
        runner.clone(),
        QueueName::agent(&config.id),
    );
    let listen_on = Arc::clone(&bus);
    tasks.spawn(listening.clone().run_until_cancelled_owned(async move {
        // What no journal knows may still run; nothing new begins beside it.
        futures_util::future::join_all(unknown.into_iter().map(|left| sweeper.sweep_quietly(left)))
            .await;
        receive(listen_on, queue, config.prefetch, deliveries_in, ear).await;
    }));
    let pulse = Pulse {
        bus,
        worker,
        clock: Arc::clone(&clock),
        agent: config.id,
        version: config.version,
        incarnation,
        boot,
        slots: u32::try_from(config.slots.get()).unwrap_or(u32::MAX),
        every: config.heartbeat,
        vitals: seen_vitals,
        metrics,
        stop: beating.clone(),
    };
    let pulse = tokio::spawn(pulse.run());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shell = Shell {
        core,
        journal,
        cache,
        clock,
        outbox,
        runner,
        events,
        deliveries,
        commands,
        vitals,
        load,
        ticks,
        stop: stop.clone(),
        tasks: tasks.clone(),
        state: State::default(),
    };
    let all = stop.clone();
    let shell = tokio::spawn(async move {
        let outcome = shell.run(first).await;
        if let Err(fault) = &outcome {
            tracing::error!("the agent ends: {fault}");
        }
        all.cancel();
        drop(lock);
        outcome
    });
    AgentHandle {
        incarnation,
        boot,
        commands: commands_in,
        load: seen_load,
        folders,
        shell,
        listening,
        beating,
        pulse,
        stop,
        tasks,
    }
}
