//! Who holds how much, as far as this process knows. The broker counts what waits; what it has delivered here, and not
//! heard of since, is counted here.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::QueueName;

#[derive(Debug, Default)]
struct Seat {
    queue: Option<QueueName>,
    /// Delivered here and not settled.
    held: u64,
    /// Of these, those that somebody was given.
    given: u64,
    /// Whether settling still counts: not once its channel closes.
    over: bool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: BTreeMap<u64, Seat>,
}

/// All that is in hand here.
#[derive(Debug, Default)]
pub(super) struct Hands {
    state: Mutex<State>,
    /// Told whenever something leaves a hand; for `close`.
    pub settled: Notify,
}

impl Hands {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new subscription.
    pub fn sit_down(&self, queue: &QueueName) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let seat = Seat {
            queue: Some(queue.clone()),
            ..Seat::default()
        };
        state.seats.insert(number, seat);
        number
    }

    /// A delivery has come.
    pub fn arrived(&self, seat: u64) {
        if let Some(seat) = self.state().seats.get_mut(&seat) {
            seat.held += 1;
        }
    }

    /// It is given to somebody; false once that means nothing any more.
    pub fn give(&self, seat: u64) -> bool {
        match self.state().seats.get_mut(&seat) {
            Some(seat) if !seat.over => {
                seat.given += 1;
                true
            }
            _ => false,
        }
    }

    /// It is settled.
    pub fn settle(&self, seat: u64) {
        if let Some(seat) = self.state().seats.get_mut(&seat) {
            seat.held = seat.held.saturating_sub(1);
            seat.given = seat.given.saturating_sub(1);
        }
        self.settled.notify_waiters();
    }

    /// What it holds is on its way back to the queue.
    pub fn leave(&self, seat: u64) {
        if let Some(seat) = self.state().seats.get_mut(&seat) {
            seat.over = true;
            seat.given = 0;
        }
        self.settled.notify_waiters();
    }

    /// What it held is back in the queue.
    pub fn left(&self, seat: u64) {
        self.state().seats.remove(&seat);
    }

    /// How much of a queue is held here.
    pub fn held(&self, queue: &QueueName) -> u64 {
        let state = self.state();
        let seats = state.seats.values();
        let of_queue = seats.filter(|seat| seat.queue.as_ref() == Some(queue));
        of_queue.map(|seat| seat.held).sum()
    }

    /// How much somebody was given and has not settled.
    pub fn given(&self) -> u64 {
        self.state().seats.values().map(|seat| seat.given).sum()
    }
}
