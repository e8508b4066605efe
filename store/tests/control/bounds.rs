//! What is kept in memory has a bound, and what must not be dropped is refused instead.

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
    store.audited("here", &[first]).await.unwrap();
    store.ready().await.unwrap();
    let now = store.commit(refused).await.unwrap();
    assert!(matches!(now, Outcome::Committed { .. }), "{now:?}");
}
