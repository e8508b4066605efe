//! The agent's loop in three beats: take one event from its source, let the core judge it, perform the
//! plan once its records are on the disk. No decision is made here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chiffon_bus::Delivery;
use chiffon_common::{AttemptRef, Bundle, BundleError, Digest};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::{Interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bundles::BundleCache,
    clock::Clock,
    core::{Core, Effect, Event, Loaded, Moment, Plan, Stored, Token},
    fall::together,
    heartbeat::Vitals,
    journal::{COMPACT_ABOVE, JournalFault, Writer},
    outbox::Outbox,
    run::Runner,
    worker::StopReason,
};

/// Plans that wait for the disk; beyond that no event is taken.
const MAX_PENDING: usize = 200;
/// Longest wait for an ack to be taken; a lost one only brings the delivery again.
const ACK: Duration = Duration::from_secs(10);

type Durable = oneshot::Receiver<Result<(), JournalFault>>;

struct Pending {
    durable: Option<Durable>,
    effects: Vec<Effect>,
}

struct Running {
    stop: CancellationToken,
    task: AbortHandle,
}

/// What a drain asks of the shell.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take no new work.
    Drain,
    /// Stop what runs.
    EndGrace,
}

/// What the loop has in hand, for a drain to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Workers, sweeps, bundles being read, and plans on their way to the disk: an end that is not
    /// journaled is no end yet.
    pub(crate) working: usize,
    /// Results without a confirm.
    pub(crate) unconfirmed: usize,
    /// New work is not taken any more.
    pub(crate) draining: bool,
}

impl Load {
    /// Before the first look.
    pub(crate) fn starting() -> Self {
        Self {
            working: 1,
            unconfirmed: 0,
            draining: false,
        }
    }
}

/// Everything the loop works with.
pub(crate) struct Shell {
    pub(crate) core: Core,
    pub(crate) journal: Writer,
    pub(crate) cache: BundleCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) runner: Runner,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) deliveries: mpsc::Receiver<Box<dyn Delivery>>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) vitals: watch::Sender<Vitals>,
    pub(crate) load: watch::Sender<Load>,
    pub(crate) ticks: Interval,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) state: State,
}

/// What the loop itself keeps.
#[derive(Default)]
pub(crate) struct State {
    pending: VecDeque<Pending>,
    in_hand: BTreeMap<Token, Box<dyn Delivery>>,
    next_token: u64,
    running: BTreeMap<AttemptRef, Running>,
    draining: bool,
    compacted_len: u64,
}

enum Beat {
    Event(Event),
    Durable,
    Stop,
}

impl Shell {
    /// Runs until it is stopped. A journal that cannot be written ends it: nothing may happen then.
    pub(crate) async fn run(mut self, first: Plan) -> Result<(), JournalFault> {
        self.state.compacted_len = self.journal.len();
        self.submit(first).await;
        let outcome = loop {
            match self.next().await {
                Ok(Beat::Event(event)) => {
                    let plan = self.core.handle(event, moment(&*self.clock));
                    self.submit(plan).await;
                    self.compact_if_large().await;
                }
                Ok(Beat::Durable) => self.perform_first(),
                Ok(Beat::Stop) => break Ok(()),
                Err(fault) => break Err(fault),
            }
            self.show();
        };
        self.journal.close().await;
        outcome
    }

