//! RabbitMQ, 3.10 to 4.3 (DESIGN section 6; R13 to R29, S38 to S40): durable quorum queues, each with its dead letters,
//! behind `chiffon.work`, `chiffon.reports` and `chiffon.dead`.
//!
//! Two connections, one to publish and one for all else, each with a supervisor that connects for ever; a broker that is not
//! there yet is waited for. Nothing here relies on rules that differ between versions: how often something was tried is
//! counted in the store. What the broker's users may do is left to whoever sets the broker up: an agent needs to write to
//! `chiffon.reports` and to read its own queue, nothing else, and its login is its id, which is what its messages are from.
//!
//! Weaker than the memory bus, as the broker is: a queue's capacity counts what waits, not what is in hand; several
//! publishers at once may pass it by one each; and `depth` knows of what is in hand in this process only.

mod declare;
mod hands;
mod link;
mod options;
mod publish;
mod subscribe;
mod wire;
mod words;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

pub use self::options::{AmqpOptions, AmqpOptionsError};
use self::{
    declare::{Topology, short},
    hands::Hands,
    link::Link,
    publish::Publisher,
    words::{Meaning, meaning},
};
use crate::{
    Bus, DeclareError, Message, PublishError, QueueName, QueueSpec, SubscribeError, Subscription,
};

/// How long somebody who declares or subscribes waits for a connection.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// How long the broker may take to say how much waits.
const DEPTH_WITHIN: Duration = Duration::from_secs(5);

/// How long confirms and goodbyes are waited for at the end.
const END_WITHIN: Duration = Duration::from_secs(3);

/// The bus over RabbitMQ.
pub struct AmqpBus {
    user: String,
    receiving: Link,
    sending: Link,
    publisher: Arc<Publisher>,
    topology: Arc<Topology>,
    hands: Arc<Hands>,
    /// For `depth`, with the life of its connection: an error costs the channel, so there is none then.
    asking: Mutex<Option<(u64, Channel)>>,
    closed: watch::Sender<bool>,
    shut: watch::Sender<bool>,
}

impl AmqpBus {
    /// A bus that connects by itself, from now on and for ever; within a tokio runtime.
    pub fn start(options: AmqpOptions) -> Self {
        let user = options.user().to_owned();
        let topology = Arc::new(Topology::default());
        let (shut, shutting) = watch::channel(false);
        let laid = Some(Arc::clone(&topology));
        // Both meet the same trouble, and people are told once.
        let told = link::ToldOnce::default();
        let receiving = Link::start(
            options.clone(),
            "receiving",
            laid,
            told.clone(),
            shutting.clone(),
        );
        let sending = Link::start(options, "sending", None, told, shutting);
        // A name that is too long for the protocol is one that no broker knows.
        let login = lapin::types::ShortString::try_new(user.as_str()).unwrap_or_default();
        Self {
            user,
            publisher: Publisher::new(sending.clone(), login),
            receiving,
            sending,
            topology,
            hands: Arc::default(),
            asking: Mutex::default(),
            closed: watch::channel(false).0,
            shut,
        }
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    async fn waiting(&self, queue: &QueueName) -> Option<u64> {
        let name = short(queue)?;
        let up = self.receiving.up(CONNECTED_WITHIN).await.ok()?;
        let mut asking = self.asking.lock().await;
        let usable =
            |(life, channel): &(u64, Channel)| *life == up.life && channel.status().connected();
        let channel = match asking.take().filter(usable) {
            Some((_, channel)) => channel,
            None => up.connection.create_channel().await.ok()?,
        };
        let options = QueueDeclareOptions::durable().passive();
        match channel
            .queue_declare(name, options, FieldTable::default())
            .await
        {
            Ok(found) => {
                *asking = Some((up.life, channel));
                Some(found.message_count().into())
            }
            Err(error) => {
                if !matches!(meaning(&error), Meaning::Missing) {
                    tracing::debug!(%queue, "depth is not known: {}", words::words(&error));
                }
                None
            }
        }
    }
}

#[async_trait]
impl Bus for AmqpBus {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        if self.is_closed() {
            return Err(DeclareError::Closed);
        }
        // Before it is done: where the broker is not there yet, it is done once it is.
        self.topology.remember(&spec);
        let up = self.receiving.up(CONNECTED_WITHIN).await;
        let up = up.map_err(DeclareError::Unavailable)?;
        let declared = declare::declare(&up.connection, &self.user, &spec).await;
        if let Err(DeclareError::Differs { .. }) = &declared {
            self.topology.forget(&spec.name);
        }
        declared
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        if self.is_closed() {
            return Err(PublishError::Closed);
        }
        self.publisher.publish(to, message).await
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        if self.is_closed() {
            return Err(SubscribeError::Closed);
        }
        let up = self.receiving.up(CONNECTED_WITHIN).await;
        let up = up.map_err(SubscribeError::Unavailable)?;
        let closed = self.closed.subscribe();
        let subscription = subscribe::subscribe(&up, queue, prefetch, &self.hands, closed).await?;
        Ok(Box::new(subscription))
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        let waiting = timeout(DEPTH_WITHIN, Box::pin(self.waiting(queue))).await;
        let waiting = waiting.ok().flatten()?;
        Some(waiting + self.hands.held(queue))
    }

    /// Not connected and why, or that the broker takes no messages.
    fn trouble(&self) -> Option<String> {
        self.receiving.trouble().or_else(|| self.sending.trouble())
    }

    async fn close(&self, grace: Duration) {
        self.closed.send_replace(true);
        let all_settled = async {
            loop {
                let settled = self.hands.settled.notified();
                tokio::pin!(settled);
                // Before the look, so that nothing slips between look and wait.
                settled.as_mut().enable();
                if self.hands.given() == 0 {
                    return;
                }
                settled.await;
            }
        };
        if timeout(grace, all_settled).await.is_err() {
            let left = self.hands.given();
            tracing::warn!(left, "bus was closed with deliveries in hand");
        }
        self.publisher.close(END_WITHIN).await;
        self.shut.send_replace(true);
        let ended = async { tokio::join!(self.receiving.ended(), self.sending.ended()) };
        let _cut_by_the_end_of_the_process = timeout(END_WITHIN, ended).await;
    }
}
