//! Receiving: one channel a subscription (R20, R29), and one task that stands between lapin and whoever receives. What is
//! settled goes through that task too, in the order in which it was settled.
//!
//! A channel that ends ends its subscription; subscribing again is the receiver's (R18).

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use chiffon_common::MessageId;
use futures_util::StreamExt;
use lapin::{
    Acker, Channel, Consumer,
    message::Delivery as Delivered,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use super::{
    declare::{is_dead_letters, short},
    hands::Hands,
    link::{Up, is_set},
    words::{Meaning, meaning, refusal, words},
};
use crate::{Delivery, Message, QueueName, Reject, SubscribeError, Subscription};

/// What a quorum queue makes of "no limit"; more is not asked for.
const MOST: u32 = 2_000;

/// How long the broker may take for one word on a channel.
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Verdict {
    Handled,
    Again,
    Never,
}

/// One that has come.
struct Arrived {
    message: Message,
    count: u32,
    acker: Acker,
}

/// A word on one that was given.
struct Word {
    acker: Acker,
    verdict: Verdict,
    said: oneshot::Sender<()>,
}

/// Subscribes on a channel of its own.
///
/// # Errors
/// As the contract says.
pub(super) async fn subscribe(
    up: &Up,
    queue: &QueueName,
    prefetch: NonZeroU32,
    hands: &Arc<Hands>,
    closed: watch::Receiver<bool>,
) -> Result<AmqpSubscription, SubscribeError> {
    let prefetch = prefetch.get().min(MOST);
    let consuming = timeout(WITHIN, Box::pin(consume(up, queue, prefetch))).await;
    let no_answer = || SubscribeError::Unavailable("no answer in time".to_owned());
    let (channel, consumer) = consuming.unwrap_or_else(|_| Err(no_answer()))?;
    let (arrivals_in, arrivals) = mpsc::channel(prefetch as usize);
    let (words, words_out) = mpsc::channel(prefetch as usize);
    let seat = hands.sit_down(queue);
    let pump = Pump {
        channel,
        queue: queue.clone(),
        seat,
        hands: Arc::clone(hands),
        arrivals: arrivals_in,
        closed: closed.clone(),
    };
    tokio::spawn(pump.run(consumer, words_out));
    Ok(AmqpSubscription {
        seat,
        queue: queue.clone(),
        hands: Arc::clone(hands),
        arrivals,
        words,
        closed,
    })
}

async fn consume(
    up: &Up,
    queue: &QueueName,
    prefetch: u32,
) -> Result<(Channel, Consumer), SubscribeError> {
    let name = short(queue).ok_or_else(|| SubscribeError::NoQueue(queue.clone()))?;
    let fault = |error: lapin::Error| match meaning(&error) {
        Meaning::Missing => SubscribeError::NoQueue(queue.clone()),
        Meaning::Refused => {
            let user = up.connection.status().username();
            refusal(&user, "read from", &format!("queue {queue}")).into()
        }
        _ => SubscribeError::Unavailable(words(&error)),
    };
    let channel = up.connection.create_channel().await.map_err(fault)?;
    let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
    let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
    qos.await.map_err(fault)?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default());
    Ok((channel.clone(), consumer.await.map_err(fault)?))
}

/// What stands between lapin and a subscription.
struct Pump {
    channel: Channel,
    queue: QueueName,
    seat: u64,
    hands: Arc<Hands>,
    arrivals: mpsc::Sender<Arrived>,
    closed: watch::Receiver<bool>,
}

impl Pump {
    async fn run(mut self, mut consumer: Consumer, mut words: mpsc::Receiver<Word>) {
        let tag = consumer.tag();
        // Once the bus closes nothing more is asked for; what is in hand can still be settled.
        let mut asks = true;
        loop {
            tokio::select! {
                biased;
                Some(word) = words.recv() => if !self.say(word).await { break },
                () = self.arrivals.closed() => break,
                () = is_set(&mut self.closed), if asks => {
                    asks = false;
                    let cancelled = self.channel.basic_cancel(tag.clone(), BasicCancelOptions::default());
                    let _ends_anyway = timeout(WITHIN, cancelled).await;
                }
                next = consumer.next(), if asks => match next {
                    Some(Ok(delivered)) => if !self.hand_over(delivered) { break },
                    Some(Err(error)) => {
                        tracing::warn!(queue = %self.queue, "the subscription has ended: {}", super::words::words(&error));
                        break;
                    }
                    None => {
                        tracing::warn!(queue = %self.queue, "the broker has ended the subscription");
                        break;
                    }
                },
            }
        }
        // Nothing that is said from now on is meant for this channel.
        self.hands.leave(self.seat);
        drop(words);
        drop(self.arrivals);
        let _ends_anyway = timeout(WITHIN, self.channel.close(200, "unsubscribed".into())).await;
        self.hands.left(self.seat);
    }

