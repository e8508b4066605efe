//! States change from the version that was judged by, and from no other.

use std::sync::Arc;

use super::{
    super::crowd::join_all, committed, control_commit, control_key, done, line, name, put, seen,
    written,
};
use crate::{
    ControlCommit, ControlCounts, ControlKey, ControlKind, ControlStore, Expect, Outcome,
    StateChange, StateWrite, Versioned, conformance::at,
};

fn commit() -> ControlCommit {
    control_commit(&control_key(ControlKind::Event))
}

fn change(expected: Expect, change: StateChange) -> StateWrite {
    StateWrite { expected, change }
}

fn is(version: u64, doc: &str) -> Option<Versioned> {
    let doc = doc.to_owned();
    Some(Versioned { version, doc })
}

pub(super) async fn a_state_changes_from_its_version_only(store: Arc<dyn ControlStore>) {
    let first = written(&store, |commit| ControlCommit {
        room: Some(put(Expect::Absent, "room 1")),
        tenant: Some(put(Expect::Absent, "tenant 1")),
        ..commit
    })
    .await;
    let found = seen(&*store).await;
    assert_eq!(found.room, is(first, "room 1"));
    assert_eq!(found.tenant, is(first, "tenant 1"));
    let second = written(&store, |commit| ControlCommit {
        room: Some(put(Expect::Version(first), "room 2")),
        ..commit
    })
    .await;
    let (old, new) = (Expect::Version(first), Expect::Version(second));
    // The tenant was not moved since, the room was.
    for (room, tenant) in [
        (put(old, "x"), put(old, "x")),
        (put(Expect::Absent, "x"), put(old, "x")),
        (put(Expect::Version(second + 1000), "x"), put(old, "x")),
        (put(new, "x"), put(new, "x")),
        (put(new, "x"), put(Expect::Absent, "x")),
        (change(old, StateChange::Remove), put(old, "x")),
    ] {
        let refused = ControlCommit {
            room: Some(room),
            tenant: Some(tenant),
            audit: Some(line("here", "x")),
            ..commit()
        };
        let key = refused.key.clone();
        assert_eq!(done(store.commit(refused).await), Outcome::Stale);
        assert_eq!(done(store.load(&key, None).await).prior, None);
    }
    let found = seen(&*store).await;
    assert_eq!(found.room, is(second, "room 2"));
    assert_eq!(found.tenant, is(first, "tenant 1"));
    assert_eq!(done(store.unaudited("here", 0, 10).await), []);
}

pub(super) async fn of_many_judgements_by_one_state_one_is_true(store: Arc<dyn ControlStore>) {
    for before in [None, Some("before")] {
        let expected = match before {
            None => Expect::Absent,
            Some(doc) => Expect::Version(
                written(&store, |commit| ControlCommit {
                    room: Some(put(Expect::Any, doc)),
                    ..commit
                })
                .await,
            ),
        };
        let all = (0..24).map(|number| {
            let store = store.clone();
            let judged = ControlCommit {
                room: Some(put(expected, &number.to_string())),
                ..commit()
            };
            async move { done(store.commit(judged).await) }
        });
        let outcomes = join_all(all).await;
        let stale = outcomes.iter().filter(|one| **one == Outcome::Stale);
        assert_eq!(stale.count(), 23, "{before:?}");
    }
}

pub(super) async fn a_version_never_comes_again(store: Arc<dyn ControlStore>) {
    let mut versions = Vec::new();
    for _ in 0..3 {
        let version = written(&store, |commit| ControlCommit {
            room: Some(put(Expect::Absent, "same")),
            ..commit
        })
        .await;
        written(&store, |commit| ControlCommit {
            room: Some(change(Expect::Version(version), StateChange::Remove)),
            ..commit
        })
        .await;
        assert_eq!(seen(&*store).await.room, None);
        done(store.forget(at(100), at(100), 1000).await);
        versions.push(version);
    }
    written(&store, |commit| ControlCommit {
        room: Some(put(Expect::Absent, "same")),
        ..commit
    })
    .await;
    for version in versions {
        let late = ControlCommit {
            room: Some(put(Expect::Version(version), "late")),
            ..commit()
        };
        assert_eq!(done(store.commit(late).await), Outcome::Stale);
    }
}

pub(super) async fn a_state_that_stays_is_held_against_its_version(store: Arc<dyn ControlStore>) {
    let keep = |expected| change(expected, StateChange::Keep);
    written(&store, |commit| ControlCommit {
        room: Some(keep(Expect::Absent)),
        ..commit
    })
    .await;
    let version = written(&store, |commit| ControlCommit {
        room: Some(put(Expect::Absent, "one")),
        ..commit
    })
    .await;
    for expected in [Expect::Absent, Expect::Version(version + 1000)] {
        let judged = ControlCommit {
            room: Some(keep(expected)),
            ..commit()
        };
        assert_eq!(done(store.commit(judged).await), Outcome::Stale);
    }
    written(&store, |commit| ControlCommit {
        room: Some(keep(Expect::Version(version))),
        ..commit
    })
    .await;
    assert_eq!(seen(&*store).await.room, is(version, "one"));
}

