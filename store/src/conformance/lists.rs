//! Reading: runs as a whole, lists without misses, and what may be forgotten.

use std::{collections::BTreeSet, sync::Arc};

use chiffon_common::Digest;
use serde_json::json;

use super::make::{
    at, commit, decision_row, done, entry, message, message_id, name, request_row, stored_request,
    task_row,
};
use crate::{
    Commit, Expected, IdempotencyClaim, InboxKey, ListRequests, MetricRow, NewLogLine, RequestRow,
    Store, TimerRow, Write,
};

pub(super) async fn a_run_is_read_as_a_whole(store: Arc<dyn Store>) {
    let request = request_row(at(0));
    let id = request.request_id;
    let (second, first) = (task_row(id, at(2)), task_row(id, at(1)));
    let decision = decision_row(id, at(1));
    let timer = TimerRow {
        tenant_id: name("default"),
        slice: format!("request:{id}"),
        name: "deadline".to_owned(),
        due_at: at(9),
    };
    let lease = |host: &str, owner: String| Write::TakeLease {
        name: host.to_owned(),
        owner,
        now: at(3),
        expires_at: None,
    };
    let mut others = timer.clone();
    others.slice = "agent:infrastructure".to_owned();
    let writes = [
        Write::Request(Expected::Absent, request.clone()),
        Write::Task(Expected::Absent, second.clone()),
        Write::Task(Expected::Absent, first.clone()),
        Write::Decision(Expected::Absent, decision.clone()),
        Write::SetTimer(timer.clone()),
        Write::SetTimer(others),
        lease("host:nas", format!("task:{}", first.task_id)),
        lease("host:pi", "task:somebody".to_owned()),
    ];
    done(store.commit(commit(writes)).await);
    stored_request(&*store, at(1)).await;
    let run = done(store.run(&request.tenant_id, id).await);
    let run = run.expect("the request is there");
    assert_eq!(run.request, request);
    assert_eq!(run.plan, None);
    assert_eq!(run.tasks, [first.clone(), second]);
    assert_eq!(run.decisions, [decision]);
    assert_eq!(run.timers, [timer]);
    assert_eq!(run.leases.len(), 1);
    assert_eq!(run.leases[0].name, "host:nas");
    let found = done(store.request_of_task(first.task_id).await);
    assert_eq!(found, Some((request.tenant_id, id)));
}

/// Thirty requests, three to a second, some ended.
async fn thirty(store: &dyn Store) -> Vec<RequestRow> {
    let mut rows = Vec::new();
    for number in 0..30_i64 {
        let mut row = request_row(at(number / 3));
        row.project_id = name(["default", "lab"][usize::from(number % 2 == 1)]);
        row.room_id = name(["room", "kitchen"][usize::from(number % 4 == 1)]);
        if number % 5 == 0 {
            (row.state, row.ended) = ("completed".to_owned(), true);
        }
        done(
            store
                .commit(commit([Write::Request(Expected::Absent, row.clone())]))
                .await,
        );
        rows.push(row);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.request_id)));
    rows
}

/// Walks over the pages of a list; in the middle another request comes in.
async fn walk(store: &dyn Store, list: ListRequests) -> Vec<RequestRow> {
    let (mut list, mut found) = (list, Vec::new());
    loop {
        let page = done(store.requests(&name("default"), list.clone()).await);
        let Some(last) = page.last() else {
            return found;
        };
        assert!(page.len() <= list.limit as usize);
        list.after = Some((last.created_at, last.request_id));
        found.extend(page);
        stored_request(store, at(1000)).await;
    }
}

pub(super) async fn a_list_misses_and_repeats_nothing(store: Arc<dyn Store>) {
    let rows = thirty(&*store).await;
    let list = ListRequests {
        limit: 4,
        ..ListRequests::default()
    };
    assert_eq!(walk(&*store, list).await, rows);
}

pub(super) async fn a_list_can_be_narrowed(store: Arc<dyn Store>) {
    let rows = thirty(&*store).await;
    for choice in 0..16 {
        let chosen = |bit: u8| choice & (1 << bit) != 0;
        let list = ListRequests {
            project_id: chosen(0).then(|| name("lab")),
            room_id: chosen(1).then(|| name("kitchen")),
            state: chosen(2).then(|| "completed".to_owned()),
            open_only: chosen(3),
            after: Some((at(500), rows[0].request_id)),
            limit: 100,
        };
        let expected: Vec<_> = rows
            .iter()
            .filter(|row| {
                list.project_id
                    .as_ref()
                    .is_none_or(|one| row.project_id == *one)
            })
            .filter(|row| list.room_id.as_ref().is_none_or(|one| row.room_id == *one))
            .filter(|row| list.state.as_ref().is_none_or(|one| row.state == *one))
            .filter(|row| !list.open_only || !row.ended)
            .cloned()
            .collect();
        assert_eq!(expected.is_empty(), chosen(2) && chosen(3), "{list:?}");
        let found = done(store.requests(&name("default"), list.clone()).await);
        assert_eq!(found, expected, "{list:?}");
    }
    let list = ListRequests {
        limit: 100,
        ..ListRequests::default()
    };
    assert_eq!(done(store.requests(&name("other"), list).await), []);
}

