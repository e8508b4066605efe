//! One id, one answer.

use std::{collections::BTreeMap, sync::Arc};

use chiffon_common::Digest;

use super::{
    super::crowd::join_all, committed, control_commit, control_key, done, line, name, plan_id, put,
    room, seen,
};
use crate::{
    ControlCommit, ControlKey, ControlKind, ControlStore, Decided, Error, Expect, Outcome,
    conformance::at,
};

/// Everything of a commit that is kept under its key.
fn decided(commit: &ControlCommit, seq: u64) -> Decided {
    Decided {
        key: commit.key.clone(),
        seq,
        room_id: commit.room_id.clone(),
        plan_id: commit.plan_id,
        body: commit.body,
        answer: commit.answer.clone(),
        at: commit.at,
    }
}

pub(super) async fn of_many_answers_to_one_id_one_is_kept(store: Arc<dyn ControlStore>) {
    let key = control_key(ControlKind::Event);
    let all = (0..40).map(|_| {
        let (store, commit) = (store.clone(), control_commit(&key));
        async move { (commit.answer.clone(), done(store.commit(commit).await)) }
    });
    let outcomes = join_all(all).await;
    let winners: Vec<&String> = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Committed { .. }))
        .map(|(answer, _)| answer)
        .collect();
    let [winner] = winners.as_slice() else {
        panic!("{} answers were kept", winners.len());
    };
    for (_, outcome) in &outcomes {
        if let Outcome::Exists(found) = outcome {
            assert_eq!(&&found.answer, winner);
        }
    }
    let existing = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Exists(_)));
    assert_eq!(existing.count(), 39);
    let kept = done(store.load(&key, None).await).prior;
    assert_eq!(kept.map(|found| found.answer).as_ref(), Some(*winner));
}

pub(super) async fn an_id_of_another_kind_or_tenant_is_another_one(store: Arc<dyn ControlStore>) {
    let first = control_key(ControlKind::Event);
    let keys = [
        first.clone(),
        ControlKey {
            kind: ControlKind::Generation,
            ..first.clone()
        },
        ControlKey {
            kind: ControlKind::Action,
            ..first.clone()
        },
        ControlKey {
            tenant_id: name("other"),
            ..first.clone()
        },
        ControlKey {
            id: first.id.to_uppercase() + "x",
            ..first.clone()
        },
    ];
    for key in &keys {
        assert_eq!(done(store.load(key, None).await).prior, None, "{key:?}");
        let commit = control_commit(key);
        let seq = committed(store.commit(commit.clone()).await);
        let found = done(store.load(key, None).await).prior;
        assert_eq!(found, Some(decided(&commit, seq)));
    }
}

pub(super) async fn an_answer_is_given_back_byte_by_byte(store: Arc<dyn ControlStore>) {
    let answers = [
        String::new(),
        " {\"b\":1,  \"a\":0.10}\n".to_owned(),
        "\u{1F980} e\u{301} \u{e9} \\u0000 \u{7f} ' \" ; -- %s $1 \\".to_owned(),
        "x".repeat(1 << 20),
    ];
    for answer in answers {
        let key = ControlKey {
            id: "\u{1F980} '; DROP TABLE decided; --".repeat(20)
                + &control_key(ControlKind::Event).id,
            ..control_key(ControlKind::Event)
        };
        let commit = ControlCommit {
            answer,
            body: Digest::of_bytes(b"sent"),
            plan_id: Some(plan_id()),
            at: at(5) + jiff::SignedDuration::from_micros(123_457),
            ..control_commit(&key)
        };
        let seq = committed(store.commit(commit.clone()).await);
        let kept = decided(&commit, seq);
        assert_eq!(
            done(store.load(&key, None).await).prior.as_ref(),
            Some(&kept)
        );
        let again = done(store.commit(control_commit(&key)).await);
        assert_eq!(again, Outcome::Exists(Box::new(kept)));
    }
}

pub(super) async fn an_answer_comes_before_a_moved_state(store: Arc<dyn ControlStore>) {
    let key = control_key(ControlKind::Event);
    let with = |expected, doc: &str| ControlCommit {
        room: Some(put(expected, doc)),
        ..control_commit(&key)
    };
    let first = with(Expect::Absent, "one");
    let seq = committed(store.commit(first.clone()).await);
    let again = done(store.commit(with(Expect::Absent, "two")).await);
    assert_eq!(again, Outcome::Exists(Box::new(decided(&first, seq))));
    assert_eq!(
        seen(&*store).await.room.map(|room| room.doc),
        Some("one".to_owned())
    );
}

