//! The end of old history: what has ended and is recorded goes as a whole, everything else stays.

use std::{collections::BTreeSet, sync::Arc};

use chiffon_common::Digest;
use jiff::Timestamp;
use serde_json::json;

use super::make::{
    assert_conflict, at, commit, decision_row, done, entry, line, name, plan_id, plan_row, stored,
    stored_request, task_row,
};
use crate::{
    Commit, EventRow, Expected, LedgerBatchRow, LedgerEntryRow, MetricRow, RequestRow, RunEventRow,
    Store, StreamSource, Write,
};

/// A request with a row of each kind.
async fn full_request(store: &dyn Store, created: Timestamp) -> RequestRow {
    let request = stored_request(store, created).await;
    let id = request.request_id;
    let mut task = task_row(id, created);
    (task.state, task.ended) = ("completed".to_owned(), true);
    let event = EventRow {
        tenant_id: name("default"),
        event_id: name(&format!("event:{id}")),
        body: Digest::of_bytes(b"event"),
        request_id: Some(id),
        created_at: created,
        event: json!({}),
        plan: json!({}),
    };
    let writes = [
        Write::Task(Expected::Absent, task.clone()),
        Write::Decision(Expected::Absent, decision_row(id, created)),
        Write::Plan(plan_row(id, plan_id(), created)),
        Write::Event(event),
        Write::Logs(vec![line(id, task.task_id, "changed: [nas]")]),
        Write::RunEvent(RunEventRow {
            tenant_id: name("default"),
            request_id: id,
            version: 1,
            policy: Digest::of_bytes(b"policy"),
            policy_doc: Some(json!({})),
            doc: json!({}),
        }),
    ];
    let filled = Commit {
        audit: vec![entry(&format!("request:{id}"))],
        ..commit(writes)
    };
    done(store.commit(filled).await);
    request
}

fn ended(request: &RequestRow, at: Timestamp) -> Write {
    let row = RequestRow {
        state: "completed".to_owned(),
        ended: true,
        updated_at: at,
        ..request.clone()
    };
    Write::Request(Expected::Version(1), row)
}

fn ledger_entry(request: &RequestRow) -> Write {
    Write::LedgerEntry(LedgerEntryRow {
        tenant_id: name("default"),
        entry_no: 0,
        request_id: request.request_id,
        shares_commit: false,
        created_at: at(0),
        doc: json!({}),
    })
}

fn batch(number: u64, commit: Option<&str>) -> Write {
    Write::LedgerBatch(LedgerBatchRow {
        tenant_id: name("default"),
        batch_no: number,
        first_entry: number,
        last_entry: number,
        time: at(0),
        parent: None,
        commit: commit.map(str::to_owned),
        signer: None,
    })
}

pub(super) async fn an_old_request_is_forgotten_whole(store: Arc<dyn Store>) {
    let tenant = name("default");
    let old = full_request(&*store, at(0)).await;
    let kept = full_request(&*store, at(0)).await;
    stored(&*store, [ended(&old, at(10)), ended(&kept, at(20))]).await;
    let before = done(store.stream_after(0, 100).await);
    let found = done(store.forgettable(&tenant, at(15), 10).await);
    assert_eq!(found, [old.request_id]);
    stored(&*store, [Write::ForgetRequest(old.request_id)]).await;
    assert_eq!(done(store.run(&tenant, old.request_id).await), None);
    let event = |row: &RequestRow| name(&format!("event:{}", row.request_id));
    assert_eq!(done(store.event(&tenant, &event(&old)).await), None);
    assert_eq!(done(store.logs(old.request_id, 0, 9).await), []);
    assert_eq!(done(store.run_events(&tenant, old.request_id).await), []);
    assert_eq!(
        done(store.run_events(&tenant, kept.request_id).await).len(),
        1
    );
    let left = done(store.run(&tenant, kept.request_id).await).map(|run| run.tasks.len());
    assert_eq!(left, Some(1));
    assert!(done(store.event(&tenant, &event(&kept)).await).is_some());
    assert_eq!(done(store.logs(kept.request_id, 0, 9).await).len(), 1);
    // Neither the chain nor the numbers of the event stream know a hole.
    assert_eq!(done(crate::verify_audit(&*store).await).faults, []);
    let after = done(store.stream_after(0, 100).await);
    let numbers = |rows: &[crate::StreamRow]| rows.iter().map(|row| row.last).collect::<Vec<_>>();
    assert_eq!(numbers(&before), numbers(&after));
    let forgotten = |row: &&crate::StreamRow| {
        matches!(&row.source, StreamSource::Lines { request_id, lines, .. }
            if *request_id == old.request_id && lines.is_empty())
    };
    assert_eq!(after.iter().filter(forgotten).count(), 1);
    assert_conflict(
        store
            .commit(commit([Write::ForgetRequest(old.request_id)]))
            .await,
    );
    assert_eq!(done(store.check().await), Vec::<String>::new());
}

pub(super) async fn what_is_open_or_not_recorded_is_not_forgotten(store: Arc<dyn Store>) {
    let tenant = name("default");
    let open = full_request(&*store, at(0)).await;
    let refused = |request: &RequestRow| commit([Write::ForgetRequest(request.request_id)]);
    assert_conflict(store.commit(refused(&open)).await);
    let late = full_request(&*store, at(0)).await;
    stored(&*store, [ended(&late, at(1)), ledger_entry(&late)]).await;
    let forgettable = async || done(store.forgettable(&tenant, at(100), 10).await);
    for recorded in [None, Some(batch(1, None))] {
        stored(&*store, recorded).await;
        assert_eq!(forgettable().await, []);
        assert_conflict(store.commit(refused(&late)).await);
    }
    stored(&*store, [batch(1, Some("abc"))]).await;
    assert_eq!(forgettable().await, [late.request_id]);
    // A second entry that is not written holds it again.
    stored(&*store, [ledger_entry(&late)]).await;
    assert_eq!(forgettable().await, []);
    stored(&*store, [batch(2, None), batch(2, Some("def"))]).await;
    let of_others = Commit {
        tenant_id: name("other"),
        ..refused(&late)
    };
    assert_conflict(store.commit(of_others).await);
    done(store.commit(refused(&late)).await);
    assert!(done(store.run(&tenant, open.request_id).await).is_some());
    assert_eq!(done(store.ledger_entries(&tenant, 0, 9).await).len(), 2);
}

pub(super) async fn metrics_are_thinned_to_the_first_of_each_step(store: Arc<dyn Store>) {
    let metric = |agent: &str, seconds: i64| {
        Write::Metric(MetricRow {
            tenant_id: name("default"),
            agent_id: name(agent),
            ts: at(seconds),
            doc: json!({}),
        })
    };
    // The suite's beginning is 40 s into a minute: it has two reports of its own minute, then one every 5 s.
    let every = (0..120).step_by(5).map(|seconds| metric("a", seconds));
    stored(
        &*store,
        every.chain([metric("b", 3), metric("b", 3), metric("b", 90)]),
    )
    .await;
    let thin = async |from, to| done(store.thin_metrics(at(from), at(to), 60).await);
    let minutes: BTreeSet<i64> = (0..120)
        .step_by(5)
        .map(|s| at(s).as_second() / 60)
        .collect();
    let gone = thin(0, 200).await;
    assert_eq!(gone, 24 - minutes.len() as u64 + 1);
    assert_eq!(thin(0, 200).await, 0);
    // What is left goes by age as ever.
    assert_eq!(done(store.forget(at(1000)).await), minutes.len() as u64 + 2);
}
