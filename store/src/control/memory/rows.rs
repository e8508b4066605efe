//! What the control store in memory holds, and how it changes. Where that is done is left to `memory`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;

use super::{MemoryLimits, Spill, State, StateKey, ages::Ages, spread::Spread};
use crate::{
    Error,
    control::{
        AuditMark, AuditWrite, Backlog, ControlCommit, ControlCounts, ControlKey, ControlKind,
        Decided, Expect, Loaded, Outcome, StateChange, StateWrite, Unaudited, Versioned, page,
    },
};

#[derive(Debug, Default)]
pub(super) struct Rows {
    last: u64,
    // Keys are texts, and each stands in several places.
    decided: Spread<Arc<ControlKey>, Decided>,
    ages: Ages,
    plans: Spread<(TenantId, PlanId), Arc<ControlKey>>,
    states: Spread<Arc<StateKey>, State>,
    /// Those that mean nothing soonest first.
    ends: BTreeSet<(Timestamp, Arc<StateKey>)>,
    /// Those that were not used for the longest first.
    uses: BTreeMap<u64, Arc<StateKey>>,
    used: u64,
    spill: Option<Box<dyn Spill>>,
    pub(super) lines: BTreeMap<(String, u64), String>,
    pub(super) marks: BTreeMap<String, AuditMark>,
}

/// A state that is put by cannot be reached, or none can be put by.
fn put_by(error: Error) -> Error {
    Error::Unavailable(format!("rooms that find no place in memory: {error}"))
}

impl Rows {
    /// None; with a place for what finds none in memory, where there is one.
    pub(super) fn with(spill: Option<Box<dyn Spill>>) -> Self {
        Self {
            spill,
            ..Self::default()
        }
    }

    /// Whether something is put by, or the next state may have to be.
    pub(super) fn waits(&self, limits: MemoryLimits) -> bool {
        let spill = self.spill.as_ref();
        spill.is_some_and(|spill| spill.count() > 0 || self.states.len() + 2 > limits.states)
    }

    pub(super) fn load(&mut self, key: &ControlKey, room: Option<RoomId>) -> Result<Loaded, Error> {
        let tenant = &key.tenant_id;
        let room = room.map(|room| self.state(&(tenant.clone(), Some(room))));
        Ok(Loaded {
            prior: self.decided.get(key).cloned(),
            room: room.transpose()?.flatten(),
            tenant: self.state(&(tenant.clone(), None))?,
        })
    }

    pub(super) fn plan(&self, place: &(TenantId, PlanId)) -> Option<Decided> {
        let key = self.plans.get(place)?;
        self.decided.get(key).cloned()
    }

    pub(super) fn lines_from(&self, from: (String, u64), limit: u32) -> Vec<Unaudited> {
        let replica = from.0.clone();
        let mine = self.lines.range(from..);
        let mine = mine.take_while(|((owner, _), _)| *owner == replica);
        let lines = mine.map(|((_, seq), line)| Unaudited {
            seq: *seq,
            line: line.clone(),
        });
        lines.take(page(limit) as usize).collect()
    }

    pub(super) fn backlog(&self) -> Vec<Backlog> {
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for (replica, _) in self.lines.keys() {
            *found.entry(replica.clone()).or_default() += 1;
        }
        let all = found.into_iter();
        let all = all.map(|(replica, lines)| Backlog { replica, lines });
        all.take(1000).collect()
    }

    pub(super) fn counts(&self) -> ControlCounts {
        let put_by = self.spill.as_ref().map_or(0, |spill| spill.count());
        ControlCounts {
            decided: self.decided.len() as u64,
            states: self.states.len() as u64 + put_by,
        }
    }

    pub(super) fn oldest(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let put_by = match self.spilled() {
            Some(spill) => spill.oldest().map_err(put_by)?,
            None => None,
        };
        let answers = self.decided.values().map(|decided| decided.at);
        let states = self.states.values().filter(|state| state.keep_until > now);
        let all = answers.chain(states.map(|state| state.at)).chain(put_by);
        Ok(all.min())
    }

    pub(super) fn forget(
        &mut self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let mut gone = 0;
        for _ in 0..limit {
            let Some(key) = self.ages.take_older(decided_before) else {
                break;
            };
            self.remove_decided(&key);
            gone += 1;
        }
        let states = self.forget_states_but(now, limit, &[]);
        let rest = limit.saturating_sub(u32::try_from(states).unwrap_or(u32::MAX));
        let put_by = match self.spilled() {
            Some(spill) if rest > 0 => spill.forget(now, rest).map_err(put_by)?,
            _ => 0,
        };
        Ok(gone + states + put_by)
    }

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

    pub(super) fn commit(
        &mut self,
        commit: ControlCommit,
        limits: MemoryLimits,
    ) -> Result<Outcome, Error> {
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
                if !self.plans.contains_key(&place) {
                    self.plans.insert(place, Arc::clone(&key));
                }
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

    pub(super) fn room_for_a_line(&self, limits: MemoryLimits) -> Result<(), Error> {
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
