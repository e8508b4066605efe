//! Jobs that one orchestrator does at a time (DESIGN section 7): by a lease with a fence, which whoever has it renews while it
//! lives. Where no other process can be at the same database there is no lease, and every job is this process's.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chiffon_store::{Check, Commit, Error, Write};
use jiff::{SignedDuration, Timestamp};

use super::Shared;

/// How long a job stays with an orchestrator of which nothing is heard any more. Clocks of orchestrators may differ by less.
const FOR: SignedDuration = SignedDuration::from_secs(15);

/// When it is renewed: with so much left, two renewals may fail.
const RENEWED_WITH: SignedDuration = SignedDuration::from_secs(10);

/// A job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Post {
    /// Writes the ledger.
    Scribe,
    /// Pushes ledger and audit heads to the remote.
    Anchors,
    /// Has schedules ask.
    Schedules,
    /// Forgets what is old.
    Retention,
}

impl Post {
    const ALL: [Self; 4] = [
        Self::Scribe,
        Self::Anchors,
        Self::Schedules,
        Self::Retention,
    ];

    fn lease(self) -> String {
        let job = match self {
            Self::Scribe => "scribe",
            Self::Anchors => "anchors",
            Self::Schedules => "schedules",
            Self::Retention => "retention",
        };
        format!("job:{job}")
    }
}

/// The jobs that this orchestrator has, each with its fence and until when.
#[derive(Debug, Default)]
pub(crate) struct Posts(Mutex<BTreeMap<Post, (u64, Timestamp)>>);

impl Posts {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<Post, (u64, Timestamp)>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// Whether other orchestrators may be at the same database.
    pub(super) fn is_shared(&self) -> bool {
        self.store.wakes().is_some()
    }

    /// Takes a job, or keeps it; whether it is this orchestrator's now.
    pub(super) async fn has_post(&self, post: Post) -> Result<bool, Error> {
        if !self.is_shared() {
            return Ok(true);
        }
        let now = self.clock.now();
        let is_ours = |(_, until): &(u64, Timestamp)| until.duration_since(now) >= RENEWED_WITH;
        if self
            .posts
            .with(|posts| posts.get(&post).is_some_and(is_ours))
        {
            return Ok(true);
        }
        let until = now.checked_add(FOR).unwrap_or(now);
        let write = Write::TakeLease {
            name: post.lease(),
            owner: self.owner.clone(),
            now,
            expires_at: Some(until),
        };
        match self.commit(self.of_posts(vec![write])).await {
            Ok(receipt) => {
                let epoch = receipt.epochs.first().copied().unwrap_or_default();
                let before = self.posts.with(|posts| posts.insert(post, (epoch, until)));
                if before.is_none() {
                    tracing::info!(?post, epoch, "this orchestrator has the job now");
                }
                Ok(true)
            }
            Err(Error::LeaseHeld { .. }) => {
                self.lost_post(post);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// It is somebody else's, or not known to be this orchestrator's.
    pub(super) fn lost_post(&self, post: Post) {
        if self.posts.with(|posts| posts.remove(&post)).is_some() {
            tracing::info!(?post, "this orchestrator has the job no more");
        }
    }

    /// What a commit of this job must find true: nobody else has taken it since.
    pub(super) fn fence(&self, post: Post) -> Vec<Check> {
        let held = self.posts.with(|posts| posts.get(&post).copied());
        let check = |(epoch, _)| Check::Holds {
            name: post.lease(),
            owner: self.owner.clone(),
            epoch,
        };
        held.map(check).into_iter().collect()
    }

    /// Gives all jobs back, so that nobody waits for them to run out.
    pub(crate) async fn leave_posts(&self) {
        let held = self.posts.with(std::mem::take);
        let given = Post::ALL.into_iter().filter(|post| held.contains_key(post));
        let release = |post: Post| Write::ReleaseLease {
            name: post.lease(),
            owner: self.owner.clone(),
        };
        let writes: Vec<Write> = given.map(release).collect();
        if writes.is_empty() {
            return;
        }
        if let Err(error) = self.commit(self.of_posts(writes)).await {
            tracing::debug!(%error, "jobs could not be given back; they run out");
        }
    }

    fn of_posts(&self, writes: Vec<Write>) -> Commit {
        Commit {
            tenant_id: self.settings.tenant.clone(),
            writes,
            ..Commit::default()
        }
    }
}
