//! What leaves the agent: results until they are confirmed, for ever; statuses and errors once. In the
//! order they were put in, except for results that must be tried again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chiffon_bus::{Bus, Message, PublishError, QueueName};
use chiffon_common::{
    AgentId, AttemptRef, Envelope, ErrorMessage, MessageId, Payload, ResourceMetrics, TraceId,
    WorkResult,
};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    backoff::Backoff,
    clock::Clock,
    core::{Event, Meta, StatusOut},
};

/// Most statuses and errors that wait; the oldest goes, for the newest says most.
const MAX_PASSING: usize = 256;
/// Longest single try; the bus' own limit is ten seconds.
const TRY: Duration = Duration::from_secs(15);

#[derive(Debug)]
enum Out {
    Result {
        meta: Meta,
        result: Box<WorkResult>,
    },
    Status(Box<StatusOut>),
    Error {
        meta: Option<Meta>,
        error: ErrorMessage,
    },
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Out>,
    /// Attempts whose result is in the queue or in the publisher's hand.
    results: BTreeSet<AttemptRef>,
    passing: usize,
    dropped: u64,
}

/// Where the shell puts what is to leave. Bounded: results by the attempts of the journal, one each;
/// the rest by number.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way; the content is whole even so.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn result(&self, meta: Meta, result: Box<WorkResult>) {
        let mut waiting = self.lock();
        if waiting.results.insert(result.attempt) {
            waiting.queue.push_back(Out::Result { meta, result });
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub(crate) fn status(&self, status: Box<StatusOut>) {
        self.passing(Out::Status(status));
    }

    pub(crate) fn error(&self, meta: Option<Meta>, error: ErrorMessage) {
        self.passing(Out::Error { meta, error });
    }

    fn passing(&self, out: Out) {
        let mut waiting = self.lock();
        if waiting.passing >= MAX_PASSING {
            let oldest = waiting
                .queue
                .iter()
                .position(|out| !matches!(out, Out::Result { .. }));
            if let Some(oldest) = oldest {
                waiting.queue.remove(oldest);
                waiting.passing -= 1;
                waiting.dropped += 1;
            }
        }
        waiting.passing += 1;
        waiting.queue.push_back(out);
        drop(waiting);
        self.changed.notify_one();
    }

    fn take(&self) -> Option<Out> {
        let mut waiting = self.lock();
        let out = waiting.queue.pop_front()?;
        if !matches!(out, Out::Result { .. }) {
            waiting.passing -= 1;
        }
        Some(out)
    }

    fn put_back(&self, meta: Meta, result: Box<WorkResult>) {
        self.lock().queue.push_front(Out::Result { meta, result });
    }

    fn is_out(&self, attempt: AttemptRef) {
        self.lock().results.remove(&attempt);
    }

    fn drop_one(&self) {
        self.lock().dropped += 1;
    }

    fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }
}

/// Carries the outbox to the bus.
pub(crate) struct Publisher {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) agent: AgentId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: watch::Receiver<Option<ResourceMetrics>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) stop: CancellationToken,
}

