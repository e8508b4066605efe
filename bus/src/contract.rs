//! The contract that every bus keeps, whatever carries it (DESIGN sections 3 and 6; R13 to R29, R36).
//!
//! Transport only: what a message means, who may send it and what has been handled already are left to
//! the rooms on both sides (seal, inbox, journal).

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use chiffon_common::{AgentId, MessageId};

/// The name of a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(String);

impl QueueName {
    /// Where events for the orchestrator arrive.
    pub fn requests() -> Self {
        Self("orchestrator.requests".to_owned())
    }

    /// Where agents' statuses and results arrive.
    pub fn results() -> Self {
        Self("orchestrator.results".to_owned())
    }

    /// Where heartbeats arrive; may drop the oldest.
    pub fn heartbeats() -> Self {
        Self("orchestrator.heartbeats".to_owned())
    }

    /// An agent's own queue.
    pub fn agent(agent: &AgentId) -> Self {
        Self(format!("agent.{agent}"))
    }

    /// Where a queue's undeliverable messages go.
    pub fn dead_letters(&self) -> Self {
        Self(format!("{}.dead", self.0))
    }

    /// A name as it was stored, for the outbox; a queue of another name is simply not there.
    pub fn stored(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a queue does when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The publisher is told [`PublishError::Full`]; nothing is lost.
    Refuse,
    /// The oldest message goes; for heartbeats, where the newest is all that counts.
    DropOldest,
}

/// How a queue is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its name.
    pub name: QueueName,
    /// Most messages that wait. Those in hand, of which there are at most `prefetch` a subscription, count too where the
    /// bus can say so (memory), and not where the broker does not (amqp).
    pub capacity: NonZeroU32,
    /// What happens beyond that.
    pub overflow: Overflow,
    /// Deliveries of one message before it goes to [`QueueName::dead_letters`].
    pub delivery_limit: NonZeroU32,
    /// Whether only the oldest subscription receives, the others stand by.
    pub single_active_consumer: bool,
}

/// What travels. The body is an envelope's bytes; the bus does not look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The envelope's id; the same through every resend.
    pub message_id: MessageId,
    /// Who sends, as logged in at the broker (S39); the receiver holds it against the payload.
    pub sender: String,
    /// The bytes.
    pub body: Arc<[u8]>,
}

/// That a login lacks a permission. A person heals it; until then it is told again with every try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the broker does not let {user} {operation} {resource}")]
pub struct Refusal {
    /// The login.
    pub user: String,
    /// `configure`, `write to` or `read from`, which are the broker's three permissions.
    pub operation: &'static str,
    /// On what: a queue or an exchange, with its name.
    pub resource: String,
}

/// Why a message is not known to be in its queue. After any of these the caller sends it again, with
/// the same id; receivers drop what they have handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No such queue: the topology is missing (R14).
    #[error("queue {0} does not exist")]
    Unroutable(QueueName),
    /// The queue is full: back-pressure.
    #[error("queue {0} is full")]
    Full(QueueName),
    /// The bus does not answer; whether it took the message is unknown.
    #[error("bus gave no confirm: {0}")]
    Unconfirmed(String),
    /// It may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The bus is closed.
    #[error("bus is closed")]
    Closed,
}

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// No such queue.
    #[error("queue {0} does not exist")]
    NoQueue(QueueName),
    /// The bus does not answer.
    #[error("bus does not answer: {0}")]
    Unavailable(String),
    /// It may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The bus is closed.
    #[error("bus is closed")]
    Closed,
}

/// Why a queue could not be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// It exists with other arguments; the first that differs is named (R23).
    #[error("queue {queue} exists with another {argument}")]
    Differs {
        /// Which queue.
        queue: QueueName,
        /// Which argument.
        argument: &'static str,
    },
    /// The bus does not answer.
    #[error("bus does not answer: {0}")]
    Unavailable(String),
    /// It may not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The bus is closed.
    #[error("bus is closed")]
    Closed,
}

/// What becomes of a delivery that was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// It is delivered again, until the queue's delivery limit.
    Requeue,
    /// It goes to the dead letters at once: it can never be handled.
    DeadLetter,
}

/// One delivery. Dropping it without a word counts as [`Reject::Requeue`].
#[async_trait]
pub trait Delivery: Send + Sync + fmt::Debug {
    /// The message.
    fn message(&self) -> &Message;

    /// How often this message was delivered, this time included; at least 1. A hint: a bus may forget it.
    fn delivery_count(&self) -> u32;

    /// Handled and stored: the bus may forget it. To be called after the commit, never before (R4).
    async fn ack(self: Box<Self>);

    /// Not handled.
    async fn reject(self: Box<Self>, how: Reject);
}

/// A stream of deliveries. Dropping it hands everything unacknowledged back to the queue.
#[async_trait]
pub trait Subscription: Send {
    /// The next delivery. `None`: the subscription has ended (queue gone, bus closed, broker's word);
    /// that is a fault for the caller to heal by subscribing again, not a shutdown (R18).
    /// Cancel-safe: a delivery is not lost when the future is dropped.
    async fn next(&mut self) -> Option<Box<dyn Delivery>>;
}

/// The bus.
///
/// * Delivery is at least once: a message whose publish returned `Ok` is delivered until it is acked,
///   or ends among the dead letters. Duplicates are lawful at any time, also after an ack.
/// * Order within one queue is the order of publishing for a single publisher, except for what is
///   delivered again. Nobody may rely on more (R3).
/// * Everything is bounded: a subscription holds at most `prefetch` unacknowledged deliveries.
/// * Durability: `memory` keeps nothing over the end of the process, `amqp` and `kafka` keep what they
///   confirmed. Nobody relies on either: unfinished work is sent again from the store (promise 4).
#[async_trait]
pub trait Bus: Send + Sync {
    /// Makes the queue and its dead-letter queue if they are missing; the same again is harmless.
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError>;

    /// Puts a message into a queue and waits for the confirm, at most ten seconds.
    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError>;

    /// Receives from a queue, with at most `prefetch` deliveries unacknowledged at once.
    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError>;

    /// How many messages wait or are unacknowledged; `None` if there is no such queue, or nobody answers. A hint: over a
    /// broker it misses what is in hand in other processes, and what is moving just now.
    async fn depth(&self, queue: &QueueName) -> Option<u64>;

    /// What is wrong with the way to the broker now, in words; nothing where all is well, or where there is no way.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Ends every subscription and refuses what comes after. Waits at most `grace` for deliveries in hand.
    async fn close(&self, grace: Duration);
}
