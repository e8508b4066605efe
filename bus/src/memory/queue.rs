//! One queue: what waits, what is in hand, who receives. Plain data behind the broker's lock; waking
//! receivers and moving dead letters between queues are left to `broker`.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
};

use tokio::sync::Notify;

use crate::{Message, Overflow, QueueSpec};

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its place in the order of publishing; kept through redelivery.
    pub position: u64,
    /// Shared with the delivery in hand, so that handing back copies nothing.
    pub message: Arc<Message>,
    /// How often it was delivered so far.
    pub deliveries: u32,
}

/// Which delivery of which message to whom. A tag is used once, so that an ack which comes after
/// its message went back to the queue cannot touch the next delivery of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub position: u64,
    pub tag: u64,
    pub subscriber: u64,
}

#[derive(Debug)]
struct InHand {
    receipt: Receipt,
    message: Arc<Message>,
    deliveries: u32,
}

#[derive(Debug)]
struct Subscriber {
    prefetch: u32,
    held: u32,
    wake: Arc<Notify>,
}

/// The queue is full and refuses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// What became of a message that was handed back.
#[derive(Debug)]
pub(super) enum HandedBack {
    /// It waits again, or was forgotten before.
    Settled,
    /// It has been delivered too often, or can never be handled.
    Dead(Arc<Message>),
}

/// How a message leaves the hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Handled,
    Again,
    Never,
}

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    pub spec: QueueSpec,
    waiting: VecDeque<Waiting>,
    in_hand: BTreeMap<u64, InHand>,
    /// By number, and so by age: the first is the active one where only one may be.
    subscribers: BTreeMap<u64, Subscriber>,
    next_number: u64,
}

impl Queue {
    pub fn new(spec: QueueSpec) -> Self {
        Self {
            spec,
            waiting: VecDeque::new(),
            in_hand: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            next_number: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub fn depth(&self) -> usize {
        self.waiting.len() + self.in_hand.len()
    }

    pub fn in_hand(&self) -> usize {
        self.in_hand.len()
    }

    /// Takes a message; `Ok(Some(_))` is the one that had to go for it.
    pub fn push(&mut self, message: Arc<Message>) -> Result<Option<Arc<Message>>, Full> {
        let full = self.depth() >= self.spec.capacity.get() as usize;
        let gone = match (full, self.spec.overflow) {
            (false, _) => None,
            (true, Overflow::Refuse) => return Err(Full),
            (true, Overflow::DropOldest) => self.forget_oldest(),
        };
        let position = self.number();
        self.waiting.push_back(Waiting {
            position,
            message,
            deliveries: 0,
        });
        self.wake();
        Ok(gone)
    }

    /// Where everything is in hand, the oldest of those is forgotten: its ack means nothing then, and
    /// it is not delivered again.
    fn forget_oldest(&mut self) -> Option<Arc<Message>> {
        let waiting = self.waiting.pop_front().map(|gone| gone.message);
        waiting.or_else(|| self.in_hand.pop_first().map(|(_, gone)| gone.message))
    }

    pub fn subscribe(&mut self, prefetch: NonZeroU32) -> (u64, Arc<Notify>) {
        let number = self.number();
        let wake = Arc::new(Notify::new());
        let subscriber = Subscriber {
            prefetch: prefetch.get(),
            held: 0,
            wake: Arc::clone(&wake),
        };
        self.subscribers.insert(number, subscriber);
        (number, wake)
    }

    /// Takes the next message for a subscriber, if it may have one.
    pub fn take(&mut self, subscriber: u64) -> Option<(Receipt, Arc<Message>, u32)> {
        if !self.receives(subscriber) {
            return None;
        }
        let next = self.waiting.pop_front()?;
        let receipt = Receipt {
            position: next.position,
            tag: self.number(),
            subscriber,
        };
        let deliveries = next.deliveries.saturating_add(1);
        let in_hand = InHand {
            receipt,
            message: Arc::clone(&next.message),
            deliveries,
        };
        self.in_hand.insert(next.position, in_hand);
        if let Some(entry) = self.subscribers.get_mut(&subscriber) {
            entry.held += 1;
        }
        Some((receipt, next.message, deliveries))
    }

    fn receives(&self, subscriber: u64) -> bool {
        let oldest = self.subscribers.keys().next() == Some(&subscriber);
        let has_turn = oldest || !self.spec.single_active_consumer;
        let entry = self.subscribers.get(&subscriber);
        has_turn && entry.is_some_and(|entry| entry.held < entry.prefetch)
    }

    /// Ends a delivery. One that was settled, forgotten or handed back before changes nothing.
    pub fn settle(&mut self, receipt: Receipt, verdict: Verdict) -> HandedBack {
        if let Some(entry) = self.subscribers.get_mut(&receipt.subscriber) {
            entry.held = entry.held.saturating_sub(1);
        }
        let current = self.in_hand.get(&receipt.position);
        let known = current.is_some_and(|entry| entry.receipt == receipt);
        let settled = known.then(|| self.in_hand.remove(&receipt.position));
        let back = match settled.flatten() {
            Some(entry) => self.leave_hand(entry, verdict),
            None => HandedBack::Settled,
        };
        self.wake();
        back
    }

    fn leave_hand(&mut self, entry: InHand, verdict: Verdict) -> HandedBack {
        let exhausted = entry.deliveries >= self.spec.delivery_limit.get();
        match verdict {
            Verdict::Handled => HandedBack::Settled,
            Verdict::Never => HandedBack::Dead(entry.message),
            Verdict::Again if exhausted => HandedBack::Dead(entry.message),
            Verdict::Again => {
                self.put_back(entry);
                HandedBack::Settled
            }
        }
    }

    /// To its old place, which is in front of everything published later.
    fn put_back(&mut self, entry: InHand) {
        let position = entry.receipt.position;
        let index = self.waiting.partition_point(|one| one.position < position);
        let waiting = Waiting {
            position,
            message: entry.message,
            deliveries: entry.deliveries,
        };
        self.waiting.insert(index, waiting);
    }

    /// Removes a subscriber and hands back what it held; returns what is dead by that.
    pub fn unsubscribe(&mut self, subscriber: u64) -> Vec<Arc<Message>> {
        self.subscribers.remove(&subscriber);
        let held = self.in_hand.values().map(|entry| entry.receipt);
        let held: Vec<Receipt> = held.filter(|one| one.subscriber == subscriber).collect();
        let back = held.into_iter().map(|one| self.settle(one, Verdict::Again));
        let dead = back.filter_map(|one| match one {
            HandedBack::Dead(message) => Some(message),
            HandedBack::Settled => None,
        });
        let dead = dead.collect();
        self.wake();
        dead
    }

    /// Wakes whoever may take something. All of them: the one that is asked first may be busy with what it
    /// has, and subscriptions of one queue are few.
    pub fn wake(&self) {
        if self.waiting.is_empty() {
            return;
        }
        for number in self.subscribers.keys().copied() {
            if self.receives(number) {
                self.subscribers[&number].wake.notify_one();
            }
        }
    }

    /// Wakes everybody, to see that it is over.
    pub fn wake_all(&self) {
        for subscriber in self.subscribers.values() {
            subscriber.wake.notify_one();
        }
    }
}
