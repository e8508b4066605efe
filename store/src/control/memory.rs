//! The control store in memory: the fastest, and gone with the process. Whoever uses it brings it back from the audit
//! file at the start.
//!
//! It is bounded. The oldest answers make room for new ones (an event that comes again later than that is judged as a
//! new one), but for those of generations under way; states that still mean something are never dropped, as that would
//! open a gate. Those that were not used for the longest are put by in a [`Spill`]; without one, a new room is refused
//! then.

mod ages;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;

use self::ages::Ages;
use super::{
    AuditWrite, Backlog, ControlCommit, ControlCounts, ControlKey, ControlKind, ControlStore,
    Decided, Expect, Loaded, Outcome, StateChange, StateWrite, Unaudited, Versioned, check, page,
};
use crate::Error;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Answers; about 1 KB each. Default 200,000.
    pub decided: usize,
    /// States of rooms and tenants that mean something and lie in memory; about 500 bytes each. Default 200,000.
    pub states: usize,
    /// Audit lines that are not on file yet. Default 20,000.
    pub unaudited: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            decided: 200_000,
            states: 200_000,
            unaudited: 20_000,
        }
    }
}

/// A store that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryControl {
    limits: MemoryLimits,
    // No await under it, and nothing that waits.
    rows: Mutex<Rows>,
}

/// Whose state: a room of a tenant, or the tenant.
pub(crate) type StateKey = (TenantId, Option<RoomId>);

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) doc: String,
    pub(crate) keep_until: Timestamp,
    /// When it was written.
    pub(crate) at: Timestamp,
    /// When it was used last, as a number that only grows; 0 while it is put by.
    pub(crate) used: u64,
}

/// Where states lie that find no place in memory. A state is in one of the two, never in both.
pub(crate) trait Spill: Send + std::fmt::Debug {
    /// How many lie there.
    fn count(&self) -> u64;
    /// One of them, which stays.
    fn get(&mut self, key: &StateKey) -> Result<Option<State>, Error>;
    /// Takes one that is not there.
    fn put(&mut self, key: &StateKey, state: &State) -> Result<(), Error>;
    /// Removes one, if it is there.
    fn remove(&mut self, key: &StateKey) -> Result<(), Error>;
    /// When the oldest of them was written.
    fn oldest(&mut self) -> Result<Option<Timestamp>, Error>;
    /// Removes at most `limit` that mean nothing any more; how many those were.
    fn forget(&mut self, now: Timestamp, limit: u32) -> Result<u64, Error>;
}

#[derive(Debug, Default)]
struct Rows {
    last: u64,
    // Keys are texts, and each stands in several places.
    decided: HashMap<Arc<ControlKey>, Decided>,
    ages: Ages,
    plans: HashMap<(TenantId, PlanId), Arc<ControlKey>>,
    states: HashMap<Arc<StateKey>, State>,
    /// Those that mean nothing soonest first.
    ends: BTreeSet<(Timestamp, Arc<StateKey>)>,
    /// Those that were not used for the longest first.
    uses: BTreeMap<u64, Arc<StateKey>>,
    used: u64,
    spill: Option<Box<dyn Spill>>,
    lines: BTreeMap<(String, u64), String>,
}

impl MemoryControl {
    /// An empty store that refuses new states beyond its bound.
    pub fn new(limits: MemoryLimits) -> Self {
        Self::with(limits, None)
    }

    pub(crate) fn with(limits: MemoryLimits, spill: Option<Box<dyn Spill>>) -> Self {
        let rows = Rows {
            spill,
            ..Rows::default()
        };
        Self {
            limits,
            rows: Mutex::new(rows),
        }
    }

