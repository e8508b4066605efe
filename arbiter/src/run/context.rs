//! What comes in with an event: the time, the limits and rules, a freeze, and fresh ids.

use chiffon_common::{Digest, Frozen};
use jiff::Timestamp;
use uuid::Uuid;

use super::RunPolicy;

/// What the shell passes in beside the event.
#[derive(Debug)]
pub struct Context<'a> {
    /// The orchestrator's clock.
    pub now: Timestamp,
    /// Limits.
    pub policy: &'a RunPolicy,
    /// Digest of the rules in force, these limits among them.
    pub rules: Digest,
    /// A person's word that nothing is to be started, while it stands.
    pub frozen: Option<&'a Frozen>,
    /// Fresh ids, minted by the shell.
    pub ids: Ids,
}

/// Fresh ids. Minted outside, so that replaying the same event gives the same slice.
#[derive(Debug, Clone)]
pub struct Ids {
    pool: Vec<Uuid>,
    minted: Vec<Uuid>,
}

impl Ids {
    /// From a pool of fresh UUIDs; the shell gives as many as the event may need, at least one.
    pub fn new(pool: Vec<Uuid>) -> Self {
        let minted = Vec::new();
        Self { pool, minted }
    }

    /// The ids that an earlier move minted, in its order: the same move mints them again.
    pub fn again(minted: &[Uuid]) -> Self {
        Self::new(minted.iter().rev().copied().collect())
    }

    pub(super) fn next(&mut self) -> Uuid {
        // A pool that was too small must not stop a move: the rest is derived from how many there were.
        let number = self.minted.len() as u64 + 1;
        let next = self
            .pool
            .pop()
            .unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes()));
        self.minted.push(next);
        next
    }

    /// Those that were used, in order.
    pub(super) fn minted(self) -> Vec<Uuid> {
        self.minted
    }
}