pub(super) async fn what_a_file_tells_replaces_whatever_is_there(store: Arc<dyn ControlStore>) {
    for doc in ["one", "two"] {
        let version = written(&store, |commit| ControlCommit {
            room: Some(put(Expect::Any, doc)),
            tenant: Some(put(Expect::Any, doc)),
            ..commit
        })
        .await;
        let found = seen(&*store).await;
        assert_eq!(
            [found.room, found.tenant],
            [is(version, doc), is(version, doc)]
        );
    }
    for _ in 0..2 {
        written(&store, |commit| ControlCommit {
            room: Some(change(Expect::Any, StateChange::Remove)),
            ..commit
        })
        .await;
        assert_eq!(seen(&*store).await.room, None);
    }
}

pub(super) async fn rooms_of_two_tenants_never_meet(store: Arc<dyn ControlStore>) {
    for tenant in ["default", "other"] {
        for room in ["room", "hall"] {
            let key = ControlKey {
                tenant_id: name(tenant),
                ..control_key(ControlKind::Event)
            };
            let change = ControlCommit {
                room_id: name(room),
                room: Some(put(Expect::Absent, &format!("{room} of {tenant}"))),
                ..control_commit(&key)
            };
            committed(store.commit(change).await);
            let found = done(store.load(&key, Some(&name(room))).await);
            assert_eq!(found.tenant, None, "a room is no tenant");
        }
    }
    for tenant in ["default", "other"] {
        for room in ["room", "hall"] {
            let key = ControlKey {
                tenant_id: name(tenant),
                ..control_key(ControlKind::Event)
            };
            let found = done(store.load(&key, Some(&name(room))).await).room;
            let doc = found.map(|found| found.doc);
            assert_eq!(doc, Some(format!("{room} of {tenant}")));
        }
    }
}

pub(super) async fn nothing_is_counted_twice_and_nothing_is_lost(store: Arc<dyn ControlStore>) {
    const TASKS: u64 = 6;
    const EACH: u64 = 15;
    let counters = (0..TASKS).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..EACH {
                let key = control_key(ControlKind::Event);
                // Of those that judge by the same state one gets through, so each try moves somebody.
                let mut tries = 0..TASKS * EACH + 1;
                loop {
                    assert!(tries.next().is_some(), "somebody always gets through");
                    let found = done(store.load(&key, Some(&name("room"))).await);
                    let count = |state: &Option<Versioned>| -> u64 {
                        let doc = state.as_ref().map(|state| state.doc.parse());
                        doc.map_or(0, |count| count.unwrap_or(u64::MAX / 2))
                    };
                    assert_eq!(
                        count(&found.room),
                        count(&found.tenant),
                        "one commit, one view"
                    );
                    let next = (count(&found.room) + 1).to_string();
                    let change = ControlCommit {
                        room: Some(put(Expect::of(found.room.as_ref()), &next)),
                        tenant: Some(put(Expect::of(found.tenant.as_ref()), &next)),
                        ..control_commit(&key)
                    };
                    match done(store.commit(change).await) {
                        Outcome::Committed { .. } => break,
                        Outcome::Stale => {}
                        Outcome::Exists(_) => panic!("the key is new"),
                    }
                }
            }
        }
    });
    join_all(counters).await;
    let found = seen(&*store).await;
    let all = (TASKS * EACH).to_string();
    assert_eq!(found.room.map(|room| room.doc), Some(all.clone()));
    assert_eq!(found.tenant.map(|tenant| tenant.doc), Some(all));
}

pub(super) async fn ended_states_and_old_answers_are_forgotten(store: Arc<dyn ControlStore>) {
    let mut keys = Vec::new();
    for number in 0..6 {
        let key = control_key(ControlKind::Event);
        let change = ControlCommit {
            at: at(number),
            room_id: name(&format!("room{number}")),
            room: Some(change(
                Expect::Absent,
                StateChange::Put {
                    doc: number.to_string(),
                    keep_until: at(10 + number),
                },
            )),
            ..control_commit(&key)
        };
        committed(store.commit(change).await);
        keys.push(key);
    }
    let gone = done(store.forget(at(2), at(12), 100).await);
    assert_eq!(gone, 2 + 3);
    for (number, key) in keys.iter().enumerate() {
        let found = done(store.load(key, Some(&name(&format!("room{number}")))).await);
        assert_eq!(found.prior.is_some(), number >= 2, "answer {number}");
        assert_eq!(found.room.is_some(), number >= 3, "room {number}");
    }
    let left = ControlCounts {
        decided: 4,
        states: 3,
    };
    assert_eq!(done(store.counts().await), left);
    assert_eq!(done(store.forget(at(2), at(12), 100).await), 0);
    // Forgotten is as if it had never been.
    for key in keys.iter().take(1) {
        committed(store.commit(control_commit(key)).await);
    }
}

pub(super) async fn forgetting_goes_in_bites(store: Arc<dyn ControlStore>) {
    for number in 0..7 {
        written(&store, |commit| ControlCommit {
            room_id: name(&format!("room{number}")),
            room: Some(put(Expect::Absent, "x")),
            ..commit
        })
        .await;
    }
    let mut bites = Vec::new();
    while let gone @ 1.. = done(store.forget(at(1), at(3600), 3).await) {
        bites.push(gone);
        assert!(bites.len() < 20, "{bites:?}");
    }
    assert_eq!(bites.iter().sum::<u64>(), 14);
    assert!(bites.iter().all(|gone| *gone <= 6), "{bites:?}");
    assert_eq!(done(store.counts().await), ControlCounts::default());
}
