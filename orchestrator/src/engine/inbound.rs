//! What agents say: read, checked against its sender, brought to its slice, and only then acked (R4).
//!
//! Messages of one task stay in order (a later status would make the lines of an earlier one stale), so
//! they are spread over lanes by task. A lane that the store does not answer waits and tries again; it
//! never drops and never acks.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use chiffon_arbiter::{Outcome, Refusal, Reported, Run, RunEvent};
use chiffon_bus::{Delivery, QueueName, Reject};
use chiffon_common::{
    Envelope, Heartbeat, MessageId, Payload, Principal, RequestId, TaskId, WorkResult, WorkStatus,
};
use chiffon_store::{InboxKey, NewLogLine};
use tokio::{sync::mpsc, task::JoinSet};

use super::{AdvanceError, Advanced, Cause, Shared};

/// Lanes over which tasks are spread. As many commits can be grouped into one transaction.
const LANES: usize = 8;
/// Messages waiting in a lane; a full lane holds the subscription back, whose prefetch is bounded.
const LANE_DEPTH: usize = 16;
/// Unacknowledged deliveries at once.
const PREFETCH: NonZeroU32 = NonZeroU32::new(128).expect("not zero");
/// Wait before the store, or the bus, is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// Why a message can never be handled.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Envelope(#[from] chiffon_common::EnvelopeError),
    #[error("sender {sender} speaks for agent {claimed}")]
    Sender { sender: String, claimed: String },
    #[error("an agent does not send this kind of message")]
    Kind,
    #[error("task {0} is not known")]
    UnknownTask(TaskId),
    #[error("it cannot be brought home")]
    Fault(#[source] Box<AdvanceError>),
}

/// What an agent said of a task.
enum Word {
    Status(Box<WorkStatus>),
    Result(Box<WorkResult>),
}

impl Word {
    fn task(&self) -> TaskId {
        match self {
            Self::Status(status) => status.attempt.task_id,
            Self::Result(result) => result.attempt.task_id,
        }
    }

    fn agent(&self) -> &chiffon_common::AgentId {
        match self {
            Self::Status(status) => &status.agent,
            Self::Result(result) => &result.agent,
        }
    }
}

type Lane = mpsc::Sender<(Word, MessageId, Box<dyn Delivery>)>;

/// The lanes, which end with the job that fills them.
struct Lanes {
    ways_in: Vec<Lane>,
    tasks: JoinSet<()>,
}

impl Lanes {
    fn of(shared: &Arc<Shared>) -> Self {
        let mut tasks = JoinSet::new();
        let ways_in = (0..LANES).map(|_| shared.clone().lane(&mut tasks));
        Self {
            ways_in: ways_in.collect(),
            tasks,
        }
    }

