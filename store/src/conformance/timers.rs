//! A timer fires once.

use std::sync::Arc;

use super::{
    crowd::join_all,
    make::{assert_conflict, at, commit, done, name},
};
use crate::{Store, TimerRow, Write};

fn timer(slice: &str, timer: &str, due: i64) -> TimerRow {
    TimerRow {
        tenant_id: name("default"),
        slice: slice.to_owned(),
        name: timer.to_owned(),
        due_at: at(due),
    }
}

pub(super) async fn a_timer_is_set_moved_and_cleared(store: Arc<dyn Store>) {
    assert_eq!(done(store.next_timer().await), None);
    let (late, early) = (
        timer("request:1", "deadline", 20),
        timer("request:2", "ack", 10),
    );
    let set = [late.clone(), early.clone()].map(Write::SetTimer);
    done(store.commit(commit(set)).await);
    assert_eq!(done(store.next_timer().await), Some(at(10)));
    assert_eq!(done(store.due_timers(at(9), 10).await), []);
    let due = done(store.due_timers(at(10), 10).await);
    assert_eq!(due.first(), Some(&early));
    assert_eq!(due.len(), 1);
    let both = [early.clone(), late.clone()];
    assert_eq!(done(store.due_timers(at(30), 10).await), both);
    assert_eq!(done(store.due_timers(at(30), 1).await), [early]);
    let moved = timer("request:2", "ack", 25);
    done(store.commit(commit([Write::SetTimer(moved.clone())])).await);
    let both = [late, moved];
    assert_eq!(done(store.due_timers(at(30), 10).await), both);
    let clear = |slice: &str| Write::ClearTimer {
        slice: slice.to_owned(),
        name: "ack".to_owned(),
    };
    // The second is not there, which is no harm.
    let clears = [clear("request:2"), clear("request:2")];
    done(store.commit(commit(clears)).await);
    assert_eq!(done(store.next_timer().await), Some(at(20)));
}

pub(super) async fn a_due_timer_is_taken_once(store: Arc<dyn Store>) {
    let due = timer("request:1", "deadline", 20);
    done(store.commit(commit([Write::SetTimer(due.clone())])).await);
    let takes = (0..10).map(|_| {
        let (store, due) = (store.clone(), due.clone());
        async move { store.commit(commit([Write::TakeTimer(due)])).await }
    });
    let results = join_all(takes).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    results
        .into_iter()
        .filter(Result::is_err)
        .for_each(assert_conflict);
    // Moved meanwhile: no longer due at that time.
    done(
        store
            .commit(commit([Write::SetTimer(timer(
                "request:1",
                "deadline",
                40,
            ))]))
            .await,
    );
    assert_conflict(store.commit(commit([Write::TakeTimer(due)])).await);
    assert_eq!(done(store.next_timer().await), Some(at(40)));
}
