//! Many at once.

use std::{future::Future, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;

use super::make::{at, commit, done, entry, request_row, stored_request, task_row};
use crate::{Commit, Expected, ListRequests, Store, Write, verify_audit};

/// Runs all at the same time, on all threads; their outcomes in order.
pub(super) async fn join_all<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let mut all = JoinSet::new();
    for (number, future) in futures.into_iter().enumerate() {
        all.spawn(async move { (number, future.await) });
    }
    let mut outcomes = all.join_all().await;
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

pub(super) async fn readers_and_writers_never_meet_a_lock(store: Arc<dyn Store>) {
    const WRITERS: u64 = 8;
    const COMMITS: u64 = 40;
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut row = stored_request(&*store, at(0)).await;
            for version in 1..=COMMITS {
                row.doc = json!({"version": version});
                let change = Commit {
                    audit: vec![entry(&format!("request:{writer}"))],
                    ..commit([Write::Request(Expected::Version(version), row.clone())])
                };
                done(store.commit(change).await);
                // What was acknowledged is seen at once.
                let run = done(store.run(&row.tenant_id, row.request_id).await);
                assert_eq!(run.map(|run| run.request.version), Some(version + 1));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let readers = (0..8).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..COMMITS {
                let list = ListRequests {
                    limit: 10,
                    ..ListRequests::default()
                };
                done(
                    store
                        .requests(&crate::conformance::commit([]).tenant_id, list)
                        .await,
                );
                done(store.audit_after(0, 50).await);
            }
        }
    });
    join_all(readers).await;
    for writer in writers {
        writer.await.expect("no writer failed");
    }
    let report = done(verify_audit(&*store).await);
    assert_eq!(report.faults, []);
    assert_eq!(report.records, WRITERS * COMMITS);
}

pub(super) async fn a_reader_sees_whole_commits_only(store: Arc<dyn Store>) {
    let request = request_row(at(0));
    let task = task_row(request.request_id, at(0));
    let both = |expected, number: u32| {
        let (mut request, mut task) = (request.clone(), task.clone());
        (request.doc, task.doc) = (json!(number), json!(number));
        commit([
            Write::Request(expected, request),
            Write::Task(expected, task),
        ])
    };
    done(store.commit(both(Expected::Absent, 0)).await);
    let writing = async {
        for number in 1..100_u32 {
            let expected = Expected::Version(u64::from(number));
            done(store.commit(both(expected, number)).await);
        }
    };
    let reading = async {
        for _ in 0..200 {
            let run = done(store.run(&request.tenant_id, request.request_id).await);
            let run = run.expect("the request is there");
            assert_eq!(run.request.doc, run.tasks[0].doc);
            assert_eq!(run.request.version, run.tasks[0].version);
        }
    };
    tokio::join!(writing, reading);
}

pub(super) async fn a_sound_store_finds_no_fault(store: Arc<dyn Store>) {
    let row = stored_request(&*store, at(0)).await;
    let records = Commit {
        audit: vec![entry("request:1"), entry("request:1")],
        ..commit([Write::Task(
            Expected::Absent,
            task_row(row.request_id, at(0)),
        )])
    };
    done(store.commit(records).await);
    assert_eq!(done(store.check().await), Vec::<String>::new());
}
