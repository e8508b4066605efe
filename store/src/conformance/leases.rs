//! A lease has one owner, and an owner that lost it is found out.

use std::sync::Arc;

use jiff::Timestamp;

use super::make::{assert_conflict, at, commit, done, name};
use crate::{Check, Commit, Error, Receipt, Store, Write};

async fn take(
    store: &dyn Store,
    owner: &str,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<u64, Error> {
    let write = Write::TakeLease {
        name: "host:nas".to_owned(),
        owner: owner.to_owned(),
        now,
        expires_at,
    };
    let Receipt { epochs, .. } = store.commit(commit([write])).await?;
    assert_eq!(epochs.len(), 1);
    Ok(epochs[0])
}

async fn release(store: &dyn Store, owner: &str) {
    let write = Write::ReleaseLease {
        name: "host:nas".to_owned(),
        owner: owner.to_owned(),
    };
    done(store.commit(commit([write])).await);
}

async fn check(store: &dyn Store, check: Check) -> Result<Receipt, Error> {
    let commit = Commit {
        checks: vec![check],
        ..Commit::default()
    };
    store.commit(commit).await
}

fn holds(owner: &str, epoch: u64) -> Check {
    Check::Holds {
        name: "host:nas".to_owned(),
        owner: owner.to_owned(),
        epoch,
    }
}

fn free(owner: &str, now: Timestamp) -> Check {
    Check::Free {
        name: "host:nas".to_owned(),
        owner: owner.to_owned(),
        now,
    }
}

#[track_caller]
fn assert_held<T: std::fmt::Debug>(result: Result<T, Error>, by: &str) {
    match result {
        Err(Error::LeaseHeld { name, owner, .. }) => {
            assert_eq!((name.as_str(), owner.as_str()), ("host:nas", by));
        }
        other => panic!("{other:?}: the lease is not held"),
    }
}

pub(super) async fn a_lease_has_one_owner_at_a_time(store: Arc<dyn Store>) {
    assert_eq!(done(take(&*store, "task:a", at(0), None).await), 1);
    let other = take(&*store, "task:b", at(1000), None).await;
    match other {
        Err(Error::LeaseHeld { since, .. }) => assert_eq!(since, at(0)),
        other => panic!("{other:?}"),
    }
    // A renewal is no change of hands.
    assert_eq!(done(take(&*store, "task:a", at(5), Some(at(50))).await), 1);
    let names = ["host:nas".to_owned(), "host:pi".to_owned()];
    let leases = done(store.leases(&name("default"), &names, at(6)).await);
    assert_eq!(leases.len(), 1);
    let lease = &leases[0];
    assert_eq!((lease.owner.as_str(), lease.epoch), ("task:a", 1));
    assert_eq!((lease.since, lease.expires_at), (at(0), Some(at(50))));
}

pub(super) async fn an_epoch_rises_when_a_lease_changes_hands(store: Arc<dyn Store>) {
    assert_eq!(done(take(&*store, "task:a", at(0), None).await), 1);
    release(&*store, "task:b").await;
    assert_held(take(&*store, "task:b", at(1), None).await, "task:a");
    release(&*store, "task:a").await;
    let names = ["host:nas".to_owned()];
    assert_eq!(
        done(store.leases(&name("default"), &names, at(1)).await),
        []
    );
    assert_eq!(done(take(&*store, "task:b", at(1), None).await), 2);
    release(&*store, "task:b").await;
    assert_eq!(done(take(&*store, "task:a", at(2), None).await), 3);
}

pub(super) async fn a_lease_that_ran_out_may_be_taken(store: Arc<dyn Store>) {
    assert_eq!(done(take(&*store, "job:a", at(0), Some(at(30))).await), 1);
    assert_held(take(&*store, "job:b", at(29), Some(at(60))).await, "job:a");
    let names = ["host:nas".to_owned()];
    assert_eq!(
        done(store.leases(&name("default"), &names, at(30)).await),
        []
    );
    // Nobody took it: the owner that comes late still has it.
    assert_eq!(done(take(&*store, "job:a", at(35), Some(at(60))).await), 1);
    assert_eq!(done(take(&*store, "job:b", at(60), Some(at(90))).await), 2);
    assert_held(take(&*store, "job:a", at(61), None).await, "job:b");
}

pub(super) async fn a_stale_owner_is_fenced_off(store: Arc<dyn Store>) {
    assert_conflict(check(&*store, holds("job:a", 1)).await);
    done(take(&*store, "job:a", at(0), Some(at(30))).await);
    done(check(&*store, holds("job:a", 1)).await);
    assert_conflict(check(&*store, holds("job:a", 2)).await);
    assert_conflict(check(&*store, holds("job:b", 1)).await);
    done(take(&*store, "job:b", at(31), Some(at(60))).await);
    assert_conflict(check(&*store, holds("job:a", 1)).await);
    done(take(&*store, "job:a", at(61), Some(at(90))).await);
    // The same owner again, but what it began under its first epoch is over.
    assert_conflict(check(&*store, holds("job:a", 1)).await);
    done(check(&*store, holds("job:a", 3)).await);
    release(&*store, "job:a").await;
    assert_conflict(check(&*store, holds("job:a", 3)).await);
}

pub(super) async fn free_looks_and_takes_nothing(store: Arc<dyn Store>) {
    done(check(&*store, free("task:a", at(0))).await);
    done(check(&*store, free("task:b", at(0))).await);
    done(take(&*store, "task:a", at(0), Some(at(30))).await);
    done(check(&*store, free("task:a", at(1))).await);
    assert_held(check(&*store, free("task:b", at(29))).await, "task:a");
    done(check(&*store, free("task:b", at(30))).await);
}
