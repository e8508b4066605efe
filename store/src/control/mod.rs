//! The store of the control plane (RFC-ARB-0001): what was decided under which id, the state of rooms and tenants, and
//! the audit lines that are not yet on file. What those documents mean is left to the arbiter, when to write them to
//! the shell around it; here they are texts with versions.
//!
//! It is a contract of its own and not a part of [`crate::Store`]: the program `arbiter` has no fleet, and its three
//! backends (memory, SQLite, Postgres) must be able to serve several replicas at once.

pub(crate) mod memory;

use async_trait::async_trait;
use chiffon_common::{Digest, PlanId, RoomId, TenantId};
use jiff::Timestamp;

pub use self::memory::{MemoryControl, MemoryLimits};
use crate::Error;

/// Longest id in bytes: 256 characters of four bytes.
const MAX_ID: usize = 1024;

/// What was answered: each kind has ids of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlKind {
    /// An event (`POST /v0/events`).
    Event,
    /// The result of a generation (`POST /v0/generations`).
    Generation,
    /// The result of an action (`POST /v0/action-results`).
    Action,
}

impl ControlKind {
    /// Its name in a database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Generation => "generation",
            Self::Action => "action",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Event, Self::Generation, Self::Action]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// The idempotency key (section 8): one id of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlKey {
    /// The owner.
    pub tenant_id: TenantId,
    /// What the id is of.
    pub kind: ControlKind,
    /// The id, 1 to 1,024 bytes without control characters.
    pub id: String,
}

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Under which key.
    pub key: ControlKey,
    /// The number of its commit: unique within the store, later commits of one process have higher ones.
    pub seq: u64,
    /// The room it was about.
    pub room_id: RoomId,
    /// The plan it made or closed.
    pub plan_id: Option<PlanId>,
    /// Digest of what was sent; another one under the same key is a conflict, which is for the caller to tell.
    pub body: Digest,
    /// What was answered, to be given again byte by byte.
    pub answer: String,
    /// When, by the caller's clock; kept to the microsecond.
    pub at: Timestamp,
}

/// The state of a room or of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The number of the commit that wrote it ([`Decided::seq`]). Never used again, also not after the row was removed.
    pub version: u64,
    /// The document.
    pub doc: String,
}

/// What one judgement needs, read at one point in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What was answered under this key before.
    pub prior: Option<Decided>,
    /// The state of the room; nothing where there is none, or none was asked for.
    pub room: Option<Versioned>,
    /// The state of the tenant.
    pub tenant: Option<Versioned>,
}

/// By which state was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There was none.
    Absent,
    /// This version of it.
    Version(u64),
    /// Whatever is there is replaced: for bringing back what a file tells, never for a judgement.
    Any,
}

impl Expect {
    /// By what was loaded.
    pub fn of(loaded: Option<&Versioned>) -> Self {
        loaded.map_or(Self::Absent, |found| Self::Version(found.version))
    }
}

/// A new state of a room or tenant, or the promise that it has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// By which state was judged.
    pub expected: Expect,
    /// What becomes of it.
    pub change: StateChange,
}

/// What becomes of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// It stays: only its version is held against what was judged by.
    Keep,
    /// It is this now.
    Put {
        /// The document.
        doc: String,
        /// From then on it means nothing any more, and may be forgotten.
        keep_until: Timestamp,
    },
    /// It is gone, which means the same as one that never was.
    Remove,
}

/// A line for the audit file, which must stand there before the answer leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditWrite {
    /// Whose file.
    pub replica: String,
    /// The line, without what chains it.
    pub line: String,
}

/// A line that its replica has not confirmed to be on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unaudited {
    /// The number of its commit.
    pub seq: u64,
    /// The line.
    pub line: String,
}

/// How far a replica is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Whose file.
    pub replica: String,
    /// Lines that are not confirmed.
    pub lines: u64,
}

/// How far the audit files of a replica had come when it said so last: whoever finds less has lost some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMark {
    /// The number of the last record on file.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// The folder that the files lie in, as an absolute path on the replica's machine.
    pub folder: String,
}

/// That the files of a replica have come further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noting {
    /// The mark that was there last, as far as the replica knows; nothing where there was none.
    pub before: Option<AuditMark>,
    /// The one from now on.
    pub now: AuditMark,
}

/// The mark of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Whose.
    pub replica: String,
    /// Its last one.
    pub mark: AuditMark,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ControlCounts {
    /// Answers.
    pub decided: u64,
    /// States of rooms and tenants.
    pub states: u64,
}

