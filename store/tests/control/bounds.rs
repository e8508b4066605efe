//! What is kept in memory has a bound, and what must not be dropped is refused instead.

use chiffon_common::PlanId;
use chiffon_store::{
    ControlCommit, ControlCounts, ControlKind, ControlStore, Error, Expect, MemoryControl,
    MemoryLimits, Outcome, StateChange, StateWrite,
    conformance::{at, committed, control_commit, control_key, line, put},
};

fn commit() -> ControlCommit {
    control_commit(&control_key(ControlKind::Event))
}

fn in_room(number: u32, until: i64) -> ControlCommit {
    ControlCommit {
        room_id: format!("room{number}").parse().unwrap(),
        room: Some(StateWrite {
            expected: Expect::Absent,
            change: StateChange::Put {
                doc: "x".to_owned(),
                keep_until: at(until),
            },
        }),
        ..commit()
    }
}

#[tokio::test]
async fn the_oldest_answers_make_room_for_new_ones() {
    let store = MemoryControl::new(MemoryLimits {
        decided: 10,
        ..MemoryLimits::default()
    });
    let mut keys = Vec::new();
    for number in 0..25 {
        let one = ControlCommit {
            at: at(number),
            ..commit()
        };
        keys.push(one.key.clone());
        committed(store.commit(one).await);
    }
    for (number, key) in keys.iter().enumerate() {
        let found = store.load(key, None).await.unwrap().prior;
        assert_eq!(found.is_some(), number >= 15, "answer {number}");
    }
    assert_eq!(store.counts().await.unwrap().decided, 10);
}

#[tokio::test]
async fn an_answer_that_is_asked_about_outlives_its_turn() {
    let limits = MemoryLimits {
        decided: 3,
        ..MemoryLimits::default()
    };
    let store = MemoryControl::new(limits);
    let tenant = control_key(ControlKind::Event).tenant_id;
    let plan = |number: u32| -> Option<PlanId> {
        let id = format!("0199e2f4-77a1-7c40-8000-{number:012x}");
        Some(id.parse().unwrap())
    };
    let asks = |number: u32, until: i64| ControlCommit {
        plan_id: plan(number),
        needed_until: Some(at(until)),
        ..commit()
    };
    for number in 1..=3 {
        committed(store.commit(asks(number, 100)).await);
    }
    let more = async |from: i64, to: i64| {
        for number in from..to {
            let one = ControlCommit {
                at: at(number),
                ..commit()
            };
            committed(store.commit(one).await);
        }
    };
    more(1, 20).await;
    let is_there = async |number: u32| {
        let plan = plan(number).unwrap();
        store.plan(&tenant, plan).await.unwrap().is_some()
    };
    for number in 1..=3 {
        assert!(is_there(number).await, "plan {number}");
    }
    assert_eq!(store.counts().await.unwrap().decided, 6);
    assert_eq!(store.oldest(at(20)).unwrap(), Some(at(0)));
    // Its result came: from now on it is as young as that.
    let result = ControlCommit {
        plan_id: plan(2),
        at: at(20),
        ..control_commit(&control_key(ControlKind::Generation))
    };
    committed(store.commit(result).await);
    assert!(is_there(2).await, "who has missed the answer asks again");
    more(21, 24).await;
    assert!(!is_there(2).await);
    assert!(is_there(1).await && is_there(3).await);
    // None came.
    more(100, 103).await;
    assert!(!is_there(1).await && !is_there(3).await);
    assert_eq!(store.counts().await.unwrap().decided, 3);
    assert_eq!(store.oldest(at(103)).unwrap(), Some(at(100)));
}

#[tokio::test]
async fn the_oldest_is_found_in_memory_and_where_states_are_put_by() {
    let limits = MemoryLimits {
        decided: 1,
        states: 2,
        ..MemoryLimits::default()
    };
    let store = MemoryControl::spilling(limits).unwrap();
    assert_eq!(store.oldest(at(0)).unwrap(), None);
    for number in 0..20 {
        let one = ControlCommit {
            at: at(i64::from(number) + 1),
            ..in_room(number, 1_000 + i64::from(number))
        };
        committed(store.commit(one).await);
    }
    assert_eq!(store.oldest(at(30)).unwrap(), Some(at(1)));
    // Written anew, it is of now.
    for number in 0..10 {
        let again = ControlCommit {
            at: at(40),
            room: Some(put(Expect::Any, "y")),
            ..in_room(number, 0)
        };
        committed(store.commit(again).await);
    }
    assert_eq!(store.oldest(at(50)).unwrap(), Some(at(11)));
    while store.forget(at(0), at(1_019), 1000).await.unwrap() > 0 {}
    assert_eq!(store.oldest(at(1_019)).unwrap(), Some(at(40)));
}

