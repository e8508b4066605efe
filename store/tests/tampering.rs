//! Whoever edits the audit records behind the store's back is found and told where.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the impossible may panic"
)]

use std::path::Path;

use chiffon_common::{AuditEntry, AuditRecord, GENESIS};
use chiffon_store::{
    AuditSeal, Commit, Options, Report, Sqlite, Store, conformance::entry, verify_audit,
    verify_audit_against,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

/// A database with the records 1 to 12: six commits, each with one record of stream `a` (odd numbers)
/// and one of stream `b` (even numbers), and so six seals.
async fn database() -> (TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("a.db"), Options::default()).unwrap();
    for _ in 0..6 {
        let commit = Commit {
            audit: vec![entry("a"), entry("b")],
            ..Commit::default()
        };
        store.commit(commit).await.unwrap();
    }
    let report = verify_audit(&store).await.unwrap();
    assert_eq!((report.records, report.streams, report.seals), (12, 2, 6));
    assert_eq!(report.faults, []);
    (folder, store)
}

/// Tables whose rows are neither changed nor deleted.
const GUARDED: [&str; 4] = ["audit_log", "audit_numbers", "audit_seals", "event_numbers"];

/// The file, with every guard taken away.
fn unguarded(folder: &Path) -> Connection {
    let conn = Connection::open(folder.join("a.db")).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    for table in GUARDED {
        for kind in ["update", "delete"] {
            conn.execute_batch(&format!("DROP TRIGGER {table}_no_{kind}"))
                .unwrap();
        }
    }
    conn
}

/// What is found after this SQL was run.
async fn after(sql: &str) -> Report {
    let (folder, store) = database().await;
    unguarded(folder.path()).execute_batch(sql).unwrap();
    verify_audit(&store).await.unwrap()
}

/// The first number at which something is wrong, and something that is said of it.
#[track_caller]
fn assert_found(report: &Report, seq: u64, words: &str) {
    assert_eq!(report.first_bad_seq(), Some(seq), "{:?}", report.faults);
    let said = report
        .faults
        .iter()
        .any(|fault| fault.seq == seq && fault.what.contains(words));
    assert!(said, "{words:?} is not said: {:?}", report.faults);
}

