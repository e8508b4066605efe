//! The freeze: read back, changed from its version, and held against by whoever would start something.

use std::sync::Arc;

use chiffon_common::Frozen;

use super::make::{assert_conflict, assert_malformed, at, commit, done, name, request_row, stored};
use crate::{Check, Commit, Expected, FreezeRow, Store, Write};

fn frozen(version: u64) -> FreezeRow {
    FreezeRow {
        tenant_id: name("default"),
        version,
        frozen: Some(Frozen {
            by: "local:anna".to_owned(),
            since: at(3),
            reason: "backup".to_owned(),
        }),
    }
}

fn thawed(version: u64) -> FreezeRow {
    FreezeRow {
        frozen: None,
        ..frozen(version)
    }
}

async fn holds(store: &dyn Store, version: u64) -> bool {
    let commit = Commit {
        checks: vec![Check::Freeze { version }],
        ..Commit::default()
    };
    match store.commit(commit).await {
        Ok(_) => true,
        refused => {
            assert_conflict(refused);
            false
        }
    }
}

pub(super) async fn a_freeze_is_read_back_and_changes_from_its_version(store: Arc<dyn Store>) {
    let tenant = name("default");
    assert_eq!(done(store.freeze(&tenant).await), None);
    stored(&*store, [Write::Freeze(Expected::Absent, frozen(1))]).await;
    assert_eq!(done(store.freeze(&tenant).await), Some(frozen(1)));
    let again = Write::Freeze(Expected::Absent, frozen(1));
    assert_conflict(store.commit(commit([again])).await);
    stored(&*store, [Write::Freeze(Expected::Version(1), thawed(2))]).await;
    assert_eq!(done(store.freeze(&tenant).await), Some(thawed(2)));
    let stale = Write::Freeze(Expected::Version(1), frozen(2));
    assert_conflict(store.commit(commit([stale])).await);
    let theirs = FreezeRow {
        tenant_id: name("other"),
        ..frozen(3)
    };
    let write = Write::Freeze(Expected::Version(2), theirs);
    assert_malformed(store.commit(commit([write])).await);
    assert_eq!(done(store.freeze(&name("other")).await), None);
}

pub(super) async fn whoever_judged_before_a_freeze_is_told_so(store: Arc<dyn Store>) {
    assert!(holds(&*store, 0).await && !holds(&*store, 1).await);
    stored(&*store, [Write::Freeze(Expected::Absent, frozen(1))]).await;
    assert!(!holds(&*store, 0).await && holds(&*store, 1).await);
    // Frozen and thawed in between is not the same as never frozen.
    stored(&*store, [Write::Freeze(Expected::Version(1), thawed(2))]).await;
    assert!(!holds(&*store, 0).await && !holds(&*store, 1).await && holds(&*store, 2).await);
    let row = request_row(at(0));
    stored(&*store, [Write::Request(Expected::Absent, row.clone())]).await;
    let found = done(store.run(&row.tenant_id, row.request_id).await);
    assert_eq!(found.and_then(|run| run.freeze), Some(thawed(2)));
}
