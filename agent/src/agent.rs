//! Starting an agent from its home, and ending it: by draining, or at once.

use std::{fs::File, io, sync::Arc, time::Duration};

use chiffon_bus::{Bus, QueueName};
use chiffon_common::{AttemptRef, BootId, ErrorCode, Incarnation};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::AgentConfig,
    core::{Event, Plan},
    fall::together,
    folders::Folders,
    heartbeat::{Pulse, Vitals},
    home::{self, Home, StartError},
    journal::JournalFault,
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

/// The agent has ended by a fault of its own: its journal could not be written, or a part of it panicked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("agent has ended: {why}")]
pub struct AgentFault {
    /// Which of the two.
    pub code: ErrorCode,
    why: String,
}

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
        let taken = tokio::task::spawn_blocking(move || home::take(&home, kind, at)).await;
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
            Ok(Err(fault)) => Err(AgentFault {
                code: ErrorCode::JournalFault,
                why: fault.to_string(),
            }),
            Err(error) => Err(AgentFault {
                code: ErrorCode::AgentFault,
                why: error.to_string(),
            }),
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

impl Outside {
    fn runner(&self, folders: &Arc<Folders>, events: mpsc::Sender<Event>) -> Runner {
        Runner {
            worker: Arc::clone(&self.worker),
            folders: Arc::clone(folders),
            clock: Arc::clone(&self.clock),
            events,
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn begin(config: AgentConfig, home: Home, outside: Outside) -> AgentHandle {
    let (incarnation, folders) = (home.incarnation, Arc::new(home.folders));
    let stop = CancellationToken::new();
    let (listening, beating) = (stop.child_token(), stop.child_token());
    let tasks = TaskTracker::new();
    let outbox = Arc::new(Outbox::default());
    let boot = BootId::from_uuid(Uuid::now_v7());
    let (events_in, events) = mpsc::channel(EVENTS);
    let (deliveries_in, deliveries) = mpsc::channel(1);
    let (commands_in, commands) = mpsc::channel(2);
    let (vitals, seen_vitals) = watch::channel(Vitals::default());
    let (load, seen_load) = watch::channel(Load::starting());
    let (metrics, seen_metrics) = watch::channel(None);
    let runner = outside.runner(&folders, events_in.clone());
    let publisher = Publisher {
        bus: Arc::clone(&outside.bus),
        outbox: Arc::clone(&outbox),
        agent: config.id.clone(),
        clock: Arc::clone(&outside.clock),
        metrics: seen_metrics,
        events: events_in,
        stop: stop.clone(),
    };
    tasks.spawn(together("what publishes", stop.clone(), publisher.run()));
    let Outside { bus, worker, clock } = outside;
    let mut unknown = folders.left_over();
    unknown.retain(|left| !home.core.is_sweeping(*left));
    let ear = receive(
        Arc::clone(&bus),
        QueueName::agent(&config.id),
        config.prefetch,
        deliveries_in,
        listening.clone(),
    );
    let ear = sweep_then(runner.clone(), unknown, ear);
    let ear = together("what listens", stop.clone(), ear);
    tasks.spawn(listening.clone().run_until_cancelled_owned(ear));
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
    let shell = Shell {
        core: home.core,
        journal: home.journal,
        cache: home.cache,
        clock,
        outbox,
        runner,
        events,
        deliveries,
        commands,
        vitals,
        load,
        ticks: ticks(),
        stop: stop.clone(),
        tasks: tasks.clone(),
        state: State::default(),
    };
    AgentHandle {
        incarnation,
        boot,
        commands: commands_in,
        load: seen_load,
        folders,
        shell: tokio::spawn(together(
            "the loop",
            stop.clone(),
            run_shell(shell, home.first, home.lock),
        )),
        listening,
        beating,
        pulse: tokio::spawn(together("the pulse", stop.clone(), pulse.run())),
        stop,
        tasks,
    }
}

/// What no journal knows may still run; nothing new is taken beside it.
async fn sweep_then(runner: Runner, unknown: Vec<AttemptRef>, ear: impl Future<Output = ()>) {
    let sweeps = unknown.into_iter().map(|left| runner.sweep_quietly(left));
    futures_util::future::join_all(sweeps).await;
    ear.await;
}

/// The loop to its end, with which everything else ends and the home is free.
async fn run_shell(shell: Shell, first: Plan, lock: File) -> Result<(), JournalFault> {
    let all = shell.stop.clone();
    let outcome = shell.run(first).await;
    if let Err(fault) = &outcome {
        tracing::error!("the agent ends: {fault}");
    }
    all.cancel();
    drop(lock);
    outcome
}
