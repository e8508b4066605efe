//! Publishing (R14, R21, R27, R28): confirms with `mandatory`, and one message at a time on each of a few channels. lapin
//! hands a returned message to whichever confirm comes first; with one in flight there is only the one, and its id is
//! compared all the same. The channels are the bound on what is in flight.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    declare::{exchange, short},
    link::{Link, Up},
    words::{Meaning, meaning, refusal, words},
};
use crate::{Message, PublishError, QueueName};

/// Messages in flight at once. A confirm takes a write to the disk, which the broker shares among them.
const LANES: u32 = 16;

/// How long somebody who publishes waits (the contract).
const WITHIN: Duration = Duration::from_secs(10);

/// How long for a connection, of that: whoever finds none has better things to do.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);

/// A channel that confirms nothing for so long, on a broker that takes messages, is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// How often a broker that takes no messages is asked whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// Messages are kept on the disk.
const PERSISTENT: u8 = 2;

/// Puts messages into queues.
pub(super) struct Publisher {
    link: Link,
    user: ShortString,
    lanes: Arc<Semaphore>,
    /// Channels with nothing in flight; the last used first.
    idle: Mutex<Vec<Lane>>,
}

struct Lane {
    channel: Channel,
    /// Of which connection it is.
    up: Up,
}

impl Publisher {
    pub fn new(link: Link, user: ShortString) -> Arc<Self> {
        Arc::new(Self {
            link,
            user,
            lanes: Arc::new(Semaphore::new(LANES as usize)),
            idle: Mutex::default(),
        })
    }

    /// As the contract says, within ten seconds.
    ///
    /// # Errors
    /// As the contract says.
    pub async fn publish(
        self: &Arc<Self>,
        to: &QueueName,
        message: Message,
    ) -> Result<(), PublishError> {
        let until = Instant::now() + WITHIN;
        let in_time = timeout_at(until, Box::pin(self.sent(to, message))).await;
        in_time.unwrap_or_else(|_| {
            let why = self.link.trouble();
            let why = why.unwrap_or_else(|| "the broker did not answer in time".to_owned());
            Err(PublishError::Unconfirmed(why))
        })
    }

    async fn sent(self: &Arc<Self>, to: &QueueName, message: Message) -> Result<(), PublishError> {
        let permit = Arc::clone(&self.lanes).acquire_owned().await;
        let permit = permit.map_err(|_| PublishError::Closed)?;
        let up = self
            .link
            .up(CONNECTED_WITHIN)
            .await
            .map_err(PublishError::Unconfirmed)?;
        // Whatever is given to a connection that takes nothing lies in memory, and is sent whenever.
        while up.blocked().is_some() && up.connection.status().connected() {
            sleep(LOOK).await;
        }
        let lane = self.lane(up).await.map_err(unconfirmed)?;
        let (outcome, told) = oneshot::channel();
        let (this, to) = (Arc::clone(self), to.clone());
        // Of its own, so that nobody who stops waiting drops a confirm, or makes room for more.
        tokio::spawn(async move {
            let said = this.send(lane, &to, &message, permit).await;
            let _nobody_waits = outcome.send(said);
        });
        let lost = || PublishError::Unconfirmed("this process is ending".to_owned());
        told.await.unwrap_or_else(|_| Err(lost()))
    }

    /// A channel in confirm mode on this connection.
    async fn lane(&self, up: Up) -> Result<Lane, lapin::Error> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|lane| lane.up.life == up.life && lane.channel.status().connected());
            idle.pop()
        };
        if let Some(lane) = idle {
            return Ok(lane);
        }
        let channel = up.connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(Lane { channel, up })
    }

    async fn send(
        &self,
        lane: Lane,
        to: &QueueName,
        message: &Message,
        permit: OwnedSemaphorePermit,
    ) -> Result<(), PublishError> {
        let confirmed = self.confirmed(&lane.channel, to, message);
        let mut confirmed = Box::pin(confirmed);
        let outcome = loop {
            match timeout(GIVEN_UP_AFTER, &mut confirmed).await {
                Ok(outcome) => break outcome,
                Err(_) if lane.up.blocked().is_some() => {}
                Err(_) => {
                    tracing::warn!(queue = %to, "the broker confirms nothing; the channel is given up");
                    drop(confirmed);
                    // It dies with its last handle.
                    return Err(PublishError::Unconfirmed(
                        "the broker confirms nothing".to_owned(),
                    ));
                }
            }
        };
        drop(confirmed);
        if lane.channel.status().connected() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(lane);
        }
        // Only now, so that there are never more channels than lanes.
        drop(permit);
        outcome
    }

    async fn confirmed(
        &self,
        channel: &Channel,
        to: &QueueName,
        message: &Message,
    ) -> Result<(), PublishError> {
        let unroutable = || PublishError::Unroutable(to.clone());
        let key = short(to).ok_or_else(unroutable)?;
        let exchange = exchange(to);
        let id = ShortString::from(message.message_id.to_string());
        let mut properties = BasicProperties::default()
            .with_message_id(id.clone())
            .with_user_id(self.user.clone())
            .with_delivery_mode(PERSISTENT);
        if let Ok(sender) = ShortString::try_new(message.sender.as_str()) {
            properties = properties.with_app_id(sender);
        }
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let fault = |error: lapin::Error| match meaning(&error) {
            Meaning::Missing => unroutable(),
            Meaning::Refused => refusal(
                self.user.as_str(),
                "write to",
                &format!("exchange {exchange}"),
            )
            .into(),
            _ => unconfirmed(error),
        };
        let sent = channel.basic_publish(exchange.into(), key, options, &message.body, properties);
        let confirmation = sent.await.map_err(fault)?.await.map_err(fault)?;
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned))
                if returned.properties.message_id().as_ref() == Some(&id) =>
            {
                Err(unroutable())
            }
            Confirmation::Ack(Some(_)) => Err(PublishError::Unconfirmed(
                "another message was returned".to_owned(),
            )),
            Confirmation::Nack(_) => Err(PublishError::Full(to.clone())),
            Confirmation::NotRequested => Err(PublishError::Unconfirmed(
                "the channel gives no confirms".to_owned(),
            )),
        }
    }

    /// Waits for what is in flight, within a bound, and takes nothing more.
    pub async fn close(&self, within: Duration) {
        let _rest_is_unconfirmed = timeout(within, self.lanes.acquire_many(LANES)).await;
        self.lanes.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn unconfirmed(error: lapin::Error) -> PublishError {
    PublishError::Unconfirmed(words(&error))
}