#[tokio::test]
async fn a_room_that_means_something_is_never_dropped() {
    let store = MemoryControl::new(MemoryLimits {
        states: 3,
        ..MemoryLimits::default()
    });
    for number in 0..3 {
        committed(store.commit(in_room(number, 10)).await);
    }
    let told = store.commit(in_room(3, 10)).await;
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    assert_eq!(
        store.counts().await.unwrap(),
        ControlCounts {
            decided: 3,
            states: 3
        }
    );
    // One that is there may still change, and one that is over makes room.
    let again = ControlCommit {
        room_id: "room0".parse().unwrap(),
        room: Some(put(Expect::Any, "y")),
        ..commit()
    };
    committed(store.commit(again).await);
    let later = ControlCommit {
        at: at(10),
        ..in_room(3, 20)
    };
    committed(store.commit(later).await);
    assert_eq!(store.counts().await.unwrap().states, 2);
}

#[tokio::test]
async fn what_finds_no_place_is_put_by_and_comes_back_as_it_was() {
    let limits = MemoryLimits {
        states: 3,
        ..MemoryLimits::default()
    };
    let store = MemoryControl::spilling(limits).unwrap();
    let mut versions = Vec::new();
    for number in 0..200 {
        versions.push(committed(store.commit(in_room(number, 10)).await));
    }
    assert_eq!(store.counts().await.unwrap().states, 200);
    let key = control_key(ControlKind::Event);
    let read = async |number: u32| {
        let room = format!("room{number}").parse().unwrap();
        store.load(&key, Some(&room)).await.unwrap().room
    };
    // Whoever judged by another state than the one that is put by judges again.
    let told = store.commit(in_room(7, 20)).await.unwrap();
    assert_eq!(told, Outcome::Stale);
    for (number, version) in (0..).zip(&versions) {
        let found = read(number).await.unwrap();
        assert_eq!((found.version, found.doc.as_str()), (*version, "x"));
        let now = committed(
            store
                .commit(ControlCommit {
                    room: Some(put(Expect::Version(*version), "y")),
                    ..in_room(number, 20)
                })
                .await,
        );
        let found = read(number).await.unwrap();
        assert_eq!((found.version, found.doc.as_str()), (now, "y"));
    }
    assert_eq!(store.counts().await.unwrap().states, 200);
    // Removed is removed, wherever it lay: nothing of before comes back.
    let remove = |number: u32| ControlCommit {
        room: Some(StateWrite {
            expected: Expect::Any,
            change: StateChange::Remove,
        }),
        ..in_room(number, 20)
    };
    for number in 0..100 {
        committed(store.commit(remove(number)).await);
        assert_eq!(read(number).await, None, "room {number}");
    }
    assert_eq!(store.counts().await.unwrap().states, 100);
    // What means nothing any more goes from there too.
    let long_after = at(i64::from(u32::MAX));
    while store.forget(at(0), long_after, 1000).await.unwrap() > 0 {}
    assert_eq!(store.counts().await.unwrap().states, 0);
}

#[tokio::test]
async fn lines_that_find_no_file_stop_the_decisions() {
    let store = MemoryControl::new(MemoryLimits {
        unaudited: 2,
        ..MemoryLimits::default()
    });
    let said = || ControlCommit {
        audit: Some(line("here", "x")),
        ..commit()
    };
    let first = committed(store.commit(said()).await);
    committed(store.commit(said()).await);
    let refused = said();
    let told = store.commit(refused.clone()).await;
    assert!(matches!(told, Err(Error::Unavailable(_))), "{told:?}");
    assert!(store.ready().await.is_err());
    store.audited("here", &[first], None).await.unwrap();
    store.ready().await.unwrap();
    let now = store.commit(refused).await.unwrap();
    assert!(matches!(now, Outcome::Committed { .. }), "{now:?}");
}
