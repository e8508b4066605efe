//! A file whose pages are damaged says so, whichever operation has met them, and also to whoever looks before any has.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the impossible may panic"
)]

use std::{
    fs::OpenOptions,
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use chiffon_store::{Commit, Error, Options, Sqlite, Store, conformance::entry};
use tempfile::TempDir;

const PAGE: u64 = 4096;

/// A database in which the first page of this table or index holds nothing that SQLite understands.
async fn damaged(name: &str) -> (TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Sqlite::open(&path, Options::default()).unwrap();
    let commit = Commit {
        audit: vec![entry("a")],
        ..Commit::default()
    };
    store.commit(commit).await.unwrap();
    store.look_at_pages().await.unwrap();
    assert_eq!(store.damage(), None);
    drop(store);
    overwrite(&path, name);
    let store = Sqlite::open(&path, Options::default()).unwrap();
    assert_eq!(store.damage(), None, "nobody has met it yet");
    (folder, store)
}

fn overwrite(path: &PathBuf, name: &str) {
    let root = root_of(path, name);
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((root - 1) * PAGE)).unwrap();
    file.write_all(&[0xa5; PAGE as usize]).unwrap();
}

fn root_of(path: &Path, name: &str) -> u64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    conn.query_row(sql, [name], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_any_operation_meets_is_known_from_then_on() {
    let (_folder, store) = damaged("audit_seals").await;
    let met = store.last_seal().await;
    assert!(matches!(met, Err(Error::Corrupt(_))), "{met:?}");
    let told = store.damage().unwrap();
    assert!(told.contains("damaged"), "{told}");
    // What lies elsewhere is still read, and takes nothing back.
    assert_eq!(store.next_timer().await.unwrap(), None);
    assert_eq!(store.damage(), Some(told));
}

#[tokio::test]
async fn what_a_commit_meets_is_known_too() {
    let (_folder, store) = damaged("audit_seals").await;
    let commit = Commit {
        audit: vec![entry("a")],
        ..Commit::default()
    };
    let met = store.commit(commit).await;
    assert!(matches!(met, Err(Error::Corrupt(_))), "{met:?}");
    assert!(store.damage().is_some());
}

#[tokio::test]
async fn what_nothing_has_met_is_found_by_whoever_reads_all_pages() {
    let (_folder, store) = damaged("idempotency_keys_by_age").await;
    let found = store.look_at_pages().await;
    assert!(matches!(found, Err(Error::Corrupt(_))), "{found:?}");
    assert!(store.damage().is_some());
}