pub(super) async fn a_plan_leads_to_its_event(store: Arc<dyn ControlStore>) {
    let (plan, tenant) = (plan_id(), chiffon_common::TenantId::default());
    assert_eq!(done(store.plan(&tenant, plan).await), None);
    let event = ControlCommit {
        plan_id: Some(plan),
        ..control_commit(&control_key(ControlKind::Event))
    };
    // A result names the plan too, and is not what made it.
    let result = ControlCommit {
        plan_id: Some(plan),
        ..control_commit(&control_key(ControlKind::Generation))
    };
    committed(store.commit(result).await);
    assert_eq!(done(store.plan(&tenant, plan).await), None);
    let seq = committed(store.commit(event.clone()).await);
    let found = done(store.plan(&tenant, plan).await);
    assert_eq!(found, Some(decided(&event, seq)));
    assert_eq!(done(store.plan(&name("other"), plan).await), None);
    assert_eq!(done(store.plan(&tenant, plan_id()).await), None);
}

pub(super) async fn what_no_store_could_keep_is_refused(store: Arc<dyn ControlStore>) {
    let key = control_key(ControlKind::Event);
    let id = |id: &str| {
        control_commit(&ControlKey {
            id: id.to_owned(),
            ..key.clone()
        })
    };
    let commit = || control_commit(&key);
    let refused = [
        id(""),
        id("a\0b"),
        id("a\nb"),
        id(&"x".repeat(1025)),
        ControlCommit {
            answer: "a\0b".to_owned(),
            ..commit()
        },
        ControlCommit {
            room: Some(put(Expect::Absent, "\0")),
            ..commit()
        },
        ControlCommit {
            tenant: Some(put(Expect::Absent, "\0")),
            ..commit()
        },
        ControlCommit {
            audit: Some(line("here", "\0")),
            ..commit()
        },
    ];
    for commit in refused {
        let told = store.commit(commit).await;
        assert!(matches!(told, Err(Error::Malformed(_))), "{told:?}");
    }
    assert_eq!(done(store.counts().await), crate::ControlCounts::default());
    assert_eq!(done(store.backlog().await), []);
    committed(store.commit(id(&"x".repeat(1024))).await);
    done(store.ready().await);
    // The database of a test is on this machine.
    if let Some(clock) = done(store.clock().await) {
        let apart = clock.duration_since(jiff::Timestamp::now()).abs();
        assert!(apart < jiff::SignedDuration::from_secs(60), "{apart}");
    }
}

pub(super) async fn later_answers_have_higher_numbers(store: Arc<dyn ControlStore>) {
    let mut last = 0;
    for _ in 0..20 {
        let key = control_key(ControlKind::Event);
        let seq = committed(store.commit(control_commit(&key)).await);
        assert!(seq > last, "{seq} came after {last}");
        last = seq;
        done(store.commit(control_commit(&key)).await);
    }
}

pub(super) async fn a_storm_of_repeated_ids_is_answered_once_each(store: Arc<dyn ControlStore>) {
    const IDS: u64 = 25;
    const SENDERS: u64 = 8;
    let keys: Vec<ControlKey> = (0..IDS).map(|_| control_key(ControlKind::Event)).collect();
    let senders = (0..SENDERS).map(|sender| {
        let (store, keys) = (store.clone(), keys.clone());
        async move {
            let mut told = BTreeMap::new();
            for number in 0..IDS {
                // Each in another order.
                let place = (number * (2 * sender + 3) + sender) % IDS;
                let Some(key) = keys.get(place as usize) else {
                    continue;
                };
                let commit = ControlCommit {
                    audit: Some(line("here", &key.id)),
                    ..control_commit(key)
                };
                let mine = commit.answer.clone();
                let answer = match done(store.commit(commit).await) {
                    Outcome::Committed { .. } => mine,
                    Outcome::Exists(found) => found.answer,
                    Outcome::Stale => panic!("no state was judged by"),
                };
                told.insert(key.id.clone(), answer);
            }
            told
        }
    });
    let told = join_all(senders).await;
    for key in &keys {
        let kept = done(store.load(key, Some(&room())).await).prior;
        let kept = kept.map(|found| found.answer);
        for one in &told {
            if let Some(answer) = one.get(&key.id) {
                assert_eq!(Some(answer), kept.as_ref());
            }
        }
    }
    let lines = done(store.unaudited("here", 0, 1000).await);
    let mut lines: Vec<String> = lines.into_iter().map(|one| one.line).collect();
    lines.sort();
    let mut ids: Vec<String> = told.into_iter().flatten().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(lines, ids, "one line for each id");
}
