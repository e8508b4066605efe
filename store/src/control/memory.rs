//! The control store in memory: the fastest, and gone with the process. Whoever uses it brings it back from the audit
//! file at the start.
//!
//! It is bounded. The oldest answers make room for new ones (an event that comes again later than that is judged as a
//! new one); states that still mean something are never dropped, as that would open a gate: a new room is refused then.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chiffon_common::{PlanId, RoomId, TenantId};
use jiff::Timestamp;

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
    /// States of rooms and tenants that mean something; about 500 bytes each. Default 200,000.
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
type StateKey = (TenantId, Option<RoomId>);

#[derive(Debug)]
struct State {
    version: u64,
    doc: String,
    keep_until: Timestamp,
}

#[derive(Debug, Default)]
struct Rows {
    last: u64,
    // Keys are texts, and each stands in several places.
    decided: HashMap<Arc<ControlKey>, Decided>,
    /// Oldest first.
    ages: BTreeMap<(Timestamp, u64), Arc<ControlKey>>,
    plans: HashMap<(TenantId, PlanId), Arc<ControlKey>>,
    states: HashMap<Arc<StateKey>, State>,
    /// Those that mean nothing soonest first.
    ends: BTreeSet<(Timestamp, Arc<StateKey>)>,
    lines: BTreeMap<(String, u64), String>,
}

impl MemoryControl {
    /// An empty store.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            rows: Mutex::default(),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ControlStore for MemoryControl {
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error> {
        let rows = self.rows();
        let tenant = &key.tenant_id;
        Ok(Loaded {
            prior: rows.decided.get(key).cloned(),
            room: room.and_then(|room| rows.state(&(tenant.clone(), Some(room.clone())))),
            tenant: rows.state(&(tenant.clone(), None)),
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
            gone += u64::from(rows.forget_decided(Some(decided_before)));
        }
        Ok(gone + rows.forget_states(now, page(limit)))
    }

    async fn counts(&self) -> Result<ControlCounts, Error> {
        let rows = self.rows();
        Ok(ControlCounts {
            decided: rows.decided.len() as u64,
            states: rows.states.len() as u64,
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.rows().room_for_a_line(self.limits)
    }
}

impl Rows {
    fn state(&self, key: &StateKey) -> Option<Versioned> {
        self.states.get(key).map(|state| Versioned {
            version: state.version,
            doc: state.doc.clone(),
        })
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
        if !states.iter().all(|(key, write)| self.fits(key, write)) {
            return Ok(Outcome::Stale);
        }
        if commit.audit.is_some() {
            self.room_for_a_line(limits)?;
        }
        self.room_for_states(&states, commit.at, limits)?;
        self.last += 1;
        let seq = self.last;
        for (key, write) in states {
            self.write(key, write.change, seq);
        }
        if let Some(AuditWrite { replica, line }) = commit.audit {
            self.lines.insert((replica, seq), line);
        }
        let key = Arc::new(commit.key.clone());
        if let (ControlKind::Event, Some(plan)) = (commit.key.kind, commit.plan_id) {
            let place = (tenant, plan);
            self.plans.entry(place).or_insert_with(|| Arc::clone(&key));
        }
        self.ages.insert((commit.at, seq), Arc::clone(&key));
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
        while self.decided.len() > limits.decided.max(1) && self.forget_decided(None) {}
        Ok(Outcome::Committed { seq })
    }

    /// Whether what was judged by is still so.
    fn fits(&self, key: &StateKey, write: &StateWrite) -> bool {
        let found = self.states.get(key).map(|state| state.version);
        match write.expected {
            Expect::Any => true,
            Expect::Absent => found.is_none(),
            Expect::Version(version) => found == Some(version),
        }
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
        if new == 0 || self.states.len() + new <= limits.states {
            return Ok(());
        }
        // Those that this commit writes have been held against their versions already, and stay.
        let ours: Vec<&Arc<StateKey>> = states.iter().map(|(key, _)| key).collect();
        self.forget_states_but(now, 100, &ours);
        if self.states.len() + new <= limits.states {
            return Ok(());
        }
        let text = format!(
            "{} rooms are in use, and no more are permitted",
            limits.states
        );
        Err(Error::Unavailable(text))
    }

    fn write(&mut self, key: Arc<StateKey>, change: StateChange, seq: u64) {
        if change == StateChange::Keep {
            return;
        }
        self.remove_state(&key);
        if let StateChange::Put { doc, keep_until } = change {
            self.ends.insert((keep_until, Arc::clone(&key)));
            let state = State {
                version: seq,
                doc,
                keep_until,
            };
            self.states.insert(key, state);
        }
    }

    fn remove_state(&mut self, key: &Arc<StateKey>) {
        if let Some(old) = self.states.remove(key) {
            self.ends.remove(&(old.keep_until, Arc::clone(key)));
        }
    }

    /// Forgets the oldest answer; with a time, only where it is older. Whether one went.
    fn forget_decided(&mut self, before: Option<Timestamp>) -> bool {
        let Some((&(at, seq), _)) = self.ages.first_key_value() else {
            return false;
        };
        if before.is_some_and(|before| at >= before) {
            return false;
        }
        let Some(key) = self.ages.remove(&(at, seq)) else {
            return false;
        };
        if let Some(old) = self.decided.remove(&key)
            && let Some(plan) = old.plan_id
        {
            let place = (key.tenant_id.clone(), plan);
            if self.plans.get(&place) == Some(&key) {
                self.plans.remove(&place);
            }
        }
        true
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
