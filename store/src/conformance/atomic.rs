//! A commit is true as a whole or not at all.

use std::sync::Arc;

use super::crowd::join_all;
use serde_json::json;

use super::make::{
    assert_conflict, assert_malformed, at, commit, done, entry, message, name, request_row,
    stored_request, task_row,
};
use crate::{
    Check, Commit, Expected, IdempotencyClaim, InboxKey, RequestRow, Store, TimerRow, Write,
};

/// A commit with something in every part.
fn full(row: &RequestRow) -> Commit {
    let timer = TimerRow {
        tenant_id: row.tenant_id.clone(),
        slice: format!("request:{}", row.request_id),
        name: "deadline".to_owned(),
        due_at: at(5),
    };
    let lease = Write::TakeLease {
        name: "host:nas".to_owned(),
        owner: "task:1".to_owned(),
        now: at(0),
        expires_at: None,
    };
    Commit {
        inbox: Some(InboxKey {
            consumer: "orchestrator.requests".to_owned(),
            message_id: super::make::message_id(),
            handled_at: at(0),
        }),
        idempotency: Some(IdempotencyClaim {
            key: "local:suite/1".to_owned(),
            body: chiffon_common::Digest::of_bytes(b"body"),
            answer: json!({"ok": true}),
            at: at(0),
        }),
        audit: vec![entry("request:1")],
        outbox: vec![message("agent.infrastructure", at(0))],
        ..commit([
            Write::Request(Expected::Absent, row.clone()),
            Write::SetTimer(timer),
            lease,
        ])
    }
}

/// Nothing of [`full`] is there, and it can be committed as if for the first time.
async fn assert_nothing_of(store: &dyn Store, again: Commit, row: &RequestRow) {
    assert_eq!(done(store.run(&row.tenant_id, row.request_id).await), None);
    assert_eq!(done(store.next_timer().await), None);
    let names = ["host:nas".to_owned()];
    assert_eq!(done(store.leases(&row.tenant_id, &names, at(0)).await), []);
    assert_eq!(done(store.audit_after(0, 10).await), []);
    assert_eq!(done(store.seals_after(0, 10).await), []);
    assert_eq!(
        done(store.claim_outbox("relay", at(9), at(10), 10).await),
        []
    );
    let receipt = done(store.commit(again).await);
    assert_eq!((receipt.audit_seqs, receipt.epochs), (vec![1], vec![1]));
}

pub(super) async fn a_refused_check_leaves_nothing(store: Arc<dyn Store>) {
    let row = request_row(at(0));
    let good = full(&row);
    let mut bad = good.clone();
    bad.checks.push(Check::Holds {
        name: "job:scribe".to_owned(),
        owner: "nobody".to_owned(),
        epoch: 1,
    });
    assert_conflict(store.commit(bad).await);
    assert_nothing_of(&*store, good, &row).await;
}

pub(super) async fn a_refused_write_leaves_nothing(store: Arc<dyn Store>) {
    let row = request_row(at(0));
    let good = full(&row);
    let mut bad = good.clone();
    let task = task_row(row.request_id, at(0));
    bad.writes
        .push(Write::Task(Expected::Version(7), task.clone()));
    assert_conflict(store.commit(bad.clone()).await);
    // The same where the very last part is what is refused.
    bad.writes.pop();
    bad.outbox.push(bad.outbox[0].clone());
    assert_conflict(store.commit(bad).await);
    assert_nothing_of(&*store, good, &row).await;
}

pub(super) async fn a_refused_commit_takes_no_other_with_it(store: Arc<dyn Store>) {
    let shared = stored_request(&*store, at(0)).await;
    let commits = (0..200).map(|number| {
        let store = store.clone();
        let mut bad = shared.clone();
        bad.state = "nonsense".to_owned();
        async move {
            let row = request_row(at(number));
            let mut all = commit([Write::Request(Expected::Absent, row.clone())]);
            all.audit.push(entry("request:1"));
            let refused = number % 5 == 0;
            if refused {
                all.writes.push(Write::Request(Expected::Version(1), bad));
            }
            let result = store.commit(all).await;
            assert_eq!(result.is_err(), refused, "{result:?}");
            let found = done(store.run(&row.tenant_id, row.request_id).await);
            assert_eq!(found.is_none(), refused);
        }
    });
    join_all(commits).await;
    let seqs: Vec<u64> = done(store.audit_after(0, 500).await)
        .iter()
        .map(|one| one.seq)
        .collect();
    assert_eq!(seqs, (1..=160).collect::<Vec<u64>>());
}

pub(super) async fn a_row_of_another_tenant_is_refused(store: Arc<dyn Store>) {
    let mut row = request_row(at(0));
    row.tenant_id = name("other");
    let write = Write::Request(Expected::Absent, row.clone());
    assert_malformed(store.commit(commit([write.clone()])).await);
    let theirs = Commit {
        tenant_id: row.tenant_id.clone(),
        ..commit([write])
    };
    done(store.commit(theirs).await);
    let found = done(store.run(&name("default"), row.request_id).await);
    assert_eq!(found, None, "a tenant reads its own rows only");
    let mut stolen = row;
    stolen.tenant_id = name("default");
    let write = Write::Request(Expected::Version(1), stolen);
    assert_conflict(store.commit(commit([write])).await);
}
