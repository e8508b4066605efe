//! The ledger's outbox and batches are numbered without holes.

use std::sync::Arc;

use serde_json::json;

use super::{
    crowd::join_all,
    make::{assert_conflict, assert_malformed, at, commit, done, name, request_id},
};
use crate::{LedgerBatchRow, LedgerEntryRow, Store, Write};

fn entry(number: i64) -> LedgerEntryRow {
    LedgerEntryRow {
        tenant_id: name("default"),
        entry_no: 0,
        request_id: request_id(),
        shares_commit: number % 2 == 0,
        created_at: at(number),
        doc: json!({"number": number}),
    }
}

fn batch(number: u64, first: u64, last: u64) -> LedgerBatchRow {
    LedgerBatchRow {
        tenant_id: name("default"),
        batch_no: number,
        first_entry: first,
        last_entry: last,
        time: at(100),
        parent: None,
        commit: None,
        signer: None,
    }
}

async fn put(store: &dyn Store, rows: impl IntoIterator<Item = LedgerEntryRow>) {
    let writes = rows.into_iter().map(Write::LedgerEntry);
    done(store.commit(commit(writes)).await);
}

pub(super) async fn entries_are_numbered_without_holes(store: Arc<dyn Store>) {
    join_all((0..20).map(|number| {
        let store = store.clone();
        async move { put(&*store, [entry(number), entry(number)]).await }
    }))
    .await;
    let rows = done(store.ledger_entries(&name("default"), 0, 100).await);
    let numbers: Vec<u64> = rows.iter().map(|row| row.entry_no).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
    let rows = done(store.ledger_entries(&name("default"), 38, 1).await);
    assert_eq!(rows[0].entry_no, 39);
    assert_eq!(done(store.ledger_entries(&name("other"), 0, 9).await), []);
}

pub(super) async fn a_batch_follows_the_last_one(store: Arc<dyn Store>) {
    let write = async |row: LedgerBatchRow| store.commit(commit([Write::LedgerBatch(row)])).await;
    put(&*store, (0..5).map(entry)).await;
    assert_eq!(done(store.last_ledger_batch(&name("default")).await), None);
    assert_conflict(write(batch(2, 1, 2)).await);
    assert_conflict(write(batch(1, 2, 3)).await);
    assert_malformed(write(batch(1, 1, 6)).await);
    done(write(batch(1, 1, 3)).await);
    // Decided once; another decision under the same number is refused.
    assert_conflict(write(batch(1, 1, 2)).await);
    let mut written = batch(1, 1, 3);
    written.commit = Some("abc".to_owned());
    done(write(written.clone()).await);
    done(write(written.clone()).await);
    let mut other = written.clone();
    other.commit = Some("def".to_owned());
    assert_conflict(write(other).await);
    let mut second = batch(2, 4, 5);
    second.parent = written.commit.clone();
    done(write(second.clone()).await);
    assert_eq!(
        done(store.last_ledger_batch(&name("default")).await),
        Some(second.clone())
    );
    let all = done(store.ledger_batches(&name("default"), 0, 10).await);
    assert_eq!(all, [written, second.clone()]);
    assert_eq!(
        done(store.ledger_batches(&name("default"), 1, 10).await),
        [second]
    );
}

pub(super) async fn a_request_finds_its_ledger_commit(store: Arc<dyn Store>) {
    let entries: Vec<_> = (0..3).map(entry).collect();
    put(&*store, entries.clone()).await;
    let mut row = batch(1, 1, 2);
    done(
        store
            .commit(commit([Write::LedgerBatch(row.clone())]))
            .await,
    );
    let commit_of =
        async |number: usize| done(store.ledger_commit(entries[number].request_id).await);
    assert_eq!(commit_of(0).await, None, "decided is not written");
    row.commit = Some("abc".to_owned());
    done(store.commit(commit([Write::LedgerBatch(row)])).await);
    assert_eq!(commit_of(0).await.as_deref(), Some("abc"));
    assert_eq!(commit_of(1).await.as_deref(), Some("abc"));
    assert_eq!(commit_of(2).await, None);
    let tenant = name("default");
    let entry = done(store.ledger_entry(&tenant, entries[1].request_id).await);
    assert_eq!(entry.map(|entry| entry.entry_no), Some(2));
    let other = name("other");
    let of_other = store.ledger_entry(&other, entries[1].request_id).await;
    assert_eq!(done(of_other), None);
}