    /// The first beat.
    async fn next(&mut self) -> Result<Beat, JournalFault> {
        let has_room = self.state.pending.len() < MAX_PENDING;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Beat::Stop),
            durable = first_durable(&mut self.state.pending) => durable.map(|()| Beat::Durable),
            Some(command) = self.commands.recv() => Ok(Beat::Event(match command {
                Command::Drain => {
                    self.state.draining = true;
                    Event::DrainAsked
                }
                Command::EndGrace => Event::GraceOver,
            })),
            _ = self.ticks.tick(), if has_room => Ok(Beat::Event(Event::Ticked)),
            Some(event) = self.events.recv(), if has_room => {
                if let Event::RunEnded { attempt, .. } | Event::RunPanicked { attempt } = &event {
                    self.state.running.remove(attempt);
                    chiffon_failpoint::hit!("agent.end.before");
                }
                Ok(Beat::Event(event))
            }
            Some(delivery) = self.deliveries.recv(), if has_room && !self.state.draining => {
                let token = Token(self.state.next_token);
                self.state.next_token += 1;
                let bytes = Arc::clone(&delivery.message().body);
                self.state.in_hand.insert(token, delivery);
                chiffon_failpoint::hit!("agent.journal.arrived");
                Ok(Beat::Event(Event::Arrived { token, bytes }))
            }
        }
    }

    /// Records go to the journal now; effects wait for them, and for all plans before.
    async fn submit(&mut self, plan: Plan) {
        let durable = match plan.records.is_empty() {
            true => None,
            false => Some(self.journal.append(plan.records).await),
        };
        if durable.is_some() || !plan.effects.is_empty() {
            self.state.pending.push_back(Pending {
                durable,
                effects: plan.effects,
            });
        }
    }

    async fn compact_if_large(&mut self) {
        let len = self.journal.len();
        if len > COMPACT_ABOVE && len > self.state.compacted_len * 2 {
            let records = self.core.snapshot(moment(&*self.clock));
            let durable = Some(self.journal.compact(records).await);
            self.state.pending.push_back(Pending {
                durable,
                effects: Vec::new(),
            });
            self.state.compacted_len = len;
        }
    }

    fn perform_first(&mut self) {
        if let Some(pending) = self.state.pending.pop_front() {
            for effect in pending.effects {
                self.perform(effect);
            }
        }
    }

    fn show(&self) {
        let vitals = Vitals {
            running: self.core.open_attempts(),
            draining: self.state.draining,
        };
        self.vitals.send_if_modified(|shown| {
            let is_news = *shown != vitals;
            *shown = vitals;
            is_news
        });
        let load = Load {
            working: self.core.busy() + self.state.pending.len(),
            unconfirmed: self.core.unconfirmed(),
            draining: self.state.draining,
        };
        self.load
            .send_if_modified(|shown| std::mem::replace(shown, load) != load);
    }

    /// The third beat.
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Ack(token) => {
                chiffon_failpoint::hit!("agent.ack.before");
                self.answer(token, |delivery| delivery.ack());
            }
            Effect::Reject(token, how) => self.answer(token, move |delivery| delivery.reject(how)),
            Effect::PublishStatus(status) => self.outbox.status(status),
            Effect::PublishResult { meta, result } => {
                chiffon_failpoint::hit!("agent.publish.before");
                self.outbox.result(meta, result);
            }
            Effect::PublishError { meta, error } => self.outbox.error(meta, error),
            Effect::LookForBundle(digest) => {
                let look = move |found| Event::BundleLooked { digest, found };
                self.blocking(look(false), move |cache| look(cache.has(digest)));
            }
            Effect::StoreBundle { digest, bytes } => {
                let end = move |stored| Event::BundleStored { digest, stored };
                self.blocking(end(Stored::Unwritable), move |cache| {
                    end(check_and_store(cache, digest, &bytes))
                });
            }
            Effect::LoadBundle { attempt, digest } => {
                let end = move |loaded| Event::BundleLoaded { attempt, loaded };
                self.blocking(end(Loaded::Missing), move |cache| {
                    let found = cache.load(digest);
                    chiffon_failpoint::hit!("agent.start.before");
                    end(found.map_or(Loaded::Missing, |it| Loaded::Whole(Box::new(it))))
                });
            }
            Effect::Start { request, bundle } => {
                chiffon_failpoint::hit!("agent.spawn.before");
                self.start(request, bundle);
            }
            Effect::Stop { attempt, reason } => self.tell_to_stop(attempt, reason),
            Effect::Abandon(attempt) => {
                if let Some(running) = self.state.running.remove(&attempt) {
                    running.task.abort();
                }
            }
            Effect::Sweep(attempt) => {
                self.spawn(self.runner.clone().sweep(attempt));
            }
        }
    }

    /// Answers travel on their own: a broker that hangs must not hold up deadlines.
    fn answer<F>(&mut self, token: Token, how: impl FnOnce(Box<dyn Delivery>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(delivery) = self.state.in_hand.remove(&token) {
            let answer = how(delivery);
            self.spawn(async move {
                let _ = timeout(ACK, answer).await;
            });
        }
    }

    /// A task that ends with the agent, and with which the agent ends if it panics.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let stop = self.stop.clone();
        let task = async move {
            let _ = stop.run_until_cancelled_owned(task).await;
        };
        self.tasks
            .spawn(together("a task", self.stop.clone(), task))
            .abort_handle()
    }

    /// A cache that panics has no bundle: that is `otherwise`.
    fn blocking(&self, otherwise: Event, job: impl FnOnce(&BundleCache) -> Event + Send + 'static) {
        let (cache, events) = (self.cache.clone(), self.runner.events.clone());
        self.spawn(async move {
            let done = tokio::task::spawn_blocking(move || job(&cache)).await;
            let event = done.unwrap_or_else(|error| {
                tracing::error!("the bundle cache panicked: {error}");
                otherwise
            });
            // The shell is gone only when the agent is.
            let _ = events.send(event).await;
        });
    }

    fn start(&mut self, request: Box<chiffon_common::WorkRequest>, bundle: Box<Bundle>) {
        let (attempt, stop) = (request.attempt, CancellationToken::new());
        let run = self.runner.clone().run(request, bundle, stop.clone());
        let task = self.spawn(run);
        self.state.running.insert(attempt, Running { stop, task });
    }

    fn tell_to_stop(&self, attempt: AttemptRef, reason: StopReason) {
        tracing::info!(task.id = %attempt.task_id, attempt = attempt.attempt, ?reason, "stopping a run");
        if let Some(running) = self.state.running.get(&attempt) {
            running.stop.cancel();
        }
    }
}

/// Both clocks, read together.
pub(crate) fn moment(clock: &dyn Clock) -> Moment {
    Moment {
        now: clock.now(),
        boot: clock.boot(),
    }
}

/// Waits until the records of the first plan are on the disk; for ever where no plan waits. Cancel-safe:
/// the answer stays with its plan until it has come.
async fn first_durable(pending: &mut VecDeque<Pending>) -> Result<(), JournalFault> {
    let Some(first) = pending.front_mut() else {
        return std::future::pending().await;
    };
    let Some(durable) = &mut first.durable else {
        return Ok(());
    };
    let outcome = durable.await;
    first.durable = None;
    outcome.unwrap_or_else(|_| Err(JournalFault("its writer has ended".to_owned())))
}

fn check_and_store(cache: &BundleCache, digest: Digest, bytes: &[u8]) -> Stored {
    match Bundle::from_bytes(bytes, digest) {
        Ok(_) => match cache.store(digest, bytes) {
            Ok(()) => Stored::Kept,
            Err(error) => {
                tracing::error!(%digest, "a bundle cannot be written: {error}");
                Stored::Unwritable
            }
        },
        Err(
            error @ (BundleError::Digest { .. } | BundleError::Malformed(_) | BundleError::Path(_)),
        ) => {
            tracing::warn!(%digest, "a bundle that came is not what was announced: {error}");
            Stored::Wrong
        }
    }
}