#[tokio::test]
async fn the_guards_stand_until_they_are_taken_away() {
    let (folder, store) = database().await;
    let conn = Connection::open(folder.path().join("a.db")).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    for table in GUARDED {
        for sql in ["DELETE FROM {}", "UPDATE {} SET tenant_id = 'x'"] {
            let error = conn.execute_batch(&sql.replace("{}", table)).unwrap_err();
            assert!(error.to_string().contains("cannot be"), "{error}");
        }
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    unguarded(folder.path());
    let faults = store.check().await.unwrap();
    assert_eq!(faults.len(), 8, "{faults:?}");
    assert!(faults.contains(&"trigger audit_log_no_delete is missing".to_owned()));
}

#[tokio::test]
async fn an_edited_record_is_named() {
    let edit = "UPDATE audit_log SET entry = replace(entry, '\"ok\"', '\"failed\"')
                WHERE audit_id = (SELECT audit_id FROM audit_numbers WHERE seq = 5)";
    assert_found(&after(edit).await, 5, "record 5 was changed");
}

#[tokio::test]
async fn a_record_that_no_longer_reads_is_named() {
    let edit = "UPDATE audit_log SET entry = 'nonsense'
                WHERE audit_id = (SELECT audit_id FROM audit_numbers WHERE seq = 7)";
    let report = after(edit).await;
    assert_found(&report, 7, "audit record 7 cannot be read");
    assert_eq!(report.records, 11, "the rest is read");
}

#[tokio::test]
async fn a_record_rewritten_with_a_fitting_hash_breaks_its_stream_and_its_seal() {
    let (folder, store) = database().await;
    let record = store.audit_after(4, 1).await.unwrap().remove(0).record;
    let forged = AuditEntry {
        result: "failed".to_owned(),
        ..record.entry
    };
    let forged = AuditRecord::chain(forged, record.position, record.previous).unwrap();
    let json = serde_json::to_string(&forged.entry).unwrap();
    let sql = "UPDATE audit_log SET entry = ?1, hash = ?2 WHERE audit_id = ?3";
    let id = forged.entry.audit_id.to_string();
    let conn = unguarded(folder.path());
    conn.execute(sql, params![json, forged.hash, id]).unwrap();
    let report = verify_audit(&store).await.unwrap();
    assert_found(&report, 5, "seal 3 does not fit the records 5 to 6");
    assert!(
        report.faults.iter().any(|fault| fault.seq == 7),
        "the next of its stream"
    );
}

#[tokio::test]
async fn a_deleted_record_is_named() {
    let number = "DELETE FROM audit_numbers WHERE seq = 5";
    let record = "DELETE FROM audit_log
                  WHERE audit_id = (SELECT audit_id FROM audit_numbers WHERE seq = 5)";
    let gone = "records 5 to 5 are missing";
    assert_found(&after(number).await, 5, gone);
    assert_found(&after(record).await, 5, gone);
    assert_found(&after(&format!("{record}; {number}")).await, 5, gone);
}

#[tokio::test]
async fn records_in_another_order_are_named() {
    // Within a stream, and over two streams, which only the seals hold together.
    for (one, other) in [(3, 5), (5, 6)] {
        let swap = format!(
            "UPDATE audit_numbers SET seq = 1000 WHERE seq = {one};
             UPDATE audit_numbers SET seq = {one} WHERE seq = {other};
             UPDATE audit_numbers SET seq = {other} WHERE seq = 1000"
        );
        let report = after(&swap).await;
        assert_eq!(report.first_bad_seq(), Some(one), "{:?}", report.faults);
    }
}

#[tokio::test]
async fn a_cut_off_end_is_named() {
    let cut = "DELETE FROM audit_log WHERE audit_id IN
                   (SELECT audit_id FROM audit_numbers WHERE seq > 9);
               DELETE FROM audit_numbers WHERE seq > 9";
    assert_found(
        &after(cut).await,
        9,
        "seal 5 is over records 9 to 10, of which 1 are there",
    );
    let report = after("DELETE FROM audit_seals WHERE seal_no > 5").await;
    assert_found(&report, 11, "record 11 is under no seal");
    let report = after("DELETE FROM audit_seals WHERE seal_no = 2").await;
    assert_found(&report, 3, "seal 3 begins at 5, not at 3");
    let report = after("UPDATE audit_seals SET last_seq = 9 WHERE seal_no = 4").await;
    assert_found(&report, 7, "seal 4 was changed");
}

#[tokio::test]
async fn an_end_cut_off_with_all_its_traces_is_found_by_an_anchor() {
    let (folder, store) = database().await;
    let anchor = verify_audit(&store).await.unwrap().head.unwrap();
    let cut = "DELETE FROM audit_log WHERE audit_id IN
                   (SELECT audit_id FROM audit_numbers WHERE seq > 8);
               DELETE FROM audit_numbers WHERE seq > 8;
               DELETE FROM audit_seals WHERE first_seq > 8;";
    unguarded(folder.path()).execute_batch(cut).unwrap();
    assert_eq!(verify_audit(&store).await.unwrap().faults, []);
    let faults = store.check().await.unwrap();
    let heads = faults
        .iter()
        .filter(|fault| fault.contains("does not end as its head says"));
    assert_eq!(heads.count(), 2, "{faults:?}");
    let report = verify_audit_against(&store, &[anchor]).await.unwrap();
    assert_found(&report, 11, "anchored seal 6 is missing");
}

#[tokio::test]
async fn every_anchor_of_one_seal_is_held_whatever_was_noted_beside_it() {
    let (_folder, store) = database().await;
    let good = verify_audit(&store).await.unwrap().head.unwrap();
    let forged = AuditSeal {
        root: GENESIS.to_owned(),
        ..good.clone()
    };
    for anchors in [
        vec![forged.clone(), good.clone()],
        vec![good.clone(), forged.clone()],
        vec![good.clone(), forged, good.clone()],
    ] {
        let report = verify_audit_against(&store, &anchors).await.unwrap();
        assert_found(&report, 11, "seal 6 is not the one that was anchored");
    }
    let twice = [good.clone(), good];
    let report = verify_audit_against(&store, &twice).await.unwrap();
    assert_eq!(report.faults, []);
}

#[tokio::test]
async fn commits_during_the_walk_are_no_fault() {
    let (_folder, store) = database().await;
    let writing = async {
        for _ in 0..200 {
            let commit = Commit {
                audit: vec![entry("a")],
                ..Commit::default()
            };
            store.commit(commit).await.unwrap();
        }
    };
    let walking = async {
        for _ in 0..20 {
            assert_eq!(verify_audit(&store).await.unwrap().faults, []);
        }
    };
    tokio::join!(writing, walking);
}

#[tokio::test]
async fn an_edited_event_number_is_named() {
    let id = "(SELECT audit_id FROM audit_numbers WHERE seq = 5)";
    let edits = [
        (
            format!("DELETE FROM event_numbers WHERE audit_id = {id}"),
            "has no place",
        ),
        (
            format!("DELETE FROM event_numbers WHERE audit_id = {id}"),
            "event number 6 does not follow 4",
        ),
        (
            "UPDATE event_numbers SET last_event = 20 WHERE last_event = 12".to_owned(),
            "is not the events 12 to 20",
        ),
        (
            "UPDATE event_numbers SET last_event = 20, first_event = 20 WHERE last_event = 12"
                .to_owned(),
            "event number 20 does not follow 11",
        ),
    ];
    for (edit, words) in edits {
        let (folder, store) = database().await;
        unguarded(folder.path()).execute_batch(&edit).unwrap();
        let faults = store.check().await.unwrap();
        let said = faults.iter().any(|fault| fault.contains(words));
        assert!(said, "{words:?} is not said: {faults:?}");
        assert_eq!(verify_audit(&store).await.unwrap().faults, []);
    }
}