    /// A lane is gone: its panic is that of the job, so that all of them are begun again.
    async fn fall(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

impl Shared {
    /// Hears results and statuses for ever.
    pub(crate) async fn hear_results(self: Arc<Self>) {
        let mut lanes = Lanes::of(&self);
        loop {
            let subscribed = self.bus.subscribe(&QueueName::results(), PREFETCH).await;
            match subscribed {
                Ok(mut subscription) => {
                    while let Some(delivery) = subscription.next().await {
                        self.sort(delivery, &mut lanes).await;
                    }
                    tracing::warn!("subscription to results has ended; subscribing again");
                }
                Err(error) => tracing::warn!(%error, "results cannot be heard; trying again"),
            }
            self.declare_topology().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Hears heartbeats for ever.
    pub(crate) async fn hear_heartbeats(self: Arc<Self>) {
        loop {
            match self.bus.subscribe(&QueueName::heartbeats(), PREFETCH).await {
                Ok(mut subscription) => {
                    while let Some(delivery) = subscription.next().await {
                        self.hear_heartbeat(delivery).await;
                    }
                    tracing::warn!("subscription to heartbeats has ended; subscribing again");
                }
                Err(error) => tracing::warn!(%error, "heartbeats cannot be heard; trying again"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn lane(self: Arc<Self>, tasks: &mut JoinSet<()>) -> Lane {
        let (lane, mut waiting) = mpsc::channel::<(Word, MessageId, Box<dyn Delivery>)>(LANE_DEPTH);
        tasks.spawn(async move {
            while let Some((word, id, delivery)) = waiting.recv().await {
                chiffon_failpoint::hit!("inbound.commit.before");
                if chiffon_failpoint::mutant!("ack-before-commit") {
                    acked(delivery).await;
                    let _lost = self.take(word, id).await;
                    continue;
                }
                match self.take(word, id).await {
                    Ok(()) => {
                        chiffon_failpoint::hit!("inbound.ack.before");
                        acked(delivery).await;
                    }
                    Err(unfit) => {
                        let cause = std::error::Error::source(&unfit).map(ToString::to_string);
                        tracing::error!(%unfit, cause, message.id = %id, "message goes to the dead letters");
                        delivery.reject(Reject::DeadLetter).await;
                    }
                }
            }
        });
        lane
    }

    async fn sort(&self, delivery: Box<dyn Delivery>, lanes: &mut Lanes) {
        match open_word(&*delivery) {
            Ok((word, id)) => {
                let mut hash = DefaultHasher::new();
                word.task().hash(&mut hash);
                let lane = usize::try_from(hash.finish() % LANES as u64).unwrap_or_default();
                let Some(lane) = lanes.ways_in.get(lane) else {
                    return;
                };
                // What a lane that is gone has not taken goes back by itself.
                if lane.send((word, id, delivery)).await.is_err() {
                    lanes.fall().await;
                }
            }
            Err(unfit) => {
                tracing::warn!(%unfit, "message goes to the dead letters");
                delivery.reject(Reject::DeadLetter).await;
            }
        }
    }

    /// Brings one word home, however long the store takes.
    async fn take(&self, word: Word, id: MessageId) -> Result<(), Unfit> {
        self.registry.touch(word.agent(), self.clock.now());
        loop {
            match self.try_take(&word, id).await {
                Ok(()) => return Ok(()),
                Err(AdvanceError::NoRequest | AdvanceError::Forgotten(_)) => {
                    return Err(Unfit::UnknownTask(word.task()));
                }
                Err(AdvanceError::Store(error)) => {
                    tracing::warn!(%error, task.id = %word.task(), "message cannot be stored yet; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                // Time heals none of the others, and whoever waits here holds up all that come after.
                Err(error) => return Err(Unfit::Fault(Box::new(error))),
            }
        }
    }

    async fn try_take(&self, word: &Word, id: MessageId) -> Result<(), AdvanceError> {
        let found = self.store.request_of_task(word.task()).await?;
        let (_, request) = found.ok_or(AdvanceError::NoRequest)?;
        let actor = Principal {
            id: format!("agent:{}", word.agent()),
            kind: "agent".to_owned(),
        };
        let consumer = QueueName::results().to_string();
        let inbox = InboxKey {
            consumer,
            message_id: id,
            handled_at: self.clock.now(),
        };
        let (event, lines) = match word {
            Word::Status(status) => (reported(status), self.lines(request, status)),
            Word::Result(result) => (ended(result), Vec::new()),
        };
        let event = match chiffon_failpoint::mutant!("no-fencing") {
            true => of_attempt_in_hand(event, &self.load(request).await?.0),
            false => event,
        };
        let cause = Cause {
            inbox: Some(inbox),
            lines,
            ..Cause::by(actor, "agent_reported")
        };
        match self.advance(request, event, cause).await? {
            Advanced::Refused(refusal) if refusal != Refusal::Stale => {
                tracing::debug!(%refusal, task.id = %word.task(), "an agent's message moved nothing");
            }
            Advanced::Moved | Advanced::Refused(_) | Advanced::HandledBefore => {}
        }
        Ok(())
    }

    fn lines(&self, request_id: RequestId, status: &WorkStatus) -> Vec<NewLogLine> {
        let ts = self.clock.now();
        let line = |line: &String| NewLogLine {
            request_id,
            task_id: status.attempt.task_id,
            attempt: status.attempt.attempt,
            ts,
            line: line.clone(),
        };
        status.lines.iter().map(line).collect()
    }

    async fn hear_heartbeat(&self, delivery: Box<dyn Delivery>) {
        let beat = match open_heartbeat(&*delivery) {
            Ok(beat) => beat,
            Err(unfit) => {
                tracing::warn!(%unfit, "heartbeat goes to the dead letters");
                return delivery.reject(Reject::DeadLetter).await;
            }
        };
        chiffon_failpoint::hit!("heartbeat.commit.before");
        if let Err(error) = self.heard(beat).await {
            // The next one says the same and more.
            tracing::warn!(%error, "heartbeat could not be stored");
        }
        delivery.ack().await;
    }
}

async fn acked(delivery: Box<dyn Delivery>) {
    delivery.ack().await;
    chiffon_failpoint::hit!("inbound.ack.after");
}

fn open_payload(delivery: &dyn Delivery) -> Result<(Payload, MessageId), Unfit> {
    let envelope = Envelope::from_bytes(&delivery.message().body)?;
    Ok((envelope.open()?, envelope.message_id))
}

fn open_word(delivery: &dyn Delivery) -> Result<(Word, MessageId), Unfit> {
    let (payload, id) = open_payload(delivery)?;
    let word = match payload {
        Payload::WorkStatus(status) => Word::Status(Box::new(status)),
        Payload::WorkResult(result) => Word::Result(result),
        _ => return Err(Unfit::Kind),
    };
    is_sender(delivery, word.agent().as_str())?;
    Ok((word, id))
}

fn open_heartbeat(delivery: &dyn Delivery) -> Result<Heartbeat, Unfit> {
    let Payload::Heartbeat(beat) = open_payload(delivery)?.0 else {
        return Err(Unfit::Kind);
    };
    is_sender(delivery, beat.agent.as_str())?;
    Ok(*beat)
}

/// Nobody speaks for another agent (S39).
fn is_sender(delivery: &dyn Delivery, claimed: &str) -> Result<(), Unfit> {
    let sender = &delivery.message().sender;
    if sender == claimed {
        Ok(())
    } else {
        Err(Unfit::Sender {
            sender: sender.clone(),
            claimed: claimed.to_owned(),
        })
    }
}

/// As if nobody looked whose word it is: what any attempt of any agent says is said of the one in hand.
fn of_attempt_in_hand(mut event: RunEvent, run: &Run) -> RunEvent {
    let (id, attempt, seq, agent, life) = match &mut event {
        RunEvent::Reported(of) => (
            of.task,
            &mut of.attempt,
            &mut of.seq,
            &mut of.agent,
            &mut of.incarnation,
        ),
        RunEvent::Ended {
            task,
            attempt,
            seq,
            agent,
            incarnation,
            ..
        } => (*task, attempt, seq, agent, incarnation),
        _ => return event,
    };
    let task = run.tasks.get(&id);
    if let Some((task, sent)) = task.and_then(|task| Some((task, task.state.sent()?))) {
        (*attempt, *seq) = (task.attempt, task.seq + 1);
        (*agent, *life) = (sent.agent.clone(), sent.incarnation);
    }
    event
}

fn reported(status: &WorkStatus) -> RunEvent {
    RunEvent::Reported(Reported {
        task: status.attempt.task_id,
        attempt: status.attempt.attempt,
        seq: status.seq,
        agent: status.agent.clone(),
        incarnation: status.incarnation,
        status: status.status,
        progress: status.progress,
    })
}

fn ended(result: &WorkResult) -> RunEvent {
    let outcome = Outcome {
        hosts: result.hosts.clone(),
        diff: result.diff.clone(),
        output: result.output.clone(),
        duration_seconds: result.duration_seconds,
        usage: result.resource_usage,
        isolation: result.isolation.clone(),
        done_before: result.done_before,
    };
    RunEvent::Ended {
        task: result.attempt.task_id,
        attempt: result.attempt.attempt,
        seq: result.seq,
        agent: result.agent.clone(),
        incarnation: result.incarnation,
        status: result.status,
        outcome: Box::new(outcome),
        problem: result.error.clone(),
    }
}
