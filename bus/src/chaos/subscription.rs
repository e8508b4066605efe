//! The receiving half of chaos: late and reordered deliveries, lost acks, subscriptions that end.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{
    Rates,
    dice::{Dice, Fault},
};
use crate::{Delivery, Message, Reject, Subscription};

type Inner = Box<dyn Delivery>;

pub(super) struct ChaosSubscription {
    /// Gone once chaos has ended it, which hands everything in hand back to the queue.
    inner: Option<Box<dyn Subscription>>,
    dice: Arc<Dice>,
    rates: Rates,
    /// Held back until the time, for later ones to overtake it.
    late: Option<(Instant, Inner)>,
    /// Given out so far. It does not end before `grace` are, so that somebody with one slot gets on.
    given: u32,
    grace: u32,
}

impl ChaosSubscription {
    pub fn new(inner: Box<dyn Subscription>, dice: Arc<Dice>, rates: Rates, prefetch: u32) -> Self {
        Self {
            inner: Some(inner),
            dice,
            rates,
            late: None,
            given: 0,
            grace: prefetch,
        }
    }

    fn give(&mut self, inner: Inner) -> Option<Inner> {
        self.given = self.given.saturating_add(1);
        let dice = Arc::clone(&self.dice);
        Some(Box::new(ChaosDelivery { inner, dice }))
    }

    fn take_late(&mut self) -> Option<Inner> {
        self.late.take().map(|(_, delivery)| delivery)
    }

    /// How long a delivery is held back: up to the longest delay.
    fn until(&self) -> Instant {
        let longest = u64::try_from(self.rates.longest_delay.as_micros()).unwrap_or(u64::MAX);
        Instant::now() + std::time::Duration::from_micros(self.dice.below(longest))
    }
}

#[async_trait]
impl Subscription for ChaosSubscription {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        if self.given >= self.grace && self.dice.strikes(Fault::EndedSubscription) {
            self.late = None;
            self.inner = None;
        }
        loop {
            let inner = self.inner.as_mut()?;
            // Whatever is received stands in `self` or is returned before the next await.
            let Some((until, _)) = &self.late else {
                let delivery = inner.next().await?;
                if !self.dice.strikes(Fault::Delay) {
                    return self.give(delivery);
                }
                self.late = Some((self.until(), delivery));
                continue;
            };
            let delivery = tokio::select! {
                biased;
                () = sleep_until(*until) => self.take_late(),
                overtaking = inner.next() => overtaking.or_else(|| self.late.take().map(|(_, late)| late)),
            };
            return self.give(delivery?);
        }
    }
}

struct ChaosDelivery {
    inner: Inner,
    dice: Arc<Dice>,
}

#[async_trait]
impl Delivery for ChaosDelivery {
    fn message(&self) -> &Message {
        self.inner.message()
    }

    fn delivery_count(&self) -> u32 {
        self.inner.delivery_count()
    }

    async fn ack(self: Box<Self>) {
        // Only the first time: a message whose acks always got lost would die of the delivery limit.
        if self.inner.delivery_count() == 1 && self.dice.strikes(Fault::DroppedAck) {
            return;
        }
        self.inner.ack().await;
    }

    async fn reject(self: Box<Self>, how: Reject) {
        self.inner.reject(how).await;
    }
}

impl fmt::Debug for ChaosDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChaosDelivery").field(&self.inner).finish()
    }
}
