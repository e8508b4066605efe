//! What is to be sent is claimed by one relay at a time, and lost by none.

use std::{collections::BTreeSet, sync::Arc};

use chiffon_common::MessageId;

use super::{
    crowd::join_all,
    make::{assert_conflict, at, done, message},
};
use crate::{Commit, OutboxRow, Store};

async fn put(store: &dyn Store, rows: Vec<OutboxRow>) {
    let commit = Commit {
        outbox: rows,
        ..Commit::default()
    };
    done(store.commit(commit).await);
}

async fn claim(store: &dyn Store, owner: &str, now: i64, until: i64) -> Vec<MessageId> {
    let rows = done(store.claim_outbox(owner, at(now), at(until), 100).await);
    rows.into_iter().map(|row| row.message_id).collect()
}

pub(super) async fn a_claimed_row_is_claimed_by_nobody_else(store: Arc<dyn Store>) {
    let mut row = message("agent.infrastructure", at(0));
    row.body = vec![0, 255, 7];
    row.not_after = Some(at(1000));
    put(&*store, vec![row.clone()]).await;
    let twice = Commit {
        outbox: vec![row.clone()],
        ..Commit::default()
    };
    assert_conflict(store.commit(twice).await);
    let claimed = done(store.claim_outbox("a", at(1), at(30), 10).await);
    row.tries = 1;
    assert_eq!(claimed, [row]);
    assert_eq!(claim(&*store, "b", 2, 30).await, []);
    assert_eq!(claim(&*store, "a", 2, 30).await, []);
}

pub(super) async fn a_claim_that_ran_out_is_claimed_again(store: Arc<dyn Store>) {
    let row = message("q", at(0));
    put(&*store, vec![row.clone()]).await;
    assert_eq!(claim(&*store, "a", 1, 30).await, [row.message_id]);
    assert_eq!(claim(&*store, "b", 29, 60).await, []);
    let again = done(store.claim_outbox("b", at(30), at(60), 10).await);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].tries, 2);
}

pub(super) async fn a_sent_row_is_never_claimed_again(store: Arc<dyn Store>) {
    let rows = vec![message("q", at(0)), message("q", at(0))];
    let ids: Vec<_> = rows.iter().map(|row| row.message_id).collect();
    put(&*store, rows).await;
    assert_eq!(claim(&*store, "a", 1, 30).await, ids);
    done(store.outbox_sent("a", &ids[..1]).await);
    done(store.outbox_sent("a", &ids[..1]).await);
    assert_eq!(claim(&*store, "b", 100, 130).await, &ids[1..]);
}

pub(super) async fn a_released_row_waits_for_its_time(store: Arc<dyn Store>) {
    let row = message("q", at(10));
    let id = row.message_id;
    put(&*store, vec![row]).await;
    assert_eq!(claim(&*store, "a", 9, 30).await, []);
    assert_eq!(claim(&*store, "a", 10, 30).await, [id]);
    done(store.outbox_release("a", &[id], at(20)).await);
    assert_eq!(claim(&*store, "b", 19, 30).await, []);
    assert_eq!(claim(&*store, "b", 20, 30).await, [id]);
}

pub(super) async fn rows_come_in_the_order_of_their_commits(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for number in 0..20 {
        // Later commits are due earlier, and their ids need not rise.
        let rows = vec![message("q", at(50 - number)), message("q", at(50 - number))];
        ids.extend(rows.iter().map(|row| row.message_id));
        put(&*store, rows).await;
    }
    let first = done(store.claim_outbox("a", at(60), at(90), 15).await);
    let first: Vec<_> = first.into_iter().map(|row| row.message_id).collect();
    assert_eq!(first, &ids[..15]);
    assert_eq!(claim(&*store, "b", 60, 90).await, &ids[15..]);
}

pub(super) async fn a_row_past_its_end_is_given_up(store: Arc<dyn Store>) {
    let mut rows = vec![
        message("q", at(0)),
        message("q", at(0)),
        message("q", at(0)),
    ];
    rows[0].not_after = Some(at(10));
    rows[1].not_after = Some(at(40));
    let ids: Vec<_> = rows.iter().map(|row| row.message_id).collect();
    put(&*store, rows).await;
    assert_eq!(claim(&*store, "a", 10, 30).await, &ids[1..]);
    // Ended while claimed: the claimer may still tell that it was sent, else it is given up.
    assert_eq!(claim(&*store, "b", 45, 60).await, &ids[2..]);
    assert_eq!(claim(&*store, "b", 100, 130).await, &ids[2..]);
}

pub(super) async fn a_stale_claimer_changes_nothing(store: Arc<dyn Store>) {
    let row = message("q", at(0));
    let id = row.message_id;
    put(&*store, vec![row]).await;
    claim(&*store, "a", 1, 30).await;
    assert_eq!(claim(&*store, "b", 31, 60).await, [id]);
    done(store.outbox_release("a", &[id], at(32)).await);
    assert_eq!(claim(&*store, "c", 33, 60).await, [], "b still has it");
    done(store.outbox_sent("a", &[id]).await);
    assert_eq!(
        claim(&*store, "c", 61, 90).await,
        [id],
        "b never said that it was sent"
    );
}

pub(super) async fn two_claimers_lose_none_of_ten_thousand_rows(store: Arc<dyn Store>) {
    const ROWS: usize = 10_000;
    let mut all = BTreeSet::new();
    for _ in 0..ROWS / 500 {
        let rows: Vec<_> = (0..500).map(|_| message("q", at(0))).collect();
        all.extend(rows.iter().map(|row| row.message_id));
        put(&*store, rows).await;
    }
    let relays = ["a", "b"].map(|owner| {
        let store = store.clone();
        async move {
            let mut sent = Vec::new();
            loop {
                let rows = done(store.claim_outbox(owner, at(1), at(60), 73).await);
                if rows.is_empty() {
                    return sent;
                }
                let ids: Vec<_> = rows.into_iter().map(|row| row.message_id).collect();
                done(store.outbox_sent(owner, &ids).await);
                sent.extend(ids);
            }
        }
    });
    let sent: Vec<MessageId> = join_all(relays).await.into_iter().flatten().collect();
    assert_eq!(sent.len(), ROWS, "none twice");
    assert_eq!(sent.into_iter().collect::<BTreeSet<_>>(), all, "none lost");
    assert_eq!(claim(&*store, "a", 1000, 1060).await, []);
}
