//! Where nothing more can be put by: a new room is refused, and what is there stays and may change.

use std::collections::HashMap;

use chiffon_common::Digest;

use super::*;
use crate::control::{ControlKind, Expect, StateChange, StateWrite};

/// A disk with room for so many states, which may be read once it is told so, if it is to be told.
#[derive(Debug)]
struct Disk {
    free: usize,
    readable: Option<std::sync::mpsc::Receiver<()>>,
    held: HashMap<StateKey, (u64, String, Timestamp)>,
}

impl Spill for Disk {
    fn count(&self) -> u64 {
        self.held.len() as u64
    }

    fn get(&mut self, key: &StateKey) -> Result<Option<State>, Error> {
        if let Some(readable) = &self.readable {
            let told = readable.recv_timeout(Duration::from_secs(60));
            told.map_err(|error| Error::Corrupt(error.to_string()))?;
        }
        let found = self.held.get(key).cloned();
        Ok(found.map(|(version, doc, keep_until)| State {
            version,
            doc,
            keep_until,
            at: Timestamp::UNIX_EPOCH,
            used: 0,
        }))
    }

    fn put(&mut self, key: &StateKey, state: &State) -> Result<(), Error> {
        if self.held.len() >= self.free {
            return Err(Error::Full);
        }
        let held = (state.version, state.doc.clone(), state.keep_until);
        assert!(self.held.insert(key.clone(), held).is_none(), "{key:?}");
        Ok(())
    }

    fn remove(&mut self, key: &StateKey) -> Result<(), Error> {
        self.held.remove(key);
        Ok(())
    }

    fn oldest(&mut self) -> Result<Option<Timestamp>, Error> {
        Ok((!self.held.is_empty()).then_some(Timestamp::UNIX_EPOCH))
    }

    fn forget(&mut self, now: Timestamp, _: u32) -> Result<u64, Error> {
        let before = self.held.len();
        self.held.retain(|_, (_, _, end)| *end > now);
        Ok((before - self.held.len()) as u64)
    }
}

fn key(id: &str) -> ControlKey {
    ControlKey {
        tenant_id: TenantId::default(),
        kind: ControlKind::Event,
        id: id.to_owned(),
    }
}

fn commit(id: &str, room: &str, doc: &str) -> ControlCommit {
    let keep_until = Timestamp::from_second(100).expect("a time");
    ControlCommit {
        key: key(id),
        room_id: room.parse().expect("a name"),
        plan_id: None,
        body: Digest::of_bytes(id.as_bytes()),
        answer: "x".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        needed_until: None,
        room: Some(StateWrite {
            expected: Expect::Any,
            change: StateChange::Put {
                doc: doc.to_owned(),
                keep_until,
            },
        }),
        tenant: None,
        audit: None,
    }
}

#[tokio::test]
async fn where_nothing_more_can_be_put_by_a_new_room_is_refused_and_no_other_lost() {
    let limits = MemoryLimits {
        states: 2,
        ..MemoryLimits::default()
    };
    let disk = Disk {
        free: 3,
        readable: None,
        held: HashMap::new(),
    };
    let store = MemoryControl::with(limits, Some(Box::new(disk)));
    for room in ["a", "b", "c", "d", "e"] {
        let outcome = store.commit(commit(room, room, "1")).await;
        assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{room}");
    }
    for _ in 0..3 {
        let refused = store.commit(commit("f", "f", "1")).await;
        let Err(Error::Unavailable(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("disk"), "{why}");
    }
    // One that lies on the disk makes its own place there when it comes back.
    for room in ["a", "e", "b", "a"] {
        let id = format!(
            "again-{room}-{}",
            store.counts().await.expect("counts").decided
        );
        let outcome = store.commit(commit(&id, room, "2")).await;
        assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{room}");
    }
    assert_eq!(store.counts().await.expect("counts").states, 5);
    for (room, doc) in [("a", "2"), ("b", "2"), ("c", "1"), ("d", "1"), ("e", "2")] {
        let room = room.parse().expect("a name");
        let found = store.load(&key("none"), Some(&room)).await;
        let found = found.expect("it is read").room.expect("it is there");
        assert_eq!(found.doc, doc, "{room}");
    }
    // Once some mean nothing any more, there is a place again.
    let over = Timestamp::from_second(100).expect("a time");
    while store
        .forget(Timestamp::UNIX_EPOCH, over, 10)
        .await
        .expect("it forgets")
        > 0
    {}
    let outcome = store.commit(commit("g", "f", "1")).await;
    assert!(
        matches!(outcome, Ok(Outcome::Committed { .. })),
        "{outcome:?}"
    );
}

/// On one thread: whoever waits for the disk there would stop the one who lets it go on.
#[tokio::test]
async fn no_task_waits_for_a_slow_disk_but_those_that_ask() {
    let limits = MemoryLimits {
        states: 2,
        ..MemoryLimits::default()
    };
    let (tell, readable) = std::sync::mpsc::sync_channel(64);
    let disk = Disk {
        free: 9,
        readable: Some(readable),
        held: HashMap::new(),
    };
    let store = MemoryControl::with(limits, Some(Box::new(disk)));
    // Each is looked for on the disk before it is put anywhere, once something lies there.
    for _ in 0..9 {
        tell.send(()).expect("it listens");
    }
    for room in ["a", "b", "c"] {
        let outcome = store.commit(commit(room, room, "1")).await;
        assert!(matches!(outcome, Ok(Outcome::Committed { .. })), "{room}");
    }
    let store = Arc::new(store);
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for _ in 0..20 {
                store
                    .load(&key("none"), Some(&"a".parse().expect("a name")))
                    .await?;
            }
            Ok::<_, Error>(())
        }
    });
    // It goes on only because this one is not waited for.
    for _ in 0..40 {
        tokio::task::yield_now().await;
        tell.send(()).expect("it listens");
    }
    reading.await.expect("it ends").expect("it is read");
}