    fn hand_over(&self, delivered: Delivered) -> bool {
        self.hands.arrived(self.seat);
        // There is room: the broker sends no more than the prefetch.
        self.arrivals.try_send(arrived(delivered)).is_ok()
    }

    async fn say(&self, word: Word) -> bool {
        let acker = &word.acker;
        let reject = |requeue| acker.reject(BasicRejectOptions { requeue });
        let spoken = async {
            match word.verdict {
                Verdict::Handled => acker.ack(BasicAckOptions::default()).await,
                // By `reject`, which every version counts (R16).
                Verdict::Again => reject(true).await,
                // From among the dead letters there is no way further but out of the world.
                Verdict::Never => reject(is_dead_letters(&self.queue)).await,
            }
        };
        let spoken = timeout(WITHIN, Box::pin(spoken)).await;
        self.hands.settle(self.seat);
        let _nobody_waits = word.said.send(());
        matches!(spoken, Ok(Ok(_)))
    }
}

fn arrived(delivered: Delivered) -> Arrived {
    let properties = &delivered.properties;
    let text = |text: &Option<ShortString>| text.as_ref().map(|text| text.as_str().to_owned());
    let id = text(properties.message_id()).and_then(|id| id.parse().ok());
    // What names no message is for the receiver to bury: it finds that the envelope is none, or another's.
    let nameless = || MessageId::from_uuid(Uuid::nil());
    let headers = properties.headers().as_ref();
    let before = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
    let before = before.and_then(count).unwrap_or_default();
    Arrived {
        message: Message {
            message_id: id.unwrap_or_else(nameless),
            sender: text(properties.user_id()).unwrap_or_default(),
            body: Arc::from(delivered.data),
        },
        count: before.saturating_add(1),
        acker: delivered.acker,
    }
}

fn count(value: &AMQPValue) -> Option<u32> {
    match *value {
        AMQPValue::LongLongInt(n) => u32::try_from(n).ok(),
        AMQPValue::LongInt(n) => u32::try_from(n).ok(),
        AMQPValue::LongUInt(n) => Some(n),
        AMQPValue::ShortInt(n) => u32::try_from(n).ok(),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::ShortShortInt(n) => u32::try_from(n).ok(),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        _ => None,
    }
}

/// A subscription.
pub(super) struct AmqpSubscription {
    seat: u64,
    queue: QueueName,
    hands: Arc<Hands>,
    arrivals: mpsc::Receiver<Arrived>,
    words: mpsc::Sender<Word>,
    closed: watch::Receiver<bool>,
}

#[async_trait]
impl Subscription for AmqpSubscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let arrived = tokio::select! {
            biased;
            () = is_set(&mut self.closed) => return None,
            arrived = self.arrivals.recv() => arrived?,
        };
        // What the channel left behind comes again on another.
        if !self.hands.give(self.seat) {
            return None;
        }
        Some(Box::new(AmqpDelivery {
            queue: self.queue.clone(),
            message: arrived.message,
            count: arrived.count,
            open: Some((arrived.acker, self.words.clone())),
        }))
    }
}

struct AmqpDelivery {
    queue: QueueName,
    message: Message,
    count: u32,
    /// Gone once it is settled.
    open: Option<(Acker, mpsc::Sender<Word>)>,
}

impl AmqpDelivery {
    /// Says a word, if there is anybody to hear it.
    fn settle(&mut self, verdict: Verdict) -> Option<oneshot::Receiver<()>> {
        let (acker, words) = self.open.take()?;
        let (said, heard) = oneshot::channel();
        let word = Word {
            acker,
            verdict,
            said,
        };
        // There is room: each delivery says one word, and there are no more than the prefetch.
        words.try_send(word).ok()?;
        Some(heard)
    }

    async fn settled(&mut self, verdict: Verdict) {
        if let Some(heard) = self.settle(verdict) {
            // Unheard, the message comes again, as any may.
            let _unheard = timeout(WITHIN, heard).await;
        }
    }
}

#[async_trait]
impl Delivery for AmqpDelivery {
    fn message(&self) -> &Message {
        &self.message
    }

    fn delivery_count(&self) -> u32 {
        self.count
    }

    async fn ack(mut self: Box<Self>) {
        self.settled(Verdict::Handled).await;
    }

    async fn reject(mut self: Box<Self>, how: Reject) {
        let verdict = match how {
            Reject::Requeue => Verdict::Again,
            Reject::DeadLetter => Verdict::Never,
        };
        self.settled(verdict).await;
    }
}

impl Drop for AmqpDelivery {
    fn drop(&mut self) {
        self.settle(Verdict::Again);
    }
}

/// Ids only: bodies do not belong into logs.
impl fmt::Debug for AmqpDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpDelivery")
            .field("queue", &self.queue)
            .field("message_id", &self.message.message_id)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
