//! The bus within one process: the contract's own rules and nothing else, for `chiffon up` and for
//! every test that needs no broker. A product, not a mock. Durability is left to the store: what was
//! not finished when the process ended is sent again from there.
//!
//! Receivers pull: a message stays in its queue until a `next` takes it, so that a slow subscription
//! keeps nothing from a quick one and no task or channel stands between.

mod broker;
mod queue;

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use self::{
    broker::{Broker, Look, QueueRef, Seat},
    queue::{Receipt, Verdict},
};
use crate::{
    Bus, DeclareError, Delivery, Message, PublishError, QueueName, QueueSpec, Reject,
    SubscribeError, Subscription,
};

/// The bus in memory. Clones are the same bus.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus {
    broker: Arc<Broker>,
}

impl MemoryBus {
    /// A bus without queues.
    pub fn new() -> Self {
        Self::default()
    }

    /// The fault of a broker that lost its disk: all queues and messages are gone, all subscriptions
    /// end, deliveries in hand mean nothing any more. The bus stays open and may be declared anew.
    pub fn wipe(&self) {
        self.broker.wipe();
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.broker.declare(spec)
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        self.broker.publish(to, message)
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        let seat = self.broker.subscribe(queue, prefetch)?;
        let broker = Arc::clone(&self.broker);
        Ok(Box::new(MemorySubscription { broker, seat }))
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.broker.depth(queue)
    }

    async fn close(&self, grace: Duration) {
        self.broker.close();
        let all_settled = async {
            loop {
                let settled = self.broker.settled.notified();
                tokio::pin!(settled);
                // Before the look, so that nothing slips between look and wait.
                settled.as_mut().enable();
                if self.broker.in_hand() == 0 {
                    return;
                }
                settled.await;
            }
        };
        if timeout(grace, all_settled).await.is_err() {
            let left = self.broker.in_hand();
            tracing::warn!(left, "bus was closed with deliveries in hand");
        }
    }
}

struct MemorySubscription {
    broker: Arc<Broker>,
    seat: Seat,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        loop {
            // Between taking and returning there is no await, and a wake that comes before the wait is
            // kept by `Notify`: dropping this future anywhere loses nothing.
            match self.broker.look(&self.seat) {
                Look::Ended => return None,
                Look::Delivery(receipt, message, count) => {
                    return Some(Box::new(MemoryDelivery {
                        broker: Arc::clone(&self.broker),
                        queue: self.seat.queue.clone(),
                        message,
                        count,
                        open: Some(receipt),
                    }));
                }
                Look::Nothing => self.seat.wake.notified().await,
            }
        }
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.broker.unsubscribe(&self.seat);
    }
}

struct MemoryDelivery {
    broker: Arc<Broker>,
    queue: QueueRef,
    message: Arc<Message>,
    count: u32,
    /// Gone once it is settled.
    open: Option<Receipt>,
}

impl MemoryDelivery {
    fn settle(&mut self, verdict: Verdict) {
        if let Some(receipt) = self.open.take() {
            self.broker.settle(&self.queue, receipt, verdict);
        }
    }
}

#[async_trait]
impl Delivery for MemoryDelivery {
    fn message(&self) -> &Message {
        &self.message
    }

    fn delivery_count(&self) -> u32 {
        self.count
    }

    async fn ack(mut self: Box<Self>) {
        self.settle(Verdict::Handled);
    }

    async fn reject(mut self: Box<Self>, how: Reject) {
        self.settle(match how {
            Reject::Requeue => Verdict::Again,
            Reject::DeadLetter => Verdict::Never,
        });
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        self.settle(Verdict::Again);
    }
}

/// Ids only: bodies do not belong into logs.
impl fmt::Debug for MemoryDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDelivery")
            .field("queue", &self.queue.name)
            .field("message_id", &self.message.message_id)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