    /// The time of the oldest commit that something here is of: an answer, or a state that means something at `now`.
    /// Whoever brings the store back needs what was committed from then on, and nothing of before. Nothing where it is
    /// empty.
    ///
    /// # Errors
    /// Where states that are put by cannot be reached.
    pub fn oldest(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut rows = self.rows();
        let put_by = match rows.spilled() {
            Some(spill) => spill.oldest().map_err(put_by)?,
            None => None,
        };
        let answers = rows.decided.values().map(|decided| decided.at);
        let states = rows.states.values().filter(|state| state.keep_until > now);
        let all = answers.chain(states.map(|state| state.at)).chain(put_by);
        Ok(all.min())
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ControlStore for MemoryControl {
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error> {
        let mut rows = self.rows();
        let tenant = &key.tenant_id;
        let room = room.map(|room| rows.state(&(tenant.clone(), Some(room.clone()))));
        Ok(Loaded {
            prior: rows.decided.get(key).cloned(),
            room: room.transpose()?.flatten(),
            tenant: rows.state(&(tenant.clone(), None))?,
        })
    }

    async fn plan(&self, tenant: &TenantId, plan: PlanId) -> Result<Option<Decided>, Error> {
        let rows = self.rows();
        let key = rows.plans.get(&(tenant.clone(), plan));
        Ok(key.and_then(|key| rows.decided.get(key)).cloned())
    }

    async fn commit(&self, commit: ControlCommit) -> Result<Outcome, Error> {
        check(&commit)?;
        self.rows().commit(commit, self.limits)
    }

    async fn unaudited(
        &self,
        replica: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Unaudited>, Error> {
        let rows = self.rows();
        let from = (replica.to_owned(), after.saturating_add(1));
        let mine = rows.lines.range(from..);
        let mine = mine.take_while(|((owner, _), _)| owner == replica);
        let lines = mine.map(|((_, seq), line)| Unaudited {
            seq: *seq,
            line: line.clone(),
        });
        Ok(lines.take(page(limit) as usize).collect())
    }

    async fn audited(&self, replica: &str, seqs: &[u64]) -> Result<(), Error> {
        let mut rows = self.rows();
        for seq in seqs {
            rows.lines.remove(&(replica.to_owned(), *seq));
        }
        Ok(())
    }

    async fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for (replica, _) in self.rows().lines.keys() {
            *found.entry(replica.clone()).or_default() += 1;
        }
        let all = found.into_iter();
        let all = all.map(|(replica, lines)| Backlog { replica, lines });
        Ok(all.take(1000).collect())
    }

    async fn forget(
        &self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let mut rows = self.rows();
        let mut gone = 0;
        for _ in 0..page(limit) {
            let Some(key) = rows.ages.take_older(decided_before) else {
                break;
            };
            rows.remove_decided(&key);
            gone += 1;
        }
        let states = rows.forget_states(now, page(limit));
        let rest = page(limit).saturating_sub(u32::try_from(states).unwrap_or(u32::MAX));
        let put_by = match rows.spilled() {
            Some(spill) if rest > 0 => spill.forget(now, rest).map_err(put_by)?,
            _ => 0,
        };
        Ok(gone + states + put_by)
    }

    async fn counts(&self) -> Result<ControlCounts, Error> {
        let rows = self.rows();
        Ok(ControlCounts {
            decided: rows.decided.len() as u64,
            states: rows.states.len() as u64 + rows.spill.as_ref().map_or(0, |spill| spill.count()),
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.rows().room_for_a_line(self.limits)
    }
}

/// A state that is put by cannot be reached, or none can be put by.
fn put_by(error: Error) -> Error {
    Error::Unavailable(format!("rooms that find no place in memory: {error}"))
}

impl Rows {
    /// The states that are put by, where there are any.
    fn spilled(&mut self) -> Option<&mut Box<dyn Spill>> {
        self.spill.as_mut().filter(|spill| spill.count() > 0)
    }

    fn state(&mut self, key: &StateKey) -> Result<Option<Versioned>, Error> {
        let versioned = |state: &State| Versioned {
            version: state.version,
            doc: state.doc.clone(),
        };
        let Some(state) = self.states.get_mut(key) else {
            let Some(spill) = self.spilled() else {
                return Ok(None);
            };
            let found = spill.get(key).map_err(put_by)?;
            return Ok(found.as_ref().map(versioned));
        };
        let found = versioned(state);
        // Only who puts states by asks which of them were used.
        if self.spill.is_some() {
            self.used += 1;
            let key = self.uses.remove(&state.used);
            state.used = self.used;
            self.uses.extend(key.map(|key| (self.used, key)));
        }
        Ok(Some(found))
    }

    /// Brings a state back into memory that is put by and about to change.
    fn recall(&mut self, key: &Arc<StateKey>) -> Result<(), Error> {
        let Some(spill) = self.spilled() else {
            return Ok(());
        };
        if let Some(state) = spill.get(key).map_err(put_by)? {
            spill.remove(key).map_err(put_by)?;
            self.insert_state(Arc::clone(key), state);
        }
        Ok(())
    }

    /// Puts the states by that were not used for the longest, until `new` more have a place, or only `ours` are left.
    fn put_by(&mut self, new: usize, most: usize, ours: &[&Arc<StateKey>]) -> Result<(), Error> {
        while self.states.len() + new > most {
            let oldest = self.uses.values().find(|key| !ours.contains(key)).cloned();
            let (Some(key), Some(spill)) = (oldest, self.spill.as_mut()) else {
                return Ok(());
            };
            if let Some(state) = self.states.get(&key) {
                spill.put(&key, state).map_err(put_by)?;
            }
            self.remove_state(&key);
        }
        Ok(())
    }

    fn commit(&mut self, commit: ControlCommit, limits: MemoryLimits) -> Result<Outcome, Error> {
        if let Some(found) = self.decided.get(&commit.key) {
            return Ok(Outcome::Exists(Box::new(found.clone())));
        }
        let tenant = commit.key.tenant_id.clone();
        let room = (tenant.clone(), Some(commit.room_id.clone()));
        let whole = (tenant.clone(), None);
        let states = [(room, commit.room), (whole, commit.tenant)];
        let states: Vec<(Arc<StateKey>, StateWrite)> = states
            .into_iter()
            .filter_map(|(key, write)| Some((Arc::new(key), write?)))
            .collect();
        for (key, write) in &states {
            if write.change != StateChange::Keep {
                self.recall(key)?;
            }
            if !self.fits(key, write)? {
                return Ok(Outcome::Stale);
            }
        }
        if commit.audit.is_some() {
            self.room_for_a_line(limits)?;
        }
        self.room_for_states(&states, commit.at, limits)?;
        self.last += 1;
        let seq = self.last;
        for (key, write) in states {
            self.write(key, write.change, (seq, commit.at));
        }
        if let Some(AuditWrite { replica, line }) = commit.audit {
            self.lines.insert((replica, seq), line);
        }
        let (key, at) = (Arc::new(commit.key.clone()), commit.at);
        match (commit.key.kind, commit.plan_id) {
            (ControlKind::Event, Some(plan)) => {
                let place = (tenant, plan);
                self.plans.entry(place).or_insert_with(|| Arc::clone(&key));
            }
            (ControlKind::Generation, Some(plan)) => {
                let asked = self.plans.get(&(tenant, plan));
                if let Some(found) = asked.and_then(|asked| self.decided.get_key_value(asked)) {
                    self.ages.release(found.0, found.1.seq, at);
                }
            }
            _ => {}
        }
        self.ages.add(&key, (at, seq), commit.needed_until);
        let decided = Decided {
            key: commit.key,
            seq,
            room_id: commit.room_id,
            plan_id: commit.plan_id,
            body: commit.body,
            answer: commit.answer,
            at: commit.at,
        };
        self.decided.insert(key, decided);
        self.forget_decided(at, limits);
        Ok(Outcome::Committed { seq })
    }

    /// Forgets the oldest answers beyond the bound, and those that stayed beyond it and are needed no more.
    fn forget_decided(&mut self, now: Timestamp, limits: MemoryLimits) {
        while let Some(key) = self.ages.take_over(now) {
            self.remove_decided(&key);
        }
        // As many as rooms are that hold them.
        let (most, needed) = (limits.decided.max(1), limits.states);
        while self.decided.len() > most + self.ages.kept() {
            let Some(key) = self.ages.take_oldest(now, needed) else {
                return;
            };
            self.remove_decided(&key);
        }
    }

    /// Whether what was judged by is still so.
    fn fits(&mut self, key: &StateKey, write: &StateWrite) -> Result<bool, Error> {
        let found = match self.states.get(key) {
            Some(state) => Some(state.version),
            None => self.state(key)?.map(|state| state.version),
        };
        Ok(match write.expected {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found == Some(version),
        })
    }

    fn room_for_a_line(&self, limits: MemoryLimits) -> Result<(), Error> {
        if self.lines.len() < limits.unaudited.max(1) {
            return Ok(());
        }
        let text = format!("{} audit lines wait for their file", self.lines.len());
        Err(Error::Unavailable(text))
    }

    fn room_for_states(
        &mut self,
        states: &[(Arc<StateKey>, StateWrite)],
        now: Timestamp,
        limits: MemoryLimits,
    ) -> Result<(), Error> {
        let is_new = |(key, write): &&(Arc<StateKey>, StateWrite)| {
            matches!(write.change, StateChange::Put { .. }) && !self.states.contains_key(key)
        };
        let new = states.iter().filter(is_new).count();
        // One that came back to be changed may be one too many.
        let is_within = new == 0 && self.spill.is_none();
        if is_within || self.states.len() + new <= limits.states {
            return Ok(());
        }
        // Those that this commit writes have been held against their versions already, and stay.
        let ours: Vec<&Arc<StateKey>> = states.iter().map(|(key, _)| key).collect();
        self.forget_states_but(now, 100, &ours);
        if self.spill.is_some() {
            return self.put_by(new, limits.states, &ours);
        }
        if self.states.len() + new <= limits.states {
            return Ok(());
        }
        let text = format!(
            "{} rooms are in use, and no more are permitted",
            limits.states
        );
        Err(Error::Unavailable(text))
    }

    fn write(&mut self, key: Arc<StateKey>, change: StateChange, (seq, at): (u64, Timestamp)) {
        if change == StateChange::Keep {
            return;
        }
        self.remove_state(&key);
        if let StateChange::Put { doc, keep_until } = change {
            let state = State {
                version: seq,
                doc,
                keep_until,
                at,
                used: 0,
            };
            self.insert_state(key, state);
        }
    }

    fn insert_state(&mut self, key: Arc<StateKey>, mut state: State) {
        self.used += 1;
        state.used = self.used;
        self.ends.insert((state.keep_until, Arc::clone(&key)));
        self.uses.insert(self.used, Arc::clone(&key));
        self.states.insert(key, state);
    }

    fn remove_state(&mut self, key: &Arc<StateKey>) {
        if let Some(old) = self.states.remove(key) {
            self.ends.remove(&(old.keep_until, Arc::clone(key)));
            self.uses.remove(&old.used);
        }
    }

    fn remove_decided(&mut self, key: &Arc<ControlKey>) {
        if let Some(old) = self.decided.remove(key)
            && let Some(plan) = old.plan_id
        {
            let place = (key.tenant_id.clone(), plan);
            if self.plans.get(&place) == Some(key) {
                self.plans.remove(&place);
            }
        }
    }

    fn forget_states(&mut self, now: Timestamp, limit: u32) -> u64 {
        self.forget_states_but(now, limit, &[])
    }

    fn forget_states_but(&mut self, now: Timestamp, limit: u32, but: &[&Arc<StateKey>]) -> u64 {
        let over = self.ends.iter().take_while(|(end, _)| *end <= now);
        let over = over.map(|(_, key)| key).filter(|key| !but.contains(key));
        let over: Vec<Arc<StateKey>> = over.take(limit as usize).cloned().collect();
        for key in &over {
            self.remove_state(key);
        }
        over.len() as u64
    }
}

#[cfg(test)]
mod tests;
