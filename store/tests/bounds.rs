//! Nobody waits for ever: what a caller is told when another program holds the database.

use std::sync::Arc;

use chiffon_store::{
    Error, Expected, Options, RequestRow, Sqlite, Store, Write,
    conformance::{at, commit, request_row},
};
use rusqlite::Connection;
use tokio::task::yield_now;

async fn put(store: Arc<Sqlite>, row: RequestRow) -> Result<(), Error> {
    let all = commit([Write::Request(Expected::Absent, row)]);
    store.commit(all).await.map(drop)
}

// Paused: as soon as all tasks wait, the 30 s are over.
#[tokio::test(start_paused = true)]
async fn a_commit_that_waits_too_long_is_never_written_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = Arc::new(Sqlite::open(&path, Options::default()).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let [first, late] = [request_row(at(0)), request_row(at(0))];
    let tenant = first.tenant_id.clone();
    // The first is either taken by the writer, which stands before the lock, or given up as well.
    let taken = tokio::spawn(put(store.clone(), first.clone()));
    yield_now().await;
    let told = taken.await.unwrap();
    assert!(
        matches!(told, Err(Error::OutcomeUnknown(_) | Error::Unavailable(_))),
        "{told:?}"
    );
    let mut given_up = Vec::new();
    for row in [late, request_row(at(0)), request_row(at(0))] {
        if let Err(Error::Unavailable(_)) = put(store.clone(), row.clone()).await {
            given_up.push(row.request_id);
        }
    }
    assert!(
        !given_up.is_empty(),
        "the writer can have taken one group only"
    );
    other.execute_batch("ROLLBACK").unwrap();
    tokio::time::resume();
    let last = request_row(at(0));
    put(store.clone(), last.clone()).await.unwrap();
    for id in given_up {
        assert_eq!(
            store.run(&tenant, id).await.unwrap(),
            None,
            "given up and yet written"
        );
    }
    assert!(store.run(&tenant, last.request_id).await.unwrap().is_some());
}
