//! Which answer goes first where no more may be kept: the oldest, but none that is still asked about. The plan of a
//! generation under way is named by its result, which would be a stranger's without it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::spread::Spread;
use crate::control::ControlKey;

/// The order in which answers go.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// Oldest first.
    oldest: BTreeMap<(Timestamp, u64), Arc<ControlKey>>,
    /// Those that are asked about until then.
    needed: Spread<Arc<ControlKey>, Timestamp>,
    /// Those whose turn to go has come and which are needed: those that are needed for the shortest first.
    kept: BTreeMap<(Timestamp, u64), Arc<ControlKey>>,
}

impl Ages {
    pub(super) fn add(
        &mut self,
        key: &Arc<ControlKey>,
        (at, seq): (Timestamp, u64),
        needed_until: Option<Timestamp>,
    ) {
        self.oldest.insert((at, seq), Arc::clone(key));
        if let Some(until) = needed_until.filter(|until| *until > at) {
            self.needed.insert(Arc::clone(key), until);
        }
    }

    /// It is asked about no more. Where its turn has passed it is as young as what was asked: who has missed that answer
    /// asks again.
    pub(super) fn release(&mut self, key: &Arc<ControlKey>, seq: u64, now: Timestamp) {
        let Some(until) = self.needed.remove(key) else {
            return;
        };
        if let Some(key) = self.kept.remove(&(until, seq)) {
            self.oldest.insert((now, seq), key);
        }
    }

    /// How many stay beyond their turn.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Takes the oldest out that is older than that.
    pub(super) fn take_older(&mut self, before: Timestamp) -> Option<Arc<ControlKey>> {
        let first = self.oldest.first_entry()?;
        (first.key().0 < before).then(|| first.remove())
    }

    /// Takes the oldest out that is not needed; of those that are, at most so many stay.
    pub(super) fn take_oldest(&mut self, now: Timestamp, most: usize) -> Option<Arc<ControlKey>> {
        loop {
            let ((_, seq), key) = self.oldest.pop_first()?;
            match self.needed.get(&key) {
                Some(until) if *until > now && self.kept.len() < most => {
                    self.kept.insert((*until, seq), key);
                }
                _ => {
                    self.needed.remove(&key);
                    return Some(key);
                }
            }
        }
    }

    /// Takes one out that stayed and is not needed any more.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Option<Arc<ControlKey>> {
        let first = self.kept.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let key = first.remove();
        self.needed.remove(&key);
        Some(key)
    }
}
