//! A bus that misbehaves as real ones do, by a seed: the main bus of our tests (R36). What it does is
//! lawful by the contract, except that it reorders more than the contract allows, because nobody may rely on
//! order (R3). Losing what was confirmed, and whether receivers cope, are left to others.
//!
//! Every fault is bounded, so that whoever tries again gets on; what must not happen under chaos must not
//! happen at all. Print the seed where a test fails.

mod dice;
mod subscription;

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use self::{
    dice::{Dice, Fault},
    subscription::ChaosSubscription,
};
use crate::{
    Bus, DeclareError, Message, PublishError, QueueName, QueueSpec, SubscribeError, Subscription,
};

/// How often, in a thousand; never more than three times in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// A publish puts the message, or a recent one of any queue, in once more.
    pub duplicate: u16,
    /// A publish is not confirmed though the message was taken.
    pub taken_unconfirmed: u16,
    /// A publish is not confirmed, and the message was not taken.
    pub lost_unconfirmed: u16,
    /// A delivery is held back, and later ones overtake it.
    pub delay: u16,
    /// How long at most.
    pub longest_delay: Duration,
    /// An ack gets lost: the message comes again. Only of a first delivery.
    pub dropped_ack: u16,
    /// A subscription ends, and all it holds comes again. Not before it gave `prefetch` deliveries.
    pub ended_subscription: u16,
}

impl Default for Rates {
    /// A bad day: about every tenth operation goes wrong.
    fn default() -> Self {
        Self {
            duplicate: 100,
            taken_unconfirmed: 50,
            lost_unconfirmed: 50,
            delay: 200,
            longest_delay: Duration::from_millis(5),
            dropped_ack: 100,
            ended_subscription: 20,
        }
    }
}

/// What has gone wrong so far, for tests that want to know that it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Messages put in once more.
    pub duplicates: u64,
    /// Taken, not confirmed.
    pub taken_unconfirmed: u64,
    /// Neither taken nor confirmed.
    pub lost_unconfirmed: u64,
    /// Deliveries held back.
    pub delays: u64,
    /// Acks that got lost.
    pub dropped_acks: u64,
    /// Subscriptions that ended.
    pub ended_subscriptions: u64,
}

/// How many recent messages may come once more, long after their ack.
const REMEMBERED: usize = 16;

/// The chaos around a bus.
pub struct ChaosBus {
    inner: Arc<dyn Bus>,
    dice: Arc<Dice>,
    rates: Rates,
    recent: Mutex<VecDeque<(QueueName, Message)>>,
}

impl ChaosBus {
    /// Chaos around `inner`. The same seed and the same order of calls give the same faults.
    pub fn new(inner: Arc<dyn Bus>, seed: u64, rates: Rates) -> Self {
        Self {
            inner,
            dice: Arc::new(Dice::new(seed, rates)),
            rates,
            recent: Mutex::default(),
        }
    }

    /// What has gone wrong so far.
    pub fn faults(&self) -> Faults {
        self.dice.faults()
    }

    /// Remembers a taken message; returns one that is to come again, if chance wants one.
    fn again(&self, to: &QueueName, message: &Message) -> Option<(QueueName, Message)> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        recent.push_back((to.clone(), message.clone()));
        if !self.dice.strikes(Fault::Duplicate) {
            return None;
        }
        let newest = recent.len() - 1;
        let old = usize::try_from(self.dice.below(recent.len() as u64)).unwrap_or(newest);
        // Every second one is the message itself.
        let chosen = if self.dice.below(2) == 0 { newest } else { old };
        recent.get(chosen).cloned()
    }
}

#[async_trait]
impl Bus for ChaosBus {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.inner.declare(spec).await
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        if self.dice.strikes(Fault::LostUnconfirmed) {
            return Err(PublishError::Unconfirmed("chaos: not taken".to_owned()));
        }
        self.inner.publish(to, message.clone()).await?;
        if let Some((queue, message)) = self.again(to, &message) {
            // A duplicate that finds no room is none.
            let _ = self.inner.publish(&queue, message).await;
        }
        if self.dice.strikes(Fault::TakenUnconfirmed) {
            return Err(PublishError::Unconfirmed("chaos: taken".to_owned()));
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        let inner = self.inner.subscribe(queue, prefetch).await?;
        let dice = Arc::clone(&self.dice);
        let rates = self.rates;
        Ok(Box::new(ChaosSubscription::new(
            inner,
            dice,
            rates,
            prefetch.get(),
        )))
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.inner.depth(queue).await
    }

    async fn close(&self, grace: Duration) {
        self.inner.close(grace).await;
    }
}