pub(super) async fn what_takes_a_request_back_is_found_by_it(store: Arc<dyn Store>) {
    let original = stored_request(&*store, at(0)).await;
    let mut undos = Vec::new();
    for second in 1..4 {
        let mut row = request_row(at(second));
        row.doc = json!({ "undo_of": { "request": original.request_id } });
        done(
            store
                .commit(commit([Write::Request(Expected::Absent, row.clone())]))
                .await,
        );
        undos.insert(0, row);
    }
    let tenant = name("default");
    assert_eq!(
        done(store.undos_of(&tenant, original.request_id).await),
        undos
    );
    let undo = undos[0].request_id;
    assert_eq!(done(store.undos_of(&tenant, undo).await), []);
    let other = done(store.undos_of(&name("other"), original.request_id).await);
    assert_eq!(other, []);
}

pub(super) async fn tasks_and_requests_are_found_by_state(store: Arc<dyn Store>) {
    let rows = thirty(&*store).await;
    let found = done(store.requests_in(&["received", "running"], 100).await);
    let mut open: Vec<_> = rows.iter().filter(|row| !row.ended).cloned().collect();
    open.reverse();
    assert_eq!(found, open);
    let mut tasks: Vec<_> = (0..6)
        .map(|n| task_row(rows[0].request_id, at(n)))
        .collect();
    tasks[2].state = "unknown".to_owned();
    tasks[4].state = "dispatched".to_owned();
    tasks[4].agent_id = Some(name("desktop.pi"));
    tasks[4].attempt = 3;
    let writes = tasks
        .iter()
        .rev()
        .map(|task| Write::Task(Expected::Absent, task.clone()));
    done(store.commit(commit(writes)).await);
    let found = done(store.tasks_in(&["dispatched", "unknown"], 10).await);
    assert_eq!(found, [tasks[2].clone(), tasks[4].clone()]);
    let found = done(store.tasks_in(&["open"], 1).await);
    assert_eq!(found, tasks[..1]);
    assert_eq!(done(store.tasks_in(&[], 10).await), []);
}

/// Something of everything that grows, at this time.
fn grown(request: &RequestRow, seconds: i64) -> Commit {
    let line = NewLogLine {
        request_id: request.request_id,
        task_id: task_row(request.request_id, at(0)).task_id,
        attempt: 1,
        ts: at(seconds),
        line: "changed: [nas]".to_owned(),
    };
    let metric = MetricRow {
        tenant_id: name("default"),
        agent_id: name("infrastructure"),
        ts: at(seconds),
        doc: json!({"cpu": 0.5}),
    };
    Commit {
        inbox: Some(InboxKey {
            consumer: "q".to_owned(),
            message_id: message_id(),
            handled_at: at(seconds),
        }),
        idempotency: Some(IdempotencyClaim {
            key: format!("{}/{seconds}", request.request_id),
            body: Digest::of_bytes(b""),
            answer: json!(1),
            at: at(seconds),
        }),
        audit: vec![entry("request:1")],
        outbox: vec![message("q", at(seconds))],
        ..commit([Write::Logs(vec![line]), Write::Metric(metric)])
    }
}

pub(super) async fn forgetting_spares_what_is_needed(store: Arc<dyn Store>) {
    let (open, mut ended) = (
        stored_request(&*store, at(0)).await,
        stored_request(&*store, at(0)).await,
    );
    for seconds in [1, 100] {
        done(store.commit(grown(&open, seconds)).await);
        done(store.commit(grown(&ended, seconds)).await);
    }
    let claimed = done(store.claim_outbox("a", at(2), at(10), 100).await);
    assert_eq!(claimed.len(), 2);
    done(store.outbox_sent("a", &[claimed[0].message_id]).await);
    (ended.state, ended.ended) = ("completed".to_owned(), true);
    done(
        store
            .commit(commit([Write::Request(
                Expected::Version(1),
                ended.clone(),
            )]))
            .await,
    );
    // The old half: two inbox keys, two idempotency keys, two metrics, one sent message, and one line
    // of the request that has ended.
    assert_eq!(done(store.forget(at(50)).await), 8);
    assert_eq!(done(store.forget(at(50)).await), 0);
    assert_eq!(done(store.logs(open.request_id, 0, 10).await).len(), 2);
    let kept = done(store.logs(ended.request_id, 0, 10).await);
    assert_eq!(kept.iter().map(|row| row.ts).collect::<Vec<_>>(), [at(100)]);
    let waiting = done(store.claim_outbox("b", at(200), at(210), 100).await);
    let waiting: BTreeSet<_> = waiting.iter().map(|row| row.message_id).collect();
    assert_eq!(waiting.len(), 3);
    assert!(
        waiting.contains(&claimed[1].message_id),
        "not sent, so not forgotten"
    );
    assert_eq!(done(store.audit_after(0, 10).await).len(), 4);
    assert_eq!(done(crate::verify_audit(&*store).await).faults, []);
}