/// Everything that one answer makes true at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlCommit {
    /// Under which key it is kept.
    pub key: ControlKey,
    /// The room it is about; `room` is its state.
    pub room_id: RoomId,
    /// The plan it makes or closes.
    pub plan_id: Option<PlanId>,
    /// Digest of what was sent.
    pub body: Digest,
    /// What is answered.
    pub answer: String,
    /// When.
    pub at: Timestamp,
    /// Until when a result may name its plan, where one is waited for: until then its answer is not forgotten to make room
    /// for others. A store that keeps answers by their age keeps them longer than that anyway.
    pub needed_until: Option<Timestamp>,
    /// The state of the room; nothing where it was not judged by it.
    pub room: Option<StateWrite>,
    /// The state of the tenant; nothing where it was not judged by it.
    pub tenant: Option<StateWrite>,
    /// The audit line; nothing only where it is on file already.
    pub audit: Option<AuditWrite>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is true now. States it wrote have this number as their version.
    Committed {
        /// Its number, and that of its audit line.
        seq: u64,
    },
    /// Something was answered under this key before, and nothing was written.
    Exists(Box<Decided>),
    /// Somebody moved the room or the tenant, and nothing was written: load again, judge again.
    Stale,
}

/// The store of the control plane.
///
/// * `commit` is atomic, and as durable as the backend: what it returned survives a loss of power, except in memory.
///   After an error nothing of it is kept, but after [`Error::OutcomeUnknown`] it may be: load the key again.
/// * Of any number of commits under one key, from any number of processes, one is `Committed`; all others are `Exists`
///   with its answer. This is judged before `Stale`.
/// * A commit that expected a version is `Committed` only where that version was still the newest.
/// * Rows of two tenants never meet.
/// * No call blocks an async task; each ends within 30 s. [`Error::Unavailable`] passes: the same again may succeed.
/// * Times are the caller's; the store has no clock.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// What a judgement under this key, about this room, needs.
    ///
    /// # Errors
    /// As the trait says; so everywhere.
    async fn load(&self, key: &ControlKey, room: Option<&RoomId>) -> Result<Loaded, Error>;

    /// The event (kind [`ControlKind::Event`]) that made a plan.
    async fn plan(&self, tenant: &TenantId, plan: PlanId) -> Result<Option<Decided>, Error>;

    /// Makes everything in the commit true at once.
    async fn commit(&self, commit: ControlCommit) -> Result<Outcome, Error>;

    /// Lines of a replica that it has not confirmed, lowest number first, after this one; at most `limit`, which is taken
    /// as 1 where it is less, as 1,000 where it is more.
    async fn unaudited(
        &self,
        replica: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Unaudited>, Error>;

    /// Confirms that these lines are on file. By number and not "up to", because a commit with a lower number may become
    /// visible later than one with a higher. Numbers that are not there are passed over. With the replica's mark, where
    /// its files have come further: in the same transaction, in place of the one before. Whether it was done: where the
    /// mark is another than the replica knows, the database was put back to another state, and nothing is written.
    async fn audited(
        &self,
        replica: &str,
        seqs: &[u64],
        noting: Option<Noting>,
    ) -> Result<bool, Error>;

    /// The marks of all replicas, by name; 1,000 at most.
    async fn marks(&self) -> Result<Vec<Marked>, Error>;

    /// All replicas that have lines which are not confirmed, by name; 1,000 at most.
    async fn backlog(&self) -> Result<Vec<Backlog>, Error>;

    /// Forgets answers from before `decided_before`, and states whose `keep_until` is not after `now`; at most `limit` of
    /// each. Returns how many rows went: 0 once there is nothing left. Audit lines are never forgotten.
    async fn forget(
        &self,
        decided_before: Timestamp,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error>;

    /// How much is kept.
    async fn counts(&self) -> Result<ControlCounts, Error>;

    /// Whether it could be written now, as far as can be told without writing.
    async fn ready(&self) -> Result<(), Error>;

    /// The time by the clock of the database, where it has one of its own.
    async fn clock(&self) -> Result<Option<Timestamp>, Error> {
        Ok(None)
    }
}

/// Refuses what some backend could not keep, so that all refuse the same.
pub(crate) fn check(commit: &ControlCommit) -> Result<(), Error> {
    let id = &commit.key.id;
    if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
        let text = "an id must have 1 to 1,024 bytes without control characters";
        return Err(Error::Malformed(text.to_owned()));
    }
    let states = [&commit.room, &commit.tenant].into_iter().flatten();
    let docs = states.filter_map(|state| match &state.change {
        StateChange::Put { doc, .. } => Some(doc),
        StateChange::Keep | StateChange::Remove => None,
    });
    let audit = commit
        .audit
        .iter()
        .flat_map(|one| [&one.replica, &one.line]);
    if docs
        .chain(audit)
        .chain([&commit.answer])
        .any(|text| text.contains('\0'))
    {
        return Err(Error::Malformed("a text holds a NUL".to_owned()));
    }
    Ok(())
}

/// How many rows a page may have.
pub(crate) fn page(limit: u32) -> u32 {
    limit.clamp(1, 1000)
}