impl Publisher {
    pub(crate) async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            let out = loop {
                // Registered before the look, so that nothing put in between is missed.
                let changed = self.outbox.changed.notified();
                if let Some(out) = self.outbox.take() {
                    break out;
                }
                tokio::select! {
                    () = changed => {}
                    () = self.stop.cancelled() => return,
                }
            };
            let wait = match out {
                Out::Result { meta, result } => self.result(meta, result, &mut backoff).await,
                passing => {
                    self.passing(passing, &mut backoff).await;
                    None
                }
            };
            if let Some(wait) = wait {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.stop.cancelled() => return,
                }
            }
        }
    }

    /// Tries a result; how long to wait if it did not go out.
    async fn result(
        &self,
        meta: Meta,
        result: Box<WorkResult>,
        backoff: &mut Backoff,
    ) -> Option<Duration> {
        let attempt = result.attempt;
        let id = result_id(&result);
        match self
            .publish(Some(meta), id, Payload::WorkResult(result.clone()))
            .await
        {
            Ok(()) => {
                chiffon_failpoint::hit!("agent.confirm.before");
                self.calm(backoff);
                self.outbox.is_out(attempt);
                // The shell is gone only when everything is: the journal then lets it be sent again.
                let _ = self.events.send(Event::Confirmed { attempt }).await;
                None
            }
            Err(error) => {
                if backoff.is_calm() {
                    tracing::warn!(task.id = %attempt.task_id, "a result is not confirmed and is sent until it is: {error}");
                }
                self.outbox.put_back(meta, result);
                Some(backoff.next())
            }
        }
    }

    /// Tries a status or error, unless the bus is known to be away.
    async fn passing(&self, out: Out, backoff: &mut Backoff) {
        let id = MessageId::from_uuid(Uuid::now_v7());
        let (meta, payload) = match out {
            Out::Status(out) => {
                let mut status = out.status;
                status.metrics = self.metrics();
                (Some(out.meta), Payload::WorkStatus(status))
            }
            Out::Error { meta, error } => (meta, Payload::Error(error)),
            Out::Result { .. } => return,
        };
        match self.publish(meta, id, payload).await {
            Ok(()) => self.calm(backoff),
            Err(error) => {
                if backoff.is_calm() {
                    tracing::warn!(
                        "the bus takes no reports; statuses are dropped, results wait: {error}"
                    );
                }
                self.outbox.drop_one();
                // A status is never tried again, but a bus that is away is not asked for each of them.
                let wait = backoff.next();
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.stop.cancelled() => {}
                }
            }
        }
    }

    fn calm(&self, backoff: &mut Backoff) {
        let dropped = self.outbox.take_dropped();
        if !backoff.is_calm() || dropped > 0 {
            tracing::info!(
                dropped,
                "the bus takes reports again; statuses were dropped"
            );
        }
        backoff.reset();
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        const MIB: f64 = 1024.0 * 1024.0;
        let Some(host) = self.metrics.borrow().clone() else {
            return BTreeMap::new();
        };
        let used = host.memory_total.saturating_sub(host.memory_available);
        let figures = [("cpu", host.cpu_percent), ("memory", used as f64 / MIB)];
        figures
            .into_iter()
            .filter(|(_, figure)| figure.is_finite())
            .map(|(name, figure)| (name.to_owned(), figure))
            .collect()
    }

    async fn publish(
        &self,
        meta: Option<Meta>,
        id: MessageId,
        payload: Payload,
    ) -> Result<(), PublishError> {
        let trace = meta.map_or_else(|| TraceId::from_uuid(Uuid::now_v7()), |meta| meta.trace);
        let request = meta.and_then(|meta| meta.request);
        let envelope = Envelope::new(&payload, id, trace, request, self.clock.now())
            .and_then(|envelope| envelope.to_bytes());
        let body = match envelope {
            Ok(bytes) => bytes.into(),
            Err(error) => {
                // The bounds of results and statuses keep this from happening; nothing could be sent.
                tracing::error!("a report has no form that can travel and is left out: {error}");
                return Ok(());
            }
        };
        let message = Message {
            message_id: id,
            sender: self.agent.to_string(),
            body,
        };
        let told = spoken(&payload);
        send(&*self.bus, &QueueName::results(), message).await?;
        if let Some((attempt, said)) = told {
            tracing::info!(trace.id = %trace, task.id = %attempt.task_id, attempt = attempt.attempt, "{said}");
        }
        Ok(())
    }
}

/// What of a report stands in the log: not each line of output.
fn spoken(payload: &Payload) -> Option<(AttemptRef, String)> {
    match payload {
        Payload::WorkResult(result) => Some((
            result.attempt,
            format!("reported the result: {:?}", result.status),
        )),
        Payload::WorkStatus(status) if status.lines.is_empty() && status.progress == 0 => {
            Some((status.attempt, format!("reported: {:?}", status.status)))
        }
        _ => None,
    }
}

/// Publishes once, within a bound even where the bus forgets its own.
pub(crate) async fn send(
    bus: &dyn Bus,
    queue: &QueueName,
    message: Message,
) -> Result<(), PublishError> {
    match tokio::time::timeout(TRY, bus.publish(queue, message)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(PublishError::Unconfirmed("no answer in time".to_owned())),
    }
}

/// The same for every resend of a result, over restarts too: it follows from what the result is of.
fn result_id(result: &WorkResult) -> MessageId {
    let name = format!(
        "result {} {} {}",
        result.agent, result.attempt.task_id, result.attempt.attempt
    );
    let seed = match result.error.as_ref().map(|error| error.code) {
        // Said without the journal: another message than what the journal may say later.
        Some(chiffon_common::ErrorCode::StaleAttempt) => format!("stale {name}"),
        _ => name,
    };
    MessageId::from_uuid(Uuid::new_v5(result.incarnation.as_uuid(), seed.as_bytes()))
}
