//! Audit lines stay until their replica says that they are on file.

use std::sync::Arc;

use chiffon_common::Digest;

use super::{control_commit, control_key, done, line, put, written};
use crate::{
    AuditMark, Backlog, ControlCommit, ControlKind, ControlStore, Expect, Marked, Noting, Outcome,
    Unaudited, conformance::at,
};

/// Writes a line; its number.
async fn say(store: &Arc<dyn ControlStore>, replica: &str, text: &str) -> u64 {
    let said = written(store, |commit| ControlCommit {
        audit: Some(line(replica, text)),
        ..commit
    });
    said.await
}

fn waiting(lines: &[(u64, &str)]) -> Vec<Unaudited> {
    let lines = lines.iter().map(|(seq, text)| Unaudited {
        seq: *seq,
        line: (*text).to_owned(),
    });
    lines.collect()
}

pub(super) async fn a_line_waits_until_it_is_confirmed(store: Arc<dyn ControlStore>) {
    let first = say(&store, "here", "one \u{1F980} \"'\n").await;
    let second = say(&store, "here", "two").await;
    let third = say(&store, "here", "three").await;
    let all = [
        (first, "one \u{1F980} \"'\n"),
        (second, "two"),
        (third, "three"),
    ];
    assert_eq!(done(store.unaudited("here", 0, 10).await), waiting(&all));
    let after = done(store.unaudited("here", first, 10).await);
    assert_eq!(after, waiting(&all[1..]));
    // The one in the middle, twice, with numbers that are not there.
    for _ in 0..2 {
        done(
            store
                .audited("here", &[second, second, third + 1000], None)
                .await,
        );
        let left = [all[0], all[2]];
        assert_eq!(done(store.unaudited("here", 0, 10).await), waiting(&left));
    }
    done(store.audited("here", &[], None).await);
    done(store.audited("here", &[third, first], None).await);
    assert_eq!(done(store.unaudited("here", 0, 10).await), []);
    assert_eq!(done(store.backlog().await), []);
}

pub(super) async fn lines_of_two_replicas_never_meet(store: Arc<dyn ControlStore>) {
    // A name that begins with another one.
    let mine = say(&store, "a", "mine").await;
    let theirs = say(&store, "a1", "theirs").await;
    let more = say(&store, "a1", "more").await;
    assert_eq!(
        done(store.unaudited("a", 0, 10).await),
        waiting(&[(mine, "mine")])
    );
    done(store.audited("a", &[theirs, more], None).await);
    let left = waiting(&[(theirs, "theirs"), (more, "more")]);
    assert_eq!(done(store.unaudited("a1", 0, 10).await), left);
    let behind = |replica: &str, lines| Backlog {
        replica: replica.to_owned(),
        lines,
    };
    let all = [behind("a", 1), behind("a1", 2)];
    assert_eq!(done(store.backlog().await), all);
}

pub(super) async fn what_was_refused_leaves_no_line(store: Arc<dyn ControlStore>) {
    let key = control_key(ControlKind::Event);
    let commit = |text: &str| ControlCommit {
        audit: Some(line("here", text)),
        ..control_commit(&key)
    };
    let first = super::committed(store.commit(commit("first")).await);
    let again = done(store.commit(commit("again")).await);
    assert!(matches!(again, Outcome::Exists(_)), "{again:?}");
    let other = ControlCommit {
        audit: Some(line("here", "stale")),
        room: Some(put(Expect::Version(first), "x")),
        ..control_commit(&control_key(ControlKind::Event))
    };
    assert_eq!(done(store.commit(other).await), Outcome::Stale);
    let left = waiting(&[(first, "first")]);
    assert_eq!(done(store.unaudited("here", 0, 10).await), left);
}

pub(super) async fn a_page_of_lines_has_a_bound(store: Arc<dyn ControlStore>) {
    for number in 0..5 {
        say(&store, "here", &number.to_string()).await;
    }
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = done(store.unaudited("here", after, 2).await);
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = last.seq;
        found.extend(page.into_iter().map(|one| one.line));
    }
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    assert_eq!(done(store.unaudited("here", 0, 0).await).len(), 1);
    assert_eq!(done(store.unaudited("here", 0, u32::MAX).await).len(), 5);
}

pub(super) async fn a_line_stays_when_its_answer_is_forgotten(store: Arc<dyn ControlStore>) {
    let seq = say(&store, "here", "one").await;
    assert_eq!(done(store.forget(at(1), at(1), 10).await), 1);
    let left = waiting(&[(seq, "one")]);
    assert_eq!(done(store.unaudited("here", 0, 10).await), left);
}

pub(super) async fn a_mark_stays_until_its_replica_sets_the_next(store: Arc<dyn ControlStore>) {
    let mark = |seq: u64| AuditMark {
        seq,
        hash: Digest::of_bytes(&seq.to_be_bytes()),
        folder: "/a folder/\u{1F980}".to_owned(),
    };
    let marked = |replica: &str, seq| Marked {
        replica: replica.to_owned(),
        mark: mark(seq),
    };
    let note = |before: Option<u64>, now| {
        Some(Noting {
            before: before.map(mark),
            now: mark(now),
        })
    };
    assert_eq!(done(store.marks().await), []);
    let seq = say(&store, "b", "one").await;
    // One that knows another mark than there is confirms nothing.
    assert!(!done(store.audited("b", &[seq], note(Some(2), 7)).await));
    assert_eq!(done(store.marks().await), []);
    assert_eq!(done(store.unaudited("b", 0, 10).await).len(), 1);
    assert!(done(store.audited("b", &[seq], note(None, 7)).await));
    assert_eq!(done(store.unaudited("b", 0, 10).await), []);
    assert!(done(store.audited("a", &[], note(None, 3)).await));
    assert!(done(store.audited("a", &[seq], None).await));
    let both = [marked("a", 3), marked("b", 7)];
    assert_eq!(done(store.marks().await), both);
    for stale in [None, Some(6), Some(9)] {
        assert!(!done(store.audited("b", &[], note(stale, 9)).await));
        assert_eq!(done(store.marks().await), both);
    }
    assert!(done(store.audited("b", &[], note(Some(7), 9)).await));
    let both = [marked("a", 3), marked("b", 9)];
    assert_eq!(done(store.marks().await), both);
    // It is of the files, and no answer's.
    done(store.forget(at(1), at(1), 10).await);
    assert_eq!(done(store.marks().await), both);
}
