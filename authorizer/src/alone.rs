//! Questions that come more than once at the same time, because an adapter sends an event again before it was answered: one
//! of them is asked, and the others wait until what came of it is stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chiffon_common::ActionId;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::{locked, share::Waiting};

/// The turns of questions that somebody is at, by their ids, each of which is that of one event.
pub(super) type Turns = Arc<Mutex<HashMap<ActionId, Arc<Turn<()>>>>>;

/// Who is at which question.
#[derive(Debug, Default)]
pub(super) struct Alike(pub(super) Turns);

/// Nobody else is at this question as long as this lives: until its answer is stored.
#[derive(Debug)]
pub struct Alone {
    /// Whether somebody was, so that the answer may be there.
    pub waited: bool,
    // In this order: the turn is given on before it is looked whether anybody wants it.
    _turn: OwnedMutexGuard<()>,
    _place: Place,
    _waiting: Waiting,
}

/// One of those who are at a question, or wait for it.
#[derive(Debug)]
struct Place {
    turns: Turns,
    question: ActionId,
    turn: Arc<Turn<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut turns = locked(&self.turns);
        // The map's own, and this one.
        if Arc::strong_count(&self.turn) <= 2 {
            turns.remove(&self.question);
        }
    }
}

impl Alike {
    pub(super) async fn alone(&self, question: ActionId, waiting: Waiting) -> Alone {
        let turns = Arc::clone(&self.0);
        let turn = Arc::clone(locked(&turns).entry(question).or_default());
        let place = Place {
            turns,
            question,
            turn,
        };
        let turn = &place.turn;
        let (turn, waited) = match Arc::clone(turn).try_lock_owned() {
            Ok(turn) => (turn, false),
            Err(_) => (Arc::clone(turn).lock_owned().await, true),
        };
        Alone {
            waited,
            _turn: turn,
            _place: place,
            _waiting: waiting,
        }
    }
}
