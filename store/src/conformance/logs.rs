//! Output lines keep their order.

use std::sync::Arc;

use super::make::{at, commit, done, line, stored_request, task_row};
use crate::{Store, Write};

pub(super) async fn lines_are_numbered_within_their_request(store: Arc<dyn Store>) {
    let (one, two) = (
        stored_request(&*store, at(0)).await,
        stored_request(&*store, at(0)).await,
    );
    let task = task_row(one.request_id, at(0)).task_id;
    let line = |request, text: &str| line(request, task, text);
    let first = vec![
        line(one.request_id, "a"),
        line(two.request_id, "x"),
        line(one.request_id, "b"),
    ];
    done(store.commit(commit([Write::Logs(first)])).await);
    done(
        store
            .commit(commit([Write::Logs(vec![line(one.request_id, "c")])]))
            .await,
    );
    let rows = done(store.logs(one.request_id, 0, 10).await);
    let read: Vec<_> = rows.iter().map(|row| (row.id, row.line.as_str())).collect();
    assert_eq!(read, [(1, "a"), (2, "b"), (3, "c")]);
    assert_eq!(
        (rows[0].task_id, rows[0].attempt, rows[0].ts),
        (task, 1, at(1))
    );
    let rows = done(store.logs(one.request_id, 1, 1).await);
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2]);
    let rows = done(store.logs(two.request_id, 0, 10).await);
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1]);
}
