//! The queues of one memory bus behind one lock, and the moves between them. Waiting is left to the
//! handles in `mod.rs`: nothing here is asynchronous and the lock is never held across an await.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use tracing::warn;

use super::queue::{HandedBack, Queue, Receipt, Verdict};
use crate::{DeclareError, Message, Overflow, PublishError, QueueName, QueueSpec, SubscribeError};

/// One life of a queue: a name that was wiped and declared again is another queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueRef {
    pub name: QueueName,
    life: u64,
}

/// What a subscriber finds when it looks.
pub(super) enum Look {
    Delivery(Receipt, Arc<Message>, u32),
    Nothing,
    Ended,
}

/// A subscriber's own number in its queue, and how it is woken.
pub(super) struct Seat {
    pub queue: QueueRef,
    pub number: u64,
    pub wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    lives: u64,
    queues: HashMap<QueueName, (u64, Queue)>,
}

/// The broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    state: Mutex<State>,
    /// Told whenever something leaves a hand; for `close`.
    pub settled: Notify,
}

impl Broker {
    /// A panic under the lock is impossible but for a lack of memory; the state is whole between moves.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        let mut state = self.state();
        if state.closed {
            return Err(DeclareError::Closed);
        }
        if let Some((_, queue)) = state.queues.get(&spec.name) {
            return agree(&queue.spec, &spec);
        }
        let dead = dead_letters_of(&spec);
        state.add_missing(dead);
        state.add_missing(spec);
        Ok(())
    }

    pub fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        let mut state = self.state();
        if state.closed {
            return Err(PublishError::Closed);
        }
        let Some((_, queue)) = state.queues.get_mut(to) else {
            return Err(PublishError::Unroutable(to.clone()));
        };
        let pushed = queue.push(Arc::new(message));
        pushed.map(drop).map_err(|_| PublishError::Full(to.clone()))
    }

    pub fn subscribe(&self, to: &QueueName, prefetch: NonZeroU32) -> Result<Seat, SubscribeError> {
        let mut state = self.state();
        if state.closed {
            return Err(SubscribeError::Closed);
        }
        let Some((life, queue)) = state.queues.get_mut(to) else {
            return Err(SubscribeError::NoQueue(to.clone()));
        };
        let (number, wake) = queue.subscribe(prefetch);
        let queue = QueueRef {
            name: to.clone(),
            life: *life,
        };
        Ok(Seat {
            queue,
            number,
            wake,
        })
    }

    pub fn look(&self, seat: &Seat) -> Look {
        let mut state = self.state();
        if state.closed {
            return Look::Ended;
        }
        let Some(queue) = state.alive(&seat.queue) else {
            return Look::Ended;
        };
        match queue.take(seat.number) {
            Some((receipt, message, deliveries)) => Look::Delivery(receipt, message, deliveries),
            None => Look::Nothing,
        }
    }

    pub fn settle(&self, queue: &QueueRef, receipt: Receipt, verdict: Verdict) {
        let mut state = self.state();
        let back = state.alive(queue).map(|one| one.settle(receipt, verdict));
        let lost = match back {
            Some(HandedBack::Dead(message)) => state.bury(&queue.name, message),
            Some(HandedBack::Settled) | None => None,
        };
        drop(state);
        self.settled.notify_waiters();
        warn_of(&queue.name, lost);
    }

    pub fn unsubscribe(&self, seat: &Seat) {
        let mut state = self.state();
        let dead = state
            .alive(&seat.queue)
            .map(|one| one.unsubscribe(seat.number));
        let dead = dead.unwrap_or_default().into_iter();
        let lost: Vec<_> = dead.map(|one| state.bury(&seat.queue.name, one)).collect();
        drop(state);
        self.settled.notify_waiters();
        for one in lost {
            warn_of(&seat.queue.name, one);
        }
    }

    pub fn depth(&self, queue: &QueueName) -> Option<u64> {
        let state = self.state();
        state.queues.get(queue).map(|(_, one)| one.depth() as u64)
    }

    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.wake_all();
    }

    pub fn in_hand(&self) -> usize {
        let state = self.state();
        state.queues.values().map(|(_, one)| one.in_hand()).sum()
    }

    pub fn wipe(&self) {
        let mut state = self.state();
        state.wake_all();
        state.queues.clear();
        drop(state);
        self.settled.notify_waiters();
    }
}

impl State {
    fn add_missing(&mut self, spec: QueueSpec) {
        self.lives += 1;
        let life = self.lives;
        let name = spec.name.clone();
        let queue = self.queues.entry(name);
        queue.or_insert_with(|| (life, Queue::new(spec)));
    }

    fn alive(&mut self, queue: &QueueRef) -> Option<&mut Queue> {
        let (life, found) = self.queues.get_mut(&queue.name)?;
        (*life == queue.life).then_some(found)
    }

    /// Puts a message among the dead letters of its queue; returns what had to go for it. Dead
    /// letters have no dead letters of their own: one that is handed back or rejected there stays there.
    fn bury(&mut self, queue: &QueueName, message: Arc<Message>) -> Option<Arc<Message>> {
        let name = queue.dead_letters();
        let dead = if self.queues.contains_key(&name) {
            &name
        } else {
            queue
        };
        let (_, dead) = self.queues.get_mut(dead)?;
        // A dead-letter queue drops its oldest and so is never full.
        dead.push(message).ok().flatten()
    }

    fn wake_all(&self) {
        for (_, queue) in self.queues.values() {
            queue.wake_all();
        }
    }
}

fn warn_of(queue: &QueueName, lost: Option<Arc<Message>>) {
    if let Some(lost) = lost {
        warn!(queue = %queue, message.id = %lost.message_id, "dead letters are full; the oldest was dropped");
    }
}

/// As many as the queue itself holds, since all of it may turn out to be poison; the oldest go first,
/// because the newest tell what is wrong now.
fn dead_letters_of(spec: &QueueSpec) -> QueueSpec {
    QueueSpec {
        name: spec.name.dead_letters(),
        capacity: spec.capacity,
        overflow: Overflow::DropOldest,
        delivery_limit: NonZeroU32::MAX,
        single_active_consumer: false,
    }
}

fn agree(has: &QueueSpec, wanted: &QueueSpec) -> Result<(), DeclareError> {
    let arguments = [
        ("capacity", has.capacity == wanted.capacity),
        ("overflow", has.overflow == wanted.overflow),
        (
            "delivery_limit",
            has.delivery_limit == wanted.delivery_limit,
        ),
        (
            "single_active_consumer",
            has.single_active_consumer == wanted.single_active_consumer,
        ),
    ];
    match arguments.into_iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((argument, _)) => Err(DeclareError::Differs {
            queue: has.name.clone(),
            argument,
        }),
    }
}
