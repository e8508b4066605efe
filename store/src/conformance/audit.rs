//! Audit records are chained, numbered without holes, sealed, and never written over.

use std::sync::Arc;

use chiffon_common::{AuditEntry, Digest, GENESIS, MoveRecord, Subject};
use serde_json::json;

use super::{
    crowd::join_all,
    make::{assert_conflict, at, done, entry, message},
};
use crate::{Commit, Store, verify_audit};

fn recording(entries: Vec<AuditEntry>) -> Commit {
    Commit {
        audit: entries,
        ..Commit::default()
    }
}

async fn assert_sound(store: &dyn Store, records: u64, streams: u64) {
    let report = done(verify_audit(store).await);
    assert_eq!(report.faults, []);
    assert_eq!((report.records, report.streams), (records, streams));
}

pub(super) async fn records_are_chained_in_their_stream(store: Arc<dyn Store>) {
    let first = done(
        store
            .commit(recording(vec![entry("request:1"), entry("request:2")]))
            .await,
    );
    assert_eq!(first.audit_seqs, [1, 2]);
    let second = done(store.commit(recording(vec![entry("request:1")])).await);
    assert_eq!(second.audit_seqs, [3]);
    let stream = done(store.audit_stream("request:1").await);
    let places: Vec<_> = stream
        .iter()
        .map(|one| (one.seq, one.record.position))
        .collect();
    assert_eq!(places, [(1, 0), (3, 1)]);
    assert_eq!(stream[0].record.previous, GENESIS);
    assert_eq!(stream[1].record.previous, stream[0].record.hash);
    let last = done(store.last_of_stream("request:1").await);
    assert_eq!(last.as_ref(), stream.last());
    assert_eq!(done(store.last_of_stream("request:9").await), None);
    assert_eq!(done(store.audit_after(1, 1).await)[0].seq, 2);
    assert_sound(&*store, 3, 2).await;
}

/// A chain in which every record is whole, and in which a request moved without one.
pub(super) async fn a_start_that_no_record_led_to_is_found(store: Arc<dyn Store>) {
    let told = |stream: &str, moves: &[(&str, Option<&str>, &str)]| {
        let mut entry = entry(stream);
        entry.slice = Digest::of_value(&json!(1)).ok();
        let moved = |(kind, from, to): &(&str, Option<&str>, &str)| MoveRecord {
            subject: Subject {
                kind: (*kind).to_owned(),
                id: format!("{kind} of {stream}"),
            },
            from: from.map(str::to_owned),
            to: (*to).to_owned(),
            because: String::new(),
        };
        entry.moves = moves.iter().map(moved).collect();
        entry
    };
    let asks = ("request", None, "awaiting_approval");
    let task = ("task", None, "waiting");
    let start = ("task", Some("waiting"), "dispatched");
    let runs = ("request", Some("awaiting_approval"), "running");
    let sound = [
        told("request:1", &[asks]),
        told("request:1", &[runs, task]),
        told("request:1", &[start]),
    ];
    done(store.commit(recording(sound.into())).await);
    assert_sound(&*store, 3, 1).await;
    let forged = [
        told("request:2", &[asks, task]),
        told("request:2", &[start]),
        told("request:3", &[asks]),
        told("request:3", &[("request", Some("running"), "completed")]),
    ];
    done(store.commit(recording(forged.into())).await);
    let report = done(verify_audit(&*store).await);
    let found: Vec<u64> = report.faults.iter().map(|fault| fault.seq).collect();
    assert_eq!(found, [5, 7], "{:?}", report.faults);
}

/// Every record is whole, and the last ones fit the rows: what was edited shows where the rows changed hands.
pub(super) async fn an_edit_between_two_records_is_found(store: Arc<dyn Store>) {
    let rows = |of: u64| Digest::of_value(&json!(of)).ok();
    let told = |stream: &str, before, after| {
        let mut entry = entry(stream);
        (entry.slice_before, entry.slice) = (before, after);
        entry
    };
    let sound = [
        told("request:1", None, rows(1)),
        told("request:1", rows(1), rows(2)),
        // Of before: it says nothing of what it found.
        told("request:1", None, rows(3)),
        told("request:1", rows(3), rows(3)),
        // Nothing was left, so nothing is held against what comes after.
        told("request:1", rows(3), None),
        told("request:1", rows(7), rows(7)),
    ];
    done(store.commit(recording(sound.into())).await);
    assert_sound(&*store, 6, 1).await;
    let edited = [
        told("request:2", None, rows(1)),
        told("request:1", rows(7), rows(8)),
        told("request:2", rows(2), rows(3)),
        told("request:2", rows(3), rows(4)),
    ];
    done(store.commit(recording(edited.into())).await);
    let report = done(verify_audit(&*store).await);
    let found: Vec<u64> = report.faults.iter().map(|fault| fault.seq).collect();
    assert_eq!(found, [9], "{:?}", report.faults);
    let what = &report.faults[0].what;
    assert!(
        what.contains("request 2") && what.contains("record 7 and record 9"),
        "{what}"
    );
}

pub(super) async fn numbers_have_no_holes_under_concurrent_commits(store: Arc<dyn Store>) {
    let claimed = message("q", at(0));
    let commits = (0..100).map(|number| {
        let (store, claimed) = (store.clone(), claimed.clone());
        async move {
            let stream = format!("request:{}", number % 7);
            let mut one = recording(vec![entry(&stream), entry("default/a/2026-11-20")]);
            // One of these is kept; the others are refused after their records were written.
            if number % 3 == 0 {
                one.outbox.push(claimed);
            }
            store.commit(one).await
        }
    });
    let results = join_all(commits).await;
    let kept: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
    assert_eq!(kept.len(), 67, "66 without the message, one with it");
    let mut told: Vec<u64> = kept.into_iter().flat_map(|one| one.audit_seqs).collect();
    if !told.is_empty() {
        told.sort_unstable();
        assert_eq!(told, (1..=134).collect::<Vec<u64>>());
    }
    assert_sound(&*store, 134, 8).await;
}

pub(super) async fn a_record_is_given_back_as_it_was_chained(store: Arc<dyn Store>) {
    let entry = entry("request:1");
    done(store.commit(recording(vec![entry.clone()])).await);
    let found = done(store.audit_after(0, 10).await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record.entry, entry);
    assert!(found[0].record.is_intact());
}

pub(super) async fn an_audit_record_cannot_be_written_twice(store: Arc<dyn Store>) {
    let one = entry("request:1");
    done(store.commit(recording(vec![one.clone()])).await);
    assert_conflict(store.commit(recording(vec![one])).await);
    assert_sound(&*store, 1, 1).await;
}
